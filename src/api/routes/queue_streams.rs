//! The position pushed instead of polled: server-sent events and WebSocket. Only what changed is sent, and of far
//! positions only changes of a hundredth and more.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::queue_position::{PositionObject, holder, left};
use crate::api::AppState;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{Params, PathId};
use crate::api::http::problem::{Kind, Problem};
use crate::api::queue::places::{Holder, Places};
use crate::api::queue::replica::{Found, Place};
use crate::api::queue::replicas::{Slot, Watching};
use crate::api::queue::token::QueueToken;
use crate::domain::ScheduleId;
use crate::domain::queue::TokenStatus;
use crate::telemetry::metrics;

/// A silent stream shows at least this often that it is alive; its holder counts as seen as often.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// A message that takes longer goes to a client that is gone, or too slow to take a few bytes.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// When a browser connects again, in milliseconds: streams that end together come back one by one.
const RETRY_MS: std::ops::Range<u64> = 2_000..12_000;
/// Proxies that gather answers would keep events back for minutes.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
const LAST_EVENT_ID: &str = "last-event-id";
/// What a client of the WebSocket may say: nothing but control frames.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// What streams use.
#[derive(Clone)]
pub struct Streams {
    places: Arc<Places>,
    snapshots: Arc<Snapshots>,
    /// Permits for open streams.
    permits: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl FromRef<AppState> for Streams {
    fn from_ref(state: &AppState) -> Self {
        let (permits, shutdown) = (state.queue_streams.clone(), state.shutdown.clone());
        Streams { places: state.places.clone(), snapshots: state.snapshots.clone(), permits, shutdown }
    }
}

/// One open stream.
struct Feed {
    streams: Streams,
    holder: Holder,
    slot: Arc<Slot>,
    changes: watch::Receiver<u64>,
    heartbeat: Interval,
    /// The place that was sent last, and what was left then.
    sent: Option<Place>,
    sent_left: Option<BTreeMap<String, u64>>,
    first: Option<Place>,
    _watching: Watching,
    _permit: Open,
}

/// What is next on a stream.
enum Next {
    Place(Place),
    /// In place of a heartbeat: the place as sent, but something else is left.
    Left(Place),
    Heartbeat,
    /// The place ended, or the process does.
    End {
        shutdown: bool,
    },
}

/// Counts one stream while it is open.
struct Open(#[allow(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

impl Drop for Open {
    fn drop(&mut self) {
        metrics::QUEUE_STREAMS.with_label_values::<&str>(&[]).dec();
    }
}

impl Feed {
    /// A browser's EventSource and WebSocket cannot set headers: for them `?token=` also proves who asks.
    async fn open(
        streams: Streams,
        schedule: ScheduleId,
        caller: Result<Caller, Problem>,
        token: QueueToken,
    ) -> Result<Feed, Problem> {
        let holder = holder(&streams.places, schedule, caller, &token)?;
        streams.places.saw(&holder);
        let permit = streams.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Problem::new(Kind::Overloaded, "too many streams are open here"))?;
        metrics::QUEUE_STREAMS.with_label_values::<&str>(&[]).inc();
        let permit = Open(permit);
        let slot = streams.places.open(schedule).await?;
        let changes = slot.changes();
        let first = streams.places.place(&holder, &slot).await?;
        let every = HEARTBEAT_MAX.min(Duration::from_millis(first.abandon_after_ms.unsigned_abs() / 6));
        let every = every.max(Duration::from_millis(100));
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (sent, sent_left, first, _watching) = (None, None, Some(first), slot.watch());
        Ok(Feed { streams, holder, slot, changes, heartbeat, sent, sent_left, first, _watching, _permit: permit })
    }

    /// The place is over: there is nothing to wait for.
    fn is_over(&self) -> bool {
        self.first.as_ref().is_some_and(is_over)
    }

    /// The holder is there.
    fn saw(&self) {
        if let Some(place) = self.sent {
            self.slot.saw(place.position);
        }
    }

    /// The place as it is sent.
    async fn text(&mut self, place: Place) -> String {
        self.sent_left = left(&self.streams.snapshots, self.holder.schedule_id).await;
        serde_json::to_string(&PositionObject::of(place, self.sent_left.clone())).unwrap_or_default()
    }

    async fn next(&mut self) -> Next {
        if let Some(place) = self.first.take() {
            self.sent = Some(place);
            return Next::Place(place);
        }
        if self.sent.is_some_and(|place| is_over(&place)) {
            return Next::End { shutdown: false };
        }
        loop {
            tokio::select! {
                biased;
                () = self.streams.shutdown.cancelled() => return Next::End { shutdown: true },
                _ = self.heartbeat.tick() => {
                    let left = left(&self.streams.snapshots, self.holder.schedule_id).await;
                    return match self.sent.filter(|_| left.is_some() && left != self.sent_left) {
                        Some(place) => Next::Left(place),
                        None => Next::Heartbeat,
                    };
                }
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return Next::End { shutdown: false };
                    }
                }
            }
            if let Some(Found::Here(place)) = self.streams.places.find(&self.holder, &self.slot)
                && self.sent.is_none_or(|sent| is_news(&sent, &place))
            {
                self.sent = Some(place);
                return Next::Place(place);
            }
        }
    }
}

fn is_over(place: &Place) -> bool {
    !matches!(place.status, TokenStatus::Waiting | TokenStatus::Absent | TokenStatus::Active)
}

/// Whether a place differs enough from the one sent last.
fn is_news(sent: &Place, now: &Place) -> bool {
    let settled = |place: &Place| {
        let Place { status, position, active_until, sale, opens_at, paused_since, .. } = *place;
        (status, position, active_until, sale, opens_at, paused_since)
    };
    let moved = sent.ahead.abs_diff(now.ahead);
    settled(sent) != settled(now) || moved >= (sent.ahead / 100).max(1)
}

/// The place as it changes, as server-sent events named `position`.
///
/// The stream begins with the place as it is; far positions are sent when they changed by a hundredth. When the place is
/// over, an event named `end` says so, and a browser that connects again is answered 204, which stops it.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/events",
    tag = "queue",
    security((), ("bearer" = []), ("dev_user" = [])),
    params(("id" = String, Path, format = "uuid", description = "The date"),
        ("Queue-Token" = Option<String>, Header, description = "From the join; without it the caller's place counts"),
        ("token" = Option<String>, Query, description = "The same, for clients that cannot set headers; proves who asks, too")),
    responses(
        (status = 200, description = "Events `position`, then `end`", body = PositionObject, content_type = "text/event-stream"),
        (status = 204, description = "The place is over, and its end was sent before"),
        (status = 401, description = "`unauthenticated`"),
        (status = 404, description = "`queue_not_found`, `token_not_found`"),
        (status = 503, description = "`overloaded`: too many streams"),
    )
)]
pub async fn stream_events(
    State(streams): State<Streams>,
    caller: Result<Caller, Problem>,
    PathId(id): PathId,
    params: Params,
    headers: HeaderMap,
    token: QueueToken,
) -> Result<Response, Problem> {
    let feed = Feed::open(streams, ScheduleId(id), caller, token.or(params.get("token"))).await?;
    if feed.is_over() && headers.contains_key(LAST_EVENT_ID) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = stream::unfold(Some(feed), |feed| async move {
        let mut feed = feed?;
        let event = match feed.next().await {
            Next::Place(place) | Next::Left(place) => {
                feed.saw();
                let retry = Duration::from_millis(retry_ms(place.position));
                let event = Event::default().event("position").id(place.position.to_string()).retry(retry);
                event.data(feed.text(place).await)
            }
            Next::Heartbeat => {
                feed.saw();
                Event::default().comment("alive")
            }
            Next::End { shutdown: true } => return None,
            Next::End { shutdown: false } => return Some((Ok(Event::default().event("end").data("{}")), None)),
        };
        Some((Ok::<_, Infallible>(event), Some(feed)))
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(2 * HEARTBEAT_MAX));
    Ok(([UNBUFFERED], stream).into_response())
}

/// Spread by place, without chance.
fn retry_ms(position: u64) -> u64 {
    RETRY_MS.start + position.wrapping_mul(7_919) % (RETRY_MS.end - RETRY_MS.start)
}

/// The place as it changes, over a WebSocket: a text message each.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/ws",
    tag = "queue",
    security((), ("bearer" = []), ("dev_user" = [])),
    params(("id" = String, Path, format = "uuid", description = "The date"),
        ("Queue-Token" = Option<String>, Header, description = "From the join; without it the caller's place counts"),
        ("token" = Option<String>, Query, description = "The same, for clients that cannot set headers; proves who asks, too")),
    responses(
        (status = 101, description = "Messages are places, as polled", body = PositionObject),
        (status = 400, description = "`invalid_request`: no WebSocket handshake"),
        (status = 401, description = "`unauthenticated`"),
        (status = 404, description = "`queue_not_found`, `token_not_found`"),
        (status = 503, description = "`overloaded`: too many streams"),
    )
)]
pub async fn stream_socket(
    State(streams): State<Streams>,
    caller: Result<Caller, Problem>,
    PathId(id): PathId,
    params: Params,
    token: QueueToken,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|why| Problem::new(Kind::InvalidRequest, why.to_string()))?;
    let feed = Feed::open(streams, ScheduleId(id), caller, token.or(params.get("token"))).await?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(|socket| push(socket, feed)))
}

/// A holder counts as seen when something came in: a socket takes pings for a quarter of an hour after its phone lost
/// the network.
async fn push(mut socket: WebSocket, mut feed: Feed) {
    let silent_max = 2 * feed.heartbeat.period() + SEND_WITHIN / 10;
    let mut heard = Instant::now();
    loop {
        let message = tokio::select! {
            next = feed.next() => match next {
                Next::Place(place) | Next::Left(place) => Message::Text(feed.text(place).await.into()),
                Next::Heartbeat if heard.elapsed() > silent_max => return,
                Next::Heartbeat => Message::Ping(Default::default()),
                Next::End { shutdown } => {
                    let code = if shutdown { close_code::AWAY } else { close_code::NORMAL };
                    let frame = CloseFrame { code, reason: Default::default() };
                    // Whether the client still listens does not matter.
                    let _ = socket.send(Message::Close(Some(frame))).await;
                    return;
                }
            },
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    heard = Instant::now();
                    feed.saw();
                    continue;
                }
            },
        };
        match tokio::time::timeout(SEND_WITHIN, socket.send(message)).await {
            Ok(Ok(())) => {}
            // Broken off, or too slow to take a few bytes.
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LogTime;
    use crate::domain::queue::{OnTimeout, Sale};

    #[test]
    fn f03_far_positions_are_pushed_coarsely() {
        let place = |status, ahead| Place {
            status,
            position: 9,
            ahead,
            eta_seconds: None,
            active_until: None,
            sale: Sale::Open,
            opens_at: None,
            paused_since: None,
            abandon_after_ms: 180_000,
            on_timeout: OnTimeout::Requeue,
        };
        let waiting = |ahead| place(TokenStatus::Waiting, ahead);
        assert!(!is_news(&waiting(10_000), &waiting(9_901)));
        assert!(is_news(&waiting(10_000), &waiting(9_900)));
        assert!(is_news(&waiting(50), &waiting(49)));
        assert!(!is_news(&waiting(50), &waiting(50)));
        assert!(is_news(&waiting(0), &place(TokenStatus::Active, 0)));
        let paused = |at| Place { sale: Sale::Paused, paused_since: Some(LogTime(at)), ..waiting(50) };
        assert!(is_news(&waiting(50), &paused(1)));
        assert!(is_news(&paused(1), &paused(2)), "another pause");
    }
}
