//! Decisions at the limits of what a block and a queue may hold: none changes more than 12,000 rows, and no outcome is
//! longer than 256 KiB.

use turnstile::domain::block::{
    self, AmendBlock, AmendSection, BestAvailable, Choice, HoldSeats, Layout, NewSection, OpenBlock, PayReservation,
    Span, Terms,
};
use turnstile::domain::queue::{
    self, ConfigureQueue, Limits, LimitsPatch, OfUser, OnTimeout, OpenQueue, Seen, Sighting,
};
use turnstile::domain::{
    Amount, BlockKey, BlockName, Body, Changes, Command, Lane, LanePartition, LogTime, RequestId, ReservationId,
    ScheduleId, SeatId, SectionName, UserId,
};
use turnstile::log::{PartitionCounts, Record, Timestamp, Topic};
use turnstile::processor::Replay;
use turnstile::store::{CommitBatch, Remember};
use turnstile::wire;
use uuid::Uuid;

const ROWS_MAX: usize = 12_000;
const OUTCOME_BYTES_MAX: usize = 256 * 1024;
const START_MS: i64 = 1_800_000_000_000;
const HOLD_TTL_MS: i64 = 60_000;
const COUNTS: PartitionCounts =
    PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
const SCHEDULE: ScheduleId = ScheduleId(Uuid::from_u128(1));
/// Sections of a block and seats of a section: one hold takes at most this many seats.
const SIDE: u32 = block::SEATS_PER_HOLD_MAX;

/// The owner of one partition.
struct Owner {
    lane: Lane,
    replay: Replay,
    next: u64,
    time: i64,
}

impl Owner {
    fn new(lane: Lane) -> Owner {
        Owner {
            lane,
            replay: Replay::new(LanePartition { lane, partition: 0 }, &COUNTS, Remember::DEFAULT, Vec::new()),
            next: 0,
            time: START_MS,
        }
    }

    /// Decides a command and checks the bounds. Returns what would be committed.
    async fn decide(&mut self, body: Body) -> CommitBatch {
        let request_id = RequestId(Uuid::from_u128(u128::from(self.next) + 1));
        let value = wire::command::encode(&Command { request_id, by: None, body });
        let (offset, timestamp) = (self.next, Timestamp::LogAppend(self.time));
        let record = Record {
            offset,
            timestamp,
            key: None,
            value: Some(value.into()),
            headers: Vec::new(),
            unreadable_headers: 0,
        };
        self.next += 1;
        let batch = self.replay.decide(vec![record]).await.expect("nothing is stored");
        assert!(batch.dead_letters.is_empty(), "{}: {}", self.lane, batch.dead_letters[0].reason);
        assert!(batch.changes.len() <= ROWS_MAX, "{} rows changed", batch.changes.len());
        for row in batch.outbox.iter().filter(|row| row.topic == Topic::Outcomes) {
            assert!(row.payload.len() <= OUTCOME_BYTES_MAX, "an outcome of {} bytes", row.payload.len());
        }
        batch
    }

    /// Decides a command that must succeed.
    async fn succeed(&mut self, body: Body) -> CommitBatch {
        let batch = self.decide(body).await;
        let outcome = batch.requests[0].state.outcome().expect("it is decided");
        assert!(outcome.contains(r#""status":"SUCCEEDED""#), "{outcome}");
        batch
    }

    /// Decides timer records until nothing is due. Returns their number and the most rows that one changed.
    async fn exhaust(&mut self, timer: &Body) -> (usize, usize) {
        let mut rows = Vec::new();
        loop {
            let batch = self.decide(timer.clone()).await;
            if batch.requests.is_empty() {
                return (rows.len(), rows.into_iter().max().unwrap_or(0));
            }
            rows.push(batch.changes.len());
            assert!(rows.len() < 1_000, "there is always something due");
        }
    }
}

fn key() -> BlockKey {
    BlockKey { schedule_id: SCHEDULE, block: BlockName::main() }
}

/// As long as names may be, and each character is escaped.
fn section(number: u32) -> SectionName {
    format!("{}{number:04}", "\"".repeat(60)).parse().expect("64 characters")
}

fn user(number: u32) -> UserId {
    format!("{}{number:08}", "\"".repeat(120)).parse().expect("128 characters")
}

fn seats_of(command: block::Command) -> Body {
    Body::Seats(command)
}

fn open_block(price: i64) -> Body {
    let sections = (0..SIDE).map(|number| {
        let layout = Layout::plain(SIDE, &section(number), Amount::price(price).expect("a price")).expect("a layout");
        NewSection { name: section(number), layout }
    });
    seats_of(block::Command::OpenBlock(OpenBlock {
        key: key(),
        user_id: user(0),
        sections: sections.collect(),
        terms: Terms {
            hold_ttl_ms: HOLD_TTL_MS,
            rehold_after_ms: 0,
            payment_timeout_ms: 60_000,
            max_seats_per_user: SIDE,
            sales_open_at: None,
            sales_close_at: None,
            starts_at: LogTime(START_MS + 86_400_000),
            companions_free_at: None,
        },
        queue: true,
    }))
}

fn hold(holder: u32, choice: Choice) -> Body {
    seats_of(block::Command::HoldSeats(HoldSeats { key: key(), user_id: user(holder), choice, admitted: true }))
}

/// The seat with this number of each section.
fn across(number: u32) -> Choice {
    Choice::Seats((0..SIDE).map(|of| SeatId { section: section(of), number }).collect())
}

fn held(batch: &CommitBatch) -> ReservationId {
    let Changes::Seats(rows) = &batch.changes else { panic!("rows of another lane") };
    let mut ids = rows.iter().filter_map(|row| match row {
        block::Row::Reservation(row) if row.state == block::ReservationState::Held => Some(row.id),
        _ => None,
    });
    ids.next().expect("a reservation")
}

#[tokio::test]
async fn a_hold_that_takes_seats_from_a_hundred_run_out_holds_stays_within_bounds() {
    let mut owner = Owner::new(Lane::Seats);
    owner.succeed(open_block(100)).await;
    for number in 1..=SIDE {
        owner.succeed(hold(number, across(number))).await;
    }
    owner.time += HOLD_TTL_MS;
    let best = Choice::BestAvailable(BestAvailable { count: SIDE, section: None, category: None });
    let batch = owner.succeed(hold(SIDE + 1, best)).await;
    // The new hold, the block, and each of the old holds with all its seats.
    assert_eq!(batch.changes.len() as u32, 1 + 1 + SIDE + SIDE * SIDE);
}

#[tokio::test]
async fn the_ends_of_many_holds_are_spread_over_records() {
    let mut owner = Owner::new(Lane::Seats);
    owner.succeed(open_block(100)).await;
    for number in 1..=SIDE {
        owner.succeed(hold(number, across(number))).await;
    }
    owner.time += HOLD_TTL_MS;
    let (records, rows) = owner.exhaust(&seats_of(block::Command::ExpireHolds(key()))).await;
    assert!(records > 1 && rows > 1_000, "{records} records, {rows} rows");
}

#[tokio::test]
async fn the_sweep_of_a_cancelled_show_is_spread_over_records() {
    let mut owner = Owner::new(Lane::Seats);
    owner.succeed(open_block(0)).await;
    for number in 1..=SIDE {
        let reservation_id = held(&owner.succeed(hold(number, across(number))).await);
        let pay = PayReservation { key: key(), user_id: user(number), reservation_id, amount: None };
        owner.succeed(seats_of(block::Command::PayReservation(pay))).await;
    }
    let whole = vec![Span { first: 1, last: SIDE }];
    let amend = |cancelled, not_for_sale: Option<Vec<Span>>| {
        let sections = (0..SIDE).map(|number| AmendSection {
            name: section(number),
            layout: None,
            prices: Vec::new(),
            not_for_sale: not_for_sale.clone(),
        });
        seats_of(block::Command::AmendBlock(AmendBlock {
            key: key(),
            user_id: user(0),
            sections: sections.collect(),
            new_sections: Vec::new(),
            sales_open_at: None,
            sales_close_at: None,
            starts_at: None,
            cancelled,
        }))
    };
    owner.succeed(amend(false, Some(whole))).await;
    owner.succeed(amend(true, None)).await;
    let (records, rows) = owner.exhaust(&seats_of(block::Command::ExpireHolds(key()))).await;
    assert!(records > 1 && rows > 1_000, "{records} records, {rows} rows");
}

fn queues_of(command: queue::Command) -> Body {
    Body::Queues(command)
}

#[tokio::test]
async fn admissions_and_ends_of_many_turns_are_spread_over_records() {
    const USERS: u32 = 5_000;
    let mut owner = Owner::new(Lane::Queues);
    let limits = Limits {
        max_active: 0,
        active_ttl_ms: 60_000,
        max_waiting: USERS,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 86_400_000,
        claim_after_ms: 60_000,
        absent_max_ms: 60_000,
    };
    let (sales_open_at, starts_at) = (None, LogTime(START_MS + 86_400_000));
    let blocks = vec![BlockName::main()];
    let open = OpenQueue { schedule_id: SCHEDULE, user_id: user(0), limits, sales_open_at, starts_at, blocks };
    owner.succeed(queues_of(queue::Command::OpenQueue(open))).await;
    for number in 0..USERS {
        let join = OfUser { schedule_id: SCHEDULE, user_id: user(number) };
        owner.succeed(queues_of(queue::Command::JoinQueue(join))).await;
    }
    let patch = LimitsPatch { max_active: Some(USERS), ..LimitsPatch::default() };
    let (user_id, paused, admit) = (user(0), None, Some(USERS));
    let configure = ConfigureQueue { schedule_id: SCHEDULE, user_id, patch, paused, admit };
    let batch = owner.succeed(queues_of(queue::Command::ConfigureQueue(configure))).await;
    assert!((100..USERS as usize).contains(&batch.changes.len()), "{} rows", batch.changes.len());
    let tick = queues_of(queue::Command::Tick(SCHEDULE));
    let (records, _) = owner.exhaust(&tick).await;
    assert!(records > 1, "all were admitted at once");
    // All turns end, having been used, and their users wait and are admitted again.
    for first in (1..=u64::from(USERS)).step_by(4_000) {
        let sightings = vec![Sighting { first, last: first + 3_999, age_ms: 0 }];
        owner.succeed(queues_of(queue::Command::Seen(Seen { schedule_id: SCHEDULE, sightings }))).await;
    }
    owner.time += 60_000;
    let (records, rows) = owner.exhaust(&tick).await;
    assert!(records > 1 && rows > 100, "{records} records, {rows} rows");
}
