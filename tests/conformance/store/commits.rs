//! Ownership, the fence, and what a commit leaves behind.

use std::sync::Arc;

use futures_util::future::join_all;
use turnstile::domain::queue::{OnTimeout, TokenStatus};
use turnstile::domain::section::{PaymentStatus, ReservationStatus, SeatStatus};
use turnstile::domain::wallet::EntryKind;
use turnstile::domain::{Change, Code, Lane, LogTime, RequestId, ReservationId};
use turnstile::log::{LanePartition, LogIdentity, PartitionCounts, Topic};
use turnstile::store::reads::Page;
use turnstile::store::{Committed, Progress, RecordedLog, RequestCompletion, RequestStatus, Store, StoreError};

use super::rows::*;

pub async fn a_new_owner_starts_where_the_last_commit_ended(store: Arc<dyn Store>) {
    assert_eq!(store.progress(SEATS).await, Ok(None));
    let fresh = acquired(&*store, SEATS).await;
    let start = Progress { epoch: 1, next_offset: 0, last_time: LogTime(0), next_outbox_seq: 0, state_hash: 0 };
    assert_eq!(fresh, start);

    let mut first = batch(SEATS, &fresh);
    (first.next_offset, first.last_time, first.state_hash) = (250, LogTime(1_700_000_000_123), u64::MAX - 5);
    first.next_outbox_seq = 77;
    assert_eq!(store.commit(&first).await, Ok(Committed::Done));
    assert_eq!(store.progress(SEATS).await, Ok(Some(after(&first))));

    let taken_over = store.acquire(SEATS, "worker-2").await.unwrap();
    assert_eq!(taken_over, Progress { epoch: 2, ..after(&first) });
    let other = LanePartition { partition: 4, ..SEATS };
    assert_eq!(store.acquire(other, "worker-2").await, Ok(start));
    let other = LanePartition { lane: Lane::Wallets, ..SEATS };
    assert_eq!(store.acquire(other, "worker-2").await, Ok(start));
}

/// A batch with a row of everything.
fn full(partition: LanePartition, progress: &Progress) -> turnstile::store::CommitBatch {
    let mut batch = batch(partition, progress);
    batch.state_hash = 99;
    batch.changes = opened(1, "A", 2);
    batch.changes.push(Change::Wallet(wallet("alice", 1000, 0)));
    batch.requests = vec![request(1, partition, progress.next_offset)];
    batch.outbox = vec![outbox_row(progress.next_outbox_seq)];
    batch.next_outbox_seq += 1;
    batch.dead_letters = vec![dead_letter(partition, progress.next_offset)];
    batch
}

async fn assert_untouched(store: &dyn Store, expected: Progress) {
    assert_eq!(store.progress(SEATS).await, Ok(Some(expected)));
    assert_eq!(store.load_sections(&[(schedule_id(1), section_name("A"))]).await, Ok(vec![]));
    assert_eq!(store.load_wallets(&[user("alice")]).await, Ok(vec![]));
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
    assert_eq!(store.outbox(SEATS, 0, 10).await, Ok(vec![]));
    assert_eq!(store.dead_letters(Page { after: None, limit: 10 }).await, Ok(vec![]));
}

pub async fn an_older_owner_changes_nothing(store: Arc<dyn Store>) {
    let old = acquired(&*store, SEATS).await;
    let new = store.acquire(SEATS, "worker-2").await.unwrap();
    assert_eq!(store.commit(&full(SEATS, &old)).await, Ok(Committed::Fenced));
    assert_untouched(&*store, new).await;
    assert_eq!(store.commit(&full(SEATS, &new)).await, Ok(Committed::Done));
}

pub async fn a_commit_from_another_offset_changes_nothing(store: Arc<dyn Store>) {
    let progress = acquired(&*store, SEATS).await;
    let ahead = full(SEATS, &Progress { next_offset: 1, ..progress });
    assert_eq!(store.commit(&ahead).await, Ok(Committed::Fenced));
    assert_untouched(&*store, progress).await;
    // A repeat of what is committed already is from another offset too.
    let batch = full(SEATS, &progress);
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
    assert_eq!(store.commit(&batch).await, Ok(Committed::Fenced));
    assert_eq!(store.progress(SEATS).await, Ok(Some(after(&batch))));
}

pub async fn a_partition_nobody_acquired_takes_no_commit(store: Arc<dyn Store>) {
    let nobody = Progress { epoch: 0, next_offset: 0, last_time: LogTime(0), next_outbox_seq: 0, state_hash: 0 };
    assert_eq!(store.commit(&full(SEATS, &nobody)).await, Ok(Committed::Fenced));
    assert_eq!(store.progress(SEATS).await, Ok(None));
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
}

pub async fn a_request_stored_twice_fails_the_whole_commit(store: Arc<dyn Store>) {
    let progress = commit(&*store, SEATS, |batch| batch.requests = vec![request(1, SEATS, 0)]).await;
    let mut again = batch(SEATS, &progress);
    again.changes = vec![Change::Wallet(wallet("alice", 1, 0))];
    again.requests = vec![request(2, SEATS, 1), request(1, SEATS, 1)];
    assert!(matches!(store.commit(&again).await, Err(StoreError::Failed(_))));
    assert_eq!(store.progress(SEATS).await, Ok(Some(progress)));
    assert_eq!(store.load_wallets(&[user("alice")]).await, Ok(vec![]));
    assert_eq!(store.request(RequestId(id(2))).await, Ok(None));
    // The partition goes on.
    assert_eq!(store.commit(&batch(SEATS, &progress)).await, Ok(Committed::Done));
}

pub async fn the_last_write_of_a_row_wins(store: Arc<dyn Store>) {
    let mut changes = opened(1, "A", 3);
    changes.push(Change::Reservation(reservation(5, 1, "A", ReservationStatus::Held)));
    changes.push(Change::Payment(payment(6, 5, PaymentStatus::Pending)));
    commit_changes(&*store, SEATS, changes).await;
    commit_changes(&*store, WALLETS, vec![Change::Wallet(wallet("alice", 1, 1))]).await;
    commit_changes(&*store, WALLETS, vec![Change::WalletEntry(entry("alice", 1))]).await;
    let waiting = token(1, 1, "alice", TokenStatus::Waiting, 1);
    commit_changes(&*store, QUEUES, vec![Change::Queue(queue(1)), Change::Token(waiting)]).await;

    let mut row = section(1, "A", 3);
    (row.available, row.price, row.sales_open_at, row.queue) = (1, 7, Some(LogTime(-5)), false);
    row.changed = arrival(SEATS, 100);
    let mut taken = seat(1, "A", 2);
    (taken.status, taken.reservation, taken.changed) =
        (SeatStatus::Paying, Some(ReservationId(id(5))), arrival(SEATS, 101));
    let mut paying = reservation(5, 1, "A", ReservationStatus::Paying);
    (paying.payment, paying.changed, paying.seats) =
        (Some(turnstile::domain::PaymentId(id(6))), arrival(SEATS, 102), (1..=100).collect());
    let mut failed = payment(6, 5, PaymentStatus::Failed);
    (failed.failure, failed.changed) = (Some(Code::InsufficientBalance), arrival(SEATS, 103));
    let last = commit_changes(
        &*store,
        SEATS,
        vec![
            Change::Section(row.clone()),
            Change::Seat(taken.clone()),
            Change::Reservation(paying.clone()),
            Change::Payment(failed.clone()),
        ],
    )
    .await;
    let mut rich = wallet("alice", 9_000_000_000_000, 12);
    rich.changed = arrival(WALLETS, 44);
    let mut line = entry("alice", 1);
    (line.kind, line.reason, line.at) = (EntryKind::Refund, None, arrival(WALLETS, 45));
    commit_changes(&*store, WALLETS, vec![Change::Wallet(rich.clone()), Change::WalletEntry(line.clone())]).await;
    let mut limits = queue(1);
    (limits.paused, limits.limits.admit_per_minute, limits.limits.on_timeout) = (true, Some(600), OnTimeout::Expire);
    (limits.next_sequence, limits.waiting, limits.active, limits.admitted) = (2, 3, 4, 5);
    (limits.completed, limits.expired, limits.left, limits.rate_next_us) = (6, 7, 8, 1_700_000_000_000_001);
    let mut active = token(1, 1, "alice", TokenStatus::Active, 9);
    (active.admitted_at, active.active_until) = (Some(LogTime(5)), Some(LogTime(6)));
    commit_changes(&*store, QUEUES, vec![Change::Queue(limits.clone()), Change::Token(active.clone())]).await;

    let sections = store.load_sections(&[(schedule_id(1), section_name("A"))]).await.unwrap();
    assert_eq!(sections[0].row, row);
    assert_eq!(sections[0].seats, [seat(1, "A", 1), taken, seat(1, "A", 3)]);
    assert_eq!(store.reservation(paying.id).await, Ok(Some(paying)));
    assert_eq!(store.payments(&user("alice"), Page { after: None, limit: 9 }).await, Ok(vec![failed]));
    assert_eq!(store.wallet(&user("alice")).await, Ok(Some(rich)));
    assert_eq!(store.wallet_entries(&user("alice"), Page { after: None, limit: 9 }).await, Ok(vec![line]));
    assert_eq!(store.load_queue(schedule_id(1)).await, Ok(Some((limits, vec![active]))));
    assert_eq!(store.progress(SEATS).await, Ok(Some(last)));
}

pub async fn numbers_come_back_at_their_limits(store: Arc<dyn Store>) {
    let top = LanePartition { lane: Lane::Seats, partition: u32::MAX };
    let fresh = acquired(&*store, top).await;
    let mut last = batch(top, &fresh);
    (last.next_offset, last.next_outbox_seq) = (i64::MAX as u64, i64::MAX as u64);
    (last.last_time, last.state_hash) = (LogTime(i64::MAX), u64::MAX);
    let mut row = request(1, top, 0);
    row.position.offset = i64::MAX as u64;
    (row.fingerprint, row.at, row.user_id) = (u64::MAX, LogTime(i64::MIN), None);
    last.requests = vec![row.clone()];
    assert_eq!(store.commit(&last).await, Ok(Committed::Done));
    assert_eq!(store.progress(top).await, Ok(Some(after(&last))));
    assert_eq!(store.request(row.request_id).await, Ok(Some(row)));
}

pub async fn large_batches_come_back_whole(store: Arc<dyn Store>) {
    // Sizes around those at which statements are cut.
    for (round, size) in [1usize, 2, 3, 7, 9, 31, 33, 127, 129, 1000].into_iter().enumerate() {
        let schedule = round as u128 + 1;
        let name = format!("R{size}");
        let first = 10_000 * (round as u128 + 1);
        let progress = acquired(&*store, SEATS).await;
        let mut batch = batch(SEATS, &progress);
        batch.changes = opened(schedule, &name, size as u32);
        batch.requests = (0..size).map(|i| request(first + i as u128, SEATS, 0)).collect();
        for row in &mut batch.requests {
            (row.status, row.outcome) = (RequestStatus::Pending, None);
        }
        batch.outbox = (0..size as u64).map(|i| outbox_row(progress.next_outbox_seq + i)).collect();
        batch.next_outbox_seq += size as u64;
        assert_eq!(store.commit(&batch).await, Ok(Committed::Done));

        let ids: Vec<RequestId> = batch.requests.iter().map(|row| row.request_id).collect();
        let mut stored = store.load_requests(SEATS, &ids).await.unwrap();
        stored.sort_by_key(|row| row.request_id);
        assert_eq!(stored, batch.requests);
        let sections = store.load_sections(&[(schedule_id(schedule), section_name(&name))]).await.unwrap();
        assert_eq!(sections[0].seats.len(), size);
        assert_eq!(store.outbox(SEATS, progress.next_outbox_seq, size as u32 + 1).await, Ok(batch.outbox.clone()));

        commit(&*store, SEATS, |next| {
            let done = |id: &RequestId| RequestCompletion {
                request_id: *id,
                status: RequestStatus::Rejected,
                outcome: format!("{{\"of\":\"{id}\"}}"),
            };
            next.completions = ids.iter().map(done).collect();
        })
        .await;
        let stored = store.load_requests(SEATS, &ids).await.unwrap();
        assert_eq!(stored.len(), size);
        for row in stored {
            assert_eq!(row.status, RequestStatus::Rejected);
            assert_eq!(row.outcome, Some(format!("{{\"of\":\"{}\"}}", row.request_id)));
        }
    }
}

pub async fn text_that_a_database_cannot_hold_does_not_stop_a_partition(store: Arc<dyn Store>) {
    let mut odd = entry("alice", 1);
    odd.reason = Some("nul \0 and \u{1F3AB} and ' \" \\".into());
    let mut letter = dead_letter(WALLETS, 0);
    letter.reason = "nul \0".into();
    commit(&*store, WALLETS, |batch| {
        batch.changes = vec![Change::Wallet(wallet("alice", 500, 1)), Change::WalletEntry(odd)];
        batch.dead_letters = vec![letter];
    })
    .await;
    let stored = store.wallet_entries(&user("alice"), Page { after: None, limit: 1 }).await.unwrap();
    assert!(stored[0].reason.as_deref().unwrap().ends_with("and \u{1F3AB} and ' \" \\"));
}

pub async fn completions_decide_pending_requests_once(store: Arc<dyn Store>) {
    let mut pending = request(1, SEATS, 0);
    (pending.status, pending.outcome) = (RequestStatus::Pending, None);
    commit(&*store, SEATS, |batch| batch.requests = vec![pending.clone(), request(2, SEATS, 0)]).await;
    // Another partition has a pending request under the same id: it is not touched.
    let mut elsewhere = request(1, WALLETS, 0);
    (elsewhere.status, elsewhere.outcome) = (RequestStatus::Pending, None);
    commit(&*store, WALLETS, |batch| batch.requests = vec![elsewhere.clone()]).await;

    let done = |number, status, outcome: &str| RequestCompletion {
        request_id: RequestId(id(number)),
        status,
        outcome: outcome.to_owned(),
    };
    commit(&*store, SEATS, |batch| {
        batch.completions = vec![
            done(1, RequestStatus::Succeeded, "first"),
            done(2, RequestStatus::Rejected, "was decided already"),
            done(3, RequestStatus::Rejected, "never stored"),
        ];
    })
    .await;
    commit(&*store, SEATS, |batch| batch.completions = vec![done(1, RequestStatus::Rejected, "second")]).await;

    (pending.status, pending.outcome) = (RequestStatus::Succeeded, Some("first".into()));
    let ids = [1, 2, 3].map(|number| RequestId(id(number)));
    let mut stored = store.load_requests(SEATS, &ids).await.unwrap();
    stored.sort_by_key(|row| row.request_id);
    assert_eq!(stored, [pending, request(2, SEATS, 0)]);
    assert_eq!(store.load_requests(WALLETS, &ids).await, Ok(vec![elsewhere]));
}

pub async fn the_outbox_comes_back_in_order_until_deleted(store: Arc<dyn Store>) {
    let rows: Vec<_> = (0..5).map(outbox_row).collect();
    commit(&*store, SEATS, |batch| (batch.outbox, batch.next_outbox_seq) = (rows[..3].to_vec(), 3)).await;
    commit(&*store, SEATS, |batch| (batch.outbox, batch.next_outbox_seq) = (rows[3..].to_vec(), 5)).await;
    commit(&*store, WALLETS, |batch| (batch.outbox, batch.next_outbox_seq) = (rows[..1].to_vec(), 1)).await;

    assert_eq!(store.outbox(SEATS, 0, 100).await, Ok(rows.clone()));
    assert_eq!(store.outbox(SEATS, 1, 2).await, Ok(rows[1..3].to_vec()));
    assert_eq!(store.delete_outbox(SEATS, 3).await, Ok(()));
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
                let mut line = entry(&name, number);
                line.at = arrival(of, number);
                let mut row = wallet(&name, 500 * number as i64, number);
                row.changed = arrival(of, number);
                batch.changes = vec![Change::Wallet(row), Change::WalletEntry(line)];
                batch.requests = vec![request(u128::from(partition) * 1000 + u128::from(number), of, number)];
                batch.outbox = vec![outbox_row(number - 1)];
                batch.next_outbox_seq = number;
                assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
                progress = after(&batch);
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
    let partitions = PartitionCounts { seats: 16, wallets: 15, queues: 8, outcomes: 17, dead_letters: 1 };
    let log = RecordedLog { identity: LogIdentity { log_id: "cluster".into(), topics }, partitions };
    store.record_log(&log).await.unwrap();
    let mut other = log.clone();
    other.identity.log_id = "another".into();
    store.record_log(&other).await.unwrap();
    assert_eq!(store.recorded_log().await, Ok(Some(log)));
}

pub async fn retention_goes_in_batches_and_leaves_what_is_pending(store: Arc<dyn Store>) {
    let mut requests: Vec<_> = (0..10).map(|offset| request(u128::from(offset), SEATS, offset)).collect();
    (requests[0].status, requests[0].outcome) = (RequestStatus::Pending, None);
    commit(&*store, SEATS, |batch| {
        batch.requests = requests;
        batch.dead_letters = (0..10).map(|offset| dead_letter(SEATS, offset)).collect();
    })
    .await;
    let before = arrival(SEATS, 8).time;
    let mut rounds = Vec::new();
    loop {
        let deleted = store.forget_before(before, 4).await.unwrap();
        if deleted == 0 {
            break;
        }
        rounds.push(deleted);
    }
    // 7 requests (0 is pending, 8 and 9 are young) and 8 dead letters.
    assert_eq!(rounds, [4, 4, 4, 3]);
    let ids: Vec<_> = (0..10).map(|number| RequestId(id(number))).collect();
    let mut left: Vec<u64> =
        store.load_requests(SEATS, &ids).await.unwrap().iter().map(|row| row.position.offset).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 8, 9]);
    let letters = store.dead_letters(Page { after: None, limit: 100 }).await.unwrap();
    assert!(letters.iter().map(|view| view.letter.position.offset).eq([9, 8]));
}
