//! What the log must say after a scenario: every command decided, every outcome published, none in two versions.

use std::collections::{BTreeMap, BTreeSet};

use turnstile::domain::{Body, Code, block, queue};
use turnstile::log::{Log, Record, Topic};
use turnstile::store::{Store, lane_partitions};
use turnstile::wire::{command, outcome};

use super::System;

const OUTCOME_BYTES_MAX: usize = 256 * 1024;

/// Reads the log and the store of a system that has stopped.
pub async fn check(system: &System) {
    let store = system.open_store().await;
    let (log, embedded) = system.open_log().await;
    let log = log.as_ref();
    everything_is_decided(log, store.as_ref()).await;
    let requests = system.client.seen.lock().unwrap().requests.clone();
    outcomes_are_published_and_agree(log, &requests).await;
    if let Some(embedded) = embedded {
        embedded.close().await;
    }
}

/// Offsets in the store are the ends of the log. Only timers may have appended something at the last moment.
async fn everything_is_decided(log: &dyn Log, store: &dyn Store) {
    for partition in lane_partitions(log.partitions()) {
        let progress =
            store.progress(partition).await.expect("the store answers").expect("every partition had an owner");
        let topic = Topic::Lane(partition.lane);
        for record in records(log, topic, partition.partition, progress.next_offset).await {
            let command = command::decode(&record.value.expect("a value")).expect("a command");
            let timer = matches!(
                command.body,
                Body::Seats(block::Command::ExpireHolds(_))
                    | Body::Queues(queue::Command::Tick(_) | queue::Command::Seen(_))
            );
            assert!(timer, "{partition} at {} was left undecided: {command:?}", record.offset);
        }
    }
}

/// Each request the clients saw has its outcome on the feed. It may be there more than once, under the same or another
/// id, but never differently.
async fn outcomes_are_published_and_agree(log: &dyn Log, requests: &BTreeSet<String>) {
    let mut published: BTreeMap<String, String> = BTreeMap::new();
    let mut ids: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for partition in 0..log.partitions().of(Topic::Outcomes) {
        for record in records(log, Topic::Outcomes, partition, 0).await {
            let value = record.value.expect("an outcome has a value");
            assert!(value.len() <= OUTCOME_BYTES_MAX, "an outcome of {} bytes", value.len());
            let id = record.headers.iter().find(|(name, _)| name == "ce_id").expect("CloudEvents headers").1.clone();
            if let Some(before) = ids.insert(id.to_vec(), value.to_vec()) {
                assert_eq!(before, value, "one event id, two contents");
            }
            let decided = outcome::decode(&value).expect("an outcome");
            let said = match &decided.outcome {
                Err(refusal) if refusal.code == Code::IdempotencyKeyReused => continue,
                Err(refusal) => refusal.code.to_string(),
                Ok(reply) => reply.0.get().to_owned(),
            };
            if let Some(before) = published.insert(decided.request_id.to_string(), said.clone()) {
                assert_eq!(before, said, "request {} was decided twice, differently", decided.request_id);
            }
        }
    }
    for request in requests {
        assert!(published.contains_key(request), "no outcome of {request} was ever published");
    }
}

/// From an offset to the end.
pub async fn records(log: &dyn Log, topic: Topic, partition: u32, from: u64) -> Vec<Record> {
    let end = log.end_offset(topic, partition).await.expect("the log answers");
    let mut records: Vec<Record> = Vec::new();
    let mut next = from.max(log.first_offset(topic, partition).await.expect("the log answers"));
    if next >= end {
        return records;
    }
    let mut reader = log.read(topic, partition, next).await.expect("the log can be read");
    while next < end {
        let more = reader.next(1000, 1 << 20).await.expect("the log can be read");
        next = more.last().expect("at least one").offset + 1;
        records.extend(more);
    }
    records
}
