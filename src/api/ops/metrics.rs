//! `/metrics`: what the program counts as it goes, and what is measured when somebody asks.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};
use tokio::time::timeout;

use crate::api::AppState;
use crate::api::cache::probes::Check;
use crate::api::http::problem::{Kind, Problem};
use crate::runtime::health::Severity;
use crate::telemetry::metrics::READY;
use crate::telemetry::process;

/// A scrape waits no longer for the store; what it does not say stays as it was.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// This process's metrics, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()), responses((status = 200, description = "Text format", body = String)))]
pub async fn metrics(State(state): State<AppState>) -> Result<Response, Problem> {
    process::measure();
    let (checks, ()) = tokio::join!(state.probes.checks(), sales(&state));
    // Partitions have a metric of their own, by lane and number.
    for Check { name, failure } in checks.iter().filter(|check| !check.name.starts_with("partition ")) {
        let passes = !matches!(failure, Some((Severity::Critical | Severity::Degraded, _)));
        READY.with_label_values(&[name]).set(passes.into());
    }
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&prometheus::gather(), &mut text) {
        Ok(()) => Ok(([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Err(Problem::new(Kind::Internal, "the metrics cannot be written"))
        }
    }
}

/// In processes with a front door only: the others need not count what these do.
async fn sales(state: &AppState) {
    if !state.settings.front_door {
        return;
    }
    let system = &state.system;
    match timeout(STORE_WITHIN, system.sales.measure(&*system.store, system.clock.now())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "sales are not counted for the metrics"),
        Err(_) => tracing::debug!("sales are not counted for the metrics in time"),
    }
}
