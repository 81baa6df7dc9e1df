//! A connection's socket with time limits: a head must arrive once it has begun, and what is sent must be taken.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::gate::Place;
use super::held::Taken;
use crate::telemetry::metrics;

/// A client that took everything and was sent nothing for this long begins with a clean slate.
const CAUGHT_UP: Duration = Duration::from_secs(1);

/// Time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A head must be complete this long after its first byte.
    pub head: Duration,
    /// The slowest pace at which a response may be taken, in bytes per second,
    pub pace_min: u32,
    /// over this much time in which the client kept us waiting.
    pub slow_for: Duration,
}

/// A socket that can be closed without sending what the other end has not taken.
pub trait Reset {
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // Otherwise the kernel would go on sending its buffer, to a client that hardly reads for days.
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "a slow connection ends slowly");
        }
    }
}

/// A socket that ends with an error when its client is too slow. It lives as long as the connection, also as a
/// WebSocket, and with it the connection's place.
pub struct Line<S: Reset> {
    stream: S,
    place: Arc<Place>,
    taken: Arc<Taken>,
    limits: Limits,
    /// Runs while a head has begun and is not complete.
    head: Option<Pin<Box<Sleep>>>,
    slowness: Slowness,
}

/// How long the client has kept us waiting lately, and how much it took meanwhile.
#[derive(Default)]
struct Slowness {
    /// The socket has been full since.
    blocked: Option<Instant>,
    /// When it was last freed.
    freed: Option<Instant>,
    waited: Duration,
    bytes: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Slowness {
    fn took(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if let Some(since) = self.blocked.take() {
            let now = Instant::now();
            self.waited += now.duration_since(since);
            self.freed = Some(now);
        }
    }

    /// The socket takes nothing now; ready if the client is too slow.
    fn poll(&mut self, limits: &Limits, cx: &mut Context<'_>) -> Poll<()> {
        if self.blocked.is_none() {
            let now = Instant::now();
            if self.freed.is_none_or(|freed| now.duration_since(freed) >= CAUGHT_UP) {
                (self.waited, self.bytes) = (Duration::ZERO, 0);
            }
            self.blocked = Some(now);
            self.wait(now + limits.slow_for.saturating_sub(self.waited));
        }
        loop {
            let Some(timer) = &mut self.timer else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            if self.bytes < limits.slow_for.as_secs() * u64::from(limits.pace_min) {
                return Poll::Ready(());
            }
            let now = Instant::now();
            (self.waited, self.bytes, self.blocked) = (Duration::ZERO, 0, Some(now));
            self.wait(now + limits.slow_for);
        }
    }

    fn wait(&mut self, until: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(until),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(until))),
        }
    }
}

fn too_slow(what: &str) -> Error {
    metrics::HTTP_CONNECTIONS_ENDED.with_label_values(&[what]).inc();
    Error::new(ErrorKind::TimedOut, "the client is too slow")
}

impl<S: Reset> Drop for Line<S> {
    fn drop(&mut self) {
        if self.place.is_cut() {
            self.stream.reset();
        }
    }
}

impl<S: Reset> Line<S> {
    pub fn new(stream: S, place: Arc<Place>, taken: Arc<Taken>, limits: Limits) -> Self {
        Line { stream, place, taken, limits, head: None, slowness: Slowness::default() }
    }

    fn wrote(&mut self, result: Poll<Result<usize>>, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        // A response means that its request's head was complete.
        self.head = None;
        match &result {
            Poll::Ready(Ok(bytes)) => {
                self.taken.add(*bytes);
                self.slowness.took(*bytes);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.slowness.poll(&self.limits, cx).is_ready() {
                    self.place.cut();
                    return Poll::Ready(Err(too_slow("slow_response")));
                }
            }
        }
        result
    }
}

impl<S: AsyncRead + Reset + Unpin> AsyncRead for Line<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let waiting = self.place.is_waiting();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if waiting && self.head.is_none() && buffer.filled().len() > before {
                    self.head = Some(Box::pin(sleep(self.limits.head)));
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                if !waiting {
                    self.head = None;
                }
                let Some(head) = &mut self.head else { return Poll::Pending };
                ready!(head.as_mut().poll(cx));
                Poll::Ready(Err(too_slow("slow_head")))
            }
        }
    }
}

impl<S: AsyncWrite + Reset + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when nothing is left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.place.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::api::connections::gate::Gate;

    impl Reset for DuplexStream {
        fn reset(&self) {}
    }

    const LIMITS: Limits = Limits { head: Duration::from_secs(10), pace_min: 4096, slow_for: Duration::from_secs(30) };

    async fn line() -> (Line<DuplexStream>, DuplexStream, Arc<Place>) {
        let (ours, theirs) = duplex(1000);
        let place = Gate::new(1, 0).enter().await;
        (Line::new(ours, place.clone(), Arc::default(), LIMITS), theirs, place)
    }

    /// Sends `bytes` to a client that takes `each` bytes every `pause`; how long it took, and whether all was sent.
    async fn send(bytes: usize, each: usize, pause: Duration) -> (Duration, bool) {
        let (mut line, mut client, _place) = line().await;
        let began = Instant::now();
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; each];
            while client.read_exact(&mut taken).await.is_ok() {
                sleep(pause).await;
            }
        });
        let sent = line.write_all(&vec![0; bytes]).await;
        assert!(sent.as_ref().is_ok() || sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::TimedOut));
        drop(line);
        reader.await.unwrap();
        (began.elapsed(), sent.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_slower_than_the_pace_is_cut_and_a_faster_one_is_not() {
        let second = Duration::from_secs(1);
        assert!(send(1_000_000, 5000, second).await.1);
        let (took, whole) = send(1_000_000, 3000, second).await;
        assert!(!whole && took >= LIMITS.slow_for && took < LIMITS.slow_for * 2, "{took:?}");
        let (took, whole) = send(1_000_000, 1, second).await;
        assert!(!whole && took >= LIMITS.slow_for, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_catches_up_between_events_is_never_too_slow() {
        let (mut line, mut client, _place) = line().await;
        let reader = tokio::spawn(async move {
            let mut event = [0; 2000];
            for _ in 0..20 {
                sleep(Duration::from_secs(10)).await;
                client.read_exact(&mut event).await.unwrap();
            }
        });
        for _ in 0..20 {
            line.write_all(&[0; 2000]).await.expect("it waits ten seconds each time, but takes everything");
            sleep(Duration::from_secs(2)).await;
        }
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_must_end_and_one_that_has_not_may_wait() {
        let (mut line, mut client, _place) = line().await;
        let mut buffer = [0; 100];
        let waited = tokio::time::timeout(Duration::from_secs(3600), line.read(&mut buffer)).await;
        assert!(waited.is_err(), "an idle connection is not this one's business");
        client.write_all(b"GET /").await.unwrap();
        assert_eq!(line.read(&mut buffer).await.unwrap(), 5);
        let began = Instant::now();
        let error = line.read(&mut buffer).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (ErrorKind::TimedOut, LIMITS.head));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_no_head() {
        let (mut line, mut client, place) = line().await;
        client.write_all(b"POST /").await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(line.read(&mut buffer).await.unwrap(), 6);
        assert!(place.begin());
        assert!(tokio::time::timeout(LIMITS.head * 2, line.read(&mut buffer)).await.is_err());
    }
}
