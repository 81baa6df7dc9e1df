//! Whether a user may take seats now: where a schedule has a queue, an active token is needed.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};

use super::replica::Place;
use super::token::Claim;
use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::extract::header;
use crate::api::http::problem::Problem;
use crate::domain::queue::TokenStatus;
use crate::domain::{Code, LogTime, ScheduleId};

const TOKEN_HEADER: HeaderName = HeaderName::from_static("queue-token");
/// An older replica is no proof that a token is active: the store is away, or slow.
const PROOF_AGE_MAX: Duration = Duration::from_secs(1);

/// The request's `Queue-Token`, if it has one.
pub fn queue_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    header(headers, &TOKEN_HEADER)
}

/// Passes for a schedule without a queue, and for one the catalog does not know: its section decides then.
pub async fn check(
    state: &AppState,
    caller: &Caller,
    schedule: ScheduleId,
    token: Option<&str>,
) -> Result<(), Problem> {
    if !state.schedules.has_queue(schedule).await? {
        return Ok(());
    }
    let claim = token.and_then(|token| state.tokens.verify(token));
    let own = |claim: &Claim| claim.schedule_id == schedule && claim.user_id == caller.user;
    if claim.is_some_and(|claim| own(&claim)) && is_active(state, caller, schedule).await? {
        return Ok(());
    }
    Err(Problem::refusal(Code::NotAdmitted, "this schedule has a queue; it needs the Queue-Token of an active place"))
}

/// Whether the user's token is ACTIVE, by the replica or, where that denies it, by the store: who was let in a moment
/// ago is not refused.
async fn is_active(state: &AppState, caller: &Caller, schedule: ScheduleId) -> Result<bool, Problem> {
    let now = state.clock.now();
    if let Ok(slot) = state.queues.current(schedule).await
        && slot.age() <= PROOF_AGE_MAX
        && slot.look(|replica| replica.place_of(&caller.user, now)).flatten().is_some_and(|place| lasts(&place, now))
    {
        return Ok(true);
    }
    // A read of one's own: it counts as a command would.
    state.users.take(&caller.user)?;
    let tokens = state.store.tokens_of(schedule, &caller.user).await?;
    Ok(tokens.iter().any(|token| token.status == TokenStatus::Active && token.active_until.is_some_and(|t| t > now)))
}

fn lasts(place: &Place, now: LogTime) -> bool {
    place.status == TokenStatus::Active && place.active_until.is_some_and(|until| until > now)
}
