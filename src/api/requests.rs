//! `GET /v1/requests/{id}`: what became of a command.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::AppState;
use super::auth::Caller;
use super::extract::{Params, PathId};
use super::prefer::Wait;
use super::problem::{INTERNAL, INVALID_REQUEST, Problem, REQUEST_NOT_FOUND, describe, refusal_status};
use super::queue::rendering::for_caller;
use super::schema::{Problem as ProblemSchema, RequestObject as RequestSchema};
use super::submit::{apply, decided_within};
use crate::domain::{Position, RequestId, UserId};
use crate::log::{LanePartition, Topic};
use crate::store::{RequestRow, RequestStatus};
use crate::wire::outcome::{DecidedView, OutcomeView, RequestStatusText, decode_value};

/// A request as its sender sees it.
#[derive(Debug, Clone)]
pub struct RequestView {
    pub request_id: RequestId,
    pub command: String,
    pub user_id: Option<UserId>,
    pub status: RequestStatusText,
    /// There when SUCCEEDED.
    pub result: Option<Box<RawValue>>,
    /// There when REJECTED: code, detail, and taken if somebody was first.
    pub problem: Option<Value>,
    /// There when decided.
    pub decided: Option<DecidedView>,
}

/// The request object on the wire.
#[derive(Serialize)]
struct RequestObject<'a> {
    request_id: String,
    command: &'a str,
    status: RequestStatusText,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<DecidedView>,
    /// Records of its partition before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<u64>,
}

impl RequestView {
    pub fn of_outcome(outcome: OutcomeView) -> Self {
        let OutcomeView { request_id, command, user_id, status, result, problem, decided } = outcome;
        let result = result.map(without_others);
        RequestView { request_id, command, user_id, status, result, problem, decided: Some(decided) }
    }

    /// A stored request; 500 if the store holds something that is not an outcome.
    pub fn of_row(row: RequestRow) -> Result<Self, Problem> {
        let RequestRow { request_id, command, user_id, status, outcome, .. } = row;
        match outcome {
            Some(outcome) if status != RequestStatus::Pending => match decode_value(outcome.as_bytes()) {
                Ok(outcome) => Ok(RequestView { user_id, ..RequestView::of_outcome(outcome) }),
                Err(error) => {
                    tracing::error!(%request_id, %error, "a stored outcome cannot be read");
                    Err(Problem::new(INTERNAL, "the request's outcome cannot be read"))
                }
            },
            _ => {
                let status = RequestStatusText::Pending;
                Ok(RequestView { request_id, command, user_id, status, result: None, problem: None, decided: None })
            }
        }
    }

    pub fn is_decided(&self) -> bool {
        self.status != RequestStatusText::Pending
    }

    /// The refusal as a problem; `None` unless REJECTED.
    pub fn refusal(&self) -> Option<Map<String, Value>> {
        let said = self.problem.as_ref()?.as_object()?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
        let code = Some(text("code")).filter(|code| !code.is_empty()).unwrap_or("refused");
        let mut problem = describe(code, refusal_status(code), text("detail"));
        let more = said.iter().filter(|(name, _)| !matches!(name.as_str(), "code" | "detail"));
        problem.extend(more.map(|(name, value)| (name.clone(), value.clone())));
        Some(problem)
    }

    fn to_response(&self, ahead: Option<u64>) -> Response {
        let object = RequestObject {
            request_id: self.request_id.to_string(),
            command: &self.command,
            status: self.status,
            result: self.result.as_deref(),
            problem: self.refusal(),
            decided: self.decided,
            ahead,
        };
        Json(object).into_response()
    }
}

/// A hold's outcome tells the feed which run-out holds it took over. They are other users': the one who holds learns
/// nothing of them.
fn without_others(result: Box<RawValue>) -> Box<RawValue> {
    if !result.get().contains("\"expired\"") {
        return result;
    }
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(result.get()) else { return result };
    members.remove("expired");
    serde_json::value::to_raw_value(&members).unwrap_or(result)
}

/// The answer to the one who sent the command: 200 with the request object, or the refusal under its own status.
pub fn decided_response(view: RequestView) -> Response {
    let Some(members) = view.refusal() else { return view.to_response(None) };
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (code, detail) = (text("code"), text("detail"));
    let status = refusal_status(&code);
    let retry_after = status.is_server_error().then_some(1);
    let decided = serde_json::to_value(view.decided).unwrap_or_default();
    let problem = Problem { status, code, detail, errors: Vec::new(), members, retry_after };
    problem.of_request(view.request_id).with("decided", decided).into_response()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_a_hold_tells_nothing_of_the_holds_it_took_over() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let told = without_others(raw(r#"{"amount":1,"expired":["x"],"status":"HELD"}"#));
        assert_eq!(told.get(), r#"{"amount":1,"status":"HELD"}"#);
        let untouched = r#"{"status":"HELD","amount":1}"#;
        assert_eq!(without_others(raw(untouched)).get(), untouched);
    }
}
