//! The request object: what became of a command, as its sender sees it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::stored::Request;
use crate::api::http::positions::Decided;
use crate::api::http::problem::{Problem, ProblemObject};
use crate::api::openapi::results::CommandResult;
use crate::domain::RequestId;
use crate::wire::outcome::DecidedRequest;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = RequestStatus)]
pub enum Status {
    Pending,
    Succeeded,
    Rejected,
}

/// What became of a command.
#[derive(Serialize, ToSchema)]
pub struct RequestObject<'a> {
    #[schema(format = "uuid")]
    request_id: String,
    /// The command's type; absent while its record has not been read yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "hold_seats")]
    command: Option<&'static str>,
    status: Status,
    /// When SUCCEEDED; its fields depend on the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CommandResult>)]
    result: Option<&'a RawValue>,
    /// When REJECTED.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemObject>,
    /// When decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<Decided>,
    /// While PENDING, if the position was given: records of its partition before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<u64>,
}

/// The log has the command; what becomes of it is under `Location`.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    #[schema(format = "uuid")]
    pub request_id: String,
    #[schema(value_type = String, example = "PENDING")]
    pub status: Status,
}

impl<'a> RequestObject<'a> {
    /// A request that nobody has read yet: on the log, with this many records before it.
    pub fn unread(request_id: RequestId, ahead: Option<u64>) -> RequestObject<'a> {
        RequestObject {
            request_id: request_id.to_string(),
            command: None,
            status: Status::Pending,
            result: None,
            problem: None,
            decided: None,
            ahead,
        }
    }
}

impl<'a> From<&'a DecidedRequest> for RequestObject<'a> {
    fn from(decided: &'a DecidedRequest) -> Self {
        RequestObject::decided(decided, |problem| problem)
    }
}

impl<'a> RequestObject<'a> {
    /// `complete`: adds to a refusal what the owner does not know.
    pub fn decided(decided: &'a DecidedRequest, complete: impl FnOnce(Problem) -> Problem) -> Self {
        let (status, result, problem) = match &decided.outcome {
            Ok(reply) => (Status::Succeeded, Some(&*reply.0), None),
            Err(refusal) => (Status::Rejected, None, Some(complete(Problem::from(refusal.clone())).into())),
        };
        let command = Some(decided.command.as_str());
        let at = Some(decided.decided.into());
        RequestObject {
            command,
            status,
            result,
            problem,
            decided: at,
            ..RequestObject::unread(decided.request_id, None)
        }
    }
}

impl Request {
    /// `complete`: adds to a refusal what the owner does not know.
    pub fn respond_with(self, complete: impl FnOnce(Problem) -> Problem) -> Response {
        match &self {
            Request::Decided(decided) => Json(RequestObject::decided(decided, complete)).into_response(),
            Request::Pending(pending) => {
                let command = Some(pending.command.as_str());
                Json(RequestObject { command, ..RequestObject::unread(pending.request_id, None) }).into_response()
            }
        }
    }
}
