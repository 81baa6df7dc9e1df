//! What owners load.

use std::sync::Arc;

use turnstile::domain::block::{self, BlockRow, Payment, PaymentState, Reservation, ReservationState, Waiting};
use turnstile::domain::queue::{self, Ending, Queue, TokenState, Turn};
use turnstile::domain::wallet::{self, AnswerKind, Entry, EntryKind, PaymentAnswer};
use turnstile::domain::{Arrival, LanePartition, LogTime, Row};
use turnstile::store::{StateTable, Store};

use super::rows::*;

const WAITING: Waiting = Waiting { ask_at: LogTime(1_700_000_060_000), interval_ms: 60_000 };

fn confirmed(payment: u128) -> ReservationState {
    ReservationState::Confirmed { payment: Some(payment_id(payment)), serial: 5 }
}

pub async fn blocks_come_with_what_is_unfinished(store: Arc<dyn Store>) {
    let (main, north, other) = (key(1), key_of(1, "north"), key(2));
    let mut rows = opened(&main, &["Z", "A"], 3);
    rows.extend(opened(&north, &["A"], 0));
    rows.extend(opened(&other, &["A"], 2));
    let refunding = PaymentState::Refunding { asking: None, waiting: WAITING };
    let kept = [
        reservation(11, &main, ReservationState::Held),
        reservation(12, &main, ReservationState::Paying(payment_id(22))),
        reservation(13, &main, confirmed(23)),
        reservation(14, &main, ReservationState::Confirmed { payment: None, serial: 6 }),
        reservation(15, &main, ReservationState::Cancelled { refund: Some(payment_id(25)) }),
    ];
    let kept_payments = [
        payment(22, &main, 12, PaymentState::Pending(WAITING)),
        payment(23, &main, 13, PaymentState::Completed),
        payment(25, &main, 15, refunding),
    ];
    let others = [
        reservation(16, &main, ReservationState::Cancelled { refund: None }),
        reservation(17, &main, ReservationState::Expired),
        reservation(18, &main, ReservationState::Refunded { payment: Some(payment_id(28)) }),
        reservation(19, &other, confirmed(29)),
    ];
    let other_payments = [
        // An earlier attempt, no longer named by its reservation.
        payment(26, &main, 13, PaymentState::Failed(turnstile::domain::Code::InsufficientBalance)),
        payment(28, &main, 18, PaymentState::Refunded),
        payment(29, &other, 19, PaymentState::Completed),
    ];
    rows.extend(kept.iter().chain(&others).cloned().map(block::Row::Reservation));
    rows.extend(kept_payments.iter().chain(&other_payments).cloned().map(block::Row::Payment));
    commit_seats(&*store, rows).await;

    let keys = [main.clone(), north.clone(), key(3), key_of(2, "north")];
    let mut blocks = store.load_blocks(&keys).await.unwrap();
    blocks.sort_by_key(|rows| rows.block.key.clone());
    let seats = ["A", "Z"].iter().flat_map(|name| (1..=3).map(|number| seat(&main, name, number)));
    let first = block::Rows {
        block: block(&main),
        sections: vec![section(&main, "Z", 0), section(&main, "A", 1)],
        seats: seats.collect(),
        reservations: kept.to_vec(),
        payments: kept_payments.to_vec(),
    };
    let second = block::Rows {
        block: block(&north),
        sections: vec![section(&north, "A", 0)],
        seats: vec![],
        reservations: vec![],
        payments: vec![],
    };
    assert_eq!(blocks, [first, second]);
    assert_eq!(store.load_blocks(&[]).await, Ok(vec![]));
}

/// What is unfinished is decided by the rules' types, and searched by conditions of indexes: they must agree.
pub async fn the_indexes_agree_on_what_is_unfinished(store: Arc<dyn Store>) {
    let mut rows = opened(&key(1), &["A"], 0);
    let mut kept: Vec<Reservation> = Vec::new();
    let mut kept_payments: Vec<Payment> = Vec::new();
    let mut number = 100;
    for with in payment_states() {
        for state in reservation_states(0) {
            number += 1;
            let state = match state {
                ReservationState::Paying(_) => ReservationState::Paying(payment_id(number)),
                ReservationState::Confirmed { payment: Some(_), .. } => confirmed(number),
                ReservationState::Cancelled { refund: Some(_) } => {
                    ReservationState::Cancelled { refund: Some(payment_id(number)) }
                }
                ReservationState::Refunded { .. } => ReservationState::Refunded { payment: Some(payment_id(number)) },
                without => without,
            };
            let (row, paid) = (reservation(number, &key(1), state), payment(number, &key(1), number, with.clone()));
            rows.extend([block::Row::Reservation(row.clone()), block::Row::Payment(paid.clone())]);
            if state.is_unfinished() {
                kept.push(row);
                if state.payment().is_some() && paid.state.is_unfinished() {
                    kept_payments.push(paid);
                }
            }
        }
    }
    commit_seats(&*store, rows).await;
    let loaded = store.load_blocks(&[key(1)]).await.unwrap().remove(0);
    assert_eq!(loaded.reservations, kept);
    assert_eq!(loaded.payments, kept_payments);
}

pub async fn ids_that_nothing_has_are_absent(store: Arc<dyn Store>) {
    commit_seats(&*store, vec![block::Row::Reservation(reservation(1, &key(1), ReservationState::Held))]).await;
    let ids = [1, 999].map(|number| turnstile::domain::ReservationId(id(number)));
    assert_eq!(store.load_reservations(&ids).await.unwrap().len(), 1);
    assert_eq!(store.load_reservations(&[]).await, Ok(vec![]));
    assert_eq!(store.load_payments(&[payment_id(1)]).await, Ok(vec![]));
    assert_eq!(store.load_payments(&[]).await, Ok(vec![]));
    assert_eq!(store.load_answers(&[payment_id(1)]).await, Ok(vec![]));
    assert_eq!(store.load_answers(&[]).await, Ok(vec![]));
    assert_eq!(store.load_entries(&[(EntryKind::Charge, id(1))]).await, Ok(vec![]));
    assert_eq!(store.load_entries(&[]).await, Ok(vec![]));
    assert_eq!(store.reservation(ids[1]).await, Ok(None));
}

pub async fn wallets_come_by_user(store: Arc<dyn Store>) {
    let rows = ["Zoe", "alice", "bob"].map(|name| wallet(name, 100, 0));
    commit_wallets(&*store, rows.iter().cloned().map(wallet::Row::Wallet).collect()).await;
    let mut loaded = store.load_wallets(&["bob", "nobody", "alice", "Alice"].map(user)).await.unwrap();
    loaded.sort_by_key(|row| row.user_id.clone());
    assert_eq!(loaded, rows[1..]);
    assert_eq!(store.load_wallets(&[]).await, Ok(vec![]));
    assert_eq!(store.wallet(&user("nobody")).await, Ok(None));
}

pub async fn entries_come_by_kind_and_cause(store: Arc<dyn Store>) {
    let of = |number, kind, cause| Entry { kind, cause: id(cause), ..entry("alice", number) };
    let rows = [
        of(1, EntryKind::Payment, 50),
        of(2, EntryKind::Refund, 50),
        of(3, EntryKind::Charge, 51),
        of(4, EntryKind::Payment, 52),
    ];
    commit_wallets(&*store, rows.iter().cloned().map(wallet::Row::Entry).collect()).await;
    let causes = [(EntryKind::Refund, id(50)), (EntryKind::Charge, id(51)), (EntryKind::Debit, id(52))];
    let mut loaded = store.load_entries(&causes).await.unwrap();
    loaded.sort_by_key(|entry| entry.number);
    assert_eq!(loaded, rows[1..3]);
}

pub async fn answers_come_by_payment_of_both_kinds_and_every_user(store: Arc<dyn Store>) {
    // Two partitions may each be asked for one payment id: neither takes the other's answer away.
    let of_bob = PaymentAnswer { user_id: user("bob"), ..answer(1, AnswerKind::Debit) };
    let kept = [answer(1, AnswerKind::Debit), answer(1, AnswerKind::Refund), of_bob];
    let rows = kept.iter().cloned().chain([answer(2, AnswerKind::Debit)]).map(wallet::Row::Answer);
    commit_wallets(&*store, rows.collect()).await;
    let mut loaded = store.load_answers(&[payment_id(1), payment_id(3)]).await.unwrap();
    loaded.sort_by_key(|answer| (answer.user_id.clone(), answer.kind));
    assert_eq!(loaded, kept);
}

pub async fn a_queue_comes_with_its_live_tokens(store: Arc<dyn Store>) {
    assert_eq!(store.load_queue(schedule_id(1)).await, Ok(None));
    let turn = Turn { admitted_at: LogTime(1), until: LogTime(2), from: queue::PresenceMs(3), used: true };
    let states = [
        TokenState::Waiting,
        TokenState::Ended { how: Ending::Left, turn: None },
        TokenState::Active(turn),
        TokenState::Ended { how: Ending::Completed, turn: Some(turn) },
        TokenState::Ended { how: Ending::Expired, turn: None },
    ];
    let tokens: Vec<_> = states
        .into_iter()
        .chain(states)
        .zip(1..)
        .map(|(state, sequence)| token(1, sequence, &format!("u{sequence}"), state, 50 - sequence))
        .collect();
    let mut rows = vec![queue::Row::Queue(queue(1)), queue::Row::Queue(queue(2))];
    rows.extend(tokens.iter().cloned().map(queue::Row::Token));
    rows.push(queue::Row::Token(token(2, 1, "other", TokenState::Waiting, 1)));
    commit_queues(&*store, rows).await;
    let live: Vec<_> = tokens.into_iter().filter(|token| token.state.is_live()).collect();
    assert_eq!(store.load_queue(schedule_id(1)).await, Ok(Some((queue(1), live))));
    assert_eq!(store.queue(schedule_id(2)).await, Ok(Some(queue(2))));
    assert_eq!(store.queue(schedule_id(3)).await, Ok(None));
}

pub async fn requests_belong_to_their_partition_and_side(store: Arc<dyn Store>) {
    let own = turnstile::store::RequestRow { key: internal(1), user_id: None, ..request(1, SEATS, 7) };
    let requests = vec![request(1, SEATS, 0), request(2, SEATS, 0), own.clone()];
    commit(&*store, SEATS, |batch| batch.requests = requests).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![request(1, WALLETS, 0)]).await;
    let keys = [client(1), client(2), client(3)];
    assert_eq!(store.load_requests(WALLETS, &keys).await, Ok(vec![request(1, WALLETS, 0)]));
    assert_eq!(store.load_requests(SEATS, &keys).await.unwrap().len(), 2);
    assert_eq!(store.load_requests(SEATS, &[internal(1), internal(2)]).await, Ok(vec![own]));
    assert_eq!(store.load_requests(SEATS, &[client(1), internal(1)]).await.unwrap().len(), 2);
    assert_eq!(store.load_requests(WALLETS, &[internal(1)]).await, Ok(vec![]));
    assert_eq!(store.load_requests(QUEUES, &keys).await, Ok(vec![]));
    assert_eq!(store.load_requests(SEATS, &[]).await, Ok(vec![]));
}

/// The command at offset 7 of another partition.
fn on(lane: LanePartition, partition: u32) -> Arrival {
    arrival(LanePartition { partition, ..lane }, 7)
}

pub async fn what_is_due_is_of_the_partition_that_wrote_last(store: Arc<dyn Store>) {
    let due = |number, at: Option<i64>, partition| {
        let due_at = at.map(LogTime);
        let row = BlockRow { due_at, changed: on(SEATS, partition), ..block(&key(number)) };
        let queue = Queue { due_at, changed: on(QUEUES, partition), ..queue(number) };
        (block::Row::Block(row), queue::Row::Queue(queue))
    };
    let rows = [due(1, Some(500), 3), due(2, None, 3), due(3, Some(-1), 3), due(4, Some(7), 4), due(5, Some(9), 3)];
    let (blocks, queues) = rows.into_iter().unzip();
    commit_seats(&*store, blocks).await;
    commit_queues(&*store, queues).await;
    // Another partition writes 5 from now on.
    let (block, queue) = due(5, Some(10), 4);
    commit_seats(&*store, vec![block]).await;
    commit_queues(&*store, vec![queue]).await;

    let mut due = store.due_blocks(3).await.unwrap();
    due.sort();
    assert_eq!(due, [(key(1), LogTime(500)), (key(3), LogTime(-1))]);
    let mut due = store.due_blocks(4).await.unwrap();
    due.sort();
    assert_eq!(due, [(key(4), LogTime(7)), (key(5), LogTime(10))]);
    assert_eq!(store.due_blocks(0).await, Ok(vec![]));
    let mut due = store.due_queues(3).await.unwrap();
    due.sort();
    assert_eq!(due, [(schedule_id(1), LogTime(500)), (schedule_id(3), LogTime(-1))]);
    assert_eq!(store.due_queues(5).await, Ok(vec![]));
}

pub async fn whole_tables_come_in_pages(store: Arc<dyn Store>) {
    let mut seats = [opened(&key(1), &["A", "B", "Ö"], 3), opened(&key_of(1, "x"), &["A"], 2)].concat();
    seats.extend(opened(&key(2), &["A"], 1));
    seats.extend((1..=5).map(|n| block::Row::Reservation(reservation(n, &key(1), ReservationState::Expired))));
    seats.extend((1..=5).map(|n| block::Row::Payment(payment(n, &key(1), 1, PaymentState::Refunded))));
    let mut wallets: Vec<_> = ["ann", "bob", "Cat", "d-e", "ö"].map(|n| wallet::Row::Wallet(wallet(n, 1, 3))).into();
    wallets.extend(["ann", "bob"].iter().flat_map(|name| (1..=3).map(|n| wallet::Row::Entry(entry(name, n)))));
    wallets.extend((1..=3).flat_map(|n| AnswerKind::ALL.map(|kind| wallet::Row::Answer(answer(n, kind)))));
    let mut queues: Vec<_> = (1..=3).map(|n| queue::Row::Queue(queue(n))).collect();
    queues.extend((1..=4).map(|n| queue::Row::Token(token(1, n, &format!("u{n}"), TokenState::Waiting, n))));
    commit_seats(&*store, seats.clone()).await;
    commit_wallets(&*store, wallets.clone()).await;
    commit_queues(&*store, queues.clone()).await;
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
    let written = seats.into_iter().map(Row::Seats).chain(wallets.into_iter().map(Row::Wallets));
    let written: Vec<_> = written.chain(queues.into_iter().map(Row::Queues)).collect();
    assert_eq!(read.len(), written.len(), "each row once");
    assert!(written.iter().all(|row| read.contains(row)), "all of them as they were written");

    let mut requests: Vec<_> = (1..=5).map(|n| request(n, SEATS, n as u64)).collect();
    requests.push(turnstile::store::RequestRow { key: internal(1), ..request(1, SEATS, 9) });
    commit(&*store, SEATS, |batch| batch.requests = requests).await;
    commit(&*store, WALLETS, |batch| batch.requests = vec![request(1, WALLETS, 0)]).await;
    let (mut requests, mut after) = (0, None);
    loop {
        let page = store.requests_page(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last().cloned() else { break };
        requests += page.len();
        after = Some(last);
    }
    assert_eq!(requests, 7);
}
