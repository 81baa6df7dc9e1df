//! Each request has exactly one outcome on the topic: the stored one, with the decision's effects beside it. First
//! appearances are in the order of decisions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnstile::domain::{LanePartition, Position, RequestId};
use turnstile::log::{Log, Record, Timestamp, Topic};
use turnstile::store::DeadLetter;
use turnstile::wire;

use super::{header, must};
use crate::cluster::Cluster;
use crate::model::Case;

/// When the outcomes of a decision were first published, ms since the run began.
pub type Published = BTreeMap<Position, u64>;

/// Largest outcome.
const OUTCOME_BYTES_MAX: usize = 256 * 1024;
/// What concerns others than the one who asked.
pub const EFFECTS: [&str; 4] = ["expired", "admitted", "ended", "requeued"];

/// An outcome by its request and the decision that it comes from.
type Id = (RequestId, Position);

struct Topics {
    first: Published,
    by_event: BTreeMap<Vec<u8>, Vec<u8>>,
    records: BTreeMap<Id, BTreeSet<Vec<u8>>>,
}

/// Adds the effects to the cases.
pub fn check(cluster: &Cluster, letters: &[DeadLetter], cases: &mut [Case]) -> Result<Published, String> {
    let headers: BTreeMap<Id, (String, Vec<(String, String)>)> =
        cases.iter().filter(|case| !case.is_nothing()).map(|case| (id(case), expected_headers(case))).collect();
    let mut topics = Topics { first: BTreeMap::new(), by_event: BTreeMap::new(), records: BTreeMap::new() };
    for partition in 0..cluster.log.partitions().of(Topic::Outcomes) {
        let mut last: BTreeMap<LanePartition, u64> = BTreeMap::new();
        for (record, stored_ms) in cluster.log.all_timed(Topic::Outcomes, partition) {
            let Some((id, value)) = topics.add(&record, stored_ms)? else { continue };
            let Position { partition: from, offset } = id.1;
            let last = last.entry(from).or_default();
            let in_order = !cluster.sim.plan.gapless || *last <= offset;
            must!(in_order, "the outcome of {} comes after that of offset {last}", id.1);
            *last = offset.max(*last);
            if value["problem"]["code"] != "idempotency_key_reused" {
                let (key, expected) = headers.get(&id).ok_or_else(|| format!("no request has the outcome {value}"))?;
                check_headers(&record, key, expected).map_err(|why| format!("the outcome of {}: {why}", id.1))?;
            }
        }
    }
    for letter in letters.iter().filter(|letter| letter.unsent_to == Some(Topic::Outcomes)) {
        topics.add_unsent(letter)?;
    }
    for case in cases.iter_mut().filter(|case| !case.is_nothing()) {
        let found = topics.records.remove(&id(case)).unwrap_or_default();
        must!(found.len() == 1, "{}", case.context(&format!("{} outcomes on the topic", found.len())));
        let record = found.first().map(|record| serde_json::from_slice(record)).transpose();
        let record: Option<Value> = record.map_err(|error| error.to_string())?;
        case.effects = without_effects(case, record.unwrap_or_default(), &found)?;
    }
    match topics.records.into_keys().next() {
        None => Ok(topics.first),
        Some((request, position)) => Err(format!("an outcome of {request} at {position} is not in the store")),
    }
}

/// The request's id, and where its outcome was decided.
fn id(case: &Case) -> Id {
    let decided = &case.answer["decided"];
    let number = |name: &str| decided[name].as_u64().unwrap_or(u64::MAX);
    let lane = decided["lane"].as_str().and_then(|lane| lane.parse().ok()).unwrap_or(case.at.position.lane());
    let partition = u32::try_from(number("partition")).unwrap_or(u32::MAX);
    (case.command.request_id, Position::new(lane, partition, number("offset")))
}

/// The record's key, and its headers about the asking command.
fn expected_headers(case: &Case) -> (String, Vec<(String, String)>) {
    let key = case.command.body.routing_key();
    let fingerprint = wire::command::fingerprint(&case.command).0;
    let mut headers = vec![
        (wire::headers::REQUEST_ID.to_owned(), case.command.request_id.to_string()),
        (wire::headers::FINGERPRINT.to_owned(), format!("{fingerprint:016x}")),
    ];
    headers.extend(key.schedule_id().map(|id| (wire::headers::SCHEDULE.to_owned(), id.to_string())));
    (key.to_string(), headers)
}

fn check_headers(record: &Record, key: &str, expected: &[(String, String)]) -> Result<(), String> {
    must!(record.key.as_deref() == Some(key.as_bytes()), "its key is {:?}, not {key}", record.key);
    for (name, value) in expected {
        let found = record.headers.iter().find(|(header, _)| header == name).map(|(_, value)| &value[..]);
        must!(found == Some(value.as_bytes()), "header {name} is not {value}");
    }
    Ok(())
}

/// What the record has besides the stored answer.
fn without_effects(case: &Case, mut record: Value, found: &BTreeSet<Vec<u8>>) -> Result<Value, String> {
    let effects = record.as_object_mut().and_then(|record| record.remove("effects")).unwrap_or_default();
    must!(record == case.answer, "{}", case.context("the outcome on the topic is not the stored one"));
    must!(case.answer.get("effects").is_none(), "{}", case.context("the stored outcome has effects"));
    let leaks = EFFECTS.iter().find(|name| case.answer["result"].get(**name).is_some());
    must!(leaks.is_none(), "{}", case.context(&format!("its result has {leaks:?}")));
    let stored = case.request.as_ref().and_then(|row| row.state.outcome()).unwrap_or_default();
    let equal = !effects.is_null() || found.contains(stored.as_bytes());
    must!(equal, "{}", case.context("the outcome on the topic is spelled differently"));
    Ok(effects)
}

impl Topics {
    /// Takes in an outcome that the log refused for good.
    fn add_unsent(&mut self, letter: &DeadLetter) -> Result<(), String> {
        let record = Record {
            offset: 0,
            timestamp: Timestamp::LogAppend(letter.at.0),
            key: letter.key.clone().map(Into::into),
            value: letter.value.clone().map(Into::into),
            headers: letter.headers.clone(),
            unreadable_headers: 0,
        };
        let added = self.add(&record, u64::MAX)?;
        must!(added.is_some(), "the outcome {} is on its topic and a dead letter", letter.position);
        Ok(())
    }

    /// Takes in a record; `None`: it is a copy of an earlier one.
    fn add(&mut self, record: &Record, stored_ms: u64) -> Result<Option<(Id, Value)>, String> {
        let value = record.value.as_ref().map(|value| value.to_vec()).unwrap_or_default();
        must!(value.len() <= OUTCOME_BYTES_MAX, "an outcome has {} bytes", value.len());
        let event = header(&record.headers, "ce_id").ok_or("an outcome has no ce_id")?;
        if let Some(before) = self.by_event.get(&event) {
            must!(*before == value, "an outcome was published with two contents");
            return Ok(None);
        }
        self.by_event.insert(event, value.clone());
        let view = wire::outcome::decode(&value).map_err(|error| error.to_string())?;
        let id = (view.request_id, view.decided.position);
        let first = self.first.entry(id.1).or_insert(stored_ms);
        *first = stored_ms.min(*first);
        let text: Value = serde_json::from_slice(&value).map_err(|error| error.to_string())?;
        if text["problem"]["code"] != "idempotency_key_reused" {
            self.records.entry(id).or_default().insert(value);
        }
        Ok(Some((id, text)))
    }
}
