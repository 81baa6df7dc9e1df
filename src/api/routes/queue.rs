//! Joining, leaving, and what an operator may change.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::api::http::auth::{Admin, Caller};
use crate::api::http::extract::{JsonBody, PathId};
use crate::api::http::problem::Problem;
use crate::api::openapi::bodies::QueuePatch;
use crate::api::queue::configuring::{Changes, changes};
use crate::api::queue::places::Places;
use crate::api::queue::rendering::answer_with_token;
use crate::api::queue::token::Signer;
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::queue::{Command, ConfigureQueue, OfUser};
use crate::domain::{Body, ScheduleId};

/// Takes a place at the tail, or shows the one the caller has.
///
/// Result: `{schedule_id, token, position, status, ahead, poll_after_ms, active_until?}`. Joining again gives the same
/// token and position, whatever became of the sale since; others are refused once it is sold out, closed or cancelled. The
/// token goes with every poll and hold as the header `Queue-Token`.
#[utoipa::path(
    post,
    path = "/v1/schedules/{id}/queue",
    tag = "queue",
    params(("id" = String, Path, format = "uuid", description = "The date")),
    extensions(("x-command" = json!("join_queue")))
)]
pub async fn join_queue(
    State(places): State<Arc<Places>>,
    State(signer): State<Arc<Signer>>,
    State(submission): State<Arc<Submission>>,
    caller: Caller,
    options: SubmitOptions,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let schedule_id = ScheduleId(id);
    places.open(schedule_id).await?;
    let join = Command::JoinQueue(OfUser { schedule_id, user_id: caller.user.clone() });
    let answer = submission.submit(&caller.user, &options, Body::Queues(join)).await?;
    Ok(answer_with_token(&signer, &caller.user, answer).respond(options.wait))
}

/// Gives the caller's place up.
///
/// Result: `{schedule_id, sequence, status}`.
#[utoipa::path(
    delete,
    path = "/v1/schedules/{id}/queue",
    tag = "queue",
    params(("id" = String, Path, format = "uuid", description = "The date")),
    extensions(("x-command" = json!("leave_queue")))
)]
pub async fn leave_queue(
    State(places): State<Arc<Places>>,
    State(submission): State<Arc<Submission>>,
    caller: Caller,
    options: SubmitOptions,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let schedule_id = ScheduleId(id);
    places.open(schedule_id).await?;
    let leave = Command::LeaveQueue(OfUser { schedule_id, user_id: caller.user.clone() });
    Ok(submission.submit(&caller.user, &options, Body::Queues(leave)).await?.respond(options.wait))
}

/// Changes limits, pauses, resumes, admits.
///
/// Result: the queue's settings in effect, `paused`, `waiting`, `absent`, `active`. `admit` admits nobody while nothing can
/// be bought.
#[utoipa::path(
    patch,
    path = "/v1/schedules/{id}/queue",
    tag = "queue",
    params(("id" = String, Path, format = "uuid", description = "The date")),
    request_body(content = QueuePatch, example = json!({"admit_per_minute": 600, "paused": false})),
    responses(
        (status = 403, description = "`forbidden`"),
    ),
    extensions(("x-command" = json!("configure_queue")))
)]
pub async fn configure_queue(
    State(places): State<Arc<Places>>,
    State(submission): State<Arc<Submission>>,
    Admin(user): Admin,
    options: SubmitOptions,
    PathId(id): PathId,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let Changes { patch, paused, admit } = changes(&body)?;
    let schedule_id = ScheduleId(id);
    places.open(schedule_id).await?;
    let configure =
        Command::ConfigureQueue(ConfigureQueue { schedule_id, user_id: user.clone(), patch, paused, admit });
    Ok(submission.submit(&user, &options, Body::Queues(configure)).await?.respond(options.wait))
}
