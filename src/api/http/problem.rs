//! Every error of the front door as RFC 9457 `application/problem+json`, with a stable `code`.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::domain::{Code, RequestId};
use crate::log::ReadError;
use crate::store::StoreError;

/// One kind of problem the front door itself finds. Refusals of the rules are [`Code`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub code: &'static str,
    pub status: u16,
    /// When it happens, for the documentation.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal: $meaning:literal;)+) => {
        $(pub const $name: Kind = Kind { code: $code, status: $status, meaning: $meaning };)+

        /// All of them, in order of status.
        pub const KINDS: &[Kind] = &[$($name,)+];
    };
}

kinds! {
    MALFORMED_JSON = 400 "malformed_json": "the body is not JSON";
    INVALID_REQUEST = 400 "invalid_request": "a path segment, query parameter or header is not what it must be";
    UNAUTHENTICATED = 401 "unauthenticated": "who is asking is missing or not proven";
    FORBIDDEN = 403 "forbidden": "the caller lacks the role this needs";
    NOT_FOUND = 404 "not_found": "there is nothing under this path";
    REQUEST_NOT_FOUND = 404 "request_not_found": "no request of the caller has this id";
    CONCERT_NOT_FOUND = 404 "concert_not_found": "no concert has this id";
    SCHEDULE_NOT_FOUND = 404 "schedule_not_found": "no schedule has this id";
    METHOD_NOT_ALLOWED = 405 "method_not_allowed": "the path does not take this method";
    REQUEST_TIMEOUT = 408 "request_timeout": "the body did not arrive in time";
    BODY_TOO_LARGE = 413 "body_too_large": "the body is larger than 64 KiB";
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported_media_type": "the body is not declared application/json";
    INVALID_FIELDS = 422 "invalid_fields": "fields of the body are missing or wrong; errors says which";
    RATE_LIMITED = 429 "rate_limited": "the caller sends commands faster than allowed";
    INTERNAL = 500 "internal": "the program failed; the log of the server says why";
    OVERLOADED = 503 "overloaded": "too much is waiting to be decided; nothing was recorded";
    UNAVAILABLE = 503 "unavailable": "the log or the store does not answer; nothing was recorded";
    OUTCOME_UNKNOWN = 503 "outcome_unknown":
        "the log did not acknowledge in time; repeat with the same Idempotency-Key, which is safe";
}

/// The HTTP status of a refusal, by its code.
pub fn refusal_status(code: &str) -> StatusCode {
    match code {
        "not_admitted" | "not_reservation_owner" => StatusCode::FORBIDDEN,
        "insufficient_balance" => StatusCode::PAYMENT_REQUIRED,
        "amount_mismatch" | "invalid_amount" | "idempotency_key_reused" => StatusCode::UNPROCESSABLE_ENTITY,
        "queue_full" => StatusCode::SERVICE_UNAVAILABLE,
        _ if code.ends_with("_not_found") => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    }
}

/// One wrong field of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// RFC 6901, e.g. `/sections/0/price`; empty for the body as a whole.
    pub pointer: String,
    pub detail: String,
}

/// An error as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: String,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// Further members: request_id, decided, taken.
    pub members: Map<String, Value>,
    /// Seconds, for 429 and 503.
    pub retry_after: Option<u64>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = matches!(kind.status, 429 | 503).then_some(1);
        let members = Map::new();
        Problem { status, code: kind.code.into(), detail: detail.into(), errors: Vec::new(), members, retry_after }
    }

    /// A refusal the front door can say by itself, without asking the rules.
    pub fn refusal(code: Code, detail: impl Into<String>) -> Self {
        let status = refusal_status(code.as_str());
        let code = code.as_str().to_owned();
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Problem { status, code, detail: detail.into(), errors: Vec::new(), members: Map::new(), retry_after }
    }

    /// Wrong fields: `invalid_amount` if only amounts are wrong.
    pub fn fields(code: &str, errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or_else(String::new, |error| match error.pointer.as_str() {
            "" => error.detail.clone(),
            pointer => format!("{pointer}: {}", error.detail),
        });
        Problem { code: code.to_owned(), errors, ..Problem::new(INVALID_FIELDS, detail) }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub fn of_request(self, id: RequestId) -> Self {
        self.with("request_id", id.to_string())
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The JSON of the problem.
    pub fn to_value(&self) -> Value {
        let mut value = describe(&self.code, self.status, &self.detail);
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(|e| json!({ "pointer": e.pointer, "detail": e.detail })).collect();
            value.insert("errors".into(), Value::Array(errors));
        }
        value.extend(self.members.clone());
        Value::Object(value)
    }
}

/// The members every problem has.
pub fn describe(code: &str, status: StatusCode, detail: &str) -> Map<String, Value> {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let members = [
        ("type", Value::from(format!("/docs#{code}"))),
        ("title", title.into()),
        ("status", status.as_u16().into()),
        ("code", code.into()),
        ("detail", detail.into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_value().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // The rest of the body is not read, so the connection cannot be used again; the client must know.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) | StoreError::Unknown(reason) => {
                tracing::warn!(%reason, "the store does not answer a request");
                Problem::new(UNAVAILABLE, "the store does not answer now")
            }
            StoreError::Failed(reason) => {
                tracing::error!(%reason, "the store refused a request");
                Problem::new(INTERNAL, "the request could not be answered")
            }
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::warn!(%error, "the log does not answer a request");
        Problem::new(UNAVAILABLE, "the log does not answer now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_statuses_of_the_contract() {
        let status = |code: Code| refusal_status(code.as_str()).as_u16();
        for (code, expected) in [
            (Code::SeatNotFound, 404),
            (Code::QueueNotFound, 404),
            (Code::NotAdmitted, 403),
            (Code::NotReservationOwner, 403),
            (Code::InsufficientBalance, 402),
            (Code::AmountMismatch, 422),
            (Code::InvalidAmount, 422),
            (Code::IdempotencyKeyReused, 422),
            (Code::QueueFull, 503),
            (Code::SeatTaken, 409),
            (Code::HoldExpired, 409),
            (Code::NotCancellable, 409),
        ] {
            assert_eq!(status(code), expected, "{}", code.as_str());
        }
    }

    #[test]
    fn a_problem_names_the_wrong_fields() {
        let errors = vec![FieldError { pointer: "/amount".into(), detail: "is missing".into() }];
        let value = Problem::fields("invalid_amount", errors).to_value();
        assert_eq!(value["status"], 422);
        assert_eq!(value["code"], "invalid_amount");
        assert_eq!(value["type"], "/docs#invalid_amount");
        assert_eq!(value["title"], "Invalid amount");
        assert_eq!(value["errors"][0], json!({ "pointer": "/amount", "detail": "is missing" }));
    }
}
