//! `GET /v1/ops/partitions`: who owns what, how far it is, and why it does not go on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::system::{Partition, System};
use crate::api::http::auth::Admin;
use crate::api::http::problem::Problem;
use crate::domain::LogTime;
use crate::wire::time::rfc3339;

/// All partitions, in order of lane and number.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartitionList {
    #[schema(format = "date-time")]
    pub at: String,
    pub partitions: Vec<PartitionObject>,
}

/// How one partition stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartitionObject {
    #[schema(example = "seats.3")]
    pub partition: String,
    /// owned; parked (something stops it, all others go on); waiting (it has work and makes no progress); no_owner.
    pub state: &'static str,
    /// Why it does not go on, or what it struggles with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Name of the process that acquired it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Grows with each new owner.
    pub epoch: u64,
    /// Everything before this offset is decided.
    pub next_offset: u64,
    /// Offset of the next record; null while the log does not say. So with the lag.
    pub end_offset: Option<u64>,
    pub lag_records: Option<u64>,
    /// For how long the oldest undecided record has been waiting; null: none is, or the log does not say.
    pub lag_seconds: Option<f64>,
    /// Outcomes and follow-ups that are committed and not published.
    pub outbox: u64,
    /// Of all state it owns, 16 hex digits: an audit of the same log comes to the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "9f0c63a1d2b4e857")]
    pub state_hash: Option<String>,
    /// Log time of the last decided record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub decided_at: Option<String>,
}

impl PartitionObject {
    pub fn of(of: &Partition, now: LogTime) -> Self {
        let progress = of.progress.as_ref();
        PartitionObject {
            partition: of.partition.to_string(),
            state: of.state.as_str(),
            reason: of.reason.clone(),
            owner: progress.map(|view| view.owner.clone()),
            epoch: progress.map_or(0, |view| view.epoch),
            next_offset: progress.map_or(0, |view| view.next_offset),
            end_offset: of.end,
            lag_records: of.lag,
            lag_seconds: of.waiting_since.map(|since| (now.0 - since.0).max(0) as f64 / 1_000.0),
            outbox: progress.map_or(0, |view| view.outbox_pending),
            state_hash: progress.map(|view| format!("{:016x}", view.state_hash)),
            decided_at: progress.filter(|view| view.last_time > LogTime(0)).map(|view| rfc3339(view.last_time)),
        }
    }
}

/// All partitions of all lanes.
#[utoipa::path(
    get,
    path = "/v1/ops/partitions",
    tag = "operations",
    responses(
        (status = 200, description = "At most 400 ms old", body = PartitionList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_partitions(State(system): State<Arc<System>>, _admin: Admin) -> Result<Json<PartitionList>, Problem> {
    let now = system.now().await?;
    let partitions = now.partitions.iter().map(|of| PartitionObject::of(of, now.at)).collect();
    Ok(Json(PartitionList { at: rfc3339(now.at), partitions }))
}
