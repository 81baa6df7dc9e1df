//! `/v1/ops/queues`: all waiting queues at a glance. What may be changed about one is what `PATCH …/queue` changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::sold::Titles;
use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{JsonBody, PathId};
use crate::api::http::problem::Problem;
use crate::api::openapi::bodies::QueuePatch;
use crate::api::queue::configuring::changes;
use crate::api::queue::places::Places;
use crate::api::queue::replica::{Replica, percentile};
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::queue::{Command, ConfigureQueue, Queue, Sale};
use crate::domain::{Body, LogTime, Row, ScheduleId, queue};
use crate::store::StateTable;
use crate::wire::time::rfc3339;

/// More than are ever looked at.
const QUEUES_MAX: u32 = 1_000;
/// So many are read whole for their waits and paces, those that most wait in; of the others what this process shows anyway.
const READ_WHOLE: usize = 5;

/// Those that people wait in first.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueList {
    /// Of dates that have begun, only those that somebody waits in.
    pub queues: Vec<QueueObject>,
}

/// A queue as committed.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueObject {
    #[schema(format = "uuid")]
    pub schedule_id: String,
    /// Of the concert.
    pub title: String,
    #[schema(format = "date-time")]
    pub starts_at: String,
    /// lobby, open, paused, all_held, sold_out, closed or cancelled.
    pub sale: &'static str,
    pub paused: bool,
    /// Null while it goes on.
    #[schema(format = "date-time")]
    pub paused_since: Option<String>,
    pub waiting: u64,
    /// They keep their places and are passed over.
    pub absent: u64,
    pub active: u64,
    /// Of all time.
    pub admitted: u64,
    pub max_active: u32,
    pub max_waiting: u32,
    /// Null: occupancy alone counts.
    pub admit_per_minute: Option<u32>,
    /// Measured over the last minute; null while unknown. So with the others.
    pub admitted_per_minute: Option<f64>,
    /// The wait of a user who joins now.
    pub eta_seconds: Option<u64>,
    /// From join to admission, of the latest 1,000 admissions.
    pub wait_p50_seconds: Option<f64>,
    pub wait_p90_seconds: Option<f64>,
}

impl QueueObject {
    fn of(row: &Queue, titles: &Titles, now: LogTime) -> Self {
        QueueObject {
            schedule_id: row.schedule_id.to_string(),
            title: titles.of(row.schedule_id),
            starts_at: rfc3339(row.starts_at),
            sale: row.sale_at(now).as_str(),
            paused: row.paused(),
            paused_since: row.paused_since.map(rfc3339),
            waiting: row.waiting,
            absent: row.absent,
            active: row.active,
            admitted: row.admitted,
            max_active: row.limits.max_active,
            max_waiting: row.limits.max_waiting,
            admit_per_minute: row.limits.admit_per_minute,
            admitted_per_minute: None,
            eta_seconds: None,
            wait_p50_seconds: None,
            wait_p90_seconds: None,
        }
    }

    fn measured(self, replica: &Replica, now: LogTime) -> Self {
        let waits = replica.waits_ms();
        QueueObject {
            admitted_per_minute: replica.per_minute(now),
            eta_seconds: replica.eta_seconds(replica.waiting(), now),
            wait_p50_seconds: percentile(&waits, 50),
            wait_p90_seconds: percentile(&waits, 90),
            ..self
        }
    }
}

/// All queues.
#[utoipa::path(
    get,
    path = "/v1/ops/queues",
    tag = "operations",
    responses(
        (status = 200, description = "As committed", body = QueueList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_queues(
    State(system): State<Arc<System>>,
    State(places): State<Arc<Places>>,
    _admin: Admin,
) -> Result<Json<QueueList>, Problem> {
    let rows = system.store.state_page(StateTable::Queue, None, QUEUES_MAX).await?;
    let now = system.clock.now();
    let mut queues: Vec<Queue> = rows
        .into_iter()
        .filter_map(|row| if let Row::Queues(queue::Row::Queue(row)) = row { Some(row) } else { None })
        .filter(|row| row.waiting + row.absent + row.active > 0 || row.sale_at(now) != Sale::Closed)
        .collect();
    queues.sort_by_key(|row| (std::cmp::Reverse(row.waiting + row.absent), row.starts_at, row.schedule_id));
    let titles = Titles::read(&*system.store, queues.iter().map(|row| row.schedule_id)).await?;
    let mut shown = Vec::new();
    for (number, row) in queues.iter().enumerate() {
        let slot = match number < READ_WHOLE && row.waiting > 0 {
            // What cannot be read now is left out.
            true => places.open(row.schedule_id).await.ok(),
            false => places.known(row.schedule_id),
        };
        let of = || QueueObject::of(row, &titles, now);
        let measured = slot.and_then(|slot| slot.look(|replica| of().measured(replica, now)));
        shown.push(measured.unwrap_or_else(of));
    }
    Ok(Json(QueueList { queues: shown }))
}

/// Changes limits, pauses, resumes, admits.
///
/// The same as `PATCH /v1/schedules/{id}/queue`, also where operations have an address of their own.
#[utoipa::path(
    patch,
    path = "/v1/ops/queues/{id}",
    tag = "operations",
    params(("id" = String, Path, format = "uuid", description = "The date")),
    request_body(content = QueuePatch, example = json!({"paused": true})),
    responses((status = 403, description = "`forbidden`")),
    extensions(("x-command" = json!("configure_queue")))
)]
pub async fn change_queue(
    State(submission): State<Arc<Submission>>,
    Admin(user): Admin,
    options: SubmitOptions,
    PathId(id): PathId,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let changes = changes(&body)?;
    let configure = ConfigureQueue {
        schedule_id: ScheduleId(id),
        user_id: user.clone(),
        patch: changes.patch,
        paused: changes.paused,
        admit: changes.admit,
    };
    let body = Body::Queues(Command::ConfigureQueue(configure));
    Ok(submission.submit(&user, &options, body).await?.respond(options.wait))
}
