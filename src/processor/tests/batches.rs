//! Batches without a worker: where they end, what they keep in memory, what they write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use uuid::Uuid;

use super::{charge, name, new, pay};
use crate::domain::Completion;
use crate::domain::block::Block;
use crate::domain::wallet::WalletState;
use crate::domain::{
    Arrival, Asking, BlockKey, Body, Changes, Code, Command, CommandKind, Decision, Lane, LanePartition, LogTime,
    Refusal, RequestId, ReservationId, ScheduleId, UserId,
};
use crate::log::{PartitionCounts, Record, Timestamp};
use crate::processor::aggregates::Cache;
use crate::processor::batch::Batch;
use crate::processor::decider::{DecidedBatch, Decider, Limits};
use crate::processor::decode::{Decoded, Item};
use crate::processor::lanes::LaneAggregate;
use crate::processor::schedule::Found;
use crate::store::{
    AggregateLoads, CommitBatch, Committed, Ownership, Progress, Remember, RequestState, RequestStatus,
};
use crate::testing::{Call, Fault, FaultyStore};
use crate::wire;

pub(super) const COUNTS: PartitionCounts =
    PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
const NOW: LogTime = LogTime(0);

pub(super) fn here(lane: Lane) -> LanePartition {
    LanePartition { lane, partition: 0 }
}

pub(super) fn record(offset: u64, command: &Command) -> Record {
    let value = Some(wire::command::encode(command).into());
    Record {
        offset,
        timestamp: Timestamp::LogAppend(1_000),
        key: None,
        value,
        headers: Vec::new(),
        unreadable_headers: 0,
    }
}

pub(super) fn wallets(changed_rows_max: usize, progress: Progress) -> Decider<WalletState> {
    let limits = Limits { cache_rows_max: 1_000, changed_rows_max };
    Decider::new(here(Lane::Wallets), &COUNTS, limits, progress, Remember::DEFAULT)
}

/// Prefetches and decides.
async fn decide<A: LaneAggregate>(
    decider: &mut Decider<A>,
    store: &dyn AggregateLoads,
    decoded: Decoded<A>,
) -> DecidedBatch<A::Key> {
    decider.prefetch(store, &decoded, false).await.expect("readable");
    decider.decide(decoded, NOW)
}

pub(super) fn decoded<A: LaneAggregate>(decider: &mut Decider<A>, records: Vec<Record>) -> Decoded<A> {
    decider.put(records, NOW);
    decider.take_rest().expect("records")
}

pub(super) async fn commit(store: &FaultyStore, batch: &CommitBatch) {
    assert_eq!(store.commit(batch).await, Ok(Committed::Done));
}

#[tokio::test]
async fn a_full_batch_leaves_the_rest_for_the_next_and_recognizes_repeats_across_them() {
    let store = FaultyStore::in_memory();
    let progress = store.acquire(here(Lane::Wallets), "me").await.expect("acquired");
    // A charge changes a wallet and writes an entry.
    let mut decider = wallets(4, progress);
    let commands: Vec<Command> = (0..5).map(|n| new(charge(&format!("user-{n}"), 10))).collect();
    let order = [0, 1, 2, 0, 3, 1, 4];
    let records = (0..).zip(order).map(|(offset, n)| record(offset, &commands[n])).collect();
    let mut decoded = decoded(&mut decider, records);
    let mut decided = Vec::new();
    loop {
        let batch = decide(&mut decider, &store, decoded).await;
        commit(&store, &batch.commit).await;
        decider.committed(batch.number, batch.commit.after.next_offset);
        decided.push((batch.commit.after.next_offset, batch.commit.requests.len()));
        match decider.take_rest() {
            Some(rest) => decoded = rest,
            None => break,
        }
    }
    assert_eq!(decided, [(2, 2), (5, 2), (7, 1)], "next offset and new requests of each batch");
    assert_eq!(decider.progress().next_offset, 7);
    let users: Vec<UserId> = (0..5).map(|n| name(&format!("user-{n}"))).collect();
    let balances: Vec<i64> =
        store.load_wallets(&users).await.expect("readable").iter().map(|wallet| wallet.balance.get()).collect();
    assert_eq!(balances, [10; 5]);
}

#[tokio::test]
async fn what_was_read_for_a_full_batch_is_not_read_again_for_its_rest() {
    let store = FaultyStore::in_memory();
    let progress = store.acquire(here(Lane::Wallets), "me").await.expect("acquired");
    let mut decider = wallets(2, progress);
    let records = (0..4).map(|n| record(n, &new(charge(&format!("user-{n}"), 10)))).collect();
    let decoded = decoded(&mut decider, records);
    let first = decide(&mut decider, &store, decoded).await;
    decider.committed(first.number, first.commit.after.next_offset);
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    store.set_hook(Some(Arc::new(move |call| {
        counter.fetch_add(usize::from(call == Call::Read), Ordering::SeqCst);
        async { Fault::None }.boxed()
    })));
    let rest = decider.take_rest().expect("three records are left");
    decide(&mut decider, &store, rest).await;
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn each_row_is_written_once_a_batch_as_it_was_last() {
    let store = FaultyStore::in_memory();
    let mut decider = wallets(usize::MAX, Progress::NONE);
    let records = (0..3).map(|n| record(n, &new(charge("alice", 10)))).collect();
    let decoded = decoded(&mut decider, records);
    let batch = decide(&mut decider, &store, decoded).await.commit;
    let Changes::Wallets(rows) = batch.changes else { panic!("another lane") };
    assert_eq!(rows.len(), 4, "one wallet, three entries");
    let balances: Vec<i64> = rows
        .iter()
        .filter_map(|row| match row {
            crate::domain::wallet::Row::Wallet(row) => Some(row.balance.get()),
            _ => None,
        })
        .collect();
    assert_eq!(balances, [30]);
}

#[tokio::test]
async fn the_cache_drops_the_least_recently_used_and_never_what_is_uncommitted_or_was_used_last() {
    let store = FaultyStore::in_memory();
    let mut cache: Cache<WalletState> = Cache::new(4);
    let users: Vec<UserId> = (0..6).map(|n| name(&format!("user-{n}"))).collect();
    cache.load(&store, users[..5].iter(), 1).await.expect("readable");
    let asking = asking(&new(charge("x", 1)));
    let refused = match charge("x", 0) {
        Body::Wallets(command) => command,
        other => panic!("{other:?}"),
    };
    let at = Arrival { position: here(Lane::Wallets).at(0), time: LogTime(1) };
    for n in [1, 2, 3, 4, 0] {
        cache.decide(&users[n], &refused, &asking, &at);
    }
    cache.load(&store, users[5..].iter(), 2).await.expect("readable");
    cache.committed(1, 1);
    assert_eq!(cache.keep(users.iter(), 2), [name("user-1"), name("user-2"), name("user-3")]);
    let mut small: Cache<WalletState> = Cache::new(0);
    small.load(&store, users[..1].iter(), 1).await.expect("readable");
    small.decide(&users[0], &refused, &asking, &at);
    small.committed(1, 1);
    assert!(small.keep(users[..1].iter(), 2).is_empty(), "larger than the bound, it stays");
}

#[tokio::test]
async fn what_nobody_needed_for_ten_minutes_leaves_memory_unless_it_is_uncommitted() {
    const MINUTE: i64 = 60_000;
    let store = FaultyStore::in_memory();
    let mut cache: Cache<WalletState> = Cache::new(1_000);
    let users: Vec<UserId> = (0..3).map(|n| name(&format!("user-{n}"))).collect();
    let asking = asking(&new(charge("x", 1)));
    let Body::Wallets(refused) = charge("x", 0) else { panic!("of wallets") };
    let at = |minutes: i64| Arrival { position: here(Lane::Wallets).at(0), time: LogTime(minutes * MINUTE) };
    cache.load(&store, users.iter(), 1).await.expect("readable");
    users.iter().for_each(|user| drop(cache.decide(user, &refused, &asking, &at(1))));
    cache.committed(1, 1);
    // The first is used again, the second is needed by a batch that is not committed.
    cache.decide(&users[0], &refused, &asking, &at(11));
    cache.keep(users[1..2].iter(), 3);
    cache.committed(2, 2);
    assert_eq!(cache.keep(users.iter(), 3), [name("user-2")]);
}

fn asking(command: &Command) -> Asking {
    Asking { request_id: command.request_id, fingerprint: wire::command::fingerprint(command), by: None }
}

/// Adds what the rules would have decided of this command.
fn put(batch: &mut Batch<Block>, offset: u64, command: &Command, decision: Decision<Block>) {
    let record = record(offset, command);
    let at = batch.next(&record, Some(LogTime(1_000)));
    let mut decoded: Decoded<Block> = Decoded::of(vec![record], here(Lane::Seats), &COUNTS);
    let Some((record, Item::Command(ordered))) = decoded.items.pop_front() else { panic!("not a command") };
    batch.decided(*ordered, decision, 0, at, &record.headers);
}

#[test]
fn a_request_that_waits_in_the_same_batch_is_completed_in_its_row() {
    let key = BlockKey::main(ScheduleId(Uuid::now_v7()));
    let asked = new(pay(&key, "alice", ReservationId(Uuid::now_v7())));
    let earlier = RequestId(Uuid::now_v7());
    let timer = new(Body::Seats(crate::domain::block::Command::ExpireHolds(key.clone())));
    let mut batch: Batch<Block> = Batch::new(here(Lane::Seats), Progress::NONE);
    let follow_up = Body::Queues(crate::domain::queue::Command::Tick(key.schedule_id));
    put(&mut batch, 0, &asked, Decision::pending(Vec::new(), follow_up));
    for (offset, asking) in [(1, asking(&asked)), (2, Asking { request_id: earlier, ..asking(&asked) })] {
        let outcome = Err(Refusal::new(Code::InsufficientBalance, "the balance is 0, 1000 is needed"));
        let completes = Some(Completion { asking, command: CommandKind::PayReservation, outcome });
        put(&mut batch, offset, &timer, Decision { completes, ..Decision::nothing(Vec::new()) });
    }
    let (commit, touched) = batch.finish();
    assert_eq!(commit.requests.len(), 1, "a timer's record that found nothing due has no row");
    let row = &commit.requests[0];
    assert_eq!((row.key.id, row.state.status()), (asked.request_id, RequestStatus::Rejected));
    let completed: Vec<RequestId> = commit.completions.iter().map(|completion| completion.request_id).collect();
    assert_eq!(completed, [earlier]);
    let published: Vec<&str> = commit.outbox.iter().map(|row| &*row.kind).collect();
    assert_eq!(published, ["tick", "pay_reservation", "pay_reservation"]);
    assert!(
        matches!(&row.state, RequestState::Decided(decided) if decided.outcome.as_bytes() == commit.outbox[1].payload)
    );
    assert_eq!(touched.into_iter().collect::<Vec<_>>(), [(key, Some((LogTime(1_000), Found::Nothing)))]);
}

#[tokio::test]
async fn a_record_with_headers_that_cannot_be_read_is_a_dead_letter() {
    let store = FaultyStore::in_memory();
    let progress = store.acquire(here(Lane::Wallets), "me").await.expect("acquired");
    let mut decider = wallets(1_000, progress);
    let bad = Record { unreadable_headers: 2, ..record(0, &new(charge("alice", 10))) };
    let decoded = decoded(&mut decider, vec![bad, record(1, &new(charge("alice", 1)))]);
    let decided = decide(&mut decider, &store, decoded).await.commit;
    assert_eq!(decided.after.next_offset, 2);
    assert_eq!(decided.requests.len(), 1, "the good one is decided");
    let reasons: Vec<&str> = decided.dead_letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["2 headers cannot be read: their names are not UTF-8"]);
}
