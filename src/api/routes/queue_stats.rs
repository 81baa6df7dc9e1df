//! `GET /v1/schedules/{id}/queue/stats`: counts, rates and waiting times, for operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::http::auth::Admin;
use crate::api::http::extract::PathId;
use crate::api::http::problem::Problem;
use crate::api::queue::places::Places;
use crate::api::queue::replica::{Replica, percentile};
use crate::domain::{Code, LogTime, ScheduleId};
use crate::runtime::clock::Clock;
use crate::wire::time::rfc3339;

/// A queue in numbers. Counts are of all time, but for `waiting`, `absent` and `active`.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueStats {
    pub schedule_id: String,
    /// lobby, open, paused, all_held, sold_out, closed or cancelled.
    pub sale: &'static str,
    pub paused: bool,
    /// Null while it goes on.
    #[schema(format = "date-time")]
    pub paused_since: Option<String>,
    pub waiting: u64,
    /// They keep their places and are passed over: their holders were not seen for long.
    pub absent: u64,
    pub active: u64,
    /// Tokens ever given.
    pub joined: u64,
    pub admitted: u64,
    pub completed: u64,
    /// Time was over, or the holder absent for long.
    pub expired: u64,
    pub left: u64,
    /// Measured over the last minute; null while unknown.
    pub admitted_per_minute: Option<f64>,
    /// The wait of a user who joins now; null while unknown.
    pub eta_seconds: Option<u64>,
    /// From join to admission, of the latest admissions.
    pub wait_seconds: WaitSeconds,
    pub limits: LimitsObject,
}

/// Percentiles in seconds; null before the first admission.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitSeconds {
    /// Admissions these are taken from, at most 1,000.
    pub samples: usize,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

/// The settings in effect, as `PATCH` takes them.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsObject {
    pub max_active: u32,
    pub active_ttl_seconds: i64,
    pub max_waiting: u32,
    /// Null: occupancy alone counts.
    pub admit_per_minute: Option<u32>,
    pub on_timeout: &'static str,
    pub abandon_after_seconds: i64,
    pub claim_after_seconds: i64,
    pub absent_max_seconds: i64,
}

/// Counts, pace and waiting times, for an operator.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/queue/stats",
    tag = "queue",
    params(("id" = String, Path, format = "uuid", description = "The date")),
    responses(
        (status = 200, description = "At most 400 ms old", body = QueueStats),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`queue_not_found`"),
    )
)]
pub async fn get_stats(
    State(places): State<Arc<Places>>,
    State(clock): State<Clock>,
    _admin: Admin,
    PathId(id): PathId,
) -> Result<Json<QueueStats>, Problem> {
    let slot = places.open(ScheduleId(id)).await?;
    let now = clock.now();
    let stats = slot.look(|replica| stats(replica, now));
    stats.map(Json).ok_or_else(|| Problem::refusal(Code::QueueNotFound, "this schedule has no waiting queue"))
}

fn stats(replica: &Replica, now: LogTime) -> QueueStats {
    let row = &replica.row;
    let waits = replica.waits_ms();
    QueueStats {
        schedule_id: row.schedule_id.to_string(),
        sale: row.sale_at(now).as_str(),
        paused: row.paused(),
        paused_since: row.paused_since.map(rfc3339),
        // As the row counts them: tokens are read after it, and may be ahead of what it says of those that ended.
        waiting: row.waiting,
        absent: row.absent,
        active: row.active,
        joined: row.next_sequence - 1,
        admitted: row.admitted,
        completed: row.completed,
        expired: row.expired,
        left: row.left,
        admitted_per_minute: replica.per_minute(now),
        eta_seconds: replica.eta_seconds(row.waiting, now),
        wait_seconds: WaitSeconds {
            samples: waits.len(),
            p50: percentile(&waits, 50),
            p90: percentile(&waits, 90),
            p99: percentile(&waits, 99),
        },
        limits: LimitsObject {
            max_active: row.limits.max_active,
            active_ttl_seconds: row.limits.active_ttl_ms / 1_000,
            max_waiting: row.limits.max_waiting,
            admit_per_minute: row.limits.admit_per_minute,
            on_timeout: row.limits.on_timeout.as_str(),
            abandon_after_seconds: row.limits.abandon_after_ms / 1_000,
            claim_after_seconds: row.limits.claim_after_ms / 1_000,
            absent_max_seconds: row.limits.absent_max_ms / 1_000,
        },
    }
}
