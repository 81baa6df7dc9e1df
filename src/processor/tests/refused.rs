//! Appends that the log refuses: for another record's sake, for good, or until an operator has changed something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::faults::fail_commits;
use super::{House, all, charge, succeeded};
use crate::log::{AppendError, Log, NewRecord, Record, Topic};
use crate::runtime::health::Severity;
use crate::store::{DeadLetter, DeadLetters, Outbox, UNSENT_OFFSET, lane_partitions};
use crate::testing::{Fault, Judge};
use crate::wire::headers::{POSITION, REASON, request_id_of};

fn refused() -> Option<AppendError> {
    Some(AppendError::Refused("as the judge wants it".to_owned()))
}

/// Judges the outcomes of this user.
fn outcomes_of(user: &'static str, judge: impl Fn() -> Option<AppendError> + Send + Sync + 'static) -> Judge {
    let is_it = move |topic: Topic, record: &NewRecord| topic == Topic::Outcomes && record.key == user;
    Arc::new(move |topic, record| if is_it(topic, record) { judge() } else { None })
}

async fn letters(house: &House) -> Vec<DeadLetter> {
    let views = house.store.dead_letters(all()).await.expect("readable");
    views.into_iter().map(|view| view.letter).collect()
}

/// Waits, in virtual time.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not in time");
}

#[tokio::test(start_paused = true)]
async fn a_row_refused_with_its_batch_is_published_by_itself() {
    let mut house = House::new().await;
    let left = AtomicU32::new(3);
    let judge = move || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).ok();
    house.log.set_judge(Some(outcomes_of("alice", move || judge().and_then(|_| refused()))));
    assert!(succeeded(&house.ask(charge("alice", 1)).await));
    assert_eq!(letters(&house).await, []);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_refused_for_good_is_a_dead_letter_and_holds_up_none_behind_it() {
    let mut house = House::new().await;
    house.log.set_judge(Some(outcomes_of("alice", refused)));
    let asked = house.send(charge("alice", 10)).await;
    until("the letter is kept", async || letters(&house).await.len() == 1).await;
    let letter = letters(&house).await.remove(0);
    assert!(letter.position.offset >= UNSENT_OFFSET, "{}", letter.position);
    assert_eq!((letter.unsent_to, letter.key.as_deref()), (Some(Topic::Outcomes), Some(&b"alice"[..])));
    assert!(letter.reason.contains("as the judge wants it"), "{}", letter.reason);
    let value = String::from_utf8(letter.value.clone().expect("a value")).expect("JSON");
    assert!(value.contains(&asked.to_string()), "{value}");
    // Those behind it, on its own partition and on the other one.
    for user in ["bob", "carol", "dave", "eve"] {
        assert!(succeeded(&house.ask(charge(user, 5)).await), "{user}");
    }
    let published = published_letters(&house, 1).await;
    let header =
        |name: &str| published[0].headers.iter().find(|(header, _)| header == name).map(|(_, value)| &value[..]);
    assert_eq!(header(POSITION), Some(letter.position.to_string().as_bytes()));
    assert_eq!(header(REASON), Some(letter.reason.as_bytes()));
    until("the outbox is empty", async || {
        for partition in lane_partitions(house.log.partitions()) {
            if !house.store.outbox(partition, 0, 1).await.expect("readable").is_empty() {
                return false;
            }
        }
        true
    })
    .await;
    house.stop().await;
}

async fn published_letters(house: &House, count: usize) -> Vec<Record> {
    let mut reader = house.log.read(Topic::DeadLetters, 0, 0).await.expect("readable");
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(reader.next(10, usize::MAX).await.expect("readable"));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_allow_waits_and_operators_see_it() {
    let mut house = House::new().await;
    let denied = || Some(AppendError::Denied("no access".to_owned()));
    house.log.set_judge(Some(outcomes_of("alice", denied)));
    let asked = house.send(charge("alice", 10)).await;
    let reason = |house: &House| {
        let checks = house.health.snapshot().into_iter();
        let mut partitions = checks.filter(|(name, _)| name.starts_with("partition wallets."));
        let degraded = partitions.find_map(|(_, failure)| failure.filter(|of| of.severity == Severity::Degraded));
        degraded.map(|failure| failure.reason)
    };
    until("the check fails", async || reason(&house).is_some()).await;
    let shown = reason(&house).unwrap_or_default();
    assert!(shown.contains("while publishing: the log does not allow it: no access"), "{shown}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(reason(&house).is_some());
    assert_eq!(letters(&house).await, []);
    house.log.set_judge(None);
    assert!(succeeded(&house.outcome_of(asked).await));
    until("the check is gone", async || reason(&house).is_none()).await;
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_appended_behind_a_failure_that_comes_while_the_queue_is_full() {
    let mut house = House::new().await;
    house.ask(charge("alice", 1)).await;
    fail_commits(&house, u32::MAX, Fault::Unavailable);
    let first = house.send(charge("alice", 10)).await;
    let second = house.send(charge("alice", 100)).await;
    // The first outcome is under way when the queue is full.
    house.log.hold_appends();
    let refusals = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&refusals);
    house.log.set_judge(Some(Arc::new(move |topic, record| {
        let is_second = topic == Topic::Outcomes && request_id_of(&record.headers) == Some(second);
        is_second.then(|| {
            counted.fetch_add(1, Ordering::SeqCst);
            AppendError::Backlog
        })
    })));
    house.store.set_hook(None);
    until("the queue is full", async || refusals.load(Ordering::SeqCst) > 3).await;
    house.log.fail_appends(false);
    house.log.set_judge(None);
    house.outcome_of(second).await;
    let order: Vec<_> = house.all_outcomes().await.into_iter().map(|outcome| outcome.request_id).collect();
    let place = |id| order.iter().position(|other| *other == id).expect("published");
    assert!(place(first) < place(second), "{order:?}");
    house.stop().await;
}
