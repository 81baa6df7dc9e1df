//! A partition that has work and makes no progress is shown, and no longer than that.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{advance, sleep};

use super::{House, charge, succeeded};
use crate::domain::LanePartition;
use crate::log::{Log, Topic};
use crate::runtime::health::{Failure, Severity};
use crate::testing::{Call, Fault};

fn shown(house: &House, partition: LanePartition) -> Option<Failure> {
    let check = format!("partition {partition}");
    let found = house.health.snapshot().into_iter().find(|(name, _)| *name == check);
    found.expect("it is owned").1
}

/// Why this partition is degraded, if it is.
fn reason(house: &House, partition: LanePartition) -> Option<String> {
    let failure = shown(house, partition).filter(|failure| failure.severity == Severity::Degraded);
    failure.map(|failure| failure.reason)
}

async fn seconds(count: u64) {
    // One after another: what a task does in a second may let another begin.
    for _ in 0..count {
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_repeated_for_long_is_shown_until_it_succeeds() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    house.store.set_hook(Some(std::sync::Arc::new(move |call| {
        let fault = if call == Call::Commit(here) { Fault::Unavailable } else { Fault::None };
        async move { fault }.boxed()
    })));
    let asked = house.send(charge("alice", 10)).await;
    seconds(3).await;
    let trouble = shown(&house, here).expect("it is noted at once");
    assert_eq!(trouble.severity, Severity::Notice);
    assert!(trouble.reason.starts_with("committing: the store is"), "{}", trouble.reason);
    seconds(12).await;
    assert_eq!(reason(&house, here), None);
    seconds(10).await;
    let shown = reason(&house, here).expect("no progress for 25 s");
    assert!(shown.starts_with("waiting: no progress for 2") && shown.contains("committing: the store is"), "{shown}");
    house.store.set_hook(None);
    assert!(succeeded(&house.outcome_of(asked).await));
    assert_eq!(reason(&house, here), None);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_shown_with_the_logs_error() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let place = (Topic::Lane(here.lane), here.partition);
    house.log.damage(place, 1..2);
    let asked = house.send(charge("alice", 10)).await;
    seconds(25).await;
    let shown = reason(&house, here).expect("no progress for 25 s");
    assert!(shown.contains("reading the log: the records from 1 on are damaged"), "{shown}");
    house.log.damage(place, 0..0);
    assert!(succeeded(&house.outcome_of(asked).await));
    assert_eq!(reason(&house, here), None);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_recovers_on_an_idle_partition_is_not_shown_any_longer() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let place = (Topic::Lane(here.lane), here.partition);
    house.log.damage(place, 1..2);
    seconds(25).await;
    assert!(reason(&house, here).is_some());
    house.log.damage(place, 0..0);
    seconds(3).await;
    assert_eq!(reason(&house, here), None, "no record came, and none is there");
    assert_eq!(house.log.end_offset(place.0, place.1).await, Ok(1));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_the_log_does_not_take_are_shown() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let asked = house.send(charge("alice", 10)).await;
    house.log.hold_appends();
    seconds(25).await;
    let shown = reason(&house, here).expect("no progress for 25 s");
    assert!(shown.contains("while publishing"), "{shown}");
    house.log.release_appends();
    assert!(succeeded(&house.outcome_of(asked).await));
    advance(Duration::from_millis(1)).await;
    assert_eq!(reason(&house, here), None);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_work_is_never_shown() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    for _ in 0..10 {
        seconds(60).await;
        assert_eq!(reason(&house, here), None);
    }
    house.stop().await;
}
