//! The seat map: `GET /v1/schedules/{id}/seats`, and its changes as server-sent events. Open to everybody, as it names
//! nobody.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::cache::seat_map::{Filter, Form, SeatMap, Since};
use crate::api::cache::seat_offsets::Offsets;
use crate::api::cache::seat_watch::{Frame, Permit, SeatWatches};
use crate::api::cache::snapshot_cache::AGE_MAX;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::extract::{Params, PathId, has, header};
use crate::api::http::fields::nfc;
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::representation::{Shared, open};
use crate::api::openapi::results::{CompactSeats, SeatList};
use crate::domain::ScheduleId;

/// The media type of the compact form.
const COMPACT: &str = "application/vnd.turnstile.seats+json";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A comment after this long without an event tells proxies and clients that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The seats of a schedule, at most 200 ms old. Those of a paid reservation that is cancelled may show as sold until the
/// money is back, ten seconds at most.
///
/// With `format=compact` an object of sections by name, each a text with a letter a seat from number 1 on: `A` available,
/// `H` held, `S` sold, `X` not for sale. 50,000 seats take 50 KB, and 4.9 MB in the readable form. Its `ETag` is the id of
/// an event: given as `Last-Event-ID`, the stream of events goes on from there.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/seats",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The date"),
        ("section" = Option<String>, Query, description = "Only this section's"),
        ("status" = Option<String>, Query, pattern = "^(AVAILABLE|HELD|SOLD|NOT_FOR_SALE)$", description = "Only AVAILABLE, HELD, SOLD or NOT_FOR_SALE ones; of the readable form"),
        ("format" = Option<String>, Query, pattern = "^(readable|compact)$", description = "readable (the default) or compact"),
        ("If-None-Match" = Option<String>, Header, description = "Of the compact form: an `ETag` that the client has"),
    ),
    responses(
        (status = 200, description = "The seat map", content((SeatList = "application/json"), (CompactSeats = "application/vnd.turnstile.seats+json"))),
        (status = 304, description = "Nothing has changed"),
        (status = 404, description = "`schedule_not_found`"),
    )
)]
pub async fn get_seats(
    State(snapshots): State<Arc<Snapshots>>,
    PathId(id): PathId,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = form(&params, &headers)?;
    let wrong = |_| Problem::new(Kind::InvalidRequest, "?section= is not the name of a section");
    let section = params.get("section").map(|name| nfc(name).parse().map_err(wrong)).transpose()?;
    let status = params.parsed("status")?;
    if status.is_some() && form == Form::Compact {
        return Err(Problem::new(Kind::InvalidRequest, "?status= is for the readable form"));
    }
    let filter = Filter { section, status, form };
    let map = known(snapshots.seats(ScheduleId(id), AGE_MAX).await?)?;
    if form == Form::Readable {
        return Ok(open(([(CONTENT_TYPE, "application/json")], Shared(map.body(filter)))));
    }
    let tag = format!("\"{}\"", map.offsets());
    let common = [(ETAG, tag.clone()), (CACHE_CONTROL, "no-cache".to_owned()), (VARY, "accept".to_owned())];
    Ok(match has(&headers, &tag) {
        true => (StatusCode::NOT_MODIFIED, common).into_response(),
        false => (common, [(CONTENT_TYPE, COMPACT)], Shared(map.body(filter))).into_response(),
    })
}

/// The compact form has its own media type; `?format=` is for those who cannot set a header.
fn form(params: &Params, headers: &HeaderMap) -> Result<Form, Problem> {
    match params.get("format") {
        Some("compact") => Ok(Form::Compact),
        Some("readable") => Ok(Form::Readable),
        Some(_) => Err(Problem::new(Kind::InvalidRequest, "?format= is readable or compact")),
        None => {
            let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
            let mut types = accepted.flat_map(|types| types.split(',')).filter_map(|one| one.split(';').next());
            Ok(if types.any(|one| one.trim() == COMPACT) { Form::Compact } else { Form::Readable })
        }
    }
}

fn known(map: Option<Arc<SeatMap>>) -> Result<Arc<SeatMap>, Problem> {
    map.ok_or_else(|| Problem::new(Kind::ScheduleNotFound, "there is no schedule with this id"))
}

/// Seats as they change, as server-sent events.
///
/// First `snapshot` with all of them, or, after `Last-Event-ID`, `seats` with those that changed
/// since; then `seats` with those that changed, at most five times a second.
///
/// With `Accept: application/vnd.turnstile.seats+json` or `format=compact` in the compact form: `snapshot` as
/// `{"A": "AAHSX"}`, changes as numbers by letter, `{"A": {"H": [12, 13], "A": [40]}}`, or all letters of a section that
/// was amended. 2,000 changes take 10 KB, and 190 KB in the readable form. The ids are the same in both forms, and hold
/// for all blocks of the date.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/seats/events",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The date"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event"),
        ("format" = Option<String>, Query, pattern = "^(readable|compact)$", description = "readable (the default) or compact"),
    ),
    responses(
        (status = 200, description = "Events `snapshot` and `seats`", body = SeatList, content_type = "text/event-stream"),
        (status = 404, description = "`schedule_not_found`"),
        (status = 503, description = "`overloaded`: too many streams"),
    )
)]
pub async fn seat_events(
    State(snapshots): State<Arc<Snapshots>>,
    State(watches): State<SeatWatches>,
    State(shutdown): State<CancellationToken>,
    PathId(id): PathId,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = form(&params, &headers)?;
    let permit = watches.permit();
    let permit = permit.ok_or_else(|| Problem::new(Kind::Overloaded, "too many streams are open").retry_after(5))?;
    // An id that is not ours is as good as none.
    let seen: Option<Offsets> = header(&headers, &LAST_EVENT_ID)?.and_then(|text| text.parse().ok());
    let id = ScheduleId(id);
    let mut map = known(snapshots.seats(id, AGE_MAX).await?)?;
    if seen.as_ref().is_some_and(|seen| !map.offsets().cover(seen)) {
        // Another process may have shown the client more than this one has heard of.
        map = known(snapshots.seats_read(id).await?)?;
    }
    let first = match &seen {
        Some(seen) if map.offsets().cover(seen) => map.changes_event(Since::Id(seen), form),
        _ => Some(map.snapshot_event(form)),
    };
    let cursor = map.version();
    let mut frames = watches.subscribe(id, map);
    // The watch may already be further along than this map.
    frames.mark_changed();
    let streaming = Streaming {
        // Something is always sent at once, so that the client sees the stream begin.
        first: Some(first.unwrap_or(Bytes::from_static(b": nothing new\n\n"))),
        form,
        cursor,
        frames,
        sent_at: Instant::now(),
        shutdown,
        _permit: permit,
    };
    let body = Body::from_stream(stream::unfold(streaming, |mut streaming| async move {
        let chunk = streaming.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), streaming))
    }));
    Ok(([(CONTENT_TYPE, "text/event-stream"), (BUFFERING, "no")], body).into_response())
}

/// Asks proxies that know it not to collect events.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// One client's stream. It keeps no events: what the client has not taken yet is found again by its version.
struct Streaming {
    first: Option<Bytes>,
    form: Form,
    /// The version up to which the client knows the seats.
    cursor: u64,
    frames: watch::Receiver<Arc<Frame>>,
    sent_at: Instant,
    shutdown: CancellationToken,
    _permit: Permit,
}

impl Streaming {
    async fn next(&mut self) -> Option<Bytes> {
        let chunk = match self.first.take() {
            Some(first) => first,
            None => self.wait().await?,
        };
        self.sent_at = Instant::now();
        Some(chunk)
    }

    /// The next event or heartbeat; `None` when the stream is to end.
    async fn wait(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                changed = self.frames.changed() => {
                    // The watch ends before its streams only when the process does.
                    changed.ok()?;
                    let frame = self.frames.borrow_and_update().clone();
                    if let Some(event) = self.advance(&frame) {
                        return Some(event);
                    }
                }
                () = tokio::time::sleep_until(self.sent_at + HEARTBEAT) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    fn advance(&mut self, frame: &Frame) -> Option<Bytes> {
        let event = frame.event_since(self.cursor, self.form)?;
        self.cursor = frame.map.version();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cache::seat_map::tests::{block, map_after};
    use crate::domain::block::SeatStatus;

    /// Another map for each version, the seat A-1 changed.
    fn shown(version: u64) -> Arc<SeatMap> {
        let at = |version| {
            let status = if version % 2 == 0 { SeatStatus::Held } else { SeatStatus::Available };
            [block(3, &[("A", 2, 1)], &[("A-1", status, version), ("A-2", SeatStatus::Sold, 1)])]
        };
        Arc::new(map_after(&at(version - 1), &at(version), version))
    }

    fn streaming() -> (watch::Sender<Arc<Frame>>, Streaming) {
        let (sender, frames) = watch::channel(Arc::new(Frame::first(shown(2))));
        let permits = Arc::new(tokio::sync::Semaphore::new(1));
        let streaming = Streaming {
            first: None,
            form: Form::Readable,
            cursor: 2,
            frames,
            sent_at: Instant::now(),
            shutdown: CancellationToken::new(),
            _permit: Permit::new(permits.try_acquire_owned().unwrap()),
        };
        (sender, streaming)
    }

    fn show(sender: &watch::Sender<Arc<Frame>>, version: u64) {
        let next = sender.borrow().next(shown(version));
        sender.send_replace(Arc::new(next));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_sends_a_comment_every_fifteen_seconds() {
        let (_sender, mut streaming) = streaming();
        let began = Instant::now();
        for beat in 1..=3 {
            assert_eq!(streaming.next().await.unwrap(), ":\n\n");
            assert_eq!(began.elapsed(), HEARTBEAT * beat);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_gets_the_latest_state_in_one_event_and_each_change_once() {
        let (sender, mut streaming) = streaming();
        for version in 3..=100 {
            show(&sender, version);
        }
        let event = String::from_utf8(streaming.next().await.unwrap().to_vec()).unwrap();
        assert!(event.starts_with("event: seats\nid: 3:100\n"), "{event}");
        assert!(event.contains("A-1") && !event.contains("A-2"), "{event}");
        assert_eq!(streaming.next().await.unwrap(), ":\n\n", "nothing twice");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_knows_more_is_not_set_back() {
        let (sender, mut streaming) = streaming();
        streaming.cursor = 50;
        show(&sender, 40);
        show(&sender, 60);
        let event = String::from_utf8(streaming.next().await.unwrap().to_vec()).unwrap();
        assert!(event.starts_with("event: seats\nid: 3:60\n"), "{event}");
        show(&sender, 55);
        assert_eq!(streaming.next().await.unwrap(), ":\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_shutdown_even_if_there_is_more_to_say() {
        let (sender, mut streaming) = streaming();
        show(&sender, 3);
        streaming.shutdown.cancel();
        assert_eq!(streaming.next().await, None);
    }
}
