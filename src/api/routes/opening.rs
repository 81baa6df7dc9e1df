//! `POST /v1/concerts/{id}/schedules`: opens a date.
//!
//! Its queue is opened first, then its blocks, each by the owner of its partition. The date enters the catalog when all
//! of them are open, so nobody sees half of one. What is left half-made is finished by a repeat with the same
//! Idempotency-Key: ids follow from the key, and opening what is open already succeeds.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::Response;

use super::concerts::{created, key_reused, new_id, no_concert};
use super::planned::expanded;
use super::schedule_plan::{Plan, read_plan};
use super::schedules::ScheduleObject;
use super::steps::{Step, Steps};
use crate::api::AppState;
use crate::api::cache::plans::Plans;
use crate::api::cache::schedule_facts::ScheduleFacts;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{LargeJsonBody, PathId};
use crate::api::http::problem::Problem;
use crate::api::openapi::bodies::ScheduleRequest;
use crate::api::submission::options::SubmitOptions;
use crate::domain::{Body, ConcertId, ScheduleId, UserId, block, queue};
use crate::plan::PlanId;
use crate::runtime::clock::Clock;
use crate::store::{FrontStore, Schedule, ScheduleView};

/// What opening a date uses.
#[derive(Clone)]
pub struct Opening {
    store: Arc<dyn FrontStore>,
    steps: Steps,
    snapshots: Arc<Snapshots>,
    facts: Arc<ScheduleFacts>,
    plans: Arc<Plans>,
    clock: Clock,
}

impl FromRef<AppState> for Opening {
    fn from_ref(state: &AppState) -> Self {
        Opening {
            store: state.store.clone(),
            steps: Steps::from_ref(state),
            snapshots: state.snapshots.clone(),
            facts: state.facts.clone(),
            plans: state.plans.clone(),
            clock: state.clock.clone(),
        }
    }
}

/// Opens a date's queue and blocks, waits for them, and adds it to the catalog.
///
/// A 503 `outcome_unknown` leaves it half-made; a repeat with the same Idempotency-Key finishes it.
#[utoipa::path(
    post,
    path = "/v1/concerts/{id}/schedules",
    tag = "catalog",
    params(
        ("id" = String, Path, format = "uuid", description = "The concert"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat with it answers alike"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: at most N seconds, default 15"),
    ),
    request_body(
        content = ScheduleRequest,
        example = json!({"starts_at": "2026-11-21T19:00:00Z", "sections": [{"name": "A", "seats": 50, "price": 1000}]})
    ),
    responses(
        (status = 201, description = "On sale, at `Location`", body = ScheduleObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`concert_not_found`"),
        (status = 409, description = "`block_conflict`"),
        (status = 422, description = "`invalid_fields`, `invalid_amount`, `idempotency_key_reused`"),
        (status = 503, description = "`outcome_unknown`, `overloaded`, `unavailable`"),
    )
)]
pub async fn create_schedule(
    State(opening): State<Opening>,
    Admin(admin): Admin,
    options: SubmitOptions,
    PathId(concert): PathId,
    LargeJsonBody(body): LargeJsonBody,
) -> Result<Response, Problem> {
    let (body, hall) = expanded(&opening.plans, body).await?;
    let plan = read_plan(&body)?;
    let concert_id = ConcertId(concert);
    opening.store.concert(concert_id).await?.ok_or_else(no_concert)?;
    let id = ScheduleId(new_id(&admin, options.key.as_ref(), "schedule"));
    let known = match options.key {
        Some(_) => opening.store.schedule(id).await?,
        None => None,
    };
    if known.is_none() && plan.terms.starts_at <= opening.clock.now() {
        return Err(Problem::field("/starts_at", "must be in the future"));
    }
    // Of a date that is known too: the commands say whether the body is the one that the key was used for.
    // The queue first, which the blocks send notes to.
    let queue = queue_step(id, &admin, &plan);
    opening.steps.take(&admin, &options, queue, block_steps(id, &admin, &plan)).await?;
    let view = match known {
        Some(view) => view,
        None => opening.add(id, concert_id, &plan, hall).await?,
    };
    let schedule = &view.schedule;
    let same = schedule.duration_ms == plan.duration_ms && schedule.plan == hall.map(|id| id.to_string());
    if schedule.concert_id != concert_id || !same {
        return Err(key_reused());
    }
    Ok(created(format!("/v1/schedules/{id}"), ScheduleObject::from(&view)))
}

impl Opening {
    /// Adds the date to the catalog, now that all of it is open.
    async fn add(
        &self,
        id: ScheduleId,
        concert_id: ConcertId,
        plan: &Plan,
        hall: Option<PlanId>,
    ) -> Result<ScheduleView, Problem> {
        let schedule = Schedule {
            id,
            concert_id,
            starts_at: plan.terms.starts_at,
            duration_ms: plan.duration_ms,
            hold_ttl_ms: plan.terms.hold_ttl_ms,
            max_seats_per_user: plan.terms.max_seats_per_user,
            sales_open_at: plan.terms.sales_open_at,
            sales_close_at: plan.terms.sales_close_at,
            queue: plan.queue.is_some(),
            plan: hall.map(|id| id.to_string()),
            larger_plan: None,
            created_at: self.clock.now(),
        };
        self.store.insert_schedule(&schedule).await?;
        self.snapshots.catalog_changed();
        self.facts.catalog_changed();
        self.store.schedule(id).await?.ok_or_else(no_concert)
    }
}

fn queue_step(id: ScheduleId, admin: &UserId, plan: &Plan) -> Option<Step> {
    let open = plan.open_queue(id, admin)?;
    let body = Body::Queues(queue::Command::OpenQueue(open));
    Some(Step { pointer: "/queue".to_owned(), part: "queue".to_owned(), body })
}

fn block_steps(id: ScheduleId, admin: &UserId, plan: &Plan) -> Vec<Step> {
    let step = |(name, (first, sections))| {
        let open = plan.open_block(id, name, sections, admin);
        let body = Body::Seats(block::Command::OpenBlock(open));
        Step { pointer: format!("/sections/{first}"), part: format!("block {name}"), body }
    };
    plan.blocks().into_iter().map(step).collect()
}
