//! What the front door and operators read.

use std::sync::Arc;

use turnstile::domain::queue::TokenStatus;
use turnstile::domain::section::{PaymentStatus, ReservationStatus};
use turnstile::domain::{Change, ConcertId, LogTime, RequestId};
use turnstile::log::LanePartition;
use turnstile::store::Store;
use turnstile::store::reads::{Page, ScheduleView};

use super::rows::*;

/// Reads a list page by page, two rows each, which must give what one large page gives.
macro_rules! paged {
    ($all:expr, $read:expr, $id:expr) => {{
        let all = $all;
        let mut seen = all.clone();
        seen.clear();
        loop {
            let page = Page { after: seen.last().map($id), limit: 2 };
            let rows = $read(page).await.unwrap();
            assert!(rows.len() <= 2);
            if rows.is_empty() {
                break;
            }
            seen.extend(rows);
        }
        assert_eq!(seen, all);
        assert_eq!($read(Page { after: None, limit: 100 }).await, Ok(all));
    }};
}

pub async fn a_request_of_several_partitions_is_the_one_decided_first(store: Arc<dyn Store>) {
    assert_eq!(store.request(RequestId(id(1))).await, Ok(None));
    let mut late = request(1, SEATS, 0);
    late.at = LogTime(20);
    let mut early = request(1, WALLETS, 5);
    early.at = LogTime(10);
    commit(&*store, SEATS, |batch| batch.requests = vec![late]).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![early.clone()]).await;
    assert_eq!(store.request(RequestId(id(1))).await, Ok(Some(early)));
}

pub async fn progress_is_listed_with_the_rows_to_publish(store: Arc<dyn Store>) {
    assert_eq!(store.progress_views().await, Ok(vec![]));
    let first = commit(&*store, SEATS, |batch| {
        (batch.outbox, batch.next_outbox_seq) = ((0..5).map(outbox_row).collect(), 5);
    })
    .await;
    store.delete_outbox(SEATS, 2).await.unwrap();
    store.acquire(QUEUES, "worker-9").await.unwrap();
    let views = store.progress_views().await.unwrap();
    let of = |partition: LanePartition| views.iter().find(|view| view.partition == partition).unwrap();
    assert_eq!(views.len(), 2);
    let seats = of(SEATS);
    assert_eq!((seats.epoch, seats.next_offset, seats.outbox_pending), (first.epoch, first.next_offset, 3));
    assert_eq!((seats.owner.as_str(), seats.last_time), ("worker-1", first.last_time));
    assert_eq!((of(QUEUES).owner.as_str(), of(QUEUES).outbox_pending), ("worker-9", 0));
    assert_eq!(store.ping().await, Ok(()));
}

pub async fn concerts_are_listed_newest_first(store: Arc<dyn Store>) {
    for number in [3, 1, 5, 2, 4] {
        store.insert_concert(&concert(number)).await.unwrap();
    }
    let mut renamed = concert(2);
    renamed.title = "does not matter: the id is there".into();
    renamed.description = Some("x".into());
    store.insert_concert(&renamed).await.unwrap();
    let all: Vec<_> = [5, 4, 3, 2, 1].map(concert).into();
    paged!(all, |page| store.concerts(page), |row| row.id);
    assert_eq!(store.concert(ConcertId(id(2))).await, Ok(Some(concert(2))));
    assert_eq!(store.concert(ConcertId(id(9))).await, Ok(None));
}

pub async fn schedules_come_with_their_sections_by_start_time(store: Arc<dyn Store>) {
    store.insert_concert(&concert(1)).await.unwrap();
    store.insert_concert(&concert(2)).await.unwrap();
    for (number, of, starts_at) in [(11, 1, 300), (12, 1, 100), (13, 1, 300), (14, 2, 50)] {
        store.insert_schedule(&schedule(number, of, starts_at)).await.unwrap();
    }
    let mut repeated = schedule(11, 1, 1);
    repeated.queue = false;
    store.insert_schedule(&repeated).await.unwrap();
    // Bytes decide the order of names, not a language's rules.
    let names = ["a", "B", "C-1", "b"];
    commit_changes(&*store, SEATS, names.iter().flat_map(|name| opened(12, name, 2)).collect()).await;
    commit_changes(&*store, SEATS, opened(14, "Z", 1)).await;

    let view = |schedule, sections: &[_]| ScheduleView { schedule, sections: sections.to_vec() };
    let sorted = ["B", "C-1", "a", "b"].map(|name| section(12, name, 2));
    let second = view(schedule(12, 1, 100), &sorted);
    let expected = vec![second.clone(), view(schedule(11, 1, 300), &[]), view(schedule(13, 1, 300), &[])];
    assert_eq!(store.schedules(ConcertId(id(1))).await, Ok(expected));
    assert_eq!(store.schedule(schedule_id(12)).await, Ok(Some(second)));
    assert_eq!(store.schedule(schedule_id(99)).await, Ok(None));
    assert_eq!(store.schedules(ConcertId(id(99))).await, Ok(vec![]));
}

pub async fn sections_may_be_opened_without_a_schedule(store: Arc<dyn Store>) {
    commit_changes(&*store, SEATS, opened(77, "A", 2)).await;
    commit_changes(&*store, QUEUES, vec![Change::Queue(queue(77))]).await;
    assert_eq!(store.schedule(schedule_id(77)).await, Ok(None));
    assert_eq!(store.seats(schedule_id(77)).await.unwrap().len(), 2);
}

pub async fn seats_are_in_order_of_section_and_number(store: Arc<dyn Store>) {
    let mut changes = opened(1, "b", 3);
    changes.extend(opened(1, "B", 12));
    changes.extend(opened(2, "A", 1));
    changes.reverse();
    commit_changes(&*store, SEATS, changes).await;
    let mut expected: Vec<_> = (1..=12).map(|number| seat(1, "B", number)).collect();
    expected.extend((1..=3).map(|number| seat(1, "b", number)));
    assert_eq!(store.seats(schedule_id(1)).await, Ok(expected));
    assert_eq!(store.seats(schedule_id(3)).await, Ok(vec![]));
}

pub async fn reservations_of_a_user_are_paged_newest_first(store: Arc<dyn Store>) {
    let store = &*store;
    let rows: Vec<_> = [13, 11, 15, 12, 14].map(|n| reservation(n, 1, "A", ReservationStatus::Expired)).into();
    let mut others = reservation(16, 1, "A", ReservationStatus::Held);
    others.user_id = user("bob");
    let mut changes = opened(1, "A", 2);
    changes.extend(rows.iter().chain([&others]).cloned().map(Change::Reservation));
    commit_changes(store, SEATS, changes).await;
    let mut all = rows;
    all.sort_by_key(|row| std::cmp::Reverse(row.id));
    paged!(all, |page| async move { store.reservations(&user("alice"), page).await }, |row| row.id);
}

pub async fn payments_of_a_user_are_paged_newest_first(store: Arc<dyn Store>) {
    let store = &*store;
    let mut changes = opened(1, "A", 2);
    changes.push(Change::Reservation(reservation(10, 1, "A", ReservationStatus::Confirmed)));
    let rows: Vec<_> = [21, 25, 22, 24, 23].map(|n| payment(n, 10, PaymentStatus::Failed)).into();
    changes.extend(rows.iter().cloned().map(Change::Payment));
    commit_changes(store, SEATS, changes).await;
    let mut all = rows;
    all.sort_by_key(|row| std::cmp::Reverse(row.id));
    paged!(all, |page| async move { store.payments(&user("alice"), page).await }, |row| row.id);
    assert_eq!(store.payments(&user("bob"), Page { after: None, limit: 5 }).await, Ok(vec![]));
}

pub async fn wallet_entries_are_paged_newest_first(store: Arc<dyn Store>) {
    let store = &*store;
    let mut changes = vec![Change::Wallet(wallet("alice", 1, 12)), Change::Wallet(wallet("bob", 1, 1))];
    changes.extend((1..=12).map(|number| Change::WalletEntry(entry("alice", number))));
    changes.push(Change::WalletEntry(entry("bob", 1)));
    commit_changes(store, WALLETS, changes).await;
    let all: Vec<_> = (1..=12).rev().map(|number| entry("alice", number)).collect();
    paged!(all, |page| async move { store.wallet_entries(&user("alice"), page).await }, |row| row.number);
}

pub async fn tokens_are_listed_by_their_last_change(store: Arc<dyn Store>) {
    let tokens = [
        token(1, 1, "a", TokenStatus::Completed, 9),
        token(1, 2, "b", TokenStatus::Active, 9),
        token(1, 3, "c", TokenStatus::Waiting, 4),
        token(1, 4, "d", TokenStatus::Waiting, 5),
        token(1, 5, "e", TokenStatus::Left, 6),
    ];
    let mut changes = vec![Change::Queue(queue(1)), Change::Queue(queue(2))];
    changes.extend(tokens.iter().cloned().map(Change::Token));
    changes.push(Change::Token(token(2, 1, "a", TokenStatus::Waiting, 7)));
    commit_changes(&*store, QUEUES, changes).await;
    let sequences = |from, live_only, limit| {
        let store = Arc::clone(&store);
        async move {
            let tokens = store.tokens_changed(schedule_id(1), from, live_only, limit).await.unwrap();
            tokens.iter().map(|token| token.sequence).collect::<Vec<_>>()
        }
    };
    assert_eq!(sequences(0, false, 100).await, [3, 4, 5, 1, 2]);
    assert_eq!(sequences(0, true, 100).await, [3, 4, 2]);
    assert_eq!(sequences(5, false, 100).await, [4, 5, 1, 2]);
    assert_eq!(sequences(5, false, 2).await, [4, 5]);
    assert_eq!(sequences(10, false, 100).await, [0u64; 0]);
}

pub async fn tokens_of_a_user_are_newest_first_and_few(store: Arc<dyn Store>) {
    let mut changes = vec![Change::Queue(queue(1)), Change::Queue(queue(2))];
    changes.extend((1..=12).map(|n| Change::Token(token(1, n, "alice", TokenStatus::Expired, 20 - n))));
    changes.push(Change::Token(token(1, 13, "bob", TokenStatus::Waiting, 1)));
    changes.push(Change::Token(token(2, 1, "alice", TokenStatus::Waiting, 1)));
    commit_changes(&*store, QUEUES, changes).await;
    let of_alice = store.tokens_of(schedule_id(1), &user("alice")).await.unwrap();
    assert!(of_alice.iter().map(|token| token.sequence).eq((3..=12).rev()));
    assert_eq!(store.tokens_of(schedule_id(1), &user("carol")).await, Ok(vec![]));
}

pub async fn dead_letters_are_paged_newest_first(store: Arc<dyn Store>) {
    let mut same_time = dead_letter(WALLETS, 2);
    same_time.at = arrival(SEATS, 2).time;
    same_time.key = None;
    same_time.value = None;
    same_time.headers = Vec::new();
    commit(&*store, SEATS, |batch| batch.dead_letters = [3, 1, 2].map(|n| dead_letter(SEATS, n)).into()).await;
    commit(&*store, WALLETS, |batch| batch.dead_letters = vec![same_time.clone(), dead_letter(WALLETS, 9)]).await;
    let letters =
        vec![dead_letter(WALLETS, 9), dead_letter(SEATS, 3), same_time, dead_letter(SEATS, 2), dead_letter(SEATS, 1)];
    let all: Vec<_> = letters
        .into_iter()
        .map(|letter| turnstile::store::reads::DeadLetterView { letter, replayed_at: None })
        .collect();
    paged!(all, |page| store.dead_letters(page), |view| view.letter.position);
    let nowhere = Page { after: Some(SEATS.at(1000)), limit: 5 };
    assert_eq!(store.dead_letters(nowhere).await, Ok(vec![]));
}

pub async fn a_replayed_dead_letter_says_when(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.dead_letters = vec![dead_letter(SEATS, 0)]).await;
    let read = store.dead_letter(SEATS.at(0)).await.unwrap().unwrap();
    assert_eq!((read.letter, read.replayed_at), (dead_letter(SEATS, 0), None));
    store.mark_replayed(SEATS.at(0), LogTime(5)).await.unwrap();
    store.mark_replayed(SEATS.at(1), LogTime(5)).await.unwrap();
    assert_eq!(store.dead_letter(SEATS.at(0)).await.unwrap().unwrap().replayed_at, Some(LogTime(5)));
    assert_eq!(store.dead_letter(SEATS.at(1)).await, Ok(None));
    assert_eq!(store.dead_letter(WALLETS.at(0)).await, Ok(None));
}
