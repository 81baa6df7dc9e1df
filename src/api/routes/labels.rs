//! What the seats of a result are called in the hall: `labels` beside `seats`, `label` beside `seat`. Only dates with a
//! seating plan have them.

use std::sync::Arc;

use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::api::cache::plans::{Known, Labels};
use crate::api::http::prefer::Wait;
use crate::api::http::problem::Problem;
use crate::api::submission::answer::Answer;
use crate::api::submission::stored::Request;
use crate::domain::{Lane, ScheduleId, SeatId};
use crate::store::StoreError;
use crate::wire::outcome::{DecidedRequest, RawReply};

/// Of a result that names seats.
#[derive(Deserialize)]
struct Named {
    schedule_id: Uuid,
    #[serde(default)]
    seats: Vec<String>,
    seat: Option<String>,
}

/// The answer to a command, with the labels of its seats. The same outcome always reads the same.
pub async fn answered(labels: &Labels, answer: Answer, wait: Option<Wait>) -> Result<Response, StoreError> {
    let Answer::Decided(request) = answer else { return Ok(answer.respond(wait)) };
    let plan = plan_of_refusal(labels, &request).await?;
    let request = labelled(labels, request).await?;
    Ok(Answer::Decided(request).respond_with(wait, |problem| labelled_problem(plan.as_deref(), problem)))
}

/// The same for a request that was looked up.
pub async fn looked_up(labels: &Labels, request: Request) -> Result<Response, StoreError> {
    let Request::Decided(request) = request else { return Ok(request.respond_with(|problem| problem)) };
    let plan = plan_of_refusal(labels, &request).await?;
    let request = labelled(labels, request).await?;
    Ok(Request::Decided(request).respond_with(|problem| labelled_problem(plan.as_deref(), problem)))
}

/// What names the seats of a refusal; other lanes name none.
async fn plan_of_refusal(labels: &Labels, request: &DecidedRequest) -> Result<Option<Arc<Known>>, StoreError> {
    match request.schedule_id {
        Some(schedule) if request.command.lane() == Lane::Seats => labels.plan_of(schedule).await,
        _ => Ok(None),
    }
}

async fn labelled(labels: &Labels, request: Arc<DecidedRequest>) -> Result<Arc<DecidedRequest>, StoreError> {
    let Ok(reply) = &request.outcome else { return Ok(request) };
    match completed(labels, reply).await? {
        Some(reply) => Ok(Arc::new(with_reply(&request, reply))),
        None => Ok(request),
    }
}

/// The result with its labels; `None`: it names no seats, or the date has no plan.
async fn completed(labels: &Labels, RawReply(reply): &RawReply) -> Result<Option<RawReply>, StoreError> {
    let Ok(named) = serde_json::from_str::<Named>(reply.get()) else { return Ok(None) };
    if named.seats.is_empty() && named.seat.is_none() {
        return Ok(None);
    }
    let Some(plan) = labels.plan_of(ScheduleId(named.schedule_id)).await? else { return Ok(None) };
    let label = |seat: &String| seat.parse::<SeatId>().map_or_else(|_| seat.clone(), |seat| plan.label(&seat));
    let member = match &named.seat {
        Some(seat) => ("label", serde_json::to_string(&label(seat))),
        None => ("labels", serde_json::to_string(&named.seats.iter().map(label).collect::<Vec<_>>())),
    };
    let (name, Ok(value)) = member else { return Ok(None) };
    // An object with members, so its last character is the brace.
    let Some(open) = reply.get().trim_end().strip_suffix('}') else { return Ok(None) };
    Ok(RawValue::from_string(format!("{open},\"{name}\":{value}}}")).ok().map(RawReply))
}

fn with_reply(request: &DecidedRequest, reply: RawReply) -> DecidedRequest {
    DecidedRequest {
        request_id: request.request_id,
        command: request.command,
        user_id: request.user_id.clone(),
        by: request.by.clone(),
        schedule_id: request.schedule_id,
        outcome: Ok(reply),
        effects: None,
        decided: request.decided,
    }
}

/// A refusal with seats as printed in the hall, where it names seats.
fn labelled_problem(plan: Option<&Known>, mut problem: Problem) -> Problem {
    let Some(plan) = plan else { return problem };
    problem.detail = spelled_out(plan, &problem.detail);
    match problem.taken().map(|seat| plan.label(seat)) {
        Some(label) => problem.labelled(label),
        None => problem,
    }
}

/// A sentence with labels in the place of `seat A-12`.
fn spelled_out(plan: &Known, text: &str) -> String {
    let mut parts = text.split("seat ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match label_at_start(plan, part) {
            Some((label, rest)) => out.extend([label.as_str(), rest]),
            None => out.extend(["seat ", part]),
        }
    }
    out
}

/// The seat that a text begins with, and what follows it. A section's name may have hyphens and digits of its own.
fn label_at_start<'t>(plan: &Known, text: &'t str) -> Option<(String, &'t str)> {
    let ends = text.match_indices('-').map(|(at, _)| {
        let number = &text[at + 1..];
        at + 1 + number.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(number.len())
    });
    let label = |end: usize| {
        let seat: SeatId = text[..end].parse().ok()?;
        Some((plan.plan.label(seat.section.as_str(), seat.number)?, &text[end..]))
    };
    ends.filter_map(label).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Format, read};

    #[test]
    fn a9_a_sentence_names_seats_as_the_hall_does() {
        let sheet = "section,row,seat,category\nA-1,C,11,R\nA-1,C,12,R\n";
        let plan = Known::of(read(sheet.as_bytes(), Some(Format::Csv), "Haus").unwrap().plan);
        for (text, expected) in [
            ("seat A-1-1 is taken", "A-1, row C, seat 11 is taken"),
            (
                "seat A-1-2 is for the companion of seat A-1-1",
                "A-1, row C, seat 12 is for the companion of A-1, row C, seat 11",
            ),
            (
                "there is no seat A-1-9: the seats of this section are 1 to 2",
                "there is no seat A-1-9: the seats of this section are 1 to 2",
            ),
            ("there is no section B", "there is no section B"),
            ("", ""),
        ] {
            assert_eq!(spelled_out(&plan, text), expected);
        }
    }
}
