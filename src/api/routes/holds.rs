//! `POST /v1/schedules/{id}/holds`: takes seats.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;

use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{JsonBody, PathId};
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::api::http::schema::{HoldRequest, RequestObject};
use crate::api::queue::admission;
use crate::api::submission::submit::{Ask, is_repeat, submit};
use crate::domain::command::{Choice, HoldSeats};
use crate::domain::section::{SEATS_MAX, SEATS_PER_HOLD_MAX};
use crate::domain::{Body, Code, ScheduleId, SectionName};

/// What a hold asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    section: SectionName,
    choice: Choice,
}

/// Holds seats until they are paid or the hold runs out.
///
/// All of them or none. Result: `{reservation_id, schedule_id, seats, amount, status: "HELD", expires_at}`.
#[utoipa::path(
    post,
    path = "/v1/schedules/{id}/holds",
    tag = "seats",
    params(("id" = String, Path, format = "uuid", description = "The schedule"),
        ("Queue-Token" = Option<String>, Header, description = "An active token, where the schedule has a queue")),
    request_body(content = HoldRequest, example = json!({"seats": ["A-12", "A-13"]})),
    responses((status = 200, description = "Decided while waiting, or earlier under this key", body = RequestObject)),
    extensions(("x-command" = json!("hold_seats")))
)]
pub async fn hold_seats(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    ask: Ask,
    PathId(id): PathId,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let Wanted { section, choice } = wanted(&body)?;
    let schedule_id = ScheduleId(id);
    let hold = HoldSeats { schedule_id, section, user_id: caller.user.clone(), choice };
    let body = Body::HoldSeats(hold);
    if let Err(problem) = admission::check(&state, &caller, schedule_id, admission::queue_token(&headers)?).await {
        // A hold that was let in once gets its outcome again, whatever became of the place since.
        if problem.code != Code::NotAdmitted.as_str() || !is_repeat(&state, &caller.user, &ask, &body).await? {
            return Err(problem);
        }
    }
    submit(&state, &caller, &ask, body).await
}

fn wanted(body: &Value) -> Result<Wanted, Problem> {
    let mut fields = Fields::of(body)?;
    let wanted = match (fields.has("seats"), fields.has("best_available")) {
        (true, true) => fields.reject("best_available", "cannot be there together with seats"),
        (false, true) => {
            let section = fields.parsed("section");
            let count = fields.integer("best_available", 1..=i64::from(SEATS_PER_HOLD_MAX));
            let count = count.and_then(|count| u32::try_from(count).ok());
            section.zip(count).map(|(section, count)| Wanted { section, choice: Choice::BestAvailable(count) })
        }
        (true, false) => named_seats(&mut fields),
        (false, false) => fields.reject("seats", "is missing; name seats, or a section and best_available"),
    };
    fields.finish(wanted)
}

fn named_seats(fields: &mut Fields<'_>) -> Option<Wanted> {
    let seats = fields.strings("seats", SEATS_PER_HOLD_MAX as usize, parse_seat)?;
    let (section, _) = seats.first()?.clone();
    if seats.iter().any(|(other, _)| *other != section) {
        return fields.reject("seats", "must all lie in one section; hold each section's seats by itself");
    }
    let numbers: BTreeSet<u32> = seats.iter().map(|(_, number)| *number).collect();
    if numbers.len() < seats.len() {
        return fields.reject("seats", "must not name a seat twice");
    }
    Some(Wanted { section, choice: Choice::Seats(numbers.into_iter().collect()) })
}

/// `A-12`: a section's name may have a `-` of its own, a number has none.
fn parse_seat(text: &str) -> Result<(SectionName, u32), String> {
    let wrong = || format!("must be a seat like A-12, its number from 1 to {SEATS_MAX}");
    let (section, digits) = text.rsplit_once('-').ok_or_else(wrong)?;
    let section = section.parse().map_err(|_| wrong())?;
    // One seat has one name: no sign, no leading zero.
    if digits.starts_with(['+', '0']) {
        return Err(wrong());
    }
    let number = digits.parse().map_err(|_| wrong())?;
    if number > SEATS_MAX { Err(wrong()) } else { Ok((section, number)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seats_are_named_in_one_section_and_in_any_order() {
        let hold = wanted(&json!({"seats": ["B-1-12", "B-1-3"]})).unwrap();
        assert_eq!(hold, Wanted { section: "B-1".parse().unwrap(), choice: Choice::Seats(vec![3, 12]) });
        let hold = wanted(&json!({"section": "A", "best_available": 2})).unwrap();
        assert_eq!(hold, Wanted { section: "A".parse().unwrap(), choice: Choice::BestAvailable(2) });
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
            (json!({"seats": ["A-1", "B-1"]}), "/seats"),
            (json!({"seats": ["A-1", "A-1"]}), "/seats"),
            (json!({"seats": ["A-1", 2]}), "/seats/1"),
            (json!({"seats": ["A-0"]}), "/seats/0"),
            (json!({"seats": ["A-01"]}), "/seats/0"),
            (json!({"seats": ["A-+1"]}), "/seats/0"),
            (json!({"seats": ["A1"]}), "/seats/0"),
            (json!({"seats": ["-1"]}), "/seats/0"),
            (json!({"seats": ["A-10001"]}), "/seats/0"),
            (json!({"seats": ["A-99999999999999999999"]}), "/seats/0"),
            (json!({"seats": [format!("{}-1", "x".repeat(33))]}), "/seats/0"),
            (json!({"seats": ["A-1"], "best_available": 1}), "/best_available"),
            (json!({"best_available": 1}), "/section"),
            (json!({"section": 1, "best_available": 1}), "/section"),
            (json!({"section": "A B", "best_available": 1}), "/section"),
            (json!({"section": "A", "best_available": 0}), "/best_available"),
            (json!({"section": "A", "best_available": -1}), "/best_available"),
            (json!({"section": "A", "best_available": 101}), "/best_available"),
            (json!({"section": "A", "best_available": 1.5}), "/best_available"),
            (json!({"section": "A", "best_available": "2"}), "/best_available"),
            (json!([]), ""),
            (json!("A-1"), ""),
        ] {
            let problem = wanted(&body).unwrap_err();
            assert_eq!(problem.status.as_u16(), 422, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }
}
