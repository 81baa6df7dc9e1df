//! What owners load.

use std::sync::Arc;

use turnstile::domain::queue::TokenStatus;
use turnstile::domain::section::{PaymentStatus, Reservation, ReservationStatus, Section};
use turnstile::domain::{Change, LogTime, PaymentId, RequestId, ReservationId};
use turnstile::store::{StateTable, Store};

use super::rows::*;

fn paid(number: u128, name: &str, status: ReservationStatus, payment: u128) -> Reservation {
    Reservation { payment: Some(PaymentId(id(payment))), ..reservation(number, 1, name, status) }
}

pub async fn sections_come_with_seats_and_what_is_unfinished(store: Arc<dyn Store>) {
    let mut changes = opened(1, "A", 30);
    changes.extend(opened(1, "B", 1));
    changes.extend(opened(2, "A", 2));
    let kept = [
        reservation(11, 1, "A", ReservationStatus::Held),
        paid(12, "A", ReservationStatus::Paying, 22),
        paid(13, "A", ReservationStatus::Confirmed, 23),
        // Being refunded.
        paid(14, "A", ReservationStatus::Cancelled, 24),
    ];
    let others = [
        reservation(15, 1, "A", ReservationStatus::Cancelled),
        reservation(16, 1, "A", ReservationStatus::Expired),
        paid(17, "A", ReservationStatus::Refunded, 27),
        reservation(18, 2, "A", ReservationStatus::Held),
    ];
    let kept_payments = [
        payment(22, 12, PaymentStatus::Pending),
        payment(23, 13, PaymentStatus::Completed),
        payment(24, 14, PaymentStatus::Completed),
    ];
    // 25: an earlier attempt, no longer named by its reservation.
    let other_payments = [payment(25, 13, PaymentStatus::Failed), payment(27, 17, PaymentStatus::Refunded)];
    changes.extend(kept.iter().chain(&others).cloned().map(Change::Reservation));
    changes.extend(kept_payments.iter().chain(&other_payments).cloned().map(Change::Payment));
    commit_changes(&*store, SEATS, changes).await;

    let keys = [(1, "A"), (1, "B"), (3, "A"), (1, "C")].map(|(s, name)| (schedule_id(s), section_name(name)));
    let mut sections = store.load_sections(&keys).await.unwrap();
    sections.sort_by_key(|section| section.row.name.clone());
    let seats = |name: &str, n| (1..=n).map(|number| seat(1, name, number)).collect::<Vec<_>>();
    let first = Section::load(section(1, "A", 30), seats("A", 30), kept.to_vec(), kept_payments.to_vec());
    let second = Section::load(section(1, "B", 1), seats("B", 1), vec![], vec![]);
    assert_eq!(sections, [first, second]);
    assert_eq!(store.load_sections(&[]).await, Ok(vec![]));
}

pub async fn reservations_come_in_whatever_status(store: Arc<dyn Store>) {
    let rows: Vec<Reservation> = ReservationStatus::ALL
        .into_iter()
        .zip(10..)
        .map(|(status, number)| reservation(number, 1, "A", status))
        .collect();
    let mut changes = opened(1, "A", 2);
    changes.extend(rows.iter().cloned().map(Change::Reservation));
    commit_changes(&*store, SEATS, changes).await;
    let mut ids: Vec<ReservationId> = rows.iter().map(|row| row.id).collect();
    ids.push(ReservationId(id(999)));
    let mut loaded = store.load_reservations(&ids).await.unwrap();
    loaded.sort_by_key(|row| row.id);
    assert_eq!(loaded, rows);
    assert_eq!(store.load_reservations(&[]).await, Ok(vec![]));
    assert_eq!(store.reservation(ReservationId(id(999))).await, Ok(None));
}

pub async fn wallets_come_by_user(store: Arc<dyn Store>) {
    let rows = ["Zoe", "alice", "bob"].map(|name| wallet(name, 100, 0));
    commit_changes(&*store, WALLETS, rows.iter().cloned().map(Change::Wallet).collect()).await;
    let mut loaded = store.load_wallets(&["bob", "nobody", "alice", "Alice"].map(user)).await.unwrap();
    loaded.sort_by_key(|row| row.user_id.clone());
    assert_eq!(loaded, rows[1..]);
    assert_eq!(store.load_wallets(&[]).await, Ok(vec![]));
    assert_eq!(store.wallet(&user("nobody")).await, Ok(None));
}

pub async fn a_queue_comes_with_its_live_tokens(store: Arc<dyn Store>) {
    assert_eq!(store.load_queue(schedule_id(1)).await, Ok(None));
    let tokens: Vec<_> = TokenStatus::ALL
        .into_iter()
        .chain(TokenStatus::ALL)
        .zip(1..)
        .map(|(status, sequence)| token(1, sequence, &format!("u{sequence}"), status, 50 - sequence))
        .collect();
    let mut changes = vec![Change::Queue(queue(1)), Change::Queue(queue(2))];
    changes.extend(tokens.iter().cloned().map(Change::Token));
    changes.push(Change::Token(token(2, 1, "other", TokenStatus::Waiting, 1)));
    commit_changes(&*store, QUEUES, changes).await;
    let live: Vec<_> = tokens.into_iter().filter(|token| token.status.is_live()).collect();
    assert_eq!(store.load_queue(schedule_id(1)).await, Ok(Some((queue(1), live))));
    assert_eq!(store.queue(schedule_id(2)).await, Ok(Some(queue(2))));
    assert_eq!(store.queue(schedule_id(3)).await, Ok(None));
}

pub async fn requests_belong_to_their_partition(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.requests = vec![request(1, SEATS, 0), request(2, SEATS, 0)]).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![request(1, WALLETS, 0)]).await;
    let ids = [1, 2, 3].map(|number| RequestId(id(number)));
    assert_eq!(store.load_requests(WALLETS, &ids).await, Ok(vec![request(1, WALLETS, 0)]));
    assert_eq!(store.load_requests(SEATS, &ids).await.unwrap().len(), 2);
    assert_eq!(store.load_requests(QUEUES, &ids).await, Ok(vec![]));
    assert_eq!(store.load_requests(SEATS, &[]).await, Ok(vec![]));
}

pub async fn held_sections_tell_when_their_first_hold_runs_out(store: Arc<dyn Store>) {
    let mut changes = opened(1, "A", 1);
    for (schedule, name) in [(1, "B"), (2, "A")] {
        changes.extend(opened(schedule, name, 1));
    }
    let held = |number, schedule, name, expires_at| {
        let row = reservation(number, schedule, name, ReservationStatus::Held);
        Change::Reservation(Reservation { expires_at: LogTime(expires_at), ..row })
    };
    changes.extend([held(11, 1, "A", 500), held(12, 1, "A", 300), held(13, 2, "A", 400)]);
    let over = Reservation { expires_at: LogTime(1), ..reservation(14, 1, "A", ReservationStatus::Expired) };
    changes.push(Change::Reservation(over));
    changes.push(Change::Reservation(reservation(15, 1, "B", ReservationStatus::Paying)));
    commit_changes(&*store, SEATS, changes).await;
    let mut sections = store.held_sections().await.unwrap();
    sections.sort();
    let due = |schedule, time| (schedule_id(schedule), section_name("A"), LogTime(time));
    assert_eq!(sections, [due(1, 300), due(2, 400)]);
}

pub async fn live_queues_have_a_live_token(store: Arc<dyn Store>) {
    let mut changes: Vec<Change> = (1..=4).map(|number| Change::Queue(queue(number))).collect();
    changes.push(Change::Token(token(1, 1, "a", TokenStatus::Waiting, 1)));
    changes.push(Change::Token(token(2, 1, "a", TokenStatus::Completed, 1)));
    changes.push(Change::Token(token(3, 1, "a", TokenStatus::Left, 1)));
    changes.push(Change::Token(token(3, 2, "a", TokenStatus::Active, 2)));
    commit_changes(&*store, QUEUES, changes).await;
    let mut queues = store.live_queues().await.unwrap();
    queues.sort();
    assert_eq!(queues, [schedule_id(1), schedule_id(3)]);
}

pub async fn whole_tables_come_in_pages(store: Arc<dyn Store>) {
    let mut seats = [opened(1, "A", 3), opened(1, "B", 2), opened(2, "A", 1)].concat();
    seats.extend((1..=5).map(|n| Change::Reservation(reservation(n, 1, "A", ReservationStatus::Expired))));
    seats.extend((1..=5).map(|n| Change::Payment(payment(n, 1, PaymentStatus::Failed))));
    let mut wallets: Vec<Change> = ["ann", "bob", "Cat", "d-e", "d.e"].map(|n| Change::Wallet(wallet(n, 1, 3))).into();
    wallets.extend(["ann", "bob"].iter().flat_map(|name| (1..=3).map(|n| Change::WalletEntry(entry(name, n)))));
    let mut queues: Vec<Change> = (1..=3).map(|n| Change::Queue(queue(n))).collect();
    queues.extend((1..=4).map(|n| Change::Token(token(1, n, &format!("u{n}"), TokenStatus::Left, n))));
    for (partition, changes) in [(SEATS, &seats), (WALLETS, &wallets), (QUEUES, &queues)] {
        commit_changes(&*store, partition, changes.clone()).await;
    }
    let mut read = Vec::new();
    for table in StateTable::ALL {
        let mut after = None;
        loop {
            let page = store.state_page(table, after.as_ref(), 2).await.unwrap();
            assert!(page.len() <= 2);
            let Some(last) = page.last().cloned() else { break };
            read.extend(page);
            after = Some(last);
        }
    }
    let written = [seats, wallets, queues].concat();
    assert_eq!(read.len(), written.len(), "each row once");
    assert!(written.iter().all(|row| read.contains(row)), "all of them as they were written");

    commit(&*store, SEATS, |batch| batch.requests = (1..=5).map(|n| request(n, SEATS, n as u64)).collect()).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![request(1, WALLETS, 0)]).await;
    let (mut requests, mut after) = (0, None);
    loop {
        let page = store.requests_page(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last().cloned() else { break };
        requests += page.len();
        after = Some(last);
    }
    assert_eq!(requests, 6);
}
