//! Records on which a partition stands still, and what an operator does about them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{House, Worker, charge, code, name, new, reservation_id, succeeded};
use crate::domain::{Body, Code, Command, Lane, LanePartition, LogTime, Position};
use crate::log::{Timestamp, Topic};
use crate::processor::{Deps, Settings};
use crate::runtime::clock::Clock;
use crate::runtime::health::Severity;
use crate::store::{Act, AuditReads, CommitBatch, DeadLetters, Intervention, Interventions, Offsets, Ownership, Page};
use crate::testing::Fault;
use crate::wire;

const DAY_MS: i64 = 86_400_000;

fn at(offset: u64) -> Offsets {
    Offsets { first: offset, last: offset }
}

pub(super) async fn give(house: &House, partition: LanePartition, act: Act) {
    let (by, reason) = (name("operator"), "ticket 1234".to_owned());
    let given = Clock::System.now();
    let row = Intervention { id: Uuid::now_v7(), partition, act, reason, by, at: given, applied_at: None };
    house.store.intervene(&row).await.expect("given");
}

/// The state of this partition in words, once it stands still.
async fn stands_still(house: &House, partition: LanePartition) -> String {
    let check = format!("partition {partition}");
    loop {
        let found = house.health.snapshot().into_iter().find(|(name, _)| *name == check);
        // Trouble that it goes on with is not standing still.
        if let Some((_, Some(failure))) = found
            && failure.severity != Severity::Notice
        {
            return failure.reason;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Puts a command on the log with this time.
pub(super) fn put(house: &House, command: &Command, time: Timestamp) -> Position {
    let (topic, partition) = house.place(&command.body.routing_key());
    let Topic::Lane(lane) = topic else { unreachable!("commands are on lanes") };
    let value = Some(wire::command::encode(command).into());
    let offset = house.log.put((topic, partition), None, value, Vec::new(), time).expect("a place");
    LanePartition { lane, partition }.at(offset)
}

/// The reasons of all dead letters, newest first.
async fn dead_letters(house: &House) -> Vec<(u64, String)> {
    let letters = house.store.dead_letters(Page { after: None, limit: 100 }).await.expect("readable");
    letters.into_iter().map(|view| (view.letter.position.offset, view.letter.reason)).collect()
}

/// Commits with this command of a client fail for good.
fn refuse(house: &House, command: &Command) {
    let id = command.request_id;
    house.store.set_batch_hook(Some(Arc::new(move |batch: &CommitBatch| {
        let decided = |row: &&crate::store::RequestRow| row.key.id == id && row.state.status().as_str() == "SUCCEEDED";
        if batch.requests.iter().any(|row| decided(&row)) { Fault::Failed } else { Fault::None }
    })));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_parks_its_partition_is_skipped_with_an_outcome_and_a_dead_letter() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let command = new(charge("alice", 10));
    refuse(&house, &command);
    house.append_to(house.place(&command.body.routing_key()), &command).await;
    let behind = house.send(charge("alice", 100)).await;
    assert!(stands_still(&house, here).await.starts_with("parked: "));
    give(&house, here, Act::Skip(at(1))).await;
    let skipped = house.outcome_of(command.request_id).await;
    assert_eq!(code(&skipped), Some(Code::SkippedByOperator));
    assert!(succeeded(&house.outcome_of(behind).await));
    assert_eq!(house.balance("alice").await, 101);
    assert_eq!(dead_letters(&house).await, [(1, "skipped by operator: ticket 1234".to_owned())]);
    let rows = house.store.interventions(here, 0).await.expect("readable");
    assert!(rows.len() == 1 && rows[0].applied_at.is_some());
    // Its repeat gets the same answer, not another try.
    house.store.set_batch_hook(None);
    house.append_to(house.place(&command.body.routing_key()), &command).await;
    assert!(succeeded(&house.ask(charge("alice", 1_000)).await));
    assert_eq!(house.balance("alice").await, 1_101);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_read_are_skipped_up_to_the_last_one_given() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let place = (Topic::Lane(here.lane), here.partition);
    house.log.damage(place, 1..3);
    let lost = [house.send(charge("alice", 10)).await, house.send(charge("alice", 10)).await];
    let readable = house.send(charge("alice", 20)).await;
    let behind = house.send(charge("alice", 100)).await;
    assert!(stands_still(&house, here).await.contains("damaged"));
    give(&house, here, Act::Skip(Offsets { first: 1, last: 3 })).await;
    assert_eq!(code(&house.outcome_of(readable).await), Some(Code::SkippedByOperator), "it could be read");
    assert!(succeeded(&house.outcome_of(behind).await));
    assert_eq!(house.balance("alice").await, 101);
    assert_eq!(dead_letters(&house).await.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [3, 2, 1]);
    assert!(house.all_outcomes().await.iter().all(|outcome| !lost.contains(&outcome.request_id)));
    // Another machine may read what this one could not.
    house.log.damage(place, 0..0);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_skip_given_for_a_record_that_has_not_stood_still_is_not_applied() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let place = (Topic::Lane(here.lane), here.partition);
    house.log.damage(place, 1..3);
    house.send(charge("alice", 10)).await;
    let readable = house.send(charge("alice", 100)).await;
    stands_still(&house, here).await;
    // By mistake also for the next one, which cannot be read for a moment only.
    give(&house, here, Act::Skip(at(2))).await;
    give(&house, here, Act::Skip(at(1))).await;
    // Reading behind the skipped record fails, and operators are asked once a second.
    sleep(Duration::from_secs(5)).await;
    house.log.damage(place, 0..0);
    assert!(succeeded(&house.outcome_of(readable).await), "it could be decided");
    assert_eq!(house.balance("alice").await, 101);
    assert_eq!(dead_letters(&house).await.len(), 1);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_audit_steps_over_what_cannot_be_read_there_either() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    house.log.damage((Topic::Lane(here.lane), here.partition), 1..3);
    for _ in 0..2 {
        house.send(charge("alice", 10)).await;
    }
    stands_still(&house, here).await;
    give(&house, here, Act::Skip(Offsets { first: 1, last: 2 })).await;
    assert!(succeeded(&house.ask(charge("alice", 100)).await));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_skip_that_begins_elsewhere_is_not_applied() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    house.log.damage((Topic::Lane(here.lane), here.partition), 1..2);
    house.send(charge("alice", 10)).await;
    house.send(charge("alice", 100)).await;
    stands_still(&house, here).await;
    give(&house, here, Act::Skip(at(2))).await;
    give(&house, here, Act::Skip(Offsets { first: 0, last: 1 })).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(house.store.progress(here).await.expect("readable").expect("owned").next_offset, 1);
    house.log.damage((Topic::Lane(here.lane), here.partition), 0..0);
    assert!(succeeded(&house.ask(charge("alice", 1_000)).await));
    assert_eq!(house.balance("alice").await, 1_111, "what can be decided after all is decided");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_ahead_of_the_clock_waits_until_an_operator_gives_its_time() {
    let mut house = House::new().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let now = Clock::System.now();
    let ahead = new(charge("alice", 10));
    put(&house, &ahead, Timestamp::LogAppend(now.0 + DAY_MS));
    let behind = house.send(charge("alice", 100)).await;
    let reason = stands_still(&house, here).await;
    assert!(reason.starts_with("waiting: offset 1 has log time"), "{reason}");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(house.balance("alice").await, 1);
    give(&house, here, Act::Time { offsets: at(1), time: now }).await;
    assert_eq!(house.outcome_of(ahead.request_id).await.decided.time, now);
    assert!(house.outcome_of(behind).await.decided.time.0 < now.0 + DAY_MS, "log time did not jump");
    assert_eq!(house.balance("alice").await, 111);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_given_time_is_never_below_the_last_one() {
    let mut house = House::new().await;
    let first = house.ask(charge("alice", 1)).await.decided;
    let ahead = new(charge("alice", 10));
    put(&house, &ahead, Timestamp::LogAppend(first.time.0 + DAY_MS));
    stands_still(&house, first.position.partition).await;
    give(&house, first.position.partition, Act::Time { offsets: at(1), time: LogTime(5) }).await;
    assert_eq!(house.outcome_of(ahead.request_id).await.decided.time, first.time);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_with_its_producers_time_waits_for_an_operator() {
    let mut house = House::new().await;
    let first = house.ask(charge("alice", 1)).await.decided;
    let stamped = [new(charge("alice", 10)), new(charge("alice", 20))];
    for command in &stamped {
        put(&house, command, Timestamp::Create(first.time.0));
    }
    let reason = stands_still(&house, first.position.partition).await;
    assert!(reason.contains("LogAppendTime"), "{reason}");
    give(&house, first.position.partition, Act::Time { offsets: at(1), time: first.time }).await;
    assert!(succeeded(&house.outcome_of(stamped[0].request_id).await));
    sleep(Duration::from_secs(3)).await;
    give(&house, first.position.partition, Act::Skip(at(2))).await;
    assert_eq!(code(&house.outcome_of(stamped[1].request_id).await), Some(Code::SkippedByOperator));
    assert_eq!(house.balance("alice").await, 11);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_skipped_settlement_says_which_payment_waits_for_it() {
    let mut house = House::new().await;
    let key = house.open(600_000).await;
    house.ask(charge("alice", 5_000)).await;
    let held = house.hold(&key, "alice", &[1]).await;
    // The wallet's answer comes to the seats lane, where its commit fails.
    house.store.set_batch_hook(Some(Arc::new(|batch: &CommitBatch| {
        let settles = batch.requests.iter().any(|row| row.command.as_str() == "settle_payment");
        let skips = !batch.dead_letters.is_empty();
        if settles && !skips { Fault::Failed } else { Fault::None }
    })));
    house.send(super::pay(&key, "alice", reservation_id(&held))).await;
    let here = held.decided.position.partition;
    stands_still(&house, here).await;
    let offset = house.store.progress(here).await.expect("readable").expect("owned").next_offset;
    give(&house, here, Act::Skip(at(offset))).await;
    assert!(succeeded(&house.hold(&key, "bob", &[2]).await), "the partition goes on");
    let letters = dead_letters(&house).await;
    assert!(letters[0].1.contains("; payment ") && letters[0].1.ends_with(" waits for it"), "{letters:?}");
    assert!(house.store.requests_page(None, 100).await.expect("readable").iter().any(|row| row.key.internal));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_which_every_partition_waits_suspects_its_clock() {
    let house = House::new().await;
    let ahead = Clock::System.now().0 + DAY_MS;
    // One that waits on each partition; in the inbox none does.
    for lane in Lane::ALL.into_iter().filter(|lane| *lane != Lane::Inbox) {
        for partition in 0..2 {
            house.log.put((Topic::Lane(lane), partition), None, None, Vec::new(), Timestamp::LogAppend(ahead));
        }
    }
    loop {
        if let Some((_, Some(failure))) = house.health.snapshot().into_iter().find(|(name, _)| name == "clock") {
            assert!(failure.reason.contains("this machine's clock"), "{}", failure.reason);
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    let mut house = house;
    house.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_waits_multiplies_no_timers() {
    let mut house = House::new().await;
    let key = house.open(1_000).await;
    let held = house.hold(&key, "alice", &[1]).await.decided;
    let ahead = new(Body::Seats(crate::domain::block::Command::ExpireHolds(key.clone())));
    put(&house, &ahead, Timestamp::LogAppend(held.time.0 + DAY_MS));
    stands_still(&house, held.position.partition).await;
    sleep(Duration::from_secs(120)).await;
    let (topic, partition) = (Topic::Lane(Lane::Seats), held.position.partition.partition);
    let end = crate::log::Log::end_offset(&house.log, topic, partition).await.expect("readable");
    assert!(end <= held.position.offset + 2 + 6, "{} records were appended", end - held.position.offset - 2);
    give(&house, held.position.partition, Act::Skip(at(held.position.offset + 1))).await;
    let hold = async { house.hold(&key, "bob", &[2]).await }.boxed_local().await;
    assert!(succeeded(&hold));
    house.stop().await;
}

/// With a worker that acquires nothing again by itself while a test runs.
async fn patient_house() -> House {
    let mut house = House::new().await;
    let before = house.worker.take().expect("it runs");
    before.shutdown.cancel();
    before.task.await.expect("no panic").expect("stopped");
    let deps = Deps {
        log: Arc::new(house.log.clone()),
        store: Arc::new(house.store.clone()),
        clock: Clock::System,
        health: house.health.clone(),
    };
    let rest = Duration::from_secs(3_600);
    let settings = Settings { owner: "patient".to_owned(), rest, ..Settings::default() };
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(crate::processor::run(deps, settings, shutdown.clone()));
    house.worker = Some(Worker { name: "patient".to_owned(), shutdown, task });
    house
}

#[tokio::test(start_paused = true)]
async fn f36_a_parked_partition_is_acquired_again_when_an_operator_says_so() {
    let mut house = patient_house().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let command = new(charge("alice", 10));
    refuse(&house, &command);
    house.append_to(house.place(&command.body.routing_key()), &command).await;
    assert!(stands_still(&house, here).await.starts_with("parked: "));
    let epoch = async || house.store.progress(here).await.expect("readable").expect("owned").epoch;
    let before = epoch().await;
    give(&house, here, Act::Acquire).await;
    sleep(Duration::from_secs(60)).await;
    // What stops it is still there: each wish is tried once, not once a second.
    assert!(stands_still(&house, here).await.starts_with("parked: "));
    assert_eq!(epoch().await, before + 1);
    // It is repaired, and goes on long before its rest is over.
    house.store.set_batch_hook(None);
    let asked = tokio::time::Instant::now();
    give(&house, here, Act::Acquire).await;
    assert!(succeeded(&house.outcome_of(command.request_id).await));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let rows = house.store.interventions(here, 0).await.expect("readable");
    assert!(rows.len() == 2 && rows.iter().all(|row| row.applied_at.is_some() && row.by.as_str() == "operator"));
    assert_eq!(house.balance("alice").await, 11);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn f36_a_wish_that_cannot_be_fulfilled_yet_waits_and_is_tried_once() {
    let mut house = patient_house().await;
    let here = house.ask(charge("alice", 1)).await.decided.position.partition;
    let command = new(charge("alice", 10));
    refuse(&house, &command);
    house.append_to(house.place(&command.body.routing_key()), &command).await;
    stands_still(&house, here).await;
    // It gets as far as its own epoch, and no further.
    house.store.set_batch_hook(Some(Arc::new(|_: &CommitBatch| Fault::Failed)));
    give(&house, here, Act::Acquire).await;
    sleep(Duration::from_secs(60)).await;
    let first = async |house: &House| house.store.interventions(here, 0).await.expect("readable").remove(0);
    assert_eq!(first(&house).await.applied_at, None);
    house.store.set_batch_hook(None);
    give(&house, here, Act::Acquire).await;
    assert!(succeeded(&house.outcome_of(command.request_id).await));
    assert!(first(&house).await.applied_at.is_some(), "the next owner that gets that far has fulfilled it");
    house.stop().await;
}
