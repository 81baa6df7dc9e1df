//! Dates of concerts: adding one with its sections and queue, and reading them.
//!
//! Sections and queue are opened by commands, each by the owner of its partition. The date enters the catalog when all
//! of them are open, so nobody sees half of one. What is left half-made is finished by a repeat with the same
//! Idempotency-Key: ids follow from the key, and opening what is open already succeeds.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::concerts::{created, key_reused, new_id, no_concert};
use super::schedule_plan::{Plan, read_plan};
use crate::api::AppState;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{JsonBody, Params, PathId};
use crate::api::http::prefer::Wait;
use crate::api::http::problem::{FieldError, INVALID_FIELDS, OUTCOME_UNKNOWN, Problem, SCHEDULE_NOT_FOUND};
use crate::api::http::schema::{Problem as ProblemSchema, ScheduleRequest};
use crate::api::submission::submit::{Answer, Ask, publish};
use crate::api::submission::view::RequestView;
use crate::domain::command::{OpenQueue, OpenSection};
use crate::domain::section::SectionRow;
use crate::domain::{Body, ConcertId, LogTime, ScheduleId, UserId};
use crate::store::reads::{Schedule, ScheduleView};
use crate::wire::time::rfc3339;

/// Commands under way at once, for one date.
const COMMANDS_AT_ONCE: usize = 16;
/// Unless the client prefers otherwise; an owner that has just changed needs a few seconds.
const WAIT_DEFAULT: Wait = Wait { seconds: 15 };

/// One date of a concert.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleObject {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(format = "uuid")]
    pub concert_id: String,
    #[schema(format = "date-time")]
    pub starts_at: String,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    pub hold_ttl_seconds: i64,
    pub max_seats_per_user: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_open_at: Option<String>,
    /// Whether holds need the token of a waiting queue.
    pub queue: bool,
    pub sections: Vec<SectionObject>,
    pub total_seats: u64,
    pub available_seats: u64,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A section of a date.
#[derive(Debug, Serialize, ToSchema)]
pub struct SectionObject {
    pub name: String,
    pub seats: u32,
    /// Of one seat, smallest currency unit.
    pub price: i64,
    pub available_seats: u32,
}

/// The dates of a concert, by their start.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleList {
    pub schedules: Vec<ScheduleObject>,
}

impl From<&ScheduleView> for ScheduleObject {
    fn from(view: &ScheduleView) -> Self {
        let schedule = &view.schedule;
        let sum = |count: fn(&SectionRow) -> u32| view.sections.iter().map(|row| u64::from(count(row))).sum();
        ScheduleObject {
            id: schedule.id.to_string(),
            concert_id: schedule.concert_id.to_string(),
            starts_at: rfc3339(schedule.starts_at),
            duration: schedule.duration_ms.map(|ms| ms / 1000),
            hold_ttl_seconds: schedule.hold_ttl_ms / 1000,
            max_seats_per_user: schedule.max_seats_per_user,
            sales_open_at: schedule.sales_open_at.map(rfc3339),
            queue: schedule.queue,
            sections: view.sections.iter().map(Into::into).collect(),
            total_seats: sum(|row| row.seats),
            available_seats: sum(|row| row.available),
            created_at: rfc3339(schedule.created_at),
        }
    }
}

impl From<&SectionRow> for SectionObject {
    fn from(row: &SectionRow) -> Self {
        let (name, seats, price) = (row.name.to_string(), row.seats, row.price);
        SectionObject { name, seats, price, available_seats: row.available }
    }
}

/// Opens a date's sections and queue, waits for them, and adds it to the catalog.
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
        (status = 403, description = "`forbidden`", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 404, description = "`concert_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 409, description = "`section_conflict`", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`, `invalid_amount`, `idempotency_key_reused`", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 503, description = "`outcome_unknown`, `overloaded`, `unavailable`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn create_schedule(
    State(state): State<Arc<AppState>>,
    Admin(admin): Admin,
    ask: Ask,
    PathId(concert): PathId,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let plan = read_plan(&body)?;
    let concert_id = ConcertId(concert);
    state.store.concert(concert_id).await?.ok_or_else(no_concert)?;
    let id = ScheduleId(new_id(&admin, ask.key.as_ref(), "schedule"));
    if ask.key.is_some()
        && let Some(view) = state.store.schedule(id).await?
    {
        return answer(&view, &plan, concert_id);
    }
    if plan.starts_at <= state.clock.now() {
        return Err(in_the_past());
    }
    open_all(&state, &admin, &ask, id, &plan).await?;
    let schedule = Schedule {
        id,
        concert_id,
        starts_at: plan.starts_at,
        duration_ms: plan.duration_ms,
        hold_ttl_ms: plan.hold_ttl_ms,
        max_seats_per_user: plan.max_seats_per_user,
        sales_open_at: plan.sales_open_at,
        queue: plan.queue.is_some(),
        created_at: state.clock.now(),
    };
    state.store.insert_schedule(&schedule).await?;
    state.views.catalog_changed();
    let view = state.store.schedule(id).await?.ok_or_else(no_concert)?;
    answer(&view, &plan, concert_id)
}

fn in_the_past() -> Problem {
    let error = FieldError { pointer: "/starts_at".to_owned(), detail: "must be in the future".to_owned() };
    Problem::fields(INVALID_FIELDS.code, vec![error])
}

/// 201, unless what is there under this id is not what was asked for.
fn answer(view: &ScheduleView, plan: &Plan, concert: ConcertId) -> Result<Response, Problem> {
    let schedule = &view.schedule;
    let same = schedule.concert_id == concert
        && schedule.starts_at == plan.starts_at
        && schedule.duration_ms == plan.duration_ms
        && schedule.hold_ttl_ms == plan.hold_ttl_ms
        && schedule.max_seats_per_user == plan.max_seats_per_user
        && schedule.sales_open_at == plan.sales_open_at
        && schedule.queue == plan.queue.is_some()
        && same_sections(view, plan);
    if !same {
        return Err(key_reused());
    }
    Ok(created(format!("/v1/schedules/{}", schedule.id), ScheduleObject::from(view)))
}

fn same_sections(view: &ScheduleView, plan: &Plan) -> bool {
    let stored: HashSet<_> = view.sections.iter().map(|row| (&row.name, row.seats, row.price)).collect();
    let planned: HashSet<_> = plan.sections.iter().map(|s| (&s.name, s.seats, s.price)).collect();
    stored == planned
}

/// One command of an opening: where it comes from in the body, and what it asks.
struct Step {
    pointer: String,
    /// Tells the steps of one key apart.
    part: String,
    body: Body,
}

fn steps(id: ScheduleId, admin: &UserId, plan: &Plan) -> Vec<Step> {
    let sections = plan.sections.iter().enumerate().map(|(index, section)| Step {
        pointer: format!("/sections/{index}"),
        part: format!("section {}", section.name),
        body: Body::OpenSection(OpenSection {
            schedule_id: id,
            section: section.name.clone(),
            user_id: admin.clone(),
            seats: section.seats,
            price: section.price,
            hold_ttl_ms: plan.hold_ttl_ms,
            max_seats_per_user: plan.max_seats_per_user,
            sales_open_at: plan.sales_open_at,
            starts_at: plan.starts_at,
            queue: plan.queue.is_some(),
        }),
    });
    let queue = plan.queue.iter().map(|limits| Step {
        pointer: "/queue".to_owned(),
        part: "queue".to_owned(),
        body: Body::OpenQueue(OpenQueue { schedule_id: id, user_id: admin.clone(), limits: limits.clone() }),
    });
    sections.chain(queue).collect()
}

/// Publishes the commands and waits until all have succeeded.
async fn open_all(state: &AppState, admin: &UserId, ask: &Ask, id: ScheduleId, plan: &Plan) -> Result<(), Problem> {
    state.users.take(admin)?;
    let wait = ask.wait.unwrap_or(WAIT_DEFAULT);
    let steps = steps(id, admin, plan);
    let all = stream::iter(steps)
        .map(|step| open(state, admin, ask, wait, step))
        .buffer_unordered(COMMANDS_AT_ONCE)
        .try_collect::<()>();
    match tokio::time::timeout(wait.duration(), all).await {
        Ok(opened) => opened,
        Err(_) => Err(undecided()),
    }
}

async fn open(state: &AppState, admin: &UserId, ask: &Ask, wait: Wait, step: Step) -> Result<(), Problem> {
    let key = ask.key.as_ref().map(|key| key.part(&step.part));
    let ask = Ask { key, wait: Some(wait), traceparent: ask.traceparent.clone() };
    match publish(state, admin, &ask, step.body).await? {
        Answer::Decided(view) => match refusal(&view) {
            Some(problem) => Err(problem.with("pointer", step.pointer)),
            None => Ok(()),
        },
        Answer::Pending { .. } => Err(undecided()),
    }
}

fn refusal(view: &RequestView) -> Option<Problem> {
    let said = view.refusal()?;
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = text("code").parse();
    let detail = text("detail").to_owned();
    let problem = code.map_or_else(|_| undecided(), |code| Problem::refusal(code, detail));
    Some(problem.of_request(view.request_id))
}

fn undecided() -> Problem {
    let detail = "not all sections are open yet; repeat the request with the same Idempotency-Key to go on with it";
    Problem::new(OUTCOME_UNKNOWN, detail)
}

/// The dates of a concert; with `?available=true` only those that can be bought now.
#[utoipa::path(
    get,
    path = "/v1/concerts/{id}/schedules",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The concert"),
        ("available" = Option<bool>, Query, description = "Only those on sale with a free seat"),
    ),
    responses(
        (status = 200, description = "By their start", body = ScheduleList),
        (status = 404, description = "`concert_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn list_schedules(
    State(state): State<Arc<AppState>>,
    PathId(id): PathId,
    params: Params,
) -> Result<Json<ScheduleList>, Problem> {
    let available: bool = params.parsed("available")?.unwrap_or(false);
    let id = ConcertId(id);
    let views = state.views.dates(id).await?;
    if views.is_empty() && state.views.concert(id).await?.is_none() {
        return Err(no_concert());
    }
    let now = state.clock.now();
    let schedules = views.iter().filter(|view| !available || is_on_sale(view, now));
    Ok(Json(ScheduleList { schedules: schedules.map(Into::into).collect() }))
}

fn is_on_sale(view: &ScheduleView, now: LogTime) -> bool {
    let schedule = &view.schedule;
    let open = schedule.sales_open_at.is_none_or(|open| open <= now) && now < schedule.starts_at;
    open && view.sections.iter().any(|row| row.available > 0)
}

/// One date.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}",
    tag = "catalog",
    security(()),
    params(("id" = String, Path, format = "uuid", description = "The date")),
    responses(
        (status = 200, description = "The date", body = ScheduleObject),
        (status = 404, description = "`schedule_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn get_schedule(
    State(state): State<Arc<AppState>>,
    PathId(id): PathId,
) -> Result<Json<ScheduleObject>, Problem> {
    let view = state.views.schedule(ScheduleId(id)).await?;
    let missing = || Problem::new(SCHEDULE_NOT_FOUND, "there is no schedule with this id");
    Ok(Json(view.as_ref().as_ref().ok_or_else(missing)?.into()))
}
