//! `/livez`, `/readyz`: for operators and what they run.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::cache::probes::{Check, Probes};
use crate::api::http::extract::Params;
use crate::runtime::health::Severity;

fn word(check: &Check) -> &'static str {
    match check.failure {
        None | Some((Severity::Notice, _)) => "ok",
        Some((Severity::Degraded, _)) => "degraded",
        Some((Severity::Critical, _)) => "failing",
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
pub async fn readyz(State(probes): State<Arc<Probes>>, params: Params, headers: HeaderMap) -> Response {
    let checks = probes.checks().await;
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
        text.push_str(&format!("{} {}{reason}\n", word(check), check.name));
    }
    (status, text).into_response()
}

fn to_json(check: &Check) -> Value {
    match &check.failure {
        None => json!({ "name": check.name, "status": word(check) }),
        Some((_, reason)) => json!({ "name": check.name, "status": word(check), "reason": reason }),
    }
}
