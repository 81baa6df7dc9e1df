//! Whether clients were answered what was decided, the same each time, and nothing that was accepted is lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use turnstile::domain::{Body, RequestId, block, queue, wallet};
use turnstile::log::{Log, Topic};
use turnstile::store::{RequestRow, lane_partitions};
use turnstile::wire;

use crate::cluster::Cluster;
use crate::history::{Answer, Operation};
use crate::model::Case;
use crate::oracle::{Checked, decided_ids, must, understood};

/// What was answered 202 and what the log acknowledged is decided.
pub fn accepted(cluster: &Cluster, requests: &[RequestRow]) -> Checked {
    let decided = decided_ids(requests);
    for operation in cluster.history.operations() {
        let known = operation.request_id.is_some_and(|id| decided.contains(&id));
        let Operation { method, path, .. } = &operation;
        must!(known || !operation.accepted, "{method} {path} was accepted and never decided");
        must!(known || !operation.is_answered(), "{method} {path} was answered and is not in the store");
    }
    for id in cluster.history.all_appended() {
        must!(decided.contains(&id) || is_timer(cluster, id), "{id} was acknowledged by the log and never decided");
    }
    Ok(())
}

/// A timer's record that finds nothing has no request.
fn is_timer(cluster: &Cluster, id: RequestId) -> bool {
    let records = lane_partitions(cluster.log.partitions())
        .flat_map(|here| cluster.log.all(Topic::Lane(here.lane), here.partition));
    let mut commands = records.filter_map(|record| understood(&record)).filter(|command| command.request_id == id);
    commands.all(|command| matches!(command.body, Body::Seats(block::Command::ExpireHolds(_))))
}

/// An operation of a client is one request, whatever happened to its attempts: by the trace that its records carry.
pub fn sent_once(cluster: &Cluster) -> Checked {
    let mut ids: BTreeMap<u64, BTreeSet<RequestId>> = BTreeMap::new();
    for here in lane_partitions(cluster.log.partitions()) {
        for record in cluster.log.all(Topic::Lane(here.lane), here.partition) {
            let Some(command) = understood(&record) else { continue };
            let trace = record.headers.iter().find(|(name, _)| name == wire::headers::TRACEPARENT);
            let number =
                trace.and_then(|(_, text)| u64::from_str_radix(std::str::from_utf8(text).ok()?.get(3..35)?, 16).ok());
            // Follow-ups carry the trace of their cause.
            if let Some(number) = number.filter(|_| !command.body.is_internal()) {
                ids.entry(number).or_default().insert(command.request_id);
            }
        }
    }
    for (number, operation) in cluster.history.operations().into_iter().enumerate() {
        let Some(found) = ids.remove(&(number as u64 + 1)) else { continue };
        let Operation { method, path, request_id, .. } = &operation;
        must!(found.len() == 1, "{method} {path} became {} requests", found.len());
        must!(request_id.is_none_or(|id| found.contains(&id)), "{method} {path} is another request");
    }
    Ok(())
}

/// Each answer is the request's outcome.
pub fn answered(cluster: &Cluster, cases: &[Case]) -> Checked {
    // Nobody asks later on.
    let in_time = |case: &&Case| cluster.later.get().is_none_or(|later| case.time() < *later);
    let clients = cases.iter().filter(in_time).filter(|case| !case.command.body.is_internal());
    let by_id: BTreeMap<RequestId, &Case> = clients.map(|case| (case.command.request_id, case)).collect();
    let all = cluster.history.operations();
    for operation in &all {
        let Some(case) = operation.request_id.and_then(|id| by_id.get(&id)) else { continue };
        let (path, own) = (&operation.path, is_own(operation, case));
        for answer in &operation.polled {
            must!(is_outcome(answer, case), "{path} was answered {answer:?}, the outcome is {}", case.answer);
        }
        for answer in &operation.answers {
            let reused = answer.code.as_deref() == Some("idempotency_key_reused");
            let right = if own { is_outcome(answer, case) } else { reused };
            must!(right, "{path} with {} was answered {answer:?}, the outcome is {}", operation.body, case.answer);
        }
        let conflicting = || all.iter().any(|other| other.conflicting && other.request_id == operation.request_id);
        must!(own || operation.conflicting || conflicting(), "{path} has another body on the log");
    }
    Ok(())
}

/// Whether the command on the log is the one that this operation sent.
fn is_own(operation: &Operation, case: &Case) -> bool {
    let amount = &operation.body["amount"];
    match &case.command.body {
        Body::Wallets(wallet::Command::ChargeWallet(c) | wallet::Command::DebitWallet(c)) => *amount == c.amount,
        Body::Seats(block::Command::PayReservation(c)) => amount.as_i64() == c.amount,
        _ => true,
    }
}

fn is_outcome(answer: &Answer, case: &Case) -> bool {
    let code = case.answer["problem"]["code"].as_str();
    case.answer["status"] == answer.status
        && answer.code.as_deref() == code
        && without_token(&answer.result) == shown(case)
        && answer.decided == case.answer["decided"]
}

/// The stored result as a client sees it.
fn shown(case: &Case) -> Value {
    let mut result = case.result().clone();
    if let (Body::Queues(queue::Command::JoinQueue(_)), Some(members)) = (&case.command.body, result.as_object_mut()) {
        members.remove("sequence");
        members.insert("poll_after_ms".to_owned(), json!(null));
    }
    result
}

/// An answer without what only the API server knows: the token, which must be one, and the interval between polls.
fn without_token(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(members) = result.as_object_mut()
        && members.remove("token").is_some_and(|token| token.as_str().is_some_and(|token| token.len() > 60))
    {
        members.insert("poll_after_ms".into(), Value::Null);
    }
    result
}
