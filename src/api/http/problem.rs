//! Every error of the API as RFC 9457 `application/problem+json`, with a stable `code`.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub use super::codes::{Kind, ProblemCode, refusal_status};
use super::positions::{AtPosition, Decided, Taken};
use super::public_url::link;
use crate::domain::{Arrival, Code, More, Refusal, RequestId, SeatId};
use crate::log::ReadError;
use crate::store::StoreError;
use crate::wire::time::rfc3339;

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// RFC 6901.
    #[schema(example = "/amount")]
    pub pointer: String,
    #[schema(example = "is missing")]
    pub detail: String,
}

/// An error as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: ProblemCode,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// Seconds, for 429 and 503. A refusal has none: it is final for its request.
    pub retry_after: Option<u64>,
    /// Of a command. Boxed to keep the `Err` of every handler small.
    command: Option<Box<OfCommand>>,
}

/// What a problem says of the command it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct OfCommand {
    request_id: Option<RequestId>,
    /// Of a refusal by the rules: the position that decided it.
    decided: Option<Arrival>,
    more: More,
    /// What the seat that was taken is called in the hall.
    label: Option<String>,
    /// Of one of several commands that a request sent: the part of the body it came from.
    pointer: Option<String>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let again = matches!(kind.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        Problem { retry_after: again.then_some(1), ..Problem::of(kind.into(), detail.into()) }
    }

    /// A refusal that the API can give by itself, without asking the rules.
    pub fn refusal(code: Code, detail: impl Into<String>) -> Self {
        Problem::of(code.into(), detail.into())
    }

    /// Wrong fields: `invalid_amount` if only amounts are wrong.
    pub fn fields(code: impl Into<ProblemCode>, errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or_else(String::new, |error| match error.pointer.as_str() {
            "" => error.detail.clone(),
            pointer => format!("{pointer}: {}", error.detail),
        });
        Problem { errors, ..Problem::of(code.into(), detail) }
    }

    /// One wrong field.
    pub fn field(pointer: &str, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.to_owned(), detail: detail.into() };
        Problem::fields(Kind::InvalidFields, vec![error])
    }

    fn of(code: ProblemCode, detail: String) -> Self {
        Problem { code, detail, errors: Vec::new(), retry_after: None, command: None }
    }

    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub fn of_request(mut self, id: RequestId) -> Self {
        self.command().request_id = Some(id);
        self
    }

    pub fn decided(mut self, at: Arrival) -> Self {
        self.command().decided = Some(at);
        self
    }

    pub fn at(mut self, pointer: String) -> Self {
        self.command().pointer = Some(pointer);
        self
    }

    /// The seat that a refusal says is taken.
    pub fn taken(&self) -> Option<&SeatId> {
        match &self.command.as_ref()?.more {
            More::Taken { seat, .. } => Some(seat),
            _ => None,
        }
    }

    /// What that seat is called in the hall.
    pub fn labelled(mut self, label: String) -> Self {
        self.command().label = Some(label);
        self
    }

    fn command(&mut self) -> &mut OfCommand {
        self.command.get_or_insert_default()
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let mut problem = Problem::refusal(refusal.code, refusal.detail);
        problem.command().more = refusal.more;
        problem
    }
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemObject {
    /// Of `hold_cooldown`: from when on the same hold is taken again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    again_at: Option<String>,
    /// Stable; all codes are in the documentation.
    #[schema(example = "seat_taken")]
    code: &'static str,
    /// Of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<Decided>,
    #[schema(example = "seat A-12 is taken")]
    detail: String,
    /// Of a body with wrong fields: each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<FieldError>>)]
    errors: Vec<FieldError>,
    /// Of a schedule: the part of the body that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/sections/1")]
    pointer: Option<String>,
    /// Of a refusal, or when the outcome of a command is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    request_id: Option<String>,
    #[schema(example = 409)]
    status: u16,
    /// Of `seat_taken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<Taken>,
    #[schema(example = "Seat taken")]
    title: String,
    /// Where the code is explained.
    #[schema(example = "/docs#seat_taken")]
    r#type: String,
    /// Of `ticket_used`: the first scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<AtPosition>,
}

impl From<Problem> for ProblemObject {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, errors, command, .. } = problem;
        let OfCommand { request_id, decided, more, label, pointer } =
            command.map(|command| *command).unwrap_or_default();
        let (mut again_at, mut taken, mut used) = (None, None, None);
        match more {
            More::Nothing => {}
            More::Taken { seat, by } => taken = Some(Taken::new(&seat, label, by)),
            More::AgainAt(time) => again_at = Some(rfc3339(time)),
            More::Used(at) => used = Some(at.into()),
        }
        ProblemObject {
            again_at,
            code: code.as_str(),
            decided: decided.map(Into::into),
            detail,
            errors,
            pointer,
            request_id: request_id.map(|id| id.to_string()),
            status: code.status().as_u16(),
            taken,
            title: code.title(),
            r#type: link(&format!("/docs#{}", code.as_str())),
            used,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after, code) = (self.status(), self.retry_after, self.code);
        // Strings and numbers always serialize. A value has its members in order of name, `decided` too.
        let body = serde_json::to_value(ProblemObject::from(self)).unwrap_or_default().to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // The rest of the body is not read, so the connection cannot be used again; the client must know.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(code);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) | StoreError::Unknown(reason) | StoreError::TimedOut(reason) => {
                tracing::warn!(%reason, "the store does not answer a request");
                Problem::new(Kind::Unavailable, "the store does not answer now")
            }
            StoreError::Failed(reason) => {
                tracing::error!(%reason, "the store refused a request");
                Problem::new(Kind::Internal, "the request could not be answered")
            }
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::warn!(%error, "the log does not answer a request");
        Problem::new(Kind::Unavailable, "the log does not answer now")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Lane, LogTime, Position};

    #[test]
    fn no_refusal_says_when_to_come_again() {
        for code in Code::ALL {
            let response = Problem::refusal(code, "no").into_response();
            assert!(response.headers().get(RETRY_AFTER).is_none(), "{code}");
        }
        let response = Problem::new(Kind::Overloaded, "full").into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn a_problem_names_the_wrong_fields() {
        let errors = vec![FieldError { pointer: "/amount".into(), detail: "is missing".into() }];
        let value = serde_json::to_value(ProblemObject::from(Problem::fields(Code::InvalidAmount, errors))).unwrap();
        assert_eq!(
            value,
            json!({
                "type": "/docs#invalid_amount", "title": "Invalid amount", "status": 422, "code": "invalid_amount",
                "detail": "/amount: is missing", "errors": [{ "pointer": "/amount", "detail": "is missing" }],
            })
        );
    }

    #[test]
    fn a_refusal_says_who_was_first_and_when() {
        let by = Arrival { position: Position::new(Lane::Seats, 1, 7), time: LogTime(1000) };
        let more = More::Taken { seat: "A-12".parse().unwrap(), by };
        let refusal = Refusal::new(Code::SeatTaken, "seat A-12 is taken").with(more);
        let value = serde_json::to_value(ProblemObject::from(Problem::from(refusal))).unwrap();
        let position = json!({ "lane": "seats", "partition": 1, "offset": 7 });
        assert_eq!(value["taken"], json!({ "seat": "A-12", "position": position, "at": "1970-01-01T00:00:01.000Z" }));
    }
}
