//! Rows to write, plain but for what a test cares about.

use turnstile::domain::queue::{Limits, OnTimeout, Queue, Token, TokenStatus};
use turnstile::domain::section::{
    Payment, PaymentStatus, Reservation, ReservationStatus, Seat, SeatStatus, SectionRow,
};
use turnstile::domain::wallet::{Entry, EntryKind, Wallet};
use turnstile::domain::{
    Arrival, Change, ConcertId, EntryId, Lane, LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SectionName,
    UserId,
};
use turnstile::log::{LanePartition, Topic};
use turnstile::store::reads::{Concert, Schedule};
use turnstile::store::{CommitBatch, Committed, DeadLetter, OutboxRow, Progress, RequestRow, RequestStatus, Store};
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

pub fn section_name(name: &str) -> SectionName {
    name.parse().unwrap()
}

/// The command at this offset, decided 10 ms after the one before it.
pub fn arrival(partition: LanePartition, offset: u64) -> Arrival {
    Arrival { position: partition.at(offset), time: LogTime(1_700_000_000_000 + 10 * offset as i64) }
}

/// The state a partition starts with, to commit from.
pub async fn acquired(store: &dyn Store, partition: LanePartition) -> Progress {
    store.acquire(partition, "worker-1").await.unwrap()
}

/// A batch of one record after `progress`, that changes nothing yet.
pub fn batch(partition: LanePartition, progress: &Progress) -> CommitBatch {
    CommitBatch {
        partition,
        epoch: progress.epoch,
        from_offset: progress.next_offset,
        next_offset: progress.next_offset + 1,
        last_time: LogTime(progress.last_time.0 + 10),
        next_outbox_seq: progress.next_outbox_seq,
        state_hash: progress.state_hash,
        changes: Vec::new(),
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
    }
}

/// What the store says after this batch.
pub fn after(batch: &CommitBatch) -> Progress {
    Progress {
        epoch: batch.epoch,
        next_offset: batch.next_offset,
        last_time: batch.last_time,
        next_outbox_seq: batch.next_outbox_seq,
        state_hash: batch.state_hash,
    }
}

/// Takes the partition over and commits one batch that `edit` fills.
pub async fn commit(store: &dyn Store, partition: LanePartition, edit: impl FnOnce(&mut CommitBatch)) -> Progress {
    let progress = acquired(store, partition).await;
    let mut batch = batch(partition, &progress);
    edit(&mut batch);
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
    after(&batch)
}

pub async fn commit_changes(store: &dyn Store, partition: LanePartition, changes: Vec<Change>) -> Progress {
    commit(store, partition, |batch| batch.changes = changes).await
}

pub fn section(schedule: u128, name: &str, seats: u32) -> SectionRow {
    SectionRow {
        schedule_id: schedule_id(schedule),
        name: section_name(name),
        seats,
        price: 1000,
        hold_ttl_ms: 300_000,
        max_seats_per_user: 4,
        sales_open_at: None,
        starts_at: LogTime(1_800_000_000_000),
        queue: true,
        available: seats,
        changed: arrival(SEATS, 7),
    }
}

pub fn seat(schedule: u128, name: &str, number: u32) -> Seat {
    Seat {
        schedule_id: schedule_id(schedule),
        section: section_name(name),
        number,
        status: SeatStatus::Available,
        reservation: None,
        changed: arrival(SEATS, 8),
    }
}

/// A section with all its seats, as changes.
pub fn opened(schedule: u128, name: &str, seats: u32) -> Vec<Change> {
    let row = Change::Section(section(schedule, name, seats));
    std::iter::once(row).chain((1..=seats).map(|number| Change::Seat(seat(schedule, name, number)))).collect()
}

pub fn reservation(number: u128, schedule: u128, name: &str, status: ReservationStatus) -> Reservation {
    Reservation {
        id: ReservationId(id(number)),
        schedule_id: schedule_id(schedule),
        section: section_name(name),
        user_id: user("alice"),
        seats: vec![1, 2],
        amount: 2000,
        status,
        expires_at: LogTime(1_700_000_300_000 + number as i64),
        payment: None,
        held: arrival(SEATS, 9),
        changed: arrival(SEATS, 10),
    }
}

pub fn payment(number: u128, reservation: u128, status: PaymentStatus) -> Payment {
    Payment {
        id: PaymentId(id(number)),
        reservation_id: ReservationId(id(reservation)),
        user_id: user("alice"),
        amount: 2000,
        status,
        failure: None,
        request_id: RequestId(id(number + 1_000_000)),
        created_at: LogTime(1_700_000_000_500),
        changed: arrival(SEATS, 11),
    }
}

pub fn wallet(name: &str, balance: i64, entries: u64) -> Wallet {
    Wallet { user_id: user(name), balance, entries, changed: arrival(WALLETS, 4) }
}

pub fn entry(name: &str, number: u64) -> Entry {
    Entry {
        id: EntryId(id(u128::from(number))),
        user_id: user(name),
        number,
        kind: EntryKind::Charge,
        amount: 500,
        balance_after: 500 * number as i64,
        reason: Some("gift".into()),
        request_id: RequestId(id(u128::from(number) + 2_000_000)),
        at: arrival(WALLETS, number),
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
        },
        paused: false,
        next_sequence: 1,
        waiting: 0,
        active: 0,
        admitted: 0,
        completed: 0,
        expired: 0,
        left: 0,
        rate_next_us: 0,
        changed: arrival(QUEUES, 0),
    }
}

/// A token that last changed at this offset.
pub fn token(schedule: u128, sequence: u64, name: &str, status: TokenStatus, offset: u64) -> Token {
    Token {
        schedule_id: schedule_id(schedule),
        sequence,
        user_id: user(name),
        status,
        joined_at: LogTime(1_700_000_000_000),
        admitted_at: None,
        active_until: None,
        last_seen: LogTime(1_700_000_000_001),
        changed: arrival(QUEUES, offset),
    }
}

/// A request decided at this offset.
pub fn request(number: u128, partition: LanePartition, offset: u64) -> RequestRow {
    RequestRow {
        request_id: RequestId(id(number)),
        position: partition.at(offset),
        fingerprint: 42,
        command: "hold_seats".into(),
        user_id: Some(user("alice")),
        status: RequestStatus::Succeeded,
        outcome: Some(r#"{"status":"SUCCEEDED"}"#.into()),
        at: arrival(partition, offset).time,
    }
}

pub fn outbox_row(seq: u64) -> OutboxRow {
    OutboxRow {
        id: id(u128::from(seq) + 3_000_000),
        seq,
        topic: if seq.is_multiple_of(2) { Topic::Outcomes } else { Topic::Lane(Lane::Wallets) },
        key: format!("key-{seq}"),
        kind: "hold_seats".into(),
        payload: format!("{{\"seq\":{seq}}}").into_bytes(),
        headers: vec![("ce_id".into(), b"x".to_vec()), ("raw".into(), vec![0xff, 0, 1])],
    }
}

pub fn dead_letter(partition: LanePartition, offset: u64) -> DeadLetter {
    DeadLetter {
        position: partition.at(offset),
        reason: "unknown type \"dance\"".into(),
        key: Some(b"alice".to_vec()),
        value: Some(vec![0xc3, 0x28, 0]),
        headers: vec![("traceparent".into(), b"00-1-2-01".to_vec())],
        at: arrival(partition, offset).time,
    }
}

pub fn concert(number: u128) -> Concert {
    Concert {
        id: ConcertId(id(number)),
        title: format!("Concert {number}"),
        description: None,
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
        queue: true,
        created_at: LogTime(1_700_000_000_000),
    }
}
