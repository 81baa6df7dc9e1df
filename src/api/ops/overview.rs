//! `GET /v1/ops/overview`: how it goes, in one sentence and a few figures. Answers also while the store is away.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::audit::AuditObject;
use super::system::{self, Now, System};
use super::throughput::{Pace, Throughput};
use super::verdict::{Verdict, verdict, waited_ms, without_store};
use crate::api::cache::probes::Probes;
use crate::api::http::auth::Admin;
use crate::store::StoreError;
use crate::wire::time::rfc3339;

/// Log and store together must answer within this time, else the store counts as away.
const STORE_WITHIN: Duration = Duration::from_secs(3);

/// The system at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    #[schema(format = "date-time")]
    pub at: String,
    /// Of the process that answers.
    pub version: &'static str,
    pub verdict: Verdict,
    /// Null while the store is away.
    pub counts: Option<CountsObject>,
    /// Of the last 10 seconds; null in a process that follows no outcomes: a worker alone.
    pub pace: Option<Pace>,
    /// The last audit, if there ever was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditObject>,
}

/// How many of each.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsObject {
    pub partitions: usize,
    pub owned: usize,
    pub processes: usize,
    /// Records that ever came to the lanes: what comes a second is the difference of two looks. Null while the log does not
    /// say.
    pub appended: Option<u64>,
    /// Records that are not decided yet; null while the log does not say.
    pub lag_records: Option<u64>,
    /// Age of the oldest of them; null: there is none, or the log does not say.
    pub lag_seconds: Option<f64>,
    /// Committed and not published.
    pub outbox: u64,
    /// Neither replayed nor dismissed; counted up to 1,000.
    pub dead_letters: u32,
}

impl CountsObject {
    fn of(now: &Now) -> Self {
        let ends: Option<Vec<u64>> = now.partitions.iter().map(|of| of.end).collect();
        let lags: Option<Vec<u64>> = now.partitions.iter().map(|of| of.lag).collect();
        let outbox = now.partitions.iter().filter_map(|of| of.progress.as_ref());
        CountsObject {
            partitions: now.partitions.len(),
            owned: now.partitions.iter().filter(|of| of.state == system::State::Owned).count(),
            processes: now.processes.len(),
            appended: ends.map(|ends| ends.iter().sum()),
            lag_records: lags.map(|lags| lags.iter().sum()),
            lag_seconds: waited_ms(now).map(|ms| ms as f64 / 1_000.0),
            outbox: outbox.map(|view| view.outbox_pending).sum(),
            dead_letters: now.open_letters,
        }
    }
}

/// How it goes.
#[utoipa::path(
    get,
    path = "/v1/ops/overview",
    tag = "operations",
    responses(
        (status = 200, description = "At most 500 ms old", body = Overview),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn get_overview(
    State(system): State<Arc<System>>,
    State(probes): State<Arc<Probes>>,
    State(throughput): State<Arc<Throughput>>,
    _admin: Admin,
) -> Json<Overview> {
    let (own, now) = tokio::join!(probes.checks(), timeout(STORE_WITHIN, system.now()));
    let silent = || StoreError::Unavailable(format!("no answer within {} ms", STORE_WITHIN.as_millis()));
    let (verdict, counts, audit) = match &now.unwrap_or_else(|_| Err(silent())) {
        Ok(now) => (verdict(now, &own), Some(CountsObject::of(now)), now.audit.as_ref().map(AuditObject::from)),
        Err(error) => (without_store(&error.to_string(), &own), None, None),
    };
    let at = system.clock.now();
    let pace = throughput.pace(at);
    Json(Overview { at: rfc3339(at), version: env!("CARGO_PKG_VERSION"), verdict, counts, pace, audit })
}
