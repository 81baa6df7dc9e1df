//! Rows to write, plain but for what a test cares about.

use std::collections::BTreeMap;

use turnstile::domain::block::{
    self, BlockRow, Counts, Layout, Payment, PaymentState, Reservation, ReservationState, SaleNote, SaleState, Seat,
    SeatState, SectionRow, Terms, Waiting,
};
use turnstile::domain::queue::{
    self, Limits, OnTimeout, PresenceClock, PresenceMs, Queue, SaleClock, SaleMs, Token, TokenState,
};
use turnstile::domain::wallet::{self, AnswerKind, Entry, EntryKind, PaymentAnswer, Wallet};
use turnstile::domain::{
    Amount, Arrival, Asking, Balance, BlockKey, Changes, CommandKind, ConcertId, EntryId, Fingerprint, Lane,
    LanePartition, LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SeatId, UserId,
};
use turnstile::log::Topic;
use turnstile::store::{
    CommitBatch, CommitGroup, Committed, Concert, DeadLetter, Decided, OutboxRow, Progress, Published, RequestKey,
    RequestRow, RequestState, Schedule, Store,
};
use uuid::Uuid;

pub const SEATS: LanePartition = LanePartition { lane: Lane::Seats, partition: 3 };
pub const WALLETS: LanePartition = LanePartition { lane: Lane::Wallets, partition: 1 };
pub const QUEUES: LanePartition = LanePartition { lane: Lane::Queues, partition: 0 };

/// Ids in the order of their numbers.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number)
}

pub fn schedule_id(number: u128) -> ScheduleId {
    ScheduleId(id(number))
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub fn amount(amount: i64) -> Amount {
    Amount::new(amount).unwrap()
}

/// The command at this offset, decided 10 ms after the one before it.
pub fn arrival(partition: LanePartition, offset: u64) -> Arrival {
    Arrival { position: partition.at(offset), time: LogTime(1_700_000_000_000 + 10 * offset as i64) }
}

/// The state a partition starts with, to commit from.
pub async fn acquired(store: &dyn Store, partition: LanePartition) -> Progress {
    store.acquire(partition, "worker-1").await.unwrap()
}

/// The owner says that the log has the outbox rows before this one.
pub async fn published(store: &dyn Store, partition: LanePartition, before: u64) {
    let epoch = store.progress(partition).await.unwrap().unwrap().epoch;
    let published = vec![Published { partition, epoch, seqs: 0..before }];
    let group = CommitGroup { batches: vec![], published };
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Done]));
}

/// A batch of one record after `progress`, that changes nothing yet.
pub fn batch(partition: LanePartition, progress: &Progress) -> CommitBatch {
    let after =
        Progress { next_offset: progress.next_offset + 1, last_time: LogTime(progress.last_time.0 + 10), ..*progress };
    let changes = match partition.lane {
        Lane::Seats => Changes::Seats(Vec::new()),
        Lane::Wallets => Changes::Wallets(Vec::new()),
        Lane::Queues => Changes::Queues(Vec::new()),
        Lane::Inbox => Changes::Inbox,
    };
    CommitBatch {
        partition,
        before: *progress,
        after,
        changes,
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
        interventions: Vec::new(),
    }
}

/// Takes the partition over and commits one batch that `edit` fills.
pub async fn commit(store: &dyn Store, partition: LanePartition, edit: impl FnOnce(&mut CommitBatch)) -> Progress {
    let progress = acquired(store, partition).await;
    let mut batch = batch(partition, &progress);
    edit(&mut batch);
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
    batch.after
}

pub async fn commit_seats(store: &dyn Store, rows: Vec<block::Row>) -> Progress {
    commit(store, SEATS, |batch| batch.changes = Changes::Seats(rows)).await
}

pub async fn commit_wallets(store: &dyn Store, rows: Vec<wallet::Row>) -> Progress {
    commit(store, WALLETS, |batch| batch.changes = Changes::Wallets(rows)).await
}

pub async fn commit_queues(store: &dyn Store, rows: Vec<queue::Row>) -> Progress {
    commit(store, QUEUES, |batch| batch.changes = Changes::Queues(rows)).await
}

/// Block `main` of a date.
pub fn key(schedule: u128) -> BlockKey {
    BlockKey::main(schedule_id(schedule))
}

pub fn key_of(schedule: u128, block: &str) -> BlockKey {
    BlockKey { schedule_id: schedule_id(schedule), block: block.parse().unwrap() }
}

pub fn block(key: &BlockKey) -> BlockRow {
    BlockRow {
        key: key.clone(),
        terms: Terms {
            hold_ttl_ms: 300_000,
            rehold_after_ms: 60_000,
            payment_timeout_ms: 60_001,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            starts_at: LogTime(1_800_000_000_000),
            companions_free_at: None,
        },
        queue: true,
        content: u64::MAX - 7,
        cancelled: None,
        swept: None,
        sweep_done: false,
        refunds_due: 0,
        refunds_done: 0,
        counts: vec![vec![Counts { free: 10, blocked: 0, companions: 0 }]].into(),
        pending: 0,
        noted: None,
        due_at: None,
        changed: arrival(SEATS, 7),
    }
}

pub fn section(key: &BlockKey, name: &str, rank: u32) -> SectionRow {
    let name = name.parse().unwrap();
    let layout = Layout::plain(10, &name, amount(1000)).unwrap();
    SectionRow { key: key.clone(), name, rank, layout, changed: arrival(SEATS, 7) }
}

/// A seat that a reservation holds.
pub fn seat(key: &BlockKey, section: &str, number: u32) -> Seat {
    Seat {
        key: key.clone(),
        id: SeatId { section: section.parse().unwrap(), number },
        state: SeatState::Held(ReservationId(id(u128::from(number)))),
        remembered: None,
        checked: None,
        changed: arrival(SEATS, 8),
    }
}

/// A block with these sections in this order, and this many touched seats of each.
pub fn opened(key: &BlockKey, sections: &[&str], touched: u32) -> Vec<block::Row> {
    let mut rows = vec![block::Row::Block(block(key))];
    for (name, rank) in sections.iter().zip(0..) {
        rows.push(block::Row::Section(section(key, name, rank)));
        rows.extend((1..=touched).map(|number| block::Row::Seat(seat(key, name, number))));
    }
    rows
}

pub fn reservation(number: u128, key: &BlockKey, state: ReservationState) -> Reservation {
    Reservation {
        id: ReservationId(id(number)),
        key: key.clone(),
        user_id: user("alice"),
        by: None,
        seats: ["A-1", "A-2"].map(|seat| seat.parse().unwrap()).into(),
        amount: amount(2000),
        state,
        expires_at: LogTime(1_700_000_300_000 + number as i64),
        held: arrival(SEATS, 9),
        changed: arrival(SEATS, 10),
    }
}

pub fn payment_id(number: u128) -> PaymentId {
    PaymentId(id(number))
}

/// The state of a reservation of each kind, with payment `number` where it has one.
pub fn reservation_states(number: u128) -> Vec<ReservationState> {
    let payment = payment_id(number);
    vec![
        ReservationState::Held,
        ReservationState::Paying(payment),
        ReservationState::Confirmed { payment: Some(payment), serial: 12 },
        ReservationState::Confirmed { payment: None, serial: i64::MAX as u64 },
        ReservationState::Expired,
        ReservationState::Cancelled { refund: None },
        ReservationState::Cancelled { refund: Some(payment) },
        ReservationState::Refunded { payment: None },
        ReservationState::Refunded { payment: Some(payment) },
    ]
}

pub fn asking(number: u128) -> Asking {
    Asking { request_id: RequestId(id(number)), fingerprint: Fingerprint(u64::MAX - 3), by: None }
}

/// The state of a payment of each kind.
pub fn payment_states() -> Vec<PaymentState> {
    let waiting = Waiting { ask_at: LogTime(1_700_000_060_000), interval_ms: 60_000 };
    let staff = Asking { by: Some(user("Ünal")), ..asking(77) };
    vec![
        PaymentState::Pending(waiting),
        PaymentState::Completed,
        PaymentState::Failed(turnstile::domain::Code::InsufficientBalance),
        PaymentState::Refunding { asking: Some(staff), waiting },
        PaymentState::Refunding { asking: None, waiting },
        PaymentState::Refunded,
    ]
}

pub fn payment(number: u128, key: &BlockKey, reservation: u128, state: PaymentState) -> Payment {
    Payment {
        id: payment_id(number),
        key: key.clone(),
        reservation_id: ReservationId(id(reservation)),
        user_id: user("alice"),
        amount: amount(2000),
        state,
        asking: asking(number + 1_000_000),
        created_at: LogTime(1_700_000_000_500),
        changed: arrival(SEATS, 11),
    }
}

pub fn note(version: u64, state: SaleState) -> SaleNote {
    SaleNote { version, state, sales_open_at: Some(LogTime(5)), starts_at: LogTime(1_800_000_000_000) }
}

pub fn wallet(name: &str, balance: i64, entries: u64) -> Wallet {
    Wallet { user_id: user(name), balance: Balance::new(balance).unwrap(), entries, changed: arrival(WALLETS, 4) }
}

/// A charge; its cause is its request, made of the number and the name.
pub fn entry(name: &str, number: u64) -> Entry {
    let request = id(u128::from(number) * 1000 + name.bytes().map(u128::from).sum::<u128>());
    Entry {
        id: EntryId(id(u128::from(number))),
        user_id: user(name),
        number,
        kind: EntryKind::Charge,
        amount: amount(500),
        balance_after: Balance::new(500 * number as i64).unwrap(),
        reason: Some("gift".parse().unwrap()),
        request_id: RequestId(request),
        by: None,
        cause: request,
        at: arrival(WALLETS, number),
    }
}

pub fn answer(number: u128, kind: AnswerKind) -> PaymentAnswer {
    PaymentAnswer {
        payment_id: payment_id(number),
        kind,
        user_id: user("alice"),
        amount: amount(2000),
        answer: Ok(Balance::ZERO),
        at: arrival(WALLETS, 12),
    }
}

pub fn queue(schedule: u128) -> Queue {
    Queue {
        schedule_id: schedule_id(schedule),
        limits: Limits {
            max_active: 10,
            active_ttl_ms: 300_000,
            max_waiting: 1000,
            admit_per_minute: None,
            on_timeout: OnTimeout::Requeue,
            abandon_after_ms: 180_000,
            claim_after_ms: 60_000,
            absent_max_ms: 3_600_000,
        },
        sales_open_at: None,
        starts_at: LogTime(1_800_000_000_000),
        sale: BTreeMap::from([("main".parse().unwrap(), None)]),
        paused_since: None,
        presence: PresenceClock { now: PresenceMs(0), at: LogTime(1), stood_until: LogTime(1) },
        on_sale: SaleClock { now: SaleMs(0), at: LogTime(1) },
        next_sequence: 1,
        waiting: 0,
        absent: 0,
        active: 0,
        admitted: 0,
        completed: 0,
        expired: 0,
        left: 0,
        rate_next_us: 0,
        due_at: None,
        changed: arrival(QUEUES, 0),
    }
}

/// A token that last changed at this offset.
pub fn token(schedule: u128, sequence: u64, name: &str, state: TokenState, offset: u64) -> Token {
    Token {
        schedule_id: schedule_id(schedule),
        sequence,
        user_id: user(name),
        state,
        joined_at: LogTime(1_700_000_000_000),
        last_seen: PresenceMs(1_001),
        sighted: true,
        follows: Some(1),
        changed: arrival(QUEUES, offset),
    }
}

/// A client's request decided at this offset.
pub fn request(number: u128, partition: LanePartition, offset: u64) -> RequestRow {
    RequestRow {
        key: client(number),
        position: partition.at(offset),
        fingerprint: Fingerprint(42),
        command: CommandKind::HoldSeats,
        user_id: Some(user("alice")),
        by: None,
        state: RequestState::Decided(decided(true, r#"{"status":"SUCCEEDED"}"#)),
        at: arrival(partition, offset).time,
    }
}

pub fn decided(succeeded: bool, outcome: &str) -> Decided {
    Decided { succeeded, outcome: outcome.to_owned(), at: LogTime(1_700_000_000_456) }
}

pub fn client(number: u128) -> RequestKey {
    RequestKey { id: RequestId(id(number)), internal: false }
}

pub fn internal(number: u128) -> RequestKey {
    RequestKey { internal: true, ..client(number) }
}

pub fn outbox_row(seq: u64) -> OutboxRow {
    OutboxRow {
        id: id(u128::from(seq) + 3_000_000),
        seq,
        topic: if seq.is_multiple_of(2) { Topic::Outcomes } else { Topic::Lane(Lane::Wallets) },
        key: format!("key-{seq}"),
        kind: "hold_seats".into(),
        payload: format!("{{\"seq\":{seq}}}").into(),
        headers: vec![("ce_id".into(), "x".into()), ("raw".into(), vec![0xff, 0, 1].into())],
    }
}

pub fn dead_letter(partition: LanePartition, offset: u64) -> DeadLetter {
    DeadLetter {
        position: partition.at(offset),
        unsent_to: None,
        reason: "unknown type \"dance\"".into(),
        key: Some(b"alice".to_vec()),
        value: Some(vec![0xc3, 0x28, 0]),
        headers: vec![("traceparent".into(), "00-1-2-01".into())],
        at: arrival(partition, offset).time,
    }
}

pub fn concert(number: u128) -> Concert {
    Concert {
        id: ConcertId(id(number)),
        title: format!("Concert {number}"),
        description: None,
        currency: Some("EUR".into()),
        time_zone: None,
        created_at: LogTime(1_700_000_000_000),
    }
}

pub fn schedule(number: u128, concert: u128, starts_at: i64) -> Schedule {
    Schedule {
        id: schedule_id(number),
        concert_id: ConcertId(id(concert)),
        starts_at: LogTime(starts_at),
        duration_ms: Some(7_200_000),
        hold_ttl_ms: 300_000,
        max_seats_per_user: 4,
        sales_open_at: Some(LogTime(1_690_000_000_000)),
        sales_close_at: None,
        queue: true,
        plan: None,
        larger_plan: None,
        created_at: LogTime(1_700_000_000_000),
    }
}
