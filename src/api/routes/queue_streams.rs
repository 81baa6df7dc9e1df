//! The position pushed instead of polled: server-sent events and WebSocket. Only what changed is sent, and of far
//! positions only changes of a hundredth and more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRef, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::queue_position::PositionObject;
use crate::api::AppState;
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

/// A silent stream shows this often that it is alive; its holder counts as seen as often.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// What a client of the WebSocket may say: nothing but control frames.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// What streams use.
#[derive(Clone)]
pub struct Streams {
    places: Arc<Places>,
    /// Permits for open streams.
    permits: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl FromRef<AppState> for Streams {
    fn from_ref(state: &AppState) -> Self {
        let (permits, shutdown) = (state.queue_streams.clone(), state.shutdown.clone());
        Streams { places: state.places.clone(), permits, shutdown }
    }
}

/// One open stream.
struct Feed {
    streams: Streams,
    holder: Holder,
    slot: Arc<Slot>,
    changes: watch::Receiver<u64>,
    heartbeat: Interval,
    /// The place that was sent last.
    sent: Option<Place>,
    first: Option<Place>,
    _watching: Watching,
    _permit: Open,
}

/// What is next on a stream.
enum Next {
    Place(Place),
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
        let caller = match caller {
            Ok(caller) => Some(caller.user),
            Err(_) if token.0.is_some() => None,
            Err(problem) => return Err(problem),
        };
        let holder = streams.places.holder(schedule, caller.as_ref(), &token)?;
        let permit = streams.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Problem::new(Kind::Overloaded, "too many streams are open here"))?;
        metrics::QUEUE_STREAMS.with_label_values::<&str>(&[]).inc();
        let permit = Open(permit);
        let slot = streams.places.open(schedule).await?;
        let changes = slot.changes();
        let first = Some(streams.places.place(&holder, &slot).await?);
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watching = slot.watch();
        Ok(Feed { streams, holder, slot, changes, heartbeat, sent: None, first, _watching: watching, _permit: permit })
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
                    if let Some(place) = self.sent {
                        self.slot.saw(place.position);
                    }
                    return Next::Heartbeat;
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
    !matches!(place.status, TokenStatus::Waiting | TokenStatus::Active)
}

/// Whether a place differs enough from the one sent last.
fn is_news(sent: &Place, now: &Place) -> bool {
    let settled = |place: &Place| (place.status, place.position, place.active_until);
    let moved = sent.ahead.abs_diff(now.ahead);
    settled(sent) != settled(now) || moved >= (sent.ahead / 100).max(1)
}

fn text(place: Place) -> String {
    serde_json::to_string(&PositionObject::from(place)).unwrap_or_default()
}

/// The place as it changes, as server-sent events named `position`.
///
/// The stream begins with the place as it is and ends with it; far positions are sent when they changed by a hundredth.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/events",
    tag = "queue",
    security((), ("bearer" = []), ("dev_user" = [])),
    params(("id" = String, Path, format = "uuid", description = "The date"),
        ("Queue-Token" = Option<String>, Header, description = "From the join; without it the caller's place counts"),
        ("token" = Option<String>, Query, description = "The same, for clients that cannot set headers; proves who asks, too")),
    responses(
        (status = 200, description = "Events `position`", body = PositionObject, content_type = "text/event-stream"),
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
    token: QueueToken,
) -> Result<Response, Problem> {
    let feed = Feed::open(streams, ScheduleId(id), caller, token.or(params.get("token"))).await?;
    let events = stream::unfold(feed, |mut feed| async move {
        let event = match feed.next().await {
            Next::Place(place) => Event::default().event("position").retry(HEARTBEAT).data(text(place)),
            Next::Heartbeat => Event::default().comment("alive"),
            Next::End { .. } => return None,
        };
        Some((Ok::<_, Infallible>(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(2 * HEARTBEAT)).into_response())
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

async fn push(mut socket: WebSocket, mut feed: Feed) {
    loop {
        let message = tokio::select! {
            next = feed.next() => match next {
                Next::Place(place) => Message::Text(text(place).into()),
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
                Some(Ok(_)) => continue,
            },
        };
        match tokio::time::timeout(HEARTBEAT, socket.send(message)).await {
            Ok(Ok(())) => {}
            // Broken off, or too slow to take a few bytes in 10 s.
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f03_far_positions_are_pushed_coarsely() {
        let place = |status, ahead| Place { status, position: 9, ahead, eta_seconds: None, active_until: None };
        let waiting = |ahead| place(TokenStatus::Waiting, ahead);
        assert!(!is_news(&waiting(10_000), &waiting(9_901)));
        assert!(is_news(&waiting(10_000), &waiting(9_900)));
        assert!(is_news(&waiting(50), &waiting(49)));
        assert!(!is_news(&waiting(50), &waiting(50)));
        assert!(is_news(&waiting(0), &place(TokenStatus::Active, 0)));
    }
}
