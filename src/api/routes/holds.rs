//! `POST /v1/schedules/{id}/holds`: takes seats.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::Response;
use serde_json::Value;

use super::acting::acting_for;
use super::labels::answered;
use crate::api::AppState;
use crate::api::cache::plans::Labels;
use crate::api::cache::schedule_facts::{Facts, ScheduleFacts};
use crate::api::http::auth::Caller;
use crate::api::http::extract::{JsonBody, PathId};
use crate::api::http::fields::{Fields, nfc};
use crate::api::http::problem::{Kind, Problem, ProblemCode};
use crate::api::openapi::bodies::HoldRequest;
use crate::api::queue::places::Places;
use crate::api::queue::token::QueueToken;
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::block::{BestAvailable, Choice, Command, HoldSeats, SEATS_PER_HOLD_MAX, SECTION_SEATS_MAX};
use crate::domain::{BlockKey, BlockName, Body, Code, ScheduleId, SeatId, SectionName, UserId};

/// What a hold uses.
#[derive(Clone)]
pub struct Holds {
    facts: Arc<ScheduleFacts>,
    labels: Arc<Labels>,
    places: Arc<Places>,
    submission: Arc<Submission>,
}

impl FromRef<AppState> for Holds {
    fn from_ref(state: &AppState) -> Self {
        Holds {
            facts: state.facts.clone(),
            labels: state.labels.clone(),
            places: state.places.clone(),
            submission: state.submission.clone(),
        }
    }
}

/// Holds seats until they are paid or the hold ends.
///
/// All of them or none; all lie in one block. With the role `box_office`, `user_id` is the customer for whom they are held,
/// without a queue token and also before sales open; the ticket limit counts. Result: `{reservation_id, schedule_id, block, seats, amount, status:
/// "HELD", expires_at, labels?}`.
#[utoipa::path(
    post,
    path = "/v1/schedules/{id}/holds",
    tag = "seats",
    params(("id" = String, Path, format = "uuid", description = "The schedule"),
        ("Queue-Token" = Option<String>, Header, description = "An active token, where the schedule has a queue")),
    request_body(content = HoldRequest, example = json!({"seats": ["A-12", "A-13"]})),
    extensions(("x-command" = json!("hold_seats")))
)]
pub async fn hold_seats(
    State(holds): State<Holds>,
    caller: Caller,
    options: SubmitOptions,
    PathId(id): PathId,
    token: QueueToken,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let schedule_id = ScheduleId(id);
    let (choice, user_id) = read_hold(&body)?;
    let user_id = acting_for(&caller, user_id)?;
    let facts = holds.facts.with_sections(schedule_id, sections(&choice)).await?;
    let block = block_of(facts.as_deref(), &choice)?;
    let key = BlockKey { schedule_id, block };
    // The box office waits in no queue.
    let staff = user_id != caller.user;
    let hold = |admitted| HoldSeats { key, user_id, choice, admitted };
    let body = |admitted| Body::Seats(Command::HoldSeats(hold(admitted)));
    let admitted = if staff { Ok(()) } else { holds.places.admit(&caller.user, schedule_id, &token).await };
    let body = match admitted {
        Ok(()) => body(!staff),
        Err(problem) if problem.code == ProblemCode::Refusal(Code::NotAdmitted) => {
            // A hold that was admitted once gets its outcome again, whatever became of the place since.
            let body = body(false);
            if !holds.submission.is_repeat(&caller.user, &options, &body).await? {
                return Err(problem);
            }
            body
        }
        Err(problem) => return Err(problem),
    };
    let answer = holds.submission.submit(&caller.user, &options, body).await?;
    Ok(answered(&holds.labels, answer, options.wait).await?)
}

/// What is to be held, and for whom if not for the caller.
fn read_hold(body: &Value) -> Result<(Choice, Option<UserId>), Problem> {
    let mut fields = Fields::of(body)?;
    let user_id = fields.optional("user_id", Fields::parsed);
    let choice = match (fields.has("seats"), fields.has("best_available")) {
        (true, true) => fields.reject("best_available", "must not be given with seats"),
        (false, true) => {
            let count = fields.integer("best_available", 1..=i64::from(SEATS_PER_HOLD_MAX));
            let count = count.and_then(|count| u32::try_from(count).ok());
            let section = fields.optional("section", Fields::name);
            let category = fields.optional("category", Fields::name);
            (|| Some(Choice::BestAvailable(BestAvailable { count: count?, section: section?, category: category? })))()
        }
        (true, false) => named_seats(&mut fields).map(Choice::Seats),
        (false, false) => fields.reject("seats", "is missing; name seats, or how many are best_available"),
    };
    fields.finish(choice.zip(user_id))
}

fn named_seats(fields: &mut Fields<'_>) -> Option<Vec<SeatId>> {
    let seats = fields.strings("seats", SEATS_PER_HOLD_MAX as usize, parse_seat)?;
    let count = seats.len();
    let seats: BTreeSet<SeatId> = seats.into_iter().collect();
    if seats.len() < count {
        return fields.reject("seats", "must not name a seat twice");
    }
    Some(seats.into_iter().collect())
}

/// `A-12`: a section's name may have a `-` of its own, a number has none.
fn parse_seat(text: &str) -> Result<SeatId, String> {
    let seat = nfc(text).parse().ok().filter(|seat: &SeatId| seat.number <= SECTION_SEATS_MAX);
    seat.ok_or_else(|| format!("must be a seat like A-12, its number from 1 to {SECTION_SEATS_MAX}"))
}

/// The sections that a choice names.
fn sections(choice: &Choice) -> Vec<&SectionName> {
    match choice {
        Choice::Seats(seats) => seats.iter().map(|seat| &seat.section).collect(),
        Choice::BestAvailable(best) => best.section.iter().collect(),
    }
}

/// The one block that all of a choice lies in.
fn block_of(facts: Option<&Facts>, choice: &Choice) -> Result<BlockName, Problem> {
    let unknown =
        |section: &SectionName| Problem::refusal(Code::SectionNotFound, format!("there is no section {section}"));
    let sections = sections(choice);
    let Some(first) = sections.first() else {
        // Best available, in whatever section.
        let facts = facts.ok_or_else(|| Problem::new(Kind::ScheduleNotFound, "there is no schedule with this id"))?;
        let needed = || Problem::field("/section", "is missing; this schedule has several blocks");
        return facts.only_block().cloned().ok_or_else(needed);
    };
    let mut block = None;
    for section in &sections {
        let own = facts.and_then(|facts| facts.block_of(section)).ok_or_else(|| unknown(section))?;
        match block {
            Some(other) if other != own => {
                let detail = format!("must lie in one block; {first} is in {other}, {section} in {own}");
                return Err(Problem::field("/seats", detail));
            }
            _ => block = Some(own),
        }
    }
    block.cloned().ok_or_else(|| unknown(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_choice(body: &Value) -> Result<Choice, Problem> {
        read_hold(body).map(|(choice, _)| choice)
    }

    fn seats(names: &[&str]) -> Choice {
        Choice::Seats(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn seats_are_named_in_any_sections_and_in_any_order() {
        let choice = read_choice(&json!({"seats": ["B-1-12", "A-2", "B-1-3"]})).unwrap();
        assert_eq!(choice, seats(&["A-2", "B-1-3", "B-1-12"]));
        assert_eq!(read_choice(&json!({"seats": ["e\u{301}-1"]})).unwrap(), seats(&["\u{e9}-1"]));
        let best = |section: Option<&str>, category: Option<&str>| {
            let (section, category) = (section.map(|s| s.parse().unwrap()), category.map(|c| c.parse().unwrap()));
            Choice::BestAvailable(BestAvailable { count: 2, section, category })
        };
        assert_eq!(read_choice(&json!({"best_available": 2})).unwrap(), best(None, None));
        let all = json!({"section": "A", "category": "R", "best_available": 2});
        assert_eq!(read_choice(&all).unwrap(), best(Some("A"), Some("R")));
    }

    #[test]
    fn a_wrong_hold_is_refused_with_a_pointer() {
        let many: Vec<String> = (1..=101).map(|n| format!("A-{n}")).collect();
        for (body, pointer) in [
            (json!({}), "/seats"),
            (json!({"seats": null}), "/seats"),
            (json!({"seats": "A-1"}), "/seats"),
            (json!({"seats": []}), "/seats"),
            (json!({"seats": many}), "/seats"),
            (json!({"seats": ["A-1", "A-1"]}), "/seats"),
            (json!({"seats": ["\u{e9}-1", "e\u{301}-1"]}), "/seats"),
            (json!({"seats": ["A-1", 2]}), "/seats/1"),
            (json!({"seats": ["A-0"]}), "/seats/0"),
            (json!({"seats": ["A-01"]}), "/seats/0"),
            (json!({"seats": ["A-+1"]}), "/seats/0"),
            (json!({"seats": ["A1"]}), "/seats/0"),
            (json!({"seats": ["-1"]}), "/seats/0"),
            (json!({"seats": ["A-100001"]}), "/seats/0"),
            (json!({"seats": ["A-99999999999999999999"]}), "/seats/0"),
            (json!({"seats": [format!("{}-1", "x".repeat(65))]}), "/seats/0"),
            (json!({"seats": ["A-1"], "best_available": 1}), "/best_available"),
            (json!({"section": 1, "best_available": 1}), "/section"),
            (json!({"section": "A\u{200b}", "best_available": 1}), "/section"),
            (json!({"section": "A", "category": "", "best_available": 1}), "/category"),
            (json!({"section": "A", "best_available": 0}), "/best_available"),
            (json!({"section": "A", "best_available": -1}), "/best_available"),
            (json!({"section": "A", "best_available": 101}), "/best_available"),
            (json!({"section": "A", "best_available": 1.5}), "/best_available"),
            (json!({"section": "A", "best_available": "2"}), "/best_available"),
            (json!({"seats": ["A-1"], "user_id": ""}), "/user_id"),
            (json!({"seats": ["A-1"], "user_id": 7}), "/user_id"),
            (json!([]), ""),
            (json!("A-1"), ""),
        ] {
            let problem = read_choice(&body).unwrap_err();
            assert_eq!(problem.status().as_u16(), 422, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
