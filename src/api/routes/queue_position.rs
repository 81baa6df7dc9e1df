//! `GET /v1/schedules/{id}/queue/position`: a place in the queue, from memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::schedules::left_by_category;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::auth::Caller;
use crate::api::http::extract::PathId;
use crate::api::http::problem::Problem;
use crate::api::queue::places::{Holder, Places};
use crate::api::queue::replica::Place;
use crate::api::queue::token::QueueToken;
use crate::domain::ScheduleId;
use crate::telemetry::metrics;
use crate::wire::time::rfc3339;

/// A place in the queue, as polled and as pushed.
#[derive(Debug, Serialize, ToSchema)]
pub struct PositionObject {
    /// WAITING, ABSENT, ACTIVE, COMPLETED, EXPIRED or LEFT. ABSENT: nobody asked for long; the place is kept, passed over,
    /// and first again as soon as somebody asks, as by this very poll.
    pub status: &'static str,
    /// Place in the order of arrival, from 1.
    pub position: u64,
    /// Waiting users before this one.
    pub ahead: u64,
    /// Seconds until it is this one's turn, from the measured pace; null while that is unknown, and while nobody is
    /// admitted.
    pub eta_seconds: Option<u64>,
    /// When to ask again.
    pub poll_after_ms: u64,
    /// How long one may be away before the place is passed over.
    pub abandon_after_seconds: u64,
    /// While ACTIVE: seats may be held until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub active_until: Option<String>,
    /// What becomes of a turn that is over: requeue, to the end of the queue, or expire.
    pub on_timeout: &'static str,
    /// lobby, open, paused, all_held, sold_out, closed or cancelled. Nobody is admitted unless it is open.
    pub sale: &'static str,
    /// In the lobby: when it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub opens_at: Option<String>,
    /// While admission is paused: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub paused_since: Option<String>,
    /// Free seats that are for sale, by category; absent while they cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<BTreeMap<String, u64>>,
}

impl PositionObject {
    pub fn of(place: Place, left: Option<BTreeMap<String, u64>>) -> Self {
        PositionObject {
            status: place.status.as_str(),
            position: place.position,
            ahead: place.ahead,
            eta_seconds: place.eta_seconds,
            poll_after_ms: place.poll_after_ms(),
            abandon_after_seconds: place.abandon_after_ms.unsigned_abs() / 1_000,
            active_until: place.active_until.map(rfc3339),
            on_timeout: place.on_timeout.as_str(),
            sale: place.sale.as_str(),
            opens_at: place.opens_at.map(rfc3339),
            paused_since: place.paused_since.map(rfc3339),
            left,
        }
    }
}

/// A place is worth an answer without what is left.
const LEFT_WITHIN: Duration = Duration::from_millis(500);

/// What is left, from the counts that the pages of a date show.
pub async fn left(snapshots: &Snapshots, schedule: ScheduleId) -> Option<BTreeMap<String, u64>> {
    let view = tokio::time::timeout(LEFT_WITHIN, snapshots.schedule(schedule)).await.ok()?.ok()?;
    view.as_ref().as_ref().map(left_by_category)
}

/// The caller's place: the token's, or without a token the one the caller has. A token is enough, without a login.
///
/// Answered from memory, at most 400 ms old. Ask again after `poll_after_ms`: 1 s at the front to 10 s far back. The
/// token of a requeued user shows the new place.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/position",
    tag = "queue",
    security((), ("bearer" = []), ("dev_user" = [])),
    params(("id" = String, Path, format = "uuid", description = "The date"),
        ("Queue-Token" = Option<String>, Header, description = "From the join; without it the caller's place counts")),
    responses(
        (status = 200, description = "The place now; `Retry-After` says when to ask again", body = PositionObject),
        (status = 401, description = "`unauthenticated`: neither a token nor a login"),
        (status = 404, description = "`queue_not_found`, `token_not_found`"),
        (status = 429, description = "`rate_limited`: only for places that ended long ago"),
        (status = 503, description = "`unavailable`: the place is kept, whoever asks counts as seen"),
    )
)]
pub async fn get_position(
    State(places): State<Arc<Places>>,
    State(snapshots): State<Arc<Snapshots>>,
    caller: Result<Caller, Problem>,
    PathId(id): PathId,
    token: QueueToken,
) -> Result<Response, Problem> {
    let holder = holder(&places, ScheduleId(id), caller, &token)?;
    places.saw(&holder);
    places.reports_are_taken(&holder)?;
    let slot = places.open(holder.schedule_id).await?;
    let place = places.place(&holder, &slot).await?;
    metrics::QUEUE_POLLS.with_label_values(&[place.status.as_str()]).inc();
    Ok(answer(place, left(&snapshots, holder.schedule_id).await))
}

/// Whose place is asked for: a token proves it, also where the login has run out.
pub fn holder(
    places: &Places,
    schedule: ScheduleId,
    caller: Result<Caller, Problem>,
    token: &QueueToken,
) -> Result<Holder, Problem> {
    let caller = match caller {
        Ok(caller) => Some(caller.user),
        Err(_) if token.0.is_some() => None,
        Err(problem) => return Err(problem),
    };
    places.holder(schedule, caller.as_ref(), token)
}

fn answer(place: Place, left: Option<BTreeMap<String, u64>>) -> Response {
    let seconds = place.poll_after_ms().div_ceil(1_000);
    let mut response = Json(PositionObject::of(place, left)).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}
