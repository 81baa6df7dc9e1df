//! Ownership, the fence, and what a commit leaves behind.

use std::sync::Arc;

use futures_util::future::join_all;
use turnstile::domain::wallet::{AnswerKind, PaymentAnswer};
use turnstile::domain::{Changes, Fingerprint, Lane, LanePartition, LogTime, RequestId, wallet};
use turnstile::log::{LogIdentity, PartitionCounts, Topic};
use turnstile::store::{
    Anchor, CommitBatch, Committed, Page, Progress, RecordedLog, RequestCompletion, RequestKey, RequestState, Store,
    StoreError,
};

use super::rows::*;

pub async fn a_new_owner_starts_where_the_last_commit_ended(store: Arc<dyn Store>) {
    assert_eq!(store.progress(SEATS).await, Ok(None));
    let fresh = acquired(&*store, SEATS).await;
    let start = Progress { epoch: 1, ..Progress::NONE };
    assert_eq!(fresh, start);

    let mut first = batch(SEATS, &fresh);
    first.after = Progress {
        epoch: 1,
        next_offset: 250,
        last_time: LogTime(1_700_000_000_123),
        next_outbox_seq: 77,
        state_hash: u64::MAX - 5,
        anchor: Some(Anchor { offset: 249, time: LogTime(-1), hash: u64::MAX - 6 }),
    };
    assert_eq!(store.commit(&first).await, Ok(Committed::Done));
    assert_eq!(store.progress(SEATS).await, Ok(Some(first.after)));

    let taken_over = store.acquire(SEATS, "worker-2").await.unwrap();
    assert_eq!(taken_over, Progress { epoch: 2, ..first.after });
    let other = LanePartition { partition: 4, ..SEATS };
    assert_eq!(store.acquire(other, "worker-2").await, Ok(start));
    let other = LanePartition { lane: Lane::Wallets, ..SEATS };
    assert_eq!(store.acquire(other, "worker-2").await, Ok(start));
}

/// A batch with a row of everything.
fn full(progress: &Progress) -> CommitBatch {
    let mut batch = batch(SEATS, progress);
    batch.after.state_hash = 99;
    batch.changes = Changes::Seats(opened(&key(1), &["A"], 2));
    batch.requests = vec![request(1, SEATS, progress.next_offset)];
    batch.outbox = vec![outbox_row(progress.next_outbox_seq)];
    batch.after.next_outbox_seq += 1;
    batch.dead_letters = vec![dead_letter(SEATS, progress.next_offset)];
    batch
}

async fn assert_untouched(store: &dyn Store, expected: Progress) {
    assert_eq!(store.progress(SEATS).await, Ok(Some(expected)));
    assert_eq!(store.load_blocks(&[key(1)]).await, Ok(vec![]));
    assert_eq!(store.seats(schedule_id(1)).await, Ok(vec![]));
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
    assert_eq!(store.outbox(SEATS, 0, 10).await, Ok(vec![]));
    assert_eq!(store.dead_letters(Page { after: None, limit: 10 }).await, Ok(vec![]));
}

pub async fn an_older_owner_changes_nothing(store: Arc<dyn Store>) {
    let old = acquired(&*store, SEATS).await;
    let new = store.acquire(SEATS, "worker-2").await.unwrap();
    assert_eq!(store.commit(&full(&old)).await, Ok(Committed::Fenced));
    assert_untouched(&*store, new).await;
    assert_eq!(store.commit(&full(&new)).await, Ok(Committed::Done));
}

pub async fn a_commit_from_another_offset_changes_nothing(store: Arc<dyn Store>) {
    let progress = acquired(&*store, SEATS).await;
    let ahead = full(&Progress { next_offset: 1, ..progress });
    assert_eq!(store.commit(&ahead).await, Ok(Committed::Fenced));
    assert_untouched(&*store, progress).await;
    // A repeat of what is committed already is from another offset too.
    let batch = full(&progress);
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
    assert_eq!(store.commit(&batch).await, Ok(Committed::Fenced));
    assert_eq!(store.progress(SEATS).await, Ok(Some(batch.after)));
}

pub async fn a_batch_never_changes_the_epoch(store: Arc<dyn Store>) {
    let progress = acquired(&*store, SEATS).await;
    let mut batch = full(&progress);
    batch.after.epoch += 1;
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Failed(_))));
    assert_untouched(&*store, progress).await;
}

pub async fn a_partition_nobody_acquired_takes_no_commit(store: Arc<dyn Store>) {
    assert_eq!(store.commit(&full(&Progress::NONE)).await, Ok(Committed::Fenced));
    assert_eq!(store.progress(SEATS).await, Ok(None));
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
}

pub async fn a_row_stored_twice_fails_the_whole_commit(store: Arc<dyn Store>) {
    let progress = commit(&*store, SEATS, |batch| batch.outbox = vec![outbox_row(0)]).await;
    let mut again = batch(SEATS, &progress);
    again.changes = Changes::Seats(opened(&key(1), &["A"], 1));
    again.requests = vec![request(2, SEATS, 1)];
    again.outbox = vec![outbox_row(0)];
    assert!(matches!(store.commit(&again).await, Err(StoreError::Failed(_))));
    assert_eq!(store.progress(SEATS).await, Ok(Some(progress)));
    assert_eq!(store.load_blocks(&[key(1)]).await, Ok(vec![]));
    assert_eq!(store.request(RequestId(id(2))).await, Ok(None));
    // The partition goes on.
    assert_eq!(store.commit(&batch(SEATS, &progress)).await, Ok(Committed::Done));
}

pub async fn a_cause_moves_money_of_a_wallet_once(store: Arc<dyn Store>) {
    let first = entry("alice", 1);
    commit_wallets(&*store, vec![wallet::Row::Entry(first.clone())]).await;
    // A producer may use one request id for two users, on two partitions: neither is stopped.
    let elsewhere = wallet::Entry { user_id: user("bob"), ..first.clone() };
    let progress = commit_wallets(&*store, vec![wallet::Row::Entry(elsewhere.clone())]).await;
    let mut twice = batch(WALLETS, &progress);
    let again = wallet::Entry { number: 2, ..first.clone() };
    let same_number = wallet::Entry { cause: id(77), ..first.clone() };
    for row in [again, same_number, first.clone()] {
        twice.changes = Changes::Wallets(vec![wallet::Row::Entry(row)]);
        assert!(matches!(store.commit(&twice).await, Err(StoreError::Failed(_))));
    }
    assert_eq!(store.progress(WALLETS).await, Ok(Some(progress)));

    let mut found = store.load_entries(&[(first.kind, first.cause)]).await.unwrap();
    found.sort_by_key(|entry| entry.user_id.clone());
    assert_eq!(found, [first, elsewhere]);
}

pub async fn the_first_answer_to_a_payment_stays(store: Arc<dyn Store>) {
    let first = answer(1, AnswerKind::Debit);
    let progress = commit_wallets(&*store, vec![wallet::Row::Answer(first.clone())]).await;
    let mut twice = batch(WALLETS, &progress);
    let other = PaymentAnswer { amount: amount(7), ..first.clone() };
    twice.changes = Changes::Wallets(vec![wallet::Row::Answer(other)]);
    assert!(matches!(store.commit(&twice).await, Err(StoreError::Failed(_))));
    assert_eq!(store.load_answers(&[first.payment_id]).await, Ok(vec![first]));
}

pub async fn numbers_come_back_at_their_limits(store: Arc<dyn Store>) {
    let top = LanePartition { lane: Lane::Seats, partition: u32::MAX };
    let fresh = acquired(&*store, top).await;
    let mut last = batch(top, &fresh);
    last.after = Progress {
        epoch: fresh.epoch,
        next_offset: i64::MAX as u64,
        last_time: LogTime(i64::MAX),
        next_outbox_seq: i64::MAX as u64,
        state_hash: u64::MAX,
        anchor: Some(Anchor { offset: i64::MAX as u64, time: LogTime(i64::MAX), hash: 0 }),
    };
    let mut row = request(1, top, i64::MAX as u64 / 100);
    (row.fingerprint, row.at, row.user_id) = (Fingerprint(u64::MAX), LogTime(i64::MIN), None);
    row.position.offset = i64::MAX as u64;
    last.requests = vec![row.clone()];
    assert_eq!(store.commit(&last).await, Ok(Committed::Done));
    assert_eq!(store.progress(top).await, Ok(Some(last.after)));
    assert_eq!(store.request(row.key.id).await, Ok(Some(row)));
}

pub async fn large_batches_come_back_whole(store: Arc<dyn Store>) {
    // Sizes around those at which statements are cut.
    for (round, size) in [1usize, 2, 3, 7, 9, 31, 33, 127, 129, 1000].into_iter().enumerate() {
        let block = key(round as u128 + 1);
        let first = 10_000 * (round as u128 + 1);
        let progress = acquired(&*store, SEATS).await;
        let mut batch = batch(SEATS, &progress);
        batch.changes = Changes::Seats(opened(&block, &["A"], size as u32));
        batch.requests = (0..size).map(|i| request(first + i as u128, SEATS, 0)).collect();
        for row in &mut batch.requests {
            row.state = RequestState::Pending;
        }
        batch.outbox = (0..size as u64).map(|i| outbox_row(progress.next_outbox_seq + i)).collect();
        batch.after.next_outbox_seq += size as u64;
        assert_eq!(store.commit(&batch).await, Ok(Committed::Done));

        let keys: Vec<RequestKey> = batch.requests.iter().map(|row| row.key).collect();
        let mut stored = store.load_requests(SEATS, &keys).await.unwrap();
        stored.sort_by_key(|row| row.key);
        assert_eq!(stored, batch.requests);
        let blocks = store.load_blocks(std::slice::from_ref(&block)).await.unwrap();
        assert_eq!(blocks[0].seats, (1..=size as u32).map(|number| seat(&block, "A", number)).collect::<Vec<_>>());
        assert_eq!(store.outbox(SEATS, progress.next_outbox_seq, size as u32 + 1).await, Ok(batch.outbox.clone()));

        commit(&*store, SEATS, |next| {
            let done = |key: &RequestKey| RequestCompletion {
                request_id: key.id,
                decided: decided(false, &format!("{{\"of\":\"{}\"}}", key.id)),
            };
            next.completions = keys.iter().map(done).collect();
        })
        .await;
        let stored = store.load_requests(SEATS, &keys).await.unwrap();
        assert_eq!(stored.len(), size);
        for row in stored {
            assert_eq!(row.state, RequestState::Decided(decided(false, &format!("{{\"of\":\"{}\"}}", row.key.id))));
        }
    }
}

pub async fn text_that_a_database_cannot_hold_does_not_stop_a_partition(store: Arc<dyn Store>) {
    let mut letter = dead_letter(WALLETS, 0);
    letter.reason = "nul \0 and \u{1F3AB} and ' \" \\".into();
    commit(&*store, WALLETS, |batch| batch.dead_letters = vec![letter]).await;
    let stored = store.dead_letter(WALLETS.at(0)).await.unwrap().unwrap();
    assert!(stored.letter.reason.ends_with("and \u{1F3AB} and ' \" \\"));
}

pub async fn completions_decide_pending_requests_once(store: Arc<dyn Store>) {
    let mut pending = request(1, SEATS, 0);
    pending.state = RequestState::Pending;
    // The program's own request with the same id is another one, and so is that of another partition.
    let own = turnstile::store::RequestRow { key: internal(1), ..pending.clone() };
    let requests = vec![pending.clone(), own.clone(), request(2, SEATS, 0)];
    commit(&*store, SEATS, |batch| batch.requests = requests).await;
    let mut elsewhere = request(1, WALLETS, 0);
    elsewhere.state = RequestState::Pending;
    commit(&*store, WALLETS, |batch| batch.requests = vec![elsewhere.clone()]).await;

    let done = |number, succeeded, outcome: &str| RequestCompletion {
        request_id: RequestId(id(number)),
        decided: decided(succeeded, outcome),
    };
    let progress = commit(&*store, SEATS, |batch| batch.completions = vec![done(1, true, "first")]).await;
    for refused in [done(1, false, "second"), done(2, false, "was decided already"), done(3, false, "never stored")] {
        let mut batch = batch(SEATS, &progress);
        batch.completions = vec![refused];
        assert!(matches!(store.commit(&batch).await, Err(StoreError::Failed(_))));
    }

    pending.state = RequestState::Decided(decided(true, "first"));
    let keys = [client(1), client(2), client(3), internal(1)];
    let mut stored = store.load_requests(SEATS, &keys).await.unwrap();
    stored.sort_by_key(|row| row.key);
    assert_eq!(stored, [pending, own, request(2, SEATS, 0)]);
    assert_eq!(store.load_requests(WALLETS, &keys).await, Ok(vec![elsewhere]));
}

pub async fn the_outbox_comes_back_in_order_until_deleted(store: Arc<dyn Store>) {
    let rows: Vec<_> = (0..5).map(outbox_row).collect();
    let put = |batch: &mut CommitBatch, rows: &[_], next| {
        (batch.outbox, batch.after.next_outbox_seq) = (rows.to_vec(), next);
    };
    commit(&*store, SEATS, |batch| put(batch, &rows[..3], 3)).await;
    commit(&*store, SEATS, |batch| put(batch, &rows[3..], 5)).await;
    commit(&*store, WALLETS, |batch| put(batch, &rows[..1], 1)).await;

    assert_eq!(store.outbox(SEATS, 0, 100).await, Ok(rows.clone()));
    assert_eq!(store.outbox(SEATS, 1, 2).await, Ok(rows[1..3].to_vec()));
    published(&*store, SEATS, 3).await;
    assert_eq!(store.outbox(SEATS, 0, 100).await, Ok(rows[3..].to_vec()));
    assert_eq!(store.outbox(WALLETS, 0, 100).await, Ok(rows[..1].to_vec()));
    assert_eq!(store.outbox(SEATS, 5, 100).await, Ok(vec![]));
}

pub async fn many_partitions_commit_at_once(store: Arc<dyn Store>) {
    const BATCHES: u64 = 20;
    let one = |partition: u32| {
        let store = Arc::clone(&store);
        async move {
            let of = LanePartition { lane: Lane::Wallets, partition };
            let name = format!("user-{partition}");
            let mut progress = acquired(&*store, of).await;
            for number in 1..=BATCHES {
                let mut batch = batch(of, &progress);
                let line = wallet::Entry { at: arrival(of, number), ..entry(&name, number) };
                let row = wallet::Wallet { changed: arrival(of, number), ..wallet(&name, 500 * number as i64, number) };
                batch.changes = Changes::Wallets(vec![wallet::Row::Wallet(row), wallet::Row::Entry(line)]);
                batch.requests = vec![request(u128::from(partition) * 1000 + u128::from(number), of, number)];
                batch.outbox = vec![outbox_row(number - 1)];
                batch.after.next_outbox_seq = number;
                assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
                progress = batch.after;
            }
            assert_eq!(store.progress(of).await, Ok(Some(progress)));
            assert_eq!(store.outbox(of, 0, 100).await.unwrap().len() as u64, BATCHES);
            let entries = store.wallet_entries(&user(&name), Page { after: None, limit: 100 }).await.unwrap();
            assert!(entries.iter().map(|entry| entry.number).eq((1..=BATCHES).rev()));
        }
    };
    join_all((0..24).map(one)).await;
}

pub async fn two_owners_at_once_never_both_commit(store: Arc<dyn Store>) {
    for round in 0..20 {
        let old = acquired(&*store, SEATS).await;
        let batch = |progress: &Progress, number| {
            let mut batch = batch(SEATS, progress);
            batch.requests = vec![request(number, SEATS, progress.next_offset)];
            batch
        };
        let stale = batch(&old, 2 * round + 1);
        let takeover = async {
            let new = store.acquire(SEATS, "worker-2").await.unwrap();
            let next = batch(&new, 2 * round + 2);
            assert_eq!(store.commit(&next).await, Ok(Committed::Done));
            new.next_offset
        };
        let (committed, started) = tokio::join!(store.commit(&stale), takeover);
        // Either the old owner was in time, and the new one starts after it, or it changed nothing.
        let expected = if committed == Ok(Committed::Done) { old.next_offset + 1 } else { old.next_offset };
        assert_eq!(started, expected);
        let stored = store.request(RequestId(id(2 * round + 1))).await.unwrap().is_some();
        assert_eq!(stored, committed == Ok(Committed::Done));
    }
}

pub async fn the_log_is_remembered_once(store: Arc<dyn Store>) {
    assert_eq!(store.recorded_log().await, Ok(None));
    let topics = Topic::ALL.into_iter().map(|topic| (topic, format!("id of {topic}"))).collect();
    let partitions = PartitionCounts { seats: 16, wallets: 15, queues: 8, inbox: 1, outcomes: 17, dead_letters: 1 };
    let log =
        RecordedLog { remember_ms: 60_000, identity: LogIdentity { log_id: "cluster".into(), topics }, partitions };
    store.record_log(&log).await.unwrap();
    let mut other = log.clone();
    (other.identity.log_id, other.remember_ms) = ("another".into(), 1);
    store.record_log(&other).await.unwrap();
    assert_eq!(store.recorded_log().await, Ok(Some(log)));
}
