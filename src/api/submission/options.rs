//! What the headers of a command say about how it is to be handled.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::keys::{IdempotencyKey, fresh_request_id};
use super::traceparent::{is_traceparent, new_traceparent};
use crate::api::http::prefer::{Wait, WaitLimit};
use crate::api::http::problem::Problem;
use crate::domain::{RequestId, UserId};
use crate::telemetry::spans::Context;
use crate::wire::headers::TRACEPARENT;

#[derive(Debug, Clone)]
pub struct SubmitOptions {
    pub key: Option<IdempotencyKey>,
    pub wait: Option<Wait>,
    /// W3C trace context: the request's own, or a new one.
    pub traceparent: String,
    /// The span of this request, if its trace is sampled and collected; then `traceparent` names it.
    pub span: Option<RequestSpan>,
}

/// The span of a request, and the one of the client's that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct RequestSpan {
    pub context: Context,
    pub parent: Option<[u8; 8]>,
}

/// The trace context that the command gets, and the request's span.
fn traced(given: Option<&str>) -> (String, Option<RequestSpan>) {
    let traceparent = given.map_or_else(new_traceparent, str::to_owned);
    match Context::sampled(Some(traceparent.as_bytes())) {
        Some(client) => {
            let context = client.child();
            let parent = given.map(|_| client.span);
            (context.traceparent(), Some(RequestSpan { context, parent }))
        }
        None => (traceparent, None),
    }
}

impl SubmitOptions {
    /// The request id that a command of this sender gets.
    pub fn request_id(&self, sender: &UserId) -> RequestId {
        self.key.as_ref().map_or_else(fresh_request_id, |key| key.request_id(sender))
    }

    /// The options of one of several commands that a request sends; `part` tells them apart.
    pub fn part(&self, part: &str, wait: Wait) -> SubmitOptions {
        let key = self.key.as_ref().map(|key| key.part(part));
        SubmitOptions { key, wait: Some(wait), traceparent: self.traceparent.clone(), span: self.span }
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
        let (traceparent, span) = traced(given.filter(|text| is_traceparent(text)));
        Ok(SubmitOptions { key, wait, traceparent, span })
    }
}
