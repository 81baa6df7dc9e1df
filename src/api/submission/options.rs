//! What the headers of a command say about how it is to be handled.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::keys::{IdempotencyKey, fresh_request_id};
use super::traceparent::{is_traceparent, new_traceparent};
use crate::api::http::prefer::{Wait, WaitLimit};
use crate::api::http::problem::Problem;
use crate::domain::{RequestId, UserId};
use crate::wire::headers::TRACEPARENT;

#[derive(Debug, Clone)]
pub struct SubmitOptions {
    pub key: Option<IdempotencyKey>,
    pub wait: Option<Wait>,
    /// W3C trace context: the request's own, or a new one.
    pub traceparent: String,
}

impl SubmitOptions {
    /// The request id that a command of this sender gets.
    pub fn request_id(&self, sender: &UserId) -> RequestId {
        self.key.as_ref().map_or_else(fresh_request_id, |key| key.request_id(sender))
    }

    /// The options of one of several commands that a request sends; `part` tells them apart.
    pub fn part(&self, part: &str, wait: Wait) -> SubmitOptions {
        let key = self.key.as_ref().map(|key| key.part(part));
        SubmitOptions { key, wait: Some(wait), traceparent: self.traceparent.clone() }
    }
}

impl<S> FromRequestParts<S> for SubmitOptions
where
    WaitLimit: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let key = IdempotencyKey::from_headers(&parts.headers)?;
        let wait = Wait::from_headers(&parts.headers, WaitLimit::from_ref(state).0);
        let given = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let traceparent = given.filter(|text| is_traceparent(text)).map_or_else(new_traceparent, str::to_owned);
        Ok(SubmitOptions { key, wait, traceparent })
    }
}
