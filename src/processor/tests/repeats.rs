//! Charges and debits that come again after their request rows no longer count.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;

use super::batches::{commit, decoded, here, record, wallets};
use super::{charge, debit, new};
use crate::domain::money::AMOUNT_MAX;
use crate::domain::wallet::WalletState;
use crate::domain::{Command, Lane, LogTime};
use crate::log::{Record, Timestamp};
use crate::processor::decider::{DecidedBatch, Decider};
use crate::store::{AggregateLoads, CommitBatch, Ownership, RequestState, Retention, StoreError};
use crate::testing::{Call, Fault, FaultyStore};
use crate::wire;

/// Nothing that was decided at the time of [`record`] counts then.
const LATER: i64 = 30 * 24 * 3_600_000;

/// Counts the reads from now on.
fn counted(store: &FaultyStore) -> Arc<AtomicUsize> {
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    store.set_hook(Some(Arc::new(move |call| {
        counter.fetch_add(usize::from(call == Call::Read), Ordering::SeqCst);
        async { Fault::None }.boxed()
    })));
    reads
}

async fn decider(store: &FaultyStore) -> Decider<WalletState> {
    wallets(1_000, store.acquire(here(Lane::Wallets), "me").await.expect("acquired"))
}

async fn decide(
    decider: &mut Decider<WalletState>,
    store: &FaultyStore,
    record: Record,
    wary: bool,
) -> DecidedBatch<crate::domain::UserId> {
    let decoded = decoded(decider, vec![record]);
    decider.prefetch(store, &decoded, wary).await.expect("readable");
    decider.decide(decoded, LogTime(0))
}

/// A store in which this charge was decided.
async fn charged(command: &Command) -> (FaultyStore, String) {
    let store = FaultyStore::in_memory();
    let batch = decide(&mut decider(&store).await, &store, record(0, command), false).await.commit;
    commit(&store, &batch).await;
    let result = result(&batch);
    (store, result)
}

fn again(command: &Command) -> Record {
    Record { timestamp: Timestamp::LogAppend(LATER), ..record(1, command) }
}

/// What the only command of a batch hands back.
fn result(batch: &CommitBatch) -> String {
    let RequestState::Decided(decided) = &batch.requests[0].state else { panic!("pending") };
    let outcome = wire::outcome::decode(decided.outcome.as_bytes()).expect("an outcome");
    outcome.outcome.expect("a success").0.get().to_owned()
}

#[tokio::test]
async fn a_charge_that_is_new_reads_its_request_and_its_wallet_and_no_entry() {
    let store = FaultyStore::in_memory();
    let mut decider = decider(&store).await;
    let reads = counted(&store);
    let first = decide(&mut decider, &store, record(0, &new(charge("alice", 10))), false).await;
    assert_eq!(reads.load(Ordering::SeqCst), 2);
    commit(&store, &first.commit).await;
    decider.committed(first.number, first.commit.after.next_offset);
    decide(&mut decider, &store, record(1, &new(charge("alice", 10))), false).await;
    assert_eq!(reads.load(Ordering::SeqCst), 3, "its request");
}

#[tokio::test]
async fn a_repeat_whose_request_does_not_count_any_more_gets_its_entry() {
    let command = new(charge("alice", 10));
    let (store, first) = charged(&command).await;
    let mut decider = decider(&store).await;
    let batch = decide(&mut decider, &store, again(&command), false).await.commit;
    assert!(batch.changes.is_empty());
    assert_eq!(result(&batch), first);
}

#[tokio::test]
async fn a_repeat_whose_request_is_deleted_is_refused_by_the_store_and_then_decided_warily() {
    let command = new(charge("alice", 10));
    let (store, first) = charged(&command).await;
    assert_eq!(store.forget_requests(here(Lane::Wallets), LogTime(LATER), 10).await, Ok(1));
    let mut assuming = decider(&store).await;
    let batch = decide(&mut assuming, &store, again(&command), false).await.commit;
    assert!(!batch.changes.is_empty(), "it was taken for a new one");
    let refused = store.commit(&batch).await;
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    let batch = decide(&mut decider(&store).await, &store, again(&command), true).await.commit;
    assert!(batch.changes.is_empty());
    assert_eq!(result(&batch), first);
    commit(&store, &batch).await;
    let balance = store.load_wallets(&["alice".parse().unwrap()]).await.expect("readable")[0].balance;
    assert_eq!(balance.get(), 10);
}

#[tokio::test]
async fn a_debit_that_comes_again_without_its_request_gets_its_first_answer_whatever_the_balance_is_now() {
    let command = new(debit("alice", 10));
    let store = FaultyStore::in_memory();
    let mut first = decider(&store).await;
    let charge = decide(&mut first, &store, record(0, &new(charge("alice", 10))), false).await;
    commit(&store, &charge.commit).await;
    first.committed(charge.number, charge.commit.after.next_offset);
    let debit = decide(&mut first, &store, record(1, &command), false).await.commit;
    commit(&store, &debit).await;
    assert_eq!(store.forget_requests(here(Lane::Wallets), LogTime(LATER), 10).await, Ok(2));
    let late = Record { timestamp: Timestamp::LogAppend(LATER), ..record(2, &command) };
    let batch = decide(&mut decider(&store).await, &store, late, false).await.commit;
    assert!(batch.changes.is_empty());
    assert_eq!(result(&batch), result(&debit));
}

#[tokio::test]
async fn a_charge_that_comes_again_without_its_request_gets_its_first_answer_also_at_the_limit() {
    let command = new(charge("alice", AMOUNT_MAX));
    let (store, first) = charged(&command).await;
    let mut filling = decider(&store).await;
    for offset in 1..10 {
        let full = decide(&mut filling, &store, record(offset, &new(charge("alice", AMOUNT_MAX))), false).await;
        commit(&store, &full.commit).await;
        filling.committed(full.number, full.commit.after.next_offset);
    }
    assert_eq!(store.forget_requests(here(Lane::Wallets), LogTime(LATER), 100).await, Ok(10));
    let late = Record { timestamp: Timestamp::LogAppend(LATER), ..record(10, &command) };
    let batch = decide(&mut decider(&store).await, &store, late, false).await.commit;
    assert!(batch.changes.is_empty());
    assert_eq!(result(&batch), first);
}
