//! `POST /v1/concerts/{id}/schedules`: a date with its sections and queue.
//!
//! Sections and queue are opened by commands, each by the owner of its partition. The date enters the catalog when all
//! of them are open, so nobody sees half of one. What is left half-made is finished by a repeat with the same
//! Idempotency-Key: ids follow from the key, and opening what is open already succeeds.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::AppState;
use super::auth::Admin;
use super::catalog::{ScheduleObject, created, key_reused, new_id, no_concert};
use super::extract::{JsonBody, PathId};
use super::fields::Fields;
use super::prefer::Wait;
use super::problem::{FieldError, INVALID_FIELDS, OUTCOME_UNKNOWN, Problem};
use super::queue::commands::ABANDON_SECONDS_MIN;
use super::requests::RequestView;
use super::schema::{Problem as ProblemSchema, ScheduleRequest};
use super::submit::{Answer, Ask, publish};
use crate::domain::command::{OpenQueue, OpenSection};
use crate::domain::queue::{DURATION_MS_MAX, Limits, OnTimeout, TOKENS_MAX};
use crate::domain::section::{HOLD_TTL_MS_MAX, SEATS_MAX, SEATS_PER_HOLD_MAX};
use crate::domain::{Body, ConcertId, LogTime, ScheduleId, SectionName, UserId};
use crate::store::reads::{Schedule, ScheduleView};

const SECTIONS_MAX: usize = 200;
/// Of one date, in all sections: what its seat map and everybody who streams it has to carry.
const SEATS_TOTAL_MAX: u64 = 100_000;
const DURATION_SECONDS_MAX: i64 = 30 * 86_400;
const HOLD_TTL_SECONDS_DEFAULT: i64 = 300;
const SEATS_PER_USER_DEFAULT: i64 = 4;
const ABANDON_AFTER_SECONDS_DEFAULT: i64 = 180;
/// Commands under way at once, for one date.
const COMMANDS_AT_ONCE: usize = 16;
/// Unless the client prefers otherwise; an owner that has just changed needs a few seconds.
const WAIT_DEFAULT: Wait = Wait { seconds: 15 };

/// The body as checked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    starts_at: LogTime,
    duration_ms: Option<i64>,
    sections: Vec<SectionPlan>,
    hold_ttl_ms: i64,
    max_seats_per_user: u32,
    sales_open_at: Option<LogTime>,
    queue: Option<Limits>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SectionPlan {
    name: SectionName,
    seats: u32,
    price: i64,
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

fn read_plan(body: &Value) -> Result<Plan, Problem> {
    let mut fields = Fields::of(body)?;
    let starts_at = fields.time("starts_at");
    let duration = fields.optional("duration", |f, name| f.integer(name, 1..=DURATION_SECONDS_MAX));
    let sections = fields.objects("sections", SECTIONS_MAX, read_section);
    let sections = sections.and_then(|sections| checked(&mut fields, sections));
    let ttl = fields.optional("hold_ttl_seconds", |f, name| f.integer(name, 1..=HOLD_TTL_MS_MAX / 1000));
    let per_user = fields.optional("max_seats_per_user", |f, name| f.integer(name, 1..=i64::from(SEATS_PER_HOLD_MAX)));
    let sales_open_at = fields.optional("sales_open_at", Fields::time);
    let queue = fields.optional("queue", |f, name| f.object(name, read_queue));
    if let (Some(starts_at), Some(Some(open))) = (starts_at, sales_open_at)
        && open >= starts_at
    {
        let _: Option<()> = fields.reject("sales_open_at", "must be before starts_at");
    }
    let plan = (|| {
        Some(Plan {
            starts_at: starts_at?,
            duration_ms: duration?.map(|seconds| seconds * 1000),
            sections: sections?,
            hold_ttl_ms: ttl?.unwrap_or(HOLD_TTL_SECONDS_DEFAULT) * 1000,
            max_seats_per_user: u32::try_from(per_user?.unwrap_or(SEATS_PER_USER_DEFAULT)).ok()?,
            sales_open_at: sales_open_at?,
            queue: queue?,
        })
    })();
    fields.finish(plan)
}

fn read_section(fields: &mut Fields<'_>) -> Option<SectionPlan> {
    let name = fields.parsed("name");
    let seats = fields.integer("seats", 1..=i64::from(SEATS_MAX));
    let price = fields.amount("price");
    Some(SectionPlan { name: name?, seats: u32::try_from(seats?).ok()?, price: price? })
}

/// What only all sections together can break.
fn checked(fields: &mut Fields<'_>, sections: Vec<SectionPlan>) -> Option<Vec<SectionPlan>> {
    let mut names = HashSet::new();
    if let Some(again) = sections.iter().position(|section| !names.insert(&section.name)) {
        return fields.reject(&format!("sections/{again}/name"), "is there twice");
    }
    let total: u64 = sections.iter().map(|section| u64::from(section.seats)).sum();
    if total > SEATS_TOTAL_MAX {
        return fields.reject("sections", format!("must have at most {SEATS_TOTAL_MAX} seats together"));
    }
    Some(sections)
}

fn read_queue(fields: &mut Fields<'_>) -> Option<Limits> {
    let tokens = i64::from(TOKENS_MAX);
    let count = |number: i64| u32::try_from(number).ok();
    let max_active = fields.integer("max_active", 1..=tokens);
    let active_ttl = fields.integer("active_ttl_seconds", 1..=DURATION_MS_MAX / 1000);
    let max_waiting = fields.integer("max_waiting", 1..=tokens);
    let rate = fields.optional("admit_per_minute", |f, name| f.integer(name, 1..=tokens));
    let on_timeout = fields.optional("on_timeout", |f, name| {
        let text: String = f.parsed(name)?;
        OnTimeout::parse(&text).or_else(|| f.reject(name, "must be requeue or expire"))
    });
    let abandon = fields
        .optional("abandon_after_seconds", |f, name| f.integer(name, ABANDON_SECONDS_MIN..=DURATION_MS_MAX / 1000));
    Some(Limits {
        max_active: count(max_active?)?,
        active_ttl_ms: active_ttl? * 1000,
        max_waiting: count(max_waiting?)?,
        admit_per_minute: rate?.and_then(count),
        on_timeout: on_timeout?.unwrap_or(OnTimeout::Requeue),
        abandon_after_ms: abandon?.unwrap_or(ABANDON_AFTER_SECONDS_DEFAULT) * 1000,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({"starts_at": "2026-11-21T19:00:00Z", "sections": [{"name": "A", "seats": 50, "price": 1000}]})
    }

    #[test]
    fn a_date_has_the_defaults_of_the_contract() {
        let mut body = good();
        body["queue"] = json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 100});
        let plan = read_plan(&body).unwrap();
        assert_eq!((plan.hold_ttl_ms, plan.max_seats_per_user, plan.sales_open_at), (300_000, 4, None));
        let queue = plan.queue.unwrap();
        assert_eq!(
            (queue.active_ttl_ms, queue.admit_per_minute, queue.on_timeout),
            (300_000, None, OnTimeout::Requeue)
        );
        assert_eq!(queue.abandon_after_ms, 180_000);
        assert_eq!(read_plan(&good()).unwrap().queue, None);
    }

    #[test]
    fn a_wrong_date_is_refused_with_a_pointer() {
        let with = |pointer: &str, value: Value| {
            let mut body = good();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.insert(name.to_owned(), value);
            body
        };
        let a = json!({"name": "A", "seats": 10_000, "price": 1});
        let many: Vec<Value> = (0..11).map(|i| json!({"name": format!("S{i}"), "seats": 10_000, "price": 1})).collect();
        let queue = json!({"max_active": 0, "active_ttl_seconds": 300, "max_waiting": 100});
        let odd = json!({"max_active": 1, "active_ttl_seconds": 3, "max_waiting": 1, "on_timeout": "explode"});
        for (body, pointer) in [
            (json!({}), "/starts_at"),
            (json!([]), ""),
            (with("/starts_at", json!("soon")), "/starts_at"),
            (with("/sections", json!([])), "/sections"),
            (with("/sections", json!([a, a])), "/sections/1/name"),
            (with("/sections", json!(many)), "/sections"),
            (with("/sections/0/seats", json!(0)), "/sections/0/seats"),
            (with("/sections/0/seats", json!(10_001)), "/sections/0/seats"),
            (with("/sections/0/price", json!(0)), "/sections/0/price"),
            (with("/sections/0/name", json!("A B")), "/sections/0/name"),
            (with("/hold_ttl_seconds", json!(0)), "/hold_ttl_seconds"),
            (with("/hold_ttl_seconds", json!(86_401)), "/hold_ttl_seconds"),
            (with("/max_seats_per_user", json!(101)), "/max_seats_per_user"),
            (with("/sales_open_at", json!("2026-11-21T19:00:00Z")), "/sales_open_at"),
            (with("/duration", json!("PT2H")), "/duration"),
            (with("/queue", json!(true)), "/queue"),
            (with("/queue", queue), "/queue/max_active"),
            (with("/queue", odd), "/queue/on_timeout"),
        ] {
            let problem = read_plan(&body).unwrap_err();
            assert_eq!(problem.status.as_u16(), 422, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
