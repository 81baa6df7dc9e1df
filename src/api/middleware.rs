//! Around every request: the bound on how many are answered at once, metrics, and a panic that fails one request only.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::http::problem::{Kind, Problem, ProblemCode};
use super::submission::keys::KEY_HEADER;
use crate::telemetry::metrics;

/// The request came on a connection that is kept back for operators.
#[derive(Debug, Clone, Copy)]
pub struct KeptBack;

/// Operators and probes must get through when it is full.
fn is_operators(route: &str) -> bool {
    ["/livez", "/readyz", "/metrics"].contains(&route) || route.starts_with("/v1/ops")
}

/// Counts one request while it is being answered.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::HTTP_IN_FLIGHT.inc();
        InFlight
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::HTTP_IN_FLIGHT.dec();
    }
}

/// The outermost layer. `permits`: for requests being answered.
pub async fn guard(State(permits): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = InFlight::begin();
    // The template, not the path: paths would make a series of each id.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = method_label(request.method());
    let repeats = method != "GET" && request.headers().contains_key(KEY_HEADER);
    let mut response = if is_operators(route) {
        answer(request, next).await
    } else if request.extensions().get::<KeptBack>().is_some() {
        Problem::new(Kind::Overloaded, "too many connections are open").into_response()
    } else {
        match permits.try_acquire() {
            Ok(_permit) => answer(request, next).await,
            Err(_) => Problem::new(Kind::Overloaded, "too many requests are being answered").into_response(),
        }
    };
    if repeats && response.extensions().get() == Some(&ProblemCode::Kind(Kind::Unavailable)) {
        response = in_doubt().into_response();
    }
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if route.starts_with("/v1/") {
        // A user's own data belongs in no cache on the way.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    metrics::HTTP_REQUESTS.with_label_values(&[route, method, response.status().as_str()]).inc();
    metrics::HTTP_SECONDS.with_label_values(&[route, method]).observe(started.elapsed().as_secs_f64());
    response
}

/// Whatever could not be read before a command under a key was sent: an earlier attempt may have been decided, and
/// [`Kind::Unavailable`] says that nothing was recorded.
fn in_doubt() -> Problem {
    let detail = "the store or the log does not answer, so whether an earlier command under this Idempotency-Key was \
                  decided is unknown; repeating the command with it is safe";
    Problem::new(Kind::OutcomeUnknown, detail)
}

async fn answer(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a request's handler panicked");
            Problem::new(Kind::Internal, "the request could not be answered").into_response()
        }
    }
}

/// Methods are the client's to invent; labels are not.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

pub async fn no_such_path() -> Problem {
    Problem::new(Kind::NotFound, "no resource has this path")
}

pub async fn no_such_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "this path does not take this method")
}
