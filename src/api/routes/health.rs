//! `/livez`, `/readyz`, `/metrics`: what those ask who keep the process going.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::api::AppState;
use crate::api::http::extract::Params;
use crate::api::http::problem::{INTERNAL, Problem};
use crate::log::Topic;
use crate::runtime::health::Severity;

/// The log and the store must answer within this time to count as there.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// So long an answer counts, so that probes cost next to nothing however many come.
const ANSWER_AGE_MAX: Duration = Duration::from_millis(500);

/// The last answers of log and store.
#[derive(Default)]
pub struct Probes {
    last: Mutex<Option<(Instant, Vec<Check>)>>,
    one_asks: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Check {
    name: String,
    /// Why it fails, and whether that makes the process useless.
    failure: Option<(Severity, String)>,
}

impl Check {
    fn new(name: &str, failure: Option<String>) -> Self {
        Check { name: name.to_owned(), failure: failure.map(|reason| (Severity::Critical, reason)) }
    }

    fn is_critical(&self) -> bool {
        matches!(self.failure, Some((Severity::Critical, _)))
    }

    fn word(&self) -> &'static str {
        match self.failure {
            None => "ok",
            Some((Severity::Degraded, _)) => "degraded",
            Some((Severity::Critical, _)) => "failing",
        }
    }
}

/// The process is alive. No dependency is checked: a restart would not bring it back.
#[utoipa::path(get, path = "/livez", tag = "operations", security(()), responses((status = 200, description = "Alive", body = String)))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Can this process serve.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    security(()),
    params(("verbose" = Option<String>, Query, description = "List the checks; as JSON if `Accept` asks for it")),
    responses(
        (status = 200, description = "It can", body = String),
        (status = 503, description = "It cannot: log or store are away, or it shuts down", body = String),
    )
)]
pub async fn readyz(State(state): State<Arc<AppState>>, params: Params, headers: HeaderMap) -> Response {
    let checks = checks(&state).await;
    let ready = !checks.iter().any(Check::is_critical);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let wants_json = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("json"));
    if wants_json {
        let listed: Vec<Value> = checks.iter().map(to_json).collect();
        return (status, Json(json!({ "ready": ready, "checks": listed }))).into_response();
    }
    if params.get("verbose").is_none() {
        return (status, if ready { "ok\n" } else { "not ready\n" }).into_response();
    }
    let mut text = String::new();
    for check in &checks {
        let reason = check.failure.as_ref().map_or(String::new(), |(_, reason)| format!(": {reason}"));
        text.push_str(&format!("{} {}{reason}\n", check.word(), check.name));
    }
    (status, text).into_response()
}

fn to_json(check: &Check) -> Value {
    match &check.failure {
        None => json!({ "name": check.name, "status": check.word() }),
        Some((_, reason)) => json!({ "name": check.name, "status": check.word(), "reason": reason }),
    }
}

/// This process's metrics, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()), responses((status = 200, description = "Text format", body = String)))]
pub async fn metrics() -> Result<Response, Problem> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&prometheus::gather(), &mut text) {
        Ok(()) => Ok(([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Err(Problem::new(INTERNAL, "the metrics cannot be written"))
        }
    }
}

async fn checks(state: &AppState) -> Vec<Check> {
    let draining = state.health.is_draining() || state.shutdown.is_cancelled();
    let mut checks = vec![Check::new("not draining", draining.then(|| "the process is shutting down".to_owned()))];
    let feed = (!state.feed.is_running()).then(|| "not all partitions of the outcomes are followed".to_owned());
    if state.settings.front_door {
        checks.push(Check::new("outcome feed", feed));
    }
    checks.extend(probe(state).await);
    let reported = state.health.snapshot().into_iter();
    checks.extend(reported.map(|(name, failure)| Check { name, failure: failure.map(|f| (f.severity, f.reason)) }));
    checks
}

async fn probe(state: &AppState) -> Vec<Check> {
    let _one_asks = state.probes.one_asks.lock().await;
    let last = state.probes.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((at, checks)) = last
        && at.elapsed() <= ANSWER_AGE_MAX
    {
        return checks;
    }
    let store = timeout(ANSWER_WITHIN, state.store.ping());
    let log = timeout(ANSWER_WITHIN, state.log.end_offset(Topic::Outcomes, 0));
    let (store, log) = tokio::join!(store, log);
    let silent = || format!("no answer within {} ms", ANSWER_WITHIN.as_millis());
    let store = match store {
        Ok(answer) => answer.err().map(|error| error.to_string()),
        Err(_) => Some(silent()),
    };
    let log = match log {
        Ok(answer) => answer.err().map(|error| error.to_string()),
        Err(_) => Some(silent()),
    };
    let checks = vec![Check::new("store", store), Check::new("log", log)];
    *state.probes.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), checks.clone()));
    checks
}
