//! Accepts connections until shutdown, with bounds that `axum::serve` does not have.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::AppState;
use super::connections::gate::{Gate, Place};
use super::connections::held::{Held, Taken};
use super::connections::line::{Limits, Line};
use super::connections::vanished;
use super::http::networks::Peer;
use super::middleware::KeptBack;
use super::router::{router, routers_apart};

/// Largest request head, and with it the buffer of a connection.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// After a failed accept (no file descriptors left) the next try waits, or it would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Connections beyond the bound that are accepted for operators.
pub const KEPT_BACK: usize = 16;
/// Time for the head of a request on one of them, and for all of it.
const KEPT_BACK_HEAD: Duration = Duration::from_secs(1);
const KEPT_BACK_WHOLE: Duration = Duration::from_secs(5);
/// Connections to the listener of operators.
pub const OPERATORS_MAX: usize = 64;

/// Where requests come in.
pub struct Listeners {
    pub main: TcpListener,
    /// Health, metrics and operations, which the main one then does not answer.
    pub operations: Option<TcpListener>,
}

/// Follows the outcomes and answers requests until `shutdown`, then lets connections end within
/// `settings.drain_timeout`. An error means that something ended unasked and the role must come down.
pub async fn serve(listeners: Listeners, state: AppState, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut feed = JoinSet::new();
    let followed = if state.settings.front_door { state.feed.partitions() } else { 0 };
    for partition in 0..followed {
        let reader = state.feed.clone();
        feed.spawn(async move { reader.follow(partition).await });
    }
    for listener in std::iter::once(&listeners.main).chain(&listeners.operations) {
        if let Err(error) = vanished::notice(listener) {
            tracing::warn!(%error, "clients that vanish are noticed late");
        }
    }
    let doors = Doors::new(&state, listeners.operations.is_some());
    let (mut connections, mut of_operators) = (JoinSet::new(), JoinSet::new());
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = unasked_end(&mut feed) => Err(ended),
        never = doors.main.accept(&listeners.main, &mut connections) => match never {},
        never = async {
            match &listeners.operations {
                Some(listener) => doors.operations.accept(listener, &mut of_operators).await,
                None => std::future::pending().await,
            }
        } => match never {},
        never = state.authenticator.follow_keys() => match never {},
    };
    drop(listeners);
    state.health.drain();
    // Streams, long polls and the feed end on this; connections end after the request at hand.
    state.shutdown.cancel();
    let drained = timeout(state.settings.drain_timeout, async {
        for tasks in [&mut connections, &mut of_operators, &mut feed] {
            while tasks.join_next().await.is_some() {}
        }
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

/// What the listeners serve.
struct Doors {
    main: Door,
    operations: Door,
}

impl Doors {
    /// `apart`: operators have a listener of their own.
    fn new(state: &AppState, apart: bool) -> Self {
        let settings = &state.settings;
        let (operations, others) = routers_apart(state);
        let main = Door {
            app: if apart { others } else { router(state.clone()) },
            gate: Gate::new(settings.connections_max, if apart { 0 } else { KEPT_BACK }),
            held: Held::new(settings.held_bytes_max),
            limits: Limits { head: settings.header_timeout, pace_min: settings.pace_min, slow_for: settings.slow_for },
            idle_timeout: settings.idle_timeout,
            shutdown: state.shutdown.clone(),
        };
        let gate = Gate::new(OPERATORS_MAX, 0);
        Doors { operations: Door { app: operations, gate, ..main.clone() }, main }
    }
}

/// What the connections of one listener share.
#[derive(Clone)]
struct Door {
    app: Router,
    gate: Arc<Gate>,
    held: Arc<Held>,
    limits: Limits,
    idle_timeout: Duration,
    shutdown: CancellationToken,
}

impl Door {
    async fn accept(&self, listener: &TcpListener, connections: &mut JoinSet<()>) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Beyond all places the kernel keeps them.
                    let place = self.gate.enter().await;
                    connections.spawn(self.clone().converse(stream, Peer(peer.ip()), place));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.gate.make_room();
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
            // Finished connections are forgotten as new ones come, so the set is bounded by the gate.
            while connections.try_join_next().is_some() {}
        }
    }

    /// Answers the requests of one connection. Its errors are the client's: broken off, too slow, not HTTP.
    async fn converse(self, stream: TcpStream, peer: Peer, place: Arc<Place>) {
        let whole = if place.kept_back { KEPT_BACK_WHOLE } else { Duration::MAX };
        let ended = place.clone();
        tokio::select! {
            biased;
            _ = timeout(whole, self.answer_all(stream, peer, place)) => {}
            // Its place or its memory is needed for another one.
            () = ended.ended() => {}
        }
    }

    async fn answer_all(self, stream: TcpStream, peer: Peer, place: Arc<Place>) {
        // Answers are small and awaited: waiting to fill a packet only costs time.
        let _ = stream.set_nodelay(true);
        let taken = Arc::<Taken>::default();
        let line = Line::new(stream, place.clone(), taken.clone(), self.limits);
        // Between two requests a connection may be idle as long; once a head has begun, the line is stricter.
        let waits = if place.kept_back { KEPT_BACK_HEAD } else { self.idle_timeout };
        let (app, held) = (self.app, self.held);
        let service = service_fn(move |request| {
            let sent = Sent {
                body: Body::empty(),
                place: place.clone(),
                taken: taken.clone(),
                held: held.clone(),
                switches: false,
            };
            answer(app.clone(), peer, sent, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(waits)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(line), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        // A token of its own: each look at the common one takes its lock.
        let shutdown = self.shutdown.child_token();
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

async fn answer(
    app: Router,
    peer: Peer,
    mut sent: Sent,
    mut request: Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    if !sent.place.begin() {
        // The connection is being closed for another one.
        return std::future::pending().await;
    }
    request.extensions_mut().insert(peer);
    if sent.place.kept_back {
        request.extensions_mut().insert(KeptBack);
    }
    let (mut head, body) = TowerToHyperService::new(app).call(request).await?.into_parts();
    if sent.place.kept_back {
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    sent.switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    sent.body = body;
    Ok(Response::from_parts(head, sent))
}

/// A response's body; it counts what is held for its client and says when there is no more.
struct Sent {
    body: Body,
    place: Arc<Place>,
    taken: Arc<Taken>,
    held: Arc<Held>,
    /// To a WebSocket: the connection never waits for a request again.
    switches: bool,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let counted = |frame: Frame<Bytes>| frame.map_data(|bytes| self.held.hold(&self.place, &self.taken, bytes));
        Poll::Ready(frame.map(|frame| frame.map(counted)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.switches {
            self.place.response_ended();
        }
    }
}
