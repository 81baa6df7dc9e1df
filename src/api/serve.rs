//! Accepts connections until shutdown, with bounds that `axum::serve` does not have.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::AppState;
use super::router::router;

/// Largest request head, and with it the buffer of a connection.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// After a failed accept (no file descriptors left) the next try waits, or it would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Follows the outcomes and answers requests until `shutdown`, then lets connections end within
/// `settings.drain_timeout`. An error means that something ended unasked and the role must come down.
pub async fn serve(listener: TcpListener, state: AppState, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut feed = JoinSet::new();
    let followed = if state.settings.front_door { state.feed.partitions() } else { 0 };
    for partition in 0..followed {
        let reader = state.feed.clone();
        feed.spawn(async move { reader.follow(partition).await });
    }
    let mut connections = JoinSet::new();
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = unasked_end(&mut feed) => Err(ended),
        () = accept(&listener, &state, &mut connections) => Err(anyhow::anyhow!("accepting connections ended")),
        never = state.authenticator.follow_keys() => match never {},
    };
    drop(listener);
    state.health.drain();
    // Streams, long polls and the feed end on this; connections end after the request at hand.
    state.shutdown.cancel();
    let drained = tokio::time::timeout(state.settings.drain_timeout, async {
        while connections.join_next().await.is_some() {}
        while feed.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "connections are cut off at the drain deadline");
    }
    ended
}

async fn unasked_end(feed: &mut JoinSet<()>) -> anyhow::Error {
    match feed.join_next().await {
        Some(Err(error)) => anyhow::Error::new(error).context("a reader of the outcomes failed"),
        // A log without outcome partitions has no feed to end; then shutdown is all there is to wait for.
        None => std::future::pending().await,
        Some(Ok(())) => anyhow::anyhow!("a reader of the outcomes ended"),
    }
}

async fn accept(listener: &TcpListener, state: &AppState, connections: &mut JoinSet<()>) {
    let app = router(state.clone());
    let open = Arc::new(Semaphore::new(state.settings.connections_max));
    loop {
        let Ok(permit) = open.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (app, state) = (app.clone(), state.clone());
                connections.spawn(async move {
                    converse(stream, app, &state).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
        // Finished connections are forgotten as new ones come, so the set is bounded by the semaphore.
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the requests of one connection. Its errors are the client's: broken off, too slow, not HTTP.
async fn converse(stream: TcpStream, app: Router, state: &AppState) {
    // Answers are small and awaited: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.settings.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = state.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
