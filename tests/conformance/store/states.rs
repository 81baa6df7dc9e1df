//! Every field of every row comes back as it was written, and the last write of a row wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use turnstile::domain::block::{
    self, BlockRow, Category, Counts, Layout, LayoutParts, Payment, Remembered, Reservation, SaleState, SeatState,
    SectionRow, Span, Terms,
};
use turnstile::domain::queue::{
    self, Ending, Limits, OnTimeout, PresenceClock, PresenceMs, Queue, SaleClock, SaleMs, Token, TokenState, Turn,
};
use turnstile::domain::wallet::{self, AnswerKind, Entry, EntryKind};
use turnstile::domain::{Balance, Code, CommandKind, LogTime, RequestId, ReservationId};
use turnstile::store::{Page, RequestRow, RequestState, Store};

use super::rows::*;

/// As large and as odd as names may be: 128 and 64 characters of up to four bytes, of any script.
fn odd_names() -> (String, String) {
    let odd = "Ö-'\"\\%_;🎭 이름";
    let fill = |max: usize| odd.chars().chain("𝄞".chars().cycle()).take(max).collect::<String>();
    (fill(128), fill(64))
}

fn full_block(schedule: u128) -> BlockRow {
    BlockRow {
        terms: Terms {
            sales_open_at: Some(LogTime(-5)),
            sales_close_at: Some(LogTime(i64::MAX)),
            companions_free_at: Some(LogTime(17)),
            ..block(&key(schedule)).terms
        },
        queue: false,
        content: u64::MAX,
        cancelled: Some(arrival(SEATS, 70)),
        swept: Some(ReservationId(id(5))),
        sweep_done: true,
        refunds_due: 100_000,
        refunds_done: 99_999,
        counts: vec![vec![counts(5, 2, 1), counts(0, 0, 0)], vec![counts(200_000, 0, 3)]].into(),
        pending: 4,
        noted: Some(note(71, SaleState::Cancelled)),
        due_at: Some(LogTime(1_700_000_000_001)),
        changed: arrival(SEATS, 72),
        ..block(&key(schedule))
    }
}

fn counts(free: u32, blocked: u32, companions: u32) -> Counts {
    Counts { free, blocked, companions }
}

fn span(first: u32, last: u32) -> Span {
    Span { first, last }
}

fn full_layout() -> Layout {
    let category = |name: &str, price| Category { name: name.parse().unwrap(), price: amount(price) };
    Layout::new(LayoutParts {
        seats: 100_000,
        runs: vec![span(1, 20), span(21, 99_999), span(100_000, 100_000)],
        categories: vec![category("R", 0), category(&odd_names().1, 1_000_000_000_000)],
        category_runs: vec![(span(1, 5), 1), (span(6, 100_000), 0)],
        not_for_sale: vec![span(3, 3), span(50, 60)],
        wheelchair: vec![span(7, 8)],
        companions: vec![(6, 7), (9, 8)],
    })
    .unwrap()
}

pub async fn every_field_of_a_block_comes_back(store: Arc<dyn Store>) {
    let (user_name, section_name) = odd_names();
    commit_seats(&*store, opened(&key(1), &["A"], 2)).await;
    let row = full_block(1);
    let sections =
        [SectionRow { layout: full_layout(), changed: arrival(SEATS, 73), ..section(&key(1), &section_name, 1) }];
    let holder = ReservationId(id(5));
    let remembered = Some(Remembered { user_id: user(&user_name), first_end: LogTime(9) });
    let states = [SeatState::Available, SeatState::Held(holder), SeatState::Paying(holder), SeatState::Sold(holder)];
    let mut seats: Vec<_> = states
        .into_iter()
        .zip(1..)
        .map(|(state, number)| block::Seat {
            state,
            changed: arrival(SEATS, 74),
            ..seat(&key(1), &section_name, number)
        })
        .collect();
    seats[0].remembered = remembered;
    seats[3].checked = Some(arrival(SEATS, 75));
    let mut rows = vec![block::Row::Block(row.clone())];
    rows.extend(sections.iter().cloned().map(block::Row::Section));
    rows.extend(seats.iter().cloned().map(block::Row::Seat));
    commit_seats(&*store, rows).await;

    let loaded = store.load_blocks(&[key(1)]).await.unwrap().remove(0);
    assert_eq!(loaded.block, row);
    assert_eq!(loaded.sections, [vec![section(&key(1), "A", 0)], sections.to_vec()].concat());
    assert_eq!(loaded.seats, [vec![seat(&key(1), "A", 1), seat(&key(1), "A", 2)], seats].concat());
}

pub async fn every_state_of_a_reservation_comes_back(store: Arc<dyn Store>) {
    let (user_name, section_name) = odd_names();
    let seats = ["A-1".to_owned(), "A-100000".to_owned(), format!("{section_name}-1")];
    let mut rows: Vec<Reservation> = Vec::new();
    for (state, number) in reservation_states(60).into_iter().zip(10..) {
        rows.push(Reservation { state, ..reservation(number, &key_of(1, "north"), state) });
    }
    rows[0].seats = seats.iter().map(|seat| seat.parse().unwrap()).collect();
    (rows[0].user_id, rows[0].by) = (user(&user_name), Some(user("b")));
    // Each was in another state before.
    let before = rows.iter().map(|row| Reservation { state: rows[7].state, seats: Vec::new(), ..row.clone() });
    commit_seats(&*store, before.map(block::Row::Reservation).collect()).await;
    commit_seats(&*store, rows.iter().cloned().map(block::Row::Reservation).collect()).await;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut loaded = store.load_reservations(&ids).await.unwrap();
    loaded.sort_by_key(|row| row.id);
    assert_eq!(loaded, rows);
    for row in rows {
        assert_eq!(store.reservation(row.id).await, Ok(Some(row)));
    }
}

pub async fn every_state_of_a_payment_comes_back(store: Arc<dyn Store>) {
    let states = payment_states();
    let mut rows: Vec<Payment> =
        states.iter().zip(10..).map(|(state, number)| payment(number, &key(1), 9, state.clone())).collect();
    rows[0].asking.by = Some(user("staff"));
    for round in 0..states.len() {
        // Each state follows on every other one.
        for (place, row) in rows.iter_mut().enumerate() {
            row.state = states[(place + round) % states.len()].clone();
            row.changed = arrival(SEATS, 100 + round as u64);
        }
        commit_seats(&*store, rows.iter().cloned().map(block::Row::Payment).collect()).await;
        let ids: Vec<_> = rows.iter().map(|row| row.id).chain([payment_id(999)]).collect();
        let mut loaded = store.load_payments(&ids).await.unwrap();
        loaded.sort_by_key(|row| row.id);
        assert_eq!(loaded, rows);
    }
}

pub async fn every_field_of_a_wallet_comes_back(store: Arc<dyn Store>) {
    let (user_name, _) = odd_names();
    commit_wallets(&*store, vec![wallet::Row::Wallet(wallet(&user_name, 1, 1))]).await;
    let rich = wallet::Wallet { changed: arrival(WALLETS, 44), ..wallet(&user_name, i64::MAX, i64::MAX as u64) };
    let mut entries: Vec<Entry> = EntryKind::ALL
        .into_iter()
        .zip(1..)
        .map(|(kind, number)| Entry {
            kind,
            by: Some(user(&user_name)),
            reason: None,
            cause: id(u128::from(number) + 9),
            ..entry(&user_name, number)
        })
        .collect();
    entries[0].reason = Some("🎫 'quoted' \"twice\" \\".parse().unwrap());
    let mut answers: Vec<_> = AnswerKind::ALL.map(|kind| answer(3, kind)).into();
    answers[0].answer = Err(Code::InsufficientBalance);
    answers.push(wallet::PaymentAnswer { answer: Ok(Balance::new(i64::MAX).unwrap()), ..answer(4, AnswerKind::Debit) });
    let mut rows = vec![wallet::Row::Wallet(rich.clone())];
    rows.extend(entries.iter().cloned().map(wallet::Row::Entry));
    rows.extend(answers.iter().cloned().map(wallet::Row::Answer));
    commit_wallets(&*store, rows).await;

    assert_eq!(store.wallet(&user(&user_name)).await, Ok(Some(rich)));
    let listed = store.wallet_entries(&user(&user_name), Page { after: None, limit: 9 }).await.unwrap();
    assert!(listed.iter().eq(entries.iter().rev()));
    let mut loaded = store.load_answers(&[payment_id(3), payment_id(4), payment_id(5)]).await.unwrap();
    loaded.sort_by_key(|answer| (answer.payment_id, answer.kind));
    assert_eq!(loaded, answers);
}

pub async fn every_field_of_a_queue_comes_back(store: Arc<dyn Store>) {
    commit_queues(&*store, vec![queue::Row::Queue(queue(1))]).await;
    let name = |name: &str| name.parse().unwrap();
    let states = SaleState::ALL.into_iter().zip(1..);
    let notes = states.map(|(state, version)| (name(&format!("b{version}")), Some(note(version, state))));
    let row = Queue {
        limits: Limits {
            max_active: 1_000_000,
            admit_per_minute: Some(600),
            on_timeout: OnTimeout::Expire,
            ..queue(1).limits
        },
        sales_open_at: Some(LogTime(1)),
        sale: notes.chain([(name("main"), None)]).collect::<BTreeMap<_, _>>(),
        paused_since: Some(LogTime(25)),
        presence: PresenceClock { now: PresenceMs(20), at: LogTime(21), stood_until: LogTime(22) },
        on_sale: SaleClock { now: SaleMs(23), at: LogTime(24) },
        next_sequence: 2,
        waiting: 3,
        absent: 10,
        active: 4,
        admitted: 5,
        completed: 6,
        expired: 7,
        left: 8,
        rate_next_us: 1_700_000_000_000_001,
        due_at: Some(LogTime(12)),
        changed: arrival(QUEUES, 9),
        ..queue(1)
    };
    let turn = Turn { admitted_at: LogTime(5), until: LogTime(6), from: PresenceMs(7), used: true };
    let ended = [Ending::Completed, Ending::Expired, Ending::Left].into_iter();
    let unused = Turn { used: false, ..turn };
    let live = [
        TokenState::Waiting,
        TokenState::Absent { since: SaleMs(8) },
        TokenState::Active(turn),
        TokenState::Active(unused),
    ];
    let states = live.into_iter();
    let states = states.chain(ended.clone().map(|how| TokenState::Ended { how, turn: None }));
    let states = states.chain(ended.map(|how| TokenState::Ended { how, turn: Some(turn) }));
    let tokens: Vec<Token> =
        states.zip(1..).map(|(state, sequence)| token(1, sequence, &odd_names().0, state, sequence)).collect();
    let mut rows = vec![queue::Row::Queue(row.clone())];
    rows.extend(tokens.iter().cloned().map(queue::Row::Token));
    commit_queues(&*store, rows).await;
    assert_eq!(store.load_queue(schedule_id(1)).await, Ok(Some((row.clone(), tokens[..live.len()].to_vec()))));
    assert_eq!(store.queue(schedule_id(1)).await, Ok(Some(row)));
    assert_eq!(store.tokens_changed(schedule_id(1), 0, false, 100).await, Ok(tokens));
}

pub async fn every_field_of_a_request_comes_back(store: Arc<dyn Store>) {
    let mut rows: Vec<RequestRow> = CommandKind::ALL
        .into_iter()
        .zip(1..)
        .map(|(command, n)| RequestRow { command, ..request(n, SEATS, 5) })
        .collect();
    (rows[0].user_id, rows[0].by) = (None, Some(user(&odd_names().0)));
    rows[1].state = RequestState::Pending;
    rows[2].state = RequestState::Decided(decided(false, r#"{"ö":"🎫"}"#));
    commit(&*store, SEATS, |batch| batch.requests = rows.clone()).await;
    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
    let mut loaded = store.load_requests(SEATS, &keys).await.unwrap();
    loaded.sort_by_key(|row| row.key);
    assert_eq!(loaded, rows);
    for row in rows {
        assert_eq!(store.request(RequestId(row.key.id.0)).await, Ok(Some(row)));
    }
}

/// Names that a language's rules, or a careless comparison, take for one.
pub async fn names_differ_byte_by_byte(store: Arc<dyn Store>) {
    let names = ["Zoe", "alice", "Alice", "al ice", "alicé", "alice\u{301}", "ALICE", "alıce", "ａlice"];
    let rows = names.iter().zip(1..).map(|(name, n)| wallet::Row::Wallet(wallet(name, n, 0)));
    commit_wallets(&*store, rows.collect()).await;
    for (name, balance) in names.iter().zip(1..) {
        assert_eq!(store.load_wallets(&[user(name)]).await, Ok(vec![wallet(name, balance, 0)]));
        assert_eq!(store.wallet(&user(name)).await, Ok(Some(wallet(name, balance, 0))));
    }
    let mut sections = ["a", "A", "ä", "Ä", "ａ", "b-1", "b"];
    commit_seats(&*store, opened(&key(1), &sections, 2)).await;
    let stored = store.seats(schedule_id(1)).await.unwrap().remove(0);
    assert_eq!(stored.sections.iter().map(|section| section.name.as_str()).collect::<Vec<_>>(), sections);
    sections.sort_unstable();
    let seats: Vec<_> = sections.iter().flat_map(|name| (1..=2).map(|n| seat(&key(1), name, n))).collect();
    assert_eq!(stored.seats, seats);
}
