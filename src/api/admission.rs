//! Whether a user may take seats now: where a schedule has a queue, an active token is needed.

use axum::http::{HeaderMap, HeaderName};

use super::AppState;
use super::auth::Caller;
use super::extract::header;
use super::problem::Problem;
use crate::domain::{Code, ScheduleId};

const TOKEN_HEADER: HeaderName = HeaderName::from_static("queue-token");

/// The request's `Queue-Token`, if it has one.
pub fn queue_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    header(headers, &TOKEN_HEADER)
}

/// Passes for a schedule without a queue, and for one the catalog does not know: its section decides then.
pub async fn check(
    state: &AppState,
    _caller: &Caller,
    schedule: ScheduleId,
    _token: Option<&str>,
) -> Result<(), Problem> {
    if !state.schedules.has_queue(schedule).await? {
        return Ok(());
    }
    Err(Problem::refusal(Code::NotAdmitted, "this schedule has a queue; it needs the Queue-Token of an active place"))
}
