//! `GET /v1/requests/{id}`: what became of a command.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::labels::looked_up;
use crate::api::cache::plans::Labels;
use crate::api::http::auth::{Caller, Role};
use crate::api::http::extract::{Params, PathId};
use crate::api::http::prefer::Preferred;
use crate::api::http::problem::{Kind, Problem};
use crate::api::queue::rendering::request_with_token;
use crate::api::queue::token::Signer;
use crate::api::submission::request_object::RequestObject;
use crate::api::submission::requests::Place;
use crate::api::submission::stored::Request;
use crate::api::submission::submit::Submission;
use crate::domain::{Position, RequestId};

/// What became of a command of the caller's; an admin sees everybody's.
#[utoipa::path(
    get,
    path = "/v1/requests/{id}",
    tag = "requests",
    params(
        ("id" = String, Path, format = "uuid", description = "The request"),
        ("position" = Option<String>, Query, pattern = r"^(seats|wallets|queues|inbox)\.[0-9]{1,9}\.[0-9]{1,18}$", description = "From `Location`; with it an undecided request is PENDING \
            instead of unknown", example = "seats.3.1234"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when decided, at most N (30) seconds"),
    ),
    responses(
        (status = 200, description = "The request", body = RequestObject),
        (status = 404, description = "`request_not_found`"),
    )
)]
pub async fn get_request(
    State(submission): State<Arc<Submission>>,
    State(signer): State<Arc<Signer>>,
    State(labels): State<Arc<Labels>>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
    Preferred(wait): Preferred,
) -> Result<Response, Problem> {
    let request_id = RequestId(id);
    let position = params.parsed::<Position>("position")?;
    let waiter = wait.and_then(|wait| Some((submission.watch(request_id)?, wait)));
    let (mut request, ahead) = match submission.place(request_id, position).await? {
        // 404 before waiting, so that waiting does not reveal that the request exists.
        Place::Known(request) if !may_see(&caller, &request) => return Err(not_found()),
        Place::Unknown => return Err(not_found()),
        Place::Known(request) => (Some(request), None),
        Place::Ahead(records) => (None, Some(records)),
    };
    if !matches!(request, Some(Request::Decided(_)))
        && let Some((waiter, wait)) = waiter
        && let Some(decision) = submission.decision(request_id, waiter, wait.duration()).await
    {
        request = Some(Request::Decided(decision.request));
    }
    let mut response = match request {
        Some(request) if may_see(&caller, &request) => {
            looked_up(&labels, request_with_token(&signer, &caller.user, request)).await?
        }
        Some(_) => return Err(not_found()),
        // On the log, but nobody has read it yet, so nobody knows more than its place.
        None => Json(RequestObject::unread(request_id, ahead)).into_response(),
    };
    if let Some(wait) = wait {
        wait.note_in(&mut response);
    }
    Ok(response)
}

fn may_see(caller: &Caller, request: &Request) -> bool {
    caller.has(Role::Admin) || request.is_of(&caller.user)
}

fn not_found() -> Problem {
    Problem::new(Kind::RequestNotFound, "you have no request with this id")
}
