//! Whether clients were told what is so: the same each time, and nothing that was accepted is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use turnstile::domain::RequestId;
use turnstile::domain::command::Body;
use turnstile::log::{Log, Topic};
use turnstile::store::{RequestRow, lane_partitions};
use turnstile::wire;

use crate::history::{Answer, Asked};
use crate::referee::{Case, Judged, must, understood};
use crate::users::ADMIN;
use crate::world::World;

/// What was answered 202, and what the log acknowledged, is decided.
pub fn accepted(world: &World, rows: &[RequestRow]) -> Judged {
    let decided: BTreeSet<RequestId> = rows.iter().map(|row| row.request_id).collect();
    for asked in world.history.all() {
        let known = asked.request_id.is_some_and(|id| decided.contains(&id));
        must!(known || !asked.accepted, "{} {} was accepted and never decided", asked.method, asked.path);
        must!(known || !asked.is_told(), "{} {} was answered and is not there", asked.method, asked.path);
    }
    for id in world.history.all_sent() {
        must!(decided.contains(&id), "{id} was acknowledged by the log and never decided");
    }
    Ok(())
}

/// What a client sent is one request, however often it was sent and whatever happened to it: by the trace it carries.
pub fn sent_once(world: &World) -> Judged {
    let mut ids: BTreeMap<u64, BTreeSet<RequestId>> = BTreeMap::new();
    for here in lane_partitions(world.log.partitions()) {
        for record in world.log.all(Topic::Lane(here.lane), here.partition) {
            let Some(command) = understood(&record) else { continue };
            let trace = record.headers.iter().find(|(name, _)| name == wire::headers::TRACEPARENT);
            let number =
                trace.and_then(|(_, text)| u64::from_str_radix(std::str::from_utf8(text).ok()?.get(3..35)?, 16).ok());
            let by_user = command.body.user_id().is_some() && !is_internal(&command.body);
            if let Some(number) = number.filter(|_| by_user) {
                ids.entry(number).or_default().insert(command.request_id);
            }
        }
    }
    for (at, asked) in world.history.all().into_iter().enumerate() {
        let Some(found) = ids.remove(&(at as u64 + 1)) else { continue };
        must!(found.len() == 1, "{} {} became {} requests", asked.method, asked.path, found.len());
        let id = asked.request_id;
        must!(id.is_none_or(|id| found.contains(&id)), "{} {} is another request", asked.method, asked.path);
    }
    Ok(())
}

/// What one lane asks of another carries the trace of what led to it.
pub fn is_internal(body: &Body) -> bool {
    match body {
        Body::DebitWallet(debit) => debit.origin.is_some(),
        Body::CreditWallet(_) | Body::SettlePayment(_) | Body::CompleteToken(_) => true,
        _ => false,
    }
}

/// What clients were told is what is so, and the same each time.
pub fn told(world: &World, cases: &[Case]) -> Judged {
    let by_id: BTreeMap<RequestId, &Case> = cases.iter().map(|case| (case.row.request_id, case)).collect();
    let all = world.history.all();
    for asked in &all {
        let Some(case) = asked.request_id.and_then(|id| by_id.get(&id)) else { continue };
        let own = match &case.command.body {
            Body::ChargeWallet(c) => asked.body["amount"] == c.amount,
            Body::DebitWallet(c) => asked.body["amount"] == c.amount,
            Body::PayReservation(c) => asked.body["amount"].as_i64() == c.amount,
            _ => true,
        };
        let shown = shown(case, asked);
        let told = |answer: &Answer| {
            answer.status == case.row.status.as_str()
                && answer.code.as_deref() == case.outcome["problem"]["code"].as_str()
                && without_token(&answer.result) == shown
                && answer.decided == case.outcome["decided"]
        };
        for answer in &asked.followed {
            must!(told(answer), "{} was told {answer:?}, it is {}", asked.path, case.outcome);
        }
        for answer in &asked.answers {
            let reused = answer.code.as_deref() == Some("idempotency_key_reused");
            must!(
                if own { told(answer) } else { reused },
                "{} with {} was answered {answer:?}, it is {}",
                asked.path,
                asked.body,
                case.outcome
            );
        }
        let rivals = || all.iter().any(|other| other.rival && other.request_id == asked.request_id);
        must!(own || asked.rival || rivals(), "{} has another body on the log", asked.path);
    }
    Ok(())
}

/// The result as this client may see it: what it meant for others is nobody else's business.
fn shown(case: &Case, asked: &Asked) -> Value {
    let mut result = case.outcome["result"].clone();
    let members = ["sequence", "ended", "admitted", "expired"];
    match &case.command.body {
        Body::JoinQueue(_) if result.is_object() => {
            result["poll_after_ms"] = json!(null);
            members.iter().for_each(|name| drop(result.as_object_mut().map(|result| result.remove(*name))));
        }
        _ if asked.user == ADMIN => {}
        _ => members[1..].iter().for_each(|name| drop(result.as_object_mut().map(|result| result.remove(*name)))),
    }
    result
}

/// An answer without what only the front door knows: the token, which must be one, and the pace of polls.
fn without_token(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(members) = result.as_object_mut()
        && members.remove("token").is_some_and(|token| token.as_str().is_some_and(|token| token.len() > 60))
    {
        members.insert("poll_after_ms".into(), Value::Null);
    }
    result
}
