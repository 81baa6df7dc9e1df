//! `GET /v1/requests/{id}`: what became of a command.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{Params, PathId};
use crate::api::http::prefer::Wait;
use crate::api::http::problem::{INVALID_REQUEST, Problem, REQUEST_NOT_FOUND};
use crate::api::http::schema::{Problem as ProblemSchema, RequestObject as RequestSchema};
use crate::api::queue::rendering::for_caller;
use crate::api::submission::submit::{apply, decided_within};
use crate::api::submission::view::RequestView;
use crate::domain::{Position, RequestId};
use crate::log::{LanePartition, Topic};

/// What became of a command of the caller's; an admin sees everybody's.
#[utoipa::path(
    get,
    path = "/v1/requests/{id}",
    tag = "requests",
    params(
        ("id" = String, Path, format = "uuid", description = "The request"),
        ("position" = Option<String>, Query, pattern = r"^(seats|wallets|queues)\.[0-9]{1,9}\.[0-9]{1,18}$", description = "From `Location`; with it an undecided request is PENDING \
            instead of unknown", example = "seats.3.1234"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when decided, at most N (30) seconds"),
    ),
    responses(
        (status = 200, description = "The request", body = RequestSchema),
        (status = 404, description = "`request_not_found`", body = ProblemSchema,
            content_type = "application/problem+json"),
    )
)]
pub async fn get_request(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request_id = RequestId(id);
    let position = params.parsed::<Position>("position")?;
    let wait = Wait::from_headers(&headers, state.settings.wait_seconds_max);
    let waiter = wait.and_then(|wait| Some((state.waiters.register(request_id, None)?, wait)));

    let (view, ahead) = match (stored(&state, request_id).await?, position) {
        (Some(view), _) => (Some(view), None),
        (None, Some(position)) => undecided(&state, request_id, position).await?,
        (None, None) => (None, None),
    };
    // Whoever may not see it learns nothing, not even by waiting.
    if view.as_ref().map_or(ahead.is_none(), |view| !may_see(&caller, view)) {
        return Err(not_found());
    }
    let undecided = view.as_ref().is_none_or(|view| !view.is_decided());
    let mut latest = view;
    if let (true, Some((waiter, wait))) = (undecided, waiter)
        && let Some(view) = decided_within(&state, request_id, waiter, wait.duration()).await?
    {
        latest = Some(view);
    }
    let mut response = match latest {
        Some(view) if may_see(&caller, &view) => for_caller(&state.tokens, &caller, view).to_response(None),
        Some(_) => return Err(not_found()),
        None => pending(request_id, ahead),
    };
    if let Some(wait) = wait {
        apply(&mut response, wait);
    }
    Ok(response)
}

fn may_see(caller: &Caller, view: &RequestView) -> bool {
    caller.admin || view.user_id.as_ref() == Some(&caller.user)
}

fn not_found() -> Problem {
    Problem::new(REQUEST_NOT_FOUND, "you have no request with this id")
}

/// On the log, but nobody has read it yet, so nobody knows more than its place.
fn pending(request_id: RequestId, ahead: Option<u64>) -> Response {
    Json(serde_json::json!({ "request_id": request_id.to_string(), "status": "PENDING", "ahead": ahead }))
        .into_response()
}

async fn stored(state: &AppState, request_id: RequestId) -> Result<Option<RequestView>, Problem> {
    state.store.request(request_id).await?.map(RequestView::of_row).transpose()
}

/// A request the store does not know: how many records lie before its position if that is still undecided, else what
/// the store says by now.
async fn undecided(
    state: &AppState,
    request_id: RequestId,
    position: Position,
) -> Result<(Option<RequestView>, Option<u64>), Problem> {
    let topic = Topic::Lane(position.lane);
    if position.partition >= state.log.partitions().of(topic) {
        return Err(Problem::new(INVALID_REQUEST, "?position= names a partition that is not there"));
    }
    let place = LanePartition { lane: position.lane, partition: position.partition };
    let next = state.backlog.next_offset(place).await?;
    if position.offset < next {
        // Decided between the two reads, or never a request.
        return Ok((stored(state, request_id).await?, None));
    }
    let mut end = state.backlog.known_end(place);
    if position.offset >= end {
        end = state.log.end_offset(topic, place.partition).await?;
    }
    Ok((None, (position.offset < end).then(|| position.offset - next)))
}
