//! The body of `POST /v1/concerts/{id}/schedules`, read and checked.

use std::collections::HashSet;

use serde_json::Value;

use super::queue::ABANDON_SECONDS_MIN;
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::domain::queue::{DURATION_MS_MAX, Limits, OnTimeout, TOKENS_MAX};
use crate::domain::section::{HOLD_TTL_MS_MAX, SEATS_MAX, SEATS_PER_HOLD_MAX};
use crate::domain::{LogTime, SectionName};

const SECTIONS_MAX: usize = 200;
/// Of one date, in all sections: what its seat map and everybody who streams it has to carry.
const SEATS_TOTAL_MAX: u64 = 100_000;
const DURATION_SECONDS_MAX: i64 = 30 * 86_400;
const HOLD_TTL_SECONDS_DEFAULT: i64 = 300;
const SEATS_PER_USER_DEFAULT: i64 = 4;
const ABANDON_AFTER_SECONDS_DEFAULT: i64 = 180;

/// The body as checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub starts_at: LogTime,
    pub duration_ms: Option<i64>,
    pub sections: Vec<SectionPlan>,
    pub hold_ttl_ms: i64,
    pub max_seats_per_user: u32,
    pub sales_open_at: Option<LogTime>,
    pub queue: Option<Limits>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionPlan {
    pub name: SectionName,
    pub seats: u32,
    pub price: i64,
}

/// The plan, or every field that is wrong.
pub fn read_plan(body: &Value) -> Result<Plan, Problem> {
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
