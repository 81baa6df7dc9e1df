//! How a submitted command is answered: 202, the request object, or the refusal under its own status.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::request_object::{Accepted, RequestObject, Status};
use crate::api::http::prefer::Wait;
use crate::api::http::problem::Problem;
use crate::api::http::public_url::link;
use crate::domain::{Position, RequestId};
use crate::wire::outcome::DecidedRequest;

/// How far a submitted command has come.
#[derive(Debug)]
pub enum Answer {
    Decided(Arc<DecidedRequest>),
    /// On the log, or known to the store as undecided.
    Pending {
        request_id: RequestId,
        position: Position,
    },
}

impl Answer {
    /// The problem of a request that was refused.
    pub fn refusal(&self) -> Option<Problem> {
        match self {
            Answer::Decided(decided) => refusal(decided),
            Answer::Pending { .. } => None,
        }
    }

    /// `wait`: the preference that was followed.
    pub fn respond(self, wait: Option<Wait>) -> Response {
        self.respond_with(wait, |problem| problem)
    }

    /// `complete`: adds to a refusal what the owner does not know.
    pub fn respond_with(self, wait: Option<Wait>, complete: impl FnOnce(Problem) -> Problem) -> Response {
        let mut response = match self {
            Answer::Decided(decided) => match refusal(&decided) {
                None => Json(RequestObject::from(&*decided)).into_response(),
                Some(problem) => complete(problem).into_response(),
            },
            Answer::Pending { request_id, position } => accepted(request_id, position),
        };
        if let Some(wait) = wait {
            wait.note_in(&mut response);
        }
        response
    }
}

/// The problem of a refused request.
pub fn refusal(decided: &DecidedRequest) -> Option<Problem> {
    let refusal = decided.outcome.as_ref().err()?;
    Some(Problem::from(refusal.clone()).of_request(decided.request_id).decided(decided.decided))
}

fn accepted(request_id: RequestId, position: Position) -> Response {
    let body = Json(Accepted { request_id: request_id.to_string(), status: Status::Pending });
    let mut response = (StatusCode::ACCEPTED, [(RETRY_AFTER, "1")], body).into_response();
    if let Ok(location) = HeaderValue::from_str(&link(&format!("/v1/requests/{request_id}?position={position}"))) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
