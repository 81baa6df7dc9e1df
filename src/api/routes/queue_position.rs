//! `GET /v1/schedules/{id}/queue/position`: a place in the queue, from memory.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::http::auth::Caller;
use crate::api::http::extract::PathId;
use crate::api::http::problem::Problem;
use crate::api::queue::places::Places;
use crate::api::queue::replica::Place;
use crate::api::queue::token::QueueToken;
use crate::domain::ScheduleId;
use crate::telemetry::metrics;
use crate::wire::time::rfc3339;

/// A place in the queue, as polled and as pushed.
#[derive(Debug, Serialize, ToSchema)]
pub struct PositionObject {
    /// WAITING, ACTIVE, COMPLETED, EXPIRED or LEFT.
    pub status: &'static str,
    /// Place in the order of arrival, from 1.
    pub position: u64,
    /// Waiting users before this one.
    pub ahead: u64,
    /// Seconds until it is this one's turn, from the measured pace; null while that is unknown, and when paused.
    pub eta_seconds: Option<u64>,
    /// When to ask again.
    pub poll_after_ms: u64,
    /// While ACTIVE: seats may be held until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub active_until: Option<String>,
}

impl From<Place> for PositionObject {
    fn from(place: Place) -> Self {
        PositionObject {
            status: place.status.as_str(),
            position: place.position,
            ahead: place.ahead,
            eta_seconds: place.eta_seconds,
            poll_after_ms: place.poll_after_ms(),
            active_until: place.active_until.map(rfc3339),
        }
    }
}

/// The caller's place: the token's, or without a token the one the caller has.
///
/// Answered from memory, at most 400 ms old. Ask again after `poll_after_ms`: 1 s at the front to 10 s far back. The
/// token of a requeued user shows the new place.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/position",
    tag = "queue",
    params(("id" = String, Path, format = "uuid", description = "The date"),
        ("Queue-Token" = Option<String>, Header, description = "From the join; without it the caller's place counts")),
    responses(
        (status = 200, description = "The place now; `Retry-After` says when to ask again", body = PositionObject),
        (status = 404, description = "`queue_not_found`, `token_not_found`"),
        (status = 429, description = "`rate_limited`: only for places that ended long ago"),
    )
)]
pub async fn get_position(
    State(places): State<Arc<Places>>,
    caller: Caller,
    PathId(id): PathId,
    token: QueueToken,
) -> Result<Response, Problem> {
    let holder = places.holder(ScheduleId(id), Some(&caller.user), &token)?;
    let slot = places.open(holder.schedule_id).await?;
    let place = places.place(&holder, &slot).await?;
    metrics::QUEUE_POLLS.with_label_values(&[place.status.as_str()]).inc();
    Ok(answer(place))
}

fn answer(place: Place) -> Response {
    let seconds = place.poll_after_ms().div_ceil(1_000);
    let mut response = Json(PositionObject::from(place)).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}
