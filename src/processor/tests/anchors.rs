//! The store knows its log: by the last decided record, not by offsets alone.

use std::sync::Arc;

use super::{House, charge, new, succeeded};
use crate::domain::LanePartition;
use crate::log::{Log, Record, Topic};
use crate::store::{Ownership, Store};
use crate::testing::{FaultyStore, MemoryStore};

impl House {
    /// The worker is gone, the log is another one, the store stays.
    async fn on_another_log(self) -> House {
        let mut wiped = House::new().await;
        wiped.kill().await;
        House { store: self.store, ..wiped }
    }

    fn restart(&mut self) {
        self.worker = Some(self.start("second"));
    }

    /// Why the partition is parked, once it is.
    async fn parked(&self, partition: LanePartition) -> String {
        let name = format!("partition {partition}");
        loop {
            let checks = self.health.snapshot().into_iter();
            match checks.filter(|(check, _)| *check == name).find_map(|(_, failure)| failure) {
                Some(failure) => return failure.reason,
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn records(&self, place: (Topic, u32)) -> Vec<Record> {
        let mut reader = self.log.read(place.0, place.1, 0).await.expect("readable");
        reader.next(1_000, usize::MAX).await.expect("readable")
    }

    /// Puts these records there as they are, with their times.
    fn copy(&self, place: (Topic, u32), records: Vec<Record>) {
        for record in records {
            self.log.put(place, record.key, record.value, record.headers, record.timestamp).expect("a partition");
        }
    }
}

/// A house whose worker decided three charges of alice and stopped, and their partition.
async fn decided() -> (House, LanePartition, (Topic, u32)) {
    let mut house = House::new().await;
    let mut position = None;
    for _ in 0..3 {
        position = Some(house.ask(charge("alice", 100)).await.decided.position);
    }
    house.stop().await;
    let partition = position.expect("three were decided").partition;
    (house, partition, (Topic::Lane(partition.lane), partition.partition))
}

#[tokio::test]
async fn a_log_restored_whole_is_recognized() {
    let (before, _, place) = decided().await;
    let records = before.records(place).await;
    let mut house = before.on_another_log().await;
    house.copy(place, records);
    house.restart();
    assert!(succeeded(&house.ask(charge("alice", 1)).await));
    assert_eq!(house.balance("alice").await, 301);
    house.stop().await;
}

#[tokio::test]
async fn a_log_restored_from_an_older_copy_is_refused_also_when_it_has_grown_since() {
    let (before, partition, place) = decided().await;
    let mut records = before.records(place).await;
    let mut house = before.on_another_log().await;
    records.truncate(2);
    house.copy(place, records);
    for _ in 0..2 {
        house.append_to(place, &new(charge("alice", 100))).await;
    }
    house.restart();
    let reason = house.parked(partition).await;
    assert!(reason.contains("another log than the one the store was filled from: at offset 2"), "{reason}");
    let progress = house.store.progress(partition).await.expect("readable").expect("acquired");
    assert_eq!((progress.next_offset, house.balance("alice").await), (3, 300), "nothing was decided");
    house.stop_worker().await;
}

#[tokio::test]
async fn a_topic_that_was_recreated_is_refused_whatever_its_length() {
    let (before, partition, place) = decided().await;
    let mut house = before.on_another_log().await;
    for _ in 0..2 {
        house.append_to(place, &new(charge("alice", 100))).await;
    }
    house.restart();
    let reason = house.parked(partition).await;
    assert!(reason.contains("ahead of the log") && reason.contains("ends at 2"), "{reason}");
    for _ in 0..5 {
        house.append_to(place, &new(charge("alice", 100))).await;
    }
    while !house.parked(partition).await.contains("has another one") {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.balance("alice").await, 300);
    house.stop_worker().await;
}

#[tokio::test]
async fn a_log_without_the_last_decided_record_is_refused() {
    let (before, partition, place) = decided().await;
    let records = before.records(place).await;
    let mut house = before.on_another_log().await;
    house.copy(place, records);
    house.append_to(place, &new(charge("alice", 1))).await;
    house.log.remove(place, 2);
    house.restart();
    let reason = house.parked(partition).await;
    assert!(reason.contains("the log has none"), "{reason}");
    house.stop_worker().await;
}

#[tokio::test]
async fn a_trimmed_log_goes_on_as_long_as_nothing_undecided_was_deleted() {
    for (trimmed_to, goes_on) in [(2, true), (3, true), (4, false)] {
        let (mut house, partition, place) = decided().await;
        house.append_to(place, &new(charge("alice", 1))).await;
        house.log.trim(place, trimmed_to);
        house.restart();
        if goes_on {
            assert!(succeeded(&house.ask(charge("alice", 10)).await));
            assert_eq!(house.balance("alice").await, 311, "trimmed to {trimmed_to}");
        } else {
            let reason = house.parked(partition).await;
            assert!(reason.contains("the log begins at 4: the records between were deleted undecided"), "{reason}");
        }
        house.stop_worker().await;
    }
}

#[tokio::test]
async fn a_log_of_which_nothing_was_decided_must_begin_at_its_beginning() {
    let mut house = House::new().await;
    house.kill().await;
    let command = new(charge("alice", 1));
    let place = house.place(&command.body.routing_key());
    let partition = LanePartition { lane: command.body.routing_key().lane(), partition: place.1 };
    house.append_to(place, &command).await;
    house.append_to(place, &new(charge("alice", 1))).await;
    house.log.trim(place, 1);
    house.store = FaultyStore::new(Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    house.restart();
    let reason = house.parked(partition).await;
    assert!(reason.contains("before offset 0 is decided, the log begins at 1"), "{reason}");
    house.stop_worker().await;
}

#[tokio::test]
async fn a_store_restored_from_an_older_copy_decides_the_rest_again() {
    let (before, partition, place) = decided().await;
    let records = before.records(place).await;
    let mut house = House::new().await;
    house.copy(place, records[..2].to_vec());
    // Its store is as it was after two of the three.
    while house.balance("alice").await < 200 {
        tokio::task::yield_now().await;
    }
    house.stop().await;
    house.copy(place, records[2..].to_vec());
    house.restart();
    while house.balance("alice").await < 300 {
        tokio::task::yield_now().await;
    }
    let progress = house.store.progress(partition).await.expect("readable").expect("acquired");
    assert_eq!(progress.anchor, before.store.progress(partition).await.expect("readable").expect("acquired").anchor);
    house.stop().await;
}

#[tokio::test]
async fn what_is_behind_the_anchor_and_decided_is_not_decided_again() {
    let (mut house, partition, place) = decided().await;
    // As if the last two had been stepped over: the anchor stays at the first.
    let records = house.records(place).await;
    let before = house.store.acquire(partition, "operator").await.expect("acquired");
    let batch = crate::store::CommitBatch {
        partition,
        before,
        after: crate::store::Progress { anchor: Some(crate::processor::anchor::of(&records[0])), ..before },
        changes: crate::domain::Changes::Wallets(Vec::new()),
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
        interventions: Vec::new(),
    };
    house.store.commit(&batch).await.expect("committed");
    house.restart();
    assert!(succeeded(&house.ask(charge("alice", 1)).await));
    assert_eq!(house.balance("alice").await, 301);
    house.stop().await;
}
