//! Around every request: the bound on how many are answered at once, metrics, and a panic that stays one request's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::AppState;
use super::http::problem::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, OVERLOADED, Problem};
use crate::telemetry::metrics;

/// Those who keep the process going must get through when it is full.
const ALWAYS_ANSWERED: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Counts one request while it is being answered.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::HTTP_IN_FLIGHT.with_label_values::<&str>(&[]).inc();
        InFlight
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::HTTP_IN_FLIGHT.with_label_values::<&str>(&[]).dec();
    }
}

/// The outermost layer.
pub async fn guard(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = InFlight::begin();
    // The template, not the path: paths would make a series of each id.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let mut response = if ALWAYS_ANSWERED.contains(&route.as_str()) {
        answer(request, next).await
    } else {
        match state.requests.try_acquire() {
            Ok(_permit) => answer(request, next).await,
            Err(_) => Problem::new(OVERLOADED, "too many requests are being answered").into_response(),
        }
    };
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if route.starts_with("/v1/") {
        // What is a user's own belongs in no cache on the way.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    metrics::HTTP_REQUESTS.with_label_values(&[&route, method, response.status().as_str()]).inc();
    metrics::HTTP_SECONDS.with_label_values(&[&route, method]).observe(started.elapsed().as_secs_f64());
    response
}

async fn answer(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a request's handler panicked");
            Problem::new(INTERNAL, "the request could not be answered").into_response()
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
    Problem::new(NOT_FOUND, "there is nothing under this path")
}

pub async fn no_such_method() -> Problem {
    Problem::new(METHOD_NOT_ALLOWED, "this path does not take this method")
}
