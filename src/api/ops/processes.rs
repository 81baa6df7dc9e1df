//! `GET /v1/ops/processes`: what runs, as each says itself about every second.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::system::{SILENT_AFTER, System};
use crate::api::http::auth::Admin;
use crate::api::http::problem::Problem;
use crate::store::ProcessView;
use crate::wire::time::rfc3339;

/// In order of name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessList {
    #[schema(format = "date-time")]
    pub at: String,
    pub processes: Vec<ProcessObject>,
}

/// One process.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessObject {
    pub name: String,
    /// api, worker, or api and worker.
    pub role: String,
    pub host: String,
    pub pid: u32,
    pub version: String,
    /// Where it answers health and operations.
    pub address: String,
    #[schema(format = "date-time")]
    pub started_at: String,
    /// How long ago it was heard of, by the database's clock.
    pub seen_seconds_ago: f64,
    /// It has missed more than one heartbeat: killed, stopped, or cut off from the store.
    pub silent: bool,
    /// Those it owns, by its own word.
    pub partitions: Vec<String>,
    /// Checks that do not pass, but for those of its partitions.
    pub failing: Vec<FailingCheck>,
    pub connections: i64,
    /// Being answered.
    pub requests: i64,
    /// Requests that wait for an outcome.
    pub waiters: i64,
    /// Of seats and of queue positions.
    pub streams: i64,
    /// Resident; 0 where the system does not say.
    pub memory_bytes: u64,
    /// Of one core.
    pub cpu_percent: f64,
}

/// A check that does not pass.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailingCheck {
    pub name: String,
    pub reason: String,
    /// The process cannot serve.
    pub critical: bool,
}

impl ProcessObject {
    fn of(view: &ProcessView) -> Self {
        let (process, status) = (&view.process, &view.process.status);
        let standings = status.checks.iter().filter_map(|check| check.standing());
        let failing = status.checks.iter().filter(|check| check.standing().is_none()).filter_map(|check| {
            let (name, reason) = (check.name.clone(), check.reason.clone()?);
            Some(FailingCheck { name, reason, critical: check.critical })
        });
        let figures = status.figures;
        ProcessObject {
            name: process.name.clone(),
            role: process.role.clone(),
            host: process.host.clone(),
            pid: process.pid,
            version: process.version.clone(),
            address: process.address.clone(),
            started_at: rfc3339(process.started_at),
            seen_seconds_ago: view.silent_for.as_secs_f64(),
            silent: view.silent_for > SILENT_AFTER,
            partitions: standings.map(|standing| standing.partition.to_string()).collect(),
            failing: failing.collect(),
            connections: figures.connections,
            requests: figures.requests,
            waiters: figures.waiters,
            streams: figures.streams,
            memory_bytes: figures.memory_bytes,
            cpu_percent: figures.cpu_permille as f64 / 10.0,
        }
    }
}

/// All processes; one that was killed stays for ten minutes.
#[utoipa::path(
    get,
    path = "/v1/ops/processes",
    tag = "operations",
    responses(
        (status = 200, description = "At most 400 ms old", body = ProcessList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_processes(State(system): State<Arc<System>>, _admin: Admin) -> Result<Json<ProcessList>, Problem> {
    let now = system.now().await?;
    let processes = now.processes.iter().map(ProcessObject::of).collect();
    Ok(Json(ProcessList { at: rfc3339(now.at), processes }))
}
