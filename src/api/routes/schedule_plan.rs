//! The body of `POST /v1/concerts/{id}/schedules`, read and checked.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::section_plan::{SectionPlan, read_section};
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::api::queue::configuring::{ABANDON_SECONDS_MIN, on_timeout};
use crate::domain::block::{
    HOLD_TTL_MS_MAX, NewSection, OpenBlock, SEATS_MAX, SEATS_PER_HOLD_MAX, SECTIONS_MAX, Terms,
};
use crate::domain::queue::{DURATION_MS_MAX, Limits, OnTimeout, OpenQueue, TOKENS_MAX};
use crate::domain::{BlockKey, BlockName, LogTime, ScheduleId, UserId};

/// Blocks that the queue of a date can hear of.
const BLOCKS_MAX: usize = 256;
const DURATION_SECONDS_MAX: i64 = 30 * 86_400;
const HOLD_TTL_SECONDS_DEFAULT: i64 = 300;
const REHOLD_AFTER_SECONDS_DEFAULT: i64 = 60;
const SEATS_PER_USER_DEFAULT: i64 = 4;
const CLAIM_AFTER_SECONDS_DEFAULT: i64 = 60;
const ABANDON_AFTER_SECONDS_DEFAULT: i64 = 180;
const ABSENT_MAX_SECONDS_DEFAULT: i64 = 3_600;
/// A payment or refund that the wallet has not answered for this long is asked for again.
const PAYMENT_TIMEOUT_MS: i64 = 60_000;

/// The body as checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub duration_ms: Option<i64>,
    pub sections: Vec<SectionPlan>,
    pub terms: Terms,
    pub queue: Option<Limits>,
}

impl Plan {
    /// The blocks in order of name, each with its sections in the order of the body, and the index of the first of them.
    pub fn blocks(&self) -> BTreeMap<&BlockName, (usize, Vec<NewSection>)> {
        let mut blocks: BTreeMap<&BlockName, (usize, Vec<NewSection>)> = BTreeMap::new();
        for (index, plan) in self.sections.iter().enumerate() {
            blocks.entry(&plan.block).or_insert((index, Vec::new())).1.push(plan.section.clone());
        }
        blocks
    }

    /// Opens one block.
    pub fn open_block(
        &self,
        id: ScheduleId,
        block: &BlockName,
        sections: Vec<NewSection>,
        admin: &UserId,
    ) -> OpenBlock {
        OpenBlock {
            key: BlockKey { schedule_id: id, block: block.clone() },
            user_id: admin.clone(),
            sections,
            terms: self.terms.clone(),
            queue: self.queue.is_some(),
        }
    }

    /// Opens the queue, if the date has one.
    pub fn open_queue(&self, id: ScheduleId, admin: &UserId) -> Option<OpenQueue> {
        Some(OpenQueue {
            schedule_id: id,
            user_id: admin.clone(),
            limits: self.queue.clone()?,
            sales_open_at: self.terms.sales_open_at,
            starts_at: self.terms.starts_at,
            blocks: self.blocks().into_keys().cloned().collect(),
        })
    }
}

/// The plan, or every field that is wrong.
pub fn read_plan(body: &Value) -> Result<Plan, Problem> {
    let mut fields = Fields::of(body)?;
    let terms = read_terms(&mut fields);
    let duration = fields.optional("duration", |f, name| f.integer(name, 1..=DURATION_SECONDS_MAX));
    let sections = fields.objects("sections", SECTIONS_MAX, read_section);
    let sections = sections.and_then(|sections| checked(&mut fields, sections));
    let queue = fields.optional("queue", |f, name| f.object(name, read_queue));
    let plan = (|| {
        let duration_ms = duration?.map(|seconds| seconds * 1000);
        Some(Plan { duration_ms, sections: sections?, terms: terms?, queue: queue? })
    })();
    fields.finish(plan)
}

fn read_terms(fields: &mut Fields<'_>) -> Option<Terms> {
    let starts_at = fields.time("starts_at");
    let seconds_max = HOLD_TTL_MS_MAX / 1000;
    let ttl = fields.optional("hold_ttl_seconds", |f, name| f.integer(name, 1..=seconds_max));
    let rehold = fields.optional("rehold_after_seconds", |f, name| f.integer(name, 0..=seconds_max));
    let per_user = fields.optional("max_seats_per_user", |f, name| f.integer(name, 1..=i64::from(SEATS_PER_HOLD_MAX)));
    let sales_open_at = fields.optional("sales_open_at", Fields::time);
    let sales_close_at = fields.optional("sales_close_at", Fields::time);
    let companions_free_at = fields.optional("companions_free_at", Fields::time);
    if let (Some(starts_at), Some(Some(open))) = (starts_at, sales_open_at)
        && open >= starts_at
    {
        let _: Option<()> = fields.reject("sales_open_at", "must be before starts_at");
    }
    check_close(fields, starts_at, sales_open_at.flatten(), sales_close_at.flatten());
    Some(Terms {
        hold_ttl_ms: ttl?.unwrap_or(HOLD_TTL_SECONDS_DEFAULT) * 1000,
        rehold_after_ms: rehold?.unwrap_or(REHOLD_AFTER_SECONDS_DEFAULT) * 1000,
        payment_timeout_ms: PAYMENT_TIMEOUT_MS,
        max_seats_per_user: u32::try_from(per_user?.unwrap_or(SEATS_PER_USER_DEFAULT)).ok()?,
        sales_open_at: sales_open_at?,
        sales_close_at: sales_close_at?,
        starts_at: starts_at?,
        companions_free_at: companions_free_at?,
    })
}

pub fn check_close(fields: &mut Fields<'_>, starts: Option<LogTime>, open: Option<LogTime>, close: Option<LogTime>) {
    let Some(close) = close else { return };
    let wrong = if starts.is_some_and(|starts| close > starts) {
        Some("must not be after starts_at")
    } else if open.is_some_and(|open| close <= open) {
        Some("must be after sales_open_at")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let _: Option<()> = fields.reject("sales_close_at", wrong);
    }
}

/// What only all sections together can break.
fn checked(fields: &mut Fields<'_>, sections: Vec<SectionPlan>) -> Option<Vec<SectionPlan>> {
    let mut names = HashSet::new();
    if let Some(again) = sections.iter().position(|plan| !names.insert(&plan.section.name)) {
        return fields.reject(&format!("sections/{again}/name"), "is given twice");
    }
    // Of one date: what its seat map and every stream of it has to carry.
    let total: u64 = sections.iter().map(|plan| u64::from(plan.section.layout.seats())).sum();
    if total > u64::from(SEATS_MAX) {
        return fields.reject("sections", format!("must have at most {SEATS_MAX} seats together"));
    }
    let blocks: HashSet<&BlockName> = sections.iter().map(|plan| &plan.block).collect();
    if blocks.len() > BLOCKS_MAX {
        return fields.reject("sections", format!("must name at most {BLOCKS_MAX} blocks together"));
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
    let on_timeout = fields.optional("on_timeout", on_timeout);
    let mut seconds = |name, least| fields.optional(name, |f, name| f.integer(name, least..=DURATION_MS_MAX / 1000));
    let abandon = seconds("abandon_after_seconds", ABANDON_SECONDS_MIN);
    let claim = seconds("claim_after_seconds", 1);
    let absent = seconds("absent_max_seconds", 1);
    Some(Limits {
        max_active: count(max_active?)?,
        active_ttl_ms: active_ttl? * 1000,
        max_waiting: count(max_waiting?)?,
        admit_per_minute: rate?.and_then(count),
        on_timeout: on_timeout?.unwrap_or(OnTimeout::Requeue),
        abandon_after_ms: abandon?.unwrap_or(ABANDON_AFTER_SECONDS_DEFAULT) * 1000,
        claim_after_ms: claim?.unwrap_or(CLAIM_AFTER_SECONDS_DEFAULT) * 1000,
        absent_max_ms: absent?.unwrap_or(ABSENT_MAX_SECONDS_DEFAULT) * 1000,
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
        let terms = &plan.terms;
        assert_eq!((terms.hold_ttl_ms, terms.rehold_after_ms, terms.max_seats_per_user), (300_000, 60_000, 4));
        assert_eq!((terms.payment_timeout_ms, terms.sales_open_at, terms.sales_close_at), (60_000, None, None));
        let queue = plan.queue.unwrap();
        assert_eq!(
            (queue.active_ttl_ms, queue.admit_per_minute, queue.on_timeout),
            (300_000, None, OnTimeout::Requeue)
        );
        assert_eq!((queue.abandon_after_ms, queue.claim_after_ms, queue.absent_max_ms), (180_000, 60_000, 3_600_000));
        assert_eq!(read_plan(&good()).unwrap().queue, None);
    }

    #[test]
    fn sections_of_one_block_are_opened_together_unless_they_name_another() {
        let mut body = good();
        let section = |name: &str, block: Value| json!({"name": name, "seats": 1, "price": 1, "block": block});
        body["sections"] =
            json!([section("A", json!(null)), section("B", json!("north")), section("C", json!("main")),]);
        let plan = read_plan(&body).unwrap();
        let found: Vec<(String, usize, Vec<String>)> = plan
            .blocks()
            .into_iter()
            .map(|(block, (first, sections))| {
                (block.to_string(), first, sections.iter().map(|section| section.name.to_string()).collect())
            })
            .collect();
        let expected = [("main", 0, vec!["A", "C"]), ("north", 1, vec!["B"])];
        let expected = expected.map(|(block, first, names)| {
            (block.to_owned(), first, names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        });
        assert_eq!(found, expected);
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
        let same = json!({"name": "\u{e9}", "seats": 1, "price": 1});
        let other_form = json!({"name": "e\u{301}", "seats": 1, "price": 1});
        let many: Vec<Value> = (0..3).map(|i| json!({"name": format!("S{i}"), "seats": 100_000, "price": 1})).collect();
        let queue = json!({"max_active": 0, "active_ttl_seconds": 300, "max_waiting": 100});
        let odd = json!({"max_active": 1, "active_ttl_seconds": 3, "max_waiting": 1, "on_timeout": "explode"});
        for (body, pointer) in [
            (json!({}), "/starts_at"),
            (json!([]), ""),
            (with("/starts_at", json!("soon")), "/starts_at"),
            (with("/sections", json!([])), "/sections"),
            (with("/sections", json!([a, a])), "/sections/1/name"),
            (with("/sections", json!([same, other_form])), "/sections/1/name"),
            (with("/sections", json!(many)), "/sections"),
            (with("/sections/0/seats", json!(0)), "/sections/0/seats"),
            (with("/sections/0/seats", json!(100_001)), "/sections/0/seats"),
            (with("/sections/0/price", json!(-1)), "/sections/0/price"),
            (with("/hold_ttl_seconds", json!(0)), "/hold_ttl_seconds"),
            (with("/hold_ttl_seconds", json!(86_401)), "/hold_ttl_seconds"),
            (with("/rehold_after_seconds", json!(-1)), "/rehold_after_seconds"),
            (with("/max_seats_per_user", json!(101)), "/max_seats_per_user"),
            (with("/sales_open_at", json!("2026-11-21T19:00:00Z")), "/sales_open_at"),
            (with("/sales_close_at", json!("2026-11-21T19:00:01Z")), "/sales_close_at"),
            (with("/duration", json!("PT2H")), "/duration"),
            (with("/queue", json!(true)), "/queue"),
            (with("/queue", queue), "/queue/max_active"),
            (with("/queue", odd), "/queue/on_timeout"),
        ] {
            let problem = read_plan(&body).unwrap_err();
            assert_eq!(problem.status().as_u16(), 422, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
