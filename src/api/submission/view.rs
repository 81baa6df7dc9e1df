//! A request as its sender sees it: its outcome, or that it has none yet.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::http::problem::{INTERNAL, Problem, describe, refusal_status};
use crate::domain::{RequestId, UserId};
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

    pub fn to_response(&self, ahead: Option<u64>) -> Response {
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
