//! `GET /v1/schedules/{id}/queue/position`: where somebody stands, from memory.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::extract::PathId;
use crate::api::http::problem::{Problem, UNAVAILABLE};
use crate::api::http::schema::Problem as ProblemSchema;
use crate::api::queue::admission::queue_token;
use crate::api::queue::replica::{Found, Place};
use crate::api::queue::replicas::Slot;
use crate::api::queue::token::Claim;
use crate::domain::{Code, ScheduleId, UserId};
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

/// Where the caller stands: by their token, or by their place if none is shown.
///
/// Answered from memory, at most 400 ms old. Ask again after `poll_after_ms`: 1 s at the front to 10 s far back. A token
/// of who was requeued shows the new place.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/position",
    tag = "queue",
    params(("id" = String, Path, format = "uuid", description = "The date"),
        ("Queue-Token" = Option<String>, Header, description = "From the join; without it the caller's place counts")),
    responses(
        (status = 200, description = "The place now; `Retry-After` says when to ask again", body = PositionObject),
        (status = 404, description = "`queue_not_found`, `token_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: only for places that ended long ago", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn get_position(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let holder = Holder::of(&state, ScheduleId(id), Some(&caller), queue_token(&headers)?)?;
    let slot = open(&state, holder.schedule_id).await?;
    let place = holder.place(&state, &slot).await?;
    metrics::QUEUE_POLLS.with_label_values(&[place.status.as_str()]).inc();
    Ok(answer(place))
}

fn answer(place: Place) -> Response {
    let seconds = place.poll_after_ms().div_ceil(1_000);
    let mut response = Json(PositionObject::from(place)).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// The replica of a schedule's queue; 404 if the schedule has none.
pub async fn open(state: &AppState, schedule: ScheduleId) -> Result<Arc<Slot>, Problem> {
    if !state.schedules.has_queue(schedule).await? {
        return Err(Problem::refusal(Code::QueueNotFound, "this schedule has no waiting queue"));
    }
    state.queues.current(schedule).await
}

/// Who asks for a place.
pub struct Holder {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
    /// Of the token that was shown, if one was.
    sequence: Option<u64>,
}

impl Holder {
    /// A token proves who holds it; with a caller it must be the caller's. What is not theirs is not there.
    pub fn of(
        state: &AppState,
        schedule_id: ScheduleId,
        caller: Option<&Caller>,
        token: Option<&str>,
    ) -> Result<Holder, Problem> {
        let claim = match token {
            Some(token) => Some(state.tokens.verify(token).ok_or_else(not_found)?),
            None => None,
        };
        let user = caller.map(|caller| &caller.user);
        match (claim, user) {
            (Some(Claim { schedule_id: of, user_id, sequence }), user)
                if of == schedule_id && user.is_none_or(|user| *user == user_id) =>
            {
                Ok(Holder { schedule_id, user_id, sequence: Some(sequence) })
            }
            (None, Some(user)) => Ok(Holder { schedule_id, user_id: user.clone(), sequence: None }),
            _ => Err(not_found()),
        }
    }

    /// The holder's place now. Costs a read only for a token that ended long ago, and for a user without one.
    pub async fn place(&self, state: &AppState, slot: &Slot) -> Result<Place, Problem> {
        let mut found = self.find(state, slot);
        if found == Some(Found::NotYet) {
            slot.next_refresh().await;
            found = self.find(state, slot);
        }
        match found {
            Some(Found::Here(place)) => {
                slot.saw(place.position);
                Ok(place)
            }
            _ => self.stored(state, slot).await,
        }
    }

    /// The place as the replica has it; `None` for a user without a token there.
    pub fn find(&self, state: &AppState, slot: &Slot) -> Option<Found> {
        let now = state.clock.now();
        slot.look(|replica| match self.sequence {
            Some(sequence) => Some(replica.find(&self.user_id, sequence, now)),
            None => replica.place_of(&self.user_id, now).map(Found::Here),
        })?
    }

    async fn stored(&self, state: &AppState, slot: &Slot) -> Result<Place, Problem> {
        // A read of one's own: it counts as a command would.
        state.users.take(&self.user_id)?;
        let tokens = state.store.tokens_of(self.schedule_id, &self.user_id).await?;
        let wanted = tokens.iter().find(|token| self.sequence.is_none_or(|sequence| token.sequence == sequence));
        let Some(token) = wanted else { return Err(not_found()) };
        if token.status.is_live() {
            // Just given: the replica is about to know it, unless it cannot be read anew.
            slot.next_refresh().await;
            return match self.find(state, slot) {
                Some(Found::Here(place)) => Ok(place),
                _ => Err(Problem::new(UNAVAILABLE, "the queue cannot be read now")),
            };
        }
        slot.change(|replica| replica.remember_ended(token.sequence, token.status));
        Ok(Place::of_ended(token.sequence, token.status))
    }
}

fn not_found() -> Problem {
    Problem::refusal(Code::TokenNotFound, "you have no such place in this waiting queue")
}
