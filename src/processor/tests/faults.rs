//! Crashes, outages, fences, commits whose answer is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::{House, charge, pay, reservation_id, succeeded};
use crate::log::{Log, Topic};
use crate::runtime::health::Severity;
use crate::store::{Ownership, Reads, RequestStatus};
use crate::testing::{Call, Fault};

/// Makes the next `times` commits fail this way; says how many are left.
pub(super) fn fail_commits(house: &House, times: u32, fault: Fault) -> Arc<AtomicU32> {
    let left = Arc::new(AtomicU32::new(times));
    let shared = Arc::clone(&left);
    house.store.set_hook(Some(Arc::new(move |call| {
        let take = || shared.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let fault = if matches!(call, Call::Commit(_)) && take() { fault } else { Fault::None };
        async move { fault }.boxed()
    })));
    left
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_delays_and_loses_nothing() {
    for fault in [Fault::Unavailable, Fault::Lost, Fault::Unanswered] {
        let mut house = House::new().await;
        house.ask(charge("alice", 1)).await;
        let left = fail_commits(&house, 5, fault);
        for _ in 0..20 {
            house.send(charge("alice", 10)).await;
        }
        assert!(succeeded(&house.ask(charge("alice", 100)).await));
        assert_eq!(house.balance("alice").await, 301, "{fault:?}");
        if fault != Fault::Unanswered {
            assert_eq!(left.load(Ordering::SeqCst), 0, "{fault:?}");
        }
        let outcomes = house.all_outcomes().await;
        assert_eq!(outcomes.len(), 22, "{fault:?}");
        house.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_killed_at_any_commit_leaves_all_or_nothing() {
    for fault in [Fault::Lost, Fault::Unanswered] {
        let mut house = House::new().await;
        let key = house.open(600_000).await;
        house.ask(charge("alice", 5_000)).await;
        let held = house.hold(&key, "alice", &[1]).await;
        fail_commits(&house, u32::MAX, fault);
        let pay = house.send(pay(&key, "alice", reservation_id(&held))).await;
        tokio::task::yield_now().await;
        house.kill().await;
        house.store.set_hook(None);
        house.worker = Some(house.start("second"));
        let outcome = house.outcome_of(pay).await;
        assert!(succeeded(&outcome), "{outcome:?}");
        assert_eq!(house.balance("alice").await, 4_000);
        assert_eq!(house.status_of(pay).await, Some(RequestStatus::Succeeded));
        house.stop().await;
    }
}

#[tokio::test]
async fn an_owner_that_was_overtaken_commits_nothing_and_rests() {
    let mut house = House::new().await;
    let first = house.ask(charge("alice", 1)).await;
    let partition = first.decided.position.partition;
    let before = house.store.progress(partition).await.expect("readable").expect("acquired");
    let other = house.store.acquire(partition, "somebody else").await.expect("acquired");
    assert_eq!(other.epoch, before.epoch + 1);
    // Still assigned, it is fenced, rests, acquires again and decides the record then, once.
    assert!(succeeded(&house.ask(charge("alice", 10)).await));
    let after = house.store.progress(partition).await.expect("readable").expect("acquired");
    assert!(after.epoch > other.epoch);
    assert_eq!(house.balance("alice").await, 11);
    house.stop().await;
}

/// What it published last tells it, though no batch does.
#[tokio::test(start_paused = true)]
async fn an_owner_that_was_overtaken_with_nothing_to_decide_takes_its_partition_back() {
    let mut house = House::new().await;
    let partition = house.ask(charge("alice", 1)).await.decided.position.partition;
    let other = house.store.acquire(partition, "somebody else").await.expect("acquired");
    let pending = async || {
        let views = house.store.progress_views().await.expect("readable");
        views.into_iter().find(|view| view.partition == partition).expect("acquired")
    };
    assert_eq!(pending().await.outbox_pending, 1, "published, which the store does not know yet");
    while pending().await.outbox_pending > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(pending().await.epoch > other.epoch);
    house.stop().await;
}

#[tokio::test]
async fn a_store_ahead_of_its_log_parks_the_partition_and_the_others_go_on() {
    let mut house = House::new().await;
    let decided = house.ask(charge("alice", 1)).await.decided.position.partition;
    house.stop().await;
    // The same store, a log that was wiped.
    let wiped = House::new().await;
    let mut house = House { store: house.store, ..wiped };
    house.kill().await;
    house.worker = Some(house.start("second"));
    let parked = format!("partition {decided}");
    let failure = loop {
        let found = house.health.snapshot().into_iter().find_map(|(name, f)| f.filter(|_| name == parked));
        if let Some(failure) = found {
            break failure;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(failure.severity, Severity::Degraded);
    assert!(failure.reason.contains("ahead of the log"), "{}", failure.reason);
    let key = house.open(60_000).await;
    assert!(succeeded(&house.hold(&key, "bob", &[1]).await), "other partitions are not concerned");
    assert_eq!(house.log.end_offset(Topic::Lane(decided.lane), decided.partition).await, Ok(0));
    house.stop_worker().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_log_did_not_acknowledge_is_published_again_in_order() {
    let mut house = House::new().await;
    house.ask(charge("alice", 1)).await;
    for stored in [false, true] {
        let asked = house.send(charge("alice", 10)).await;
        house.log.hold_appends();
        // The command is on the log; its outcome waits in the held log until the append fails.
        while house.status_of(asked).await.is_none() {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        house.log.fail_appends(stored);
        assert!(succeeded(&house.outcome_of(asked).await));
    }
    assert_eq!(house.balance("alice").await, 21);
    house.stop().await;
}

#[tokio::test]
async fn a_second_worker_shares_the_partitions_and_takes_over_when_the_first_dies() {
    let mut house = House::new().await;
    let key = house.open(60_000).await;
    let second = house.start("second");
    for n in 1..=20 {
        assert!(succeeded(&house.ask(charge(&format!("user-{n}"), n)).await));
    }
    house.kill().await;
    for n in 1..=20 {
        assert!(succeeded(&house.ask(charge(&format!("user-{n}"), n)).await));
        assert_eq!(house.balance(&format!("user-{n}")).await, 2 * n);
    }
    assert!(succeeded(&house.hold(&key, "bob", &[1]).await));
    house.worker = Some(second);
    house.stop().await;
}
