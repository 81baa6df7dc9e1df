//! The digests are part of what a store remembers, so their values must never change.

use uuid::Uuid;

use super::*;
use crate::domain::block::{Counts, Layout, PaymentStatus, SaleState, SeatState};
use crate::domain::{
    Amount, Arrival, Fingerprint, Lane, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId,
};

fn at(offset: u64) -> Arrival {
    Arrival { position: Position::new(Lane::Seats, 3, offset), time: LogTime(1_000 + offset as i64) }
}

fn block_key() -> BlockKey {
    BlockKey::main(ScheduleId(Uuid::from_u128(1)))
}

fn id(number: u32) -> SeatId {
    SeatId { section: "A".parse().unwrap(), number }
}

fn asked() -> Asking {
    let by = Some("box office".parse().unwrap());
    Asking { request_id: RequestId(Uuid::from_u128(4)), fingerprint: Fingerprint(9), by }
}

fn block() -> BlockRow {
    let counts = Counts { free: 49, blocked: 2, companions: 1 };
    let terms = Terms {
        hold_ttl_ms: 300_000,
        rehold_after_ms: 60_000,
        payment_timeout_ms: 60_001,
        max_seats_per_user: 4,
        sales_open_at: Some(LogTime(1)),
        sales_close_at: None,
        starts_at: LogTime(9_000_000),
        companions_free_at: Some(LogTime(2)),
    };
    let (sales_open_at, starts_at) = (terms.sales_open_at, terms.starts_at);
    BlockRow {
        key: block_key(),
        terms,
        queue: true,
        content: 77,
        cancelled: Some(at(4)),
        swept: Some(ReservationId(Uuid::from_u128(2))),
        sweep_done: false,
        refunds_due: 3,
        refunds_done: 2,
        counts: vec![vec![counts, Counts::default()], vec![counts]].into(),
        pending: 5,
        noted: Some(SaleNote { version: 4, state: SaleState::Cancelled, sales_open_at, starts_at }),
        due_at: Some(LogTime(1_004)),
        changed: at(5),
    }
}

fn seat() -> Seat {
    Seat {
        key: block_key(),
        id: id(12),
        state: SeatState::Sold(ReservationId(Uuid::from_u128(2))),
        remembered: Some(Remembered { user_id: "ann".parse().unwrap(), first_end: LogTime(8) }),
        checked: Some(at(6)),
        changed: at(6),
    }
}

fn reservation() -> Reservation {
    Reservation {
        id: ReservationId(Uuid::from_u128(2)),
        key: block_key(),
        user_id: "ann".parse().unwrap(),
        by: None,
        seats: vec![id(12), id(13)],
        amount: Amount::new(200).unwrap(),
        state: ReservationState::Confirmed { payment: Some(PaymentId(Uuid::from_u128(3))), serial: 8 },
        expires_at: LogTime(301_000),
        held: at(5),
        changed: at(8),
    }
}

fn payment() -> Payment {
    let waiting = Waiting { ask_at: LogTime(5), interval_ms: 6 };
    Payment {
        id: PaymentId(Uuid::from_u128(3)),
        key: block_key(),
        reservation_id: ReservationId(Uuid::from_u128(2)),
        user_id: "ann".parse().unwrap(),
        amount: Amount::new(200).unwrap(),
        state: PaymentState::Refunding { asking: Some(asked()), waiting },
        asking: asked(),
        created_at: LogTime(1_006),
        changed: at(7),
    }
}

fn section() -> SectionRow {
    let name = "A".parse().unwrap();
    let layout = Layout::plain(50, &name, Amount::new(100).unwrap()).unwrap();
    SectionRow { key: block_key(), name, rank: 0, layout, changed: at(5) }
}

#[test]
fn the_digests_of_these_rows_are_the_same_on_every_machine_for_ever() {
    let golden = [
        (Row::Block(block()), 0xe984_aded_d4a5_8183),
        (Row::Section(section()), 0x2283_572b_b2b4_1cb6),
        (Row::Seat(seat()), 0x601f_3a79_8b1b_9e18),
        (Row::Reservation(reservation()), 0x8e94_a8bd_c392_1318),
        (Row::Payment(payment()), 0xdfd5_ad44_30ed_4d42),
    ];
    let found = golden.each_ref().map(|(row, _)| format!("{:#x}", row.digest()));
    assert_eq!(found, golden.map(|(_, digest): (Row, u64)| format!("{digest:#x}")));
}

#[test]
fn a_digest_differs_by_every_field_of_a_block() {
    type Change = fn(&mut BlockRow);
    let changes: [Change; 16] = [
        |row| row.key.block = "north".parse().unwrap(),
        |row| row.terms.hold_ttl_ms += 1,
        |row| row.terms.sales_close_at = Some(LogTime(3)),
        |row| row.terms.companions_free_at = None,
        |row| row.queue = false,
        |row| row.content += 1,
        |row| row.cancelled = None,
        |row| row.swept = None,
        |row| row.sweep_done = true,
        |row| row.refunds_due += 1,
        |row| row.refunds_done += 1,
        |row| row.counts = vec![vec![row.counts[0][0]], vec![Counts::default(), row.counts[1][0]]].into(),
        |row| row.pending += 1,
        |row| row.noted = None,
        |row| row.due_at = None,
        |row| row.changed = at(6),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut row = block();
        change(&mut row);
        assert_ne!(row.digest(), block().digest(), "change {index}");
    }
}

#[test]
fn a_digest_tells_states_apart_that_are_shown_alike() {
    let completed = Payment { state: PaymentState::Completed, ..payment() };
    assert_eq!(
        (completed.state.status(), payment().state.status()),
        (PaymentStatus::Completed, PaymentStatus::Completed)
    );
    assert_ne!(completed.digest(), payment().digest());
    let later = ReservationState::Confirmed { payment: Some(PaymentId(Uuid::from_u128(3))), serial: 9 };
    assert_ne!(Reservation { state: later, ..reservation() }.digest(), reservation().digest());
    assert_ne!(Seat { remembered: None, ..seat() }.digest(), seat().digest());
}

#[test]
fn neighboring_fields_do_not_run_into_each_other() {
    let by = |user: &str, by: &str| {
        let (user_id, by) = (user.parse().unwrap(), Some(by.parse().unwrap()));
        Reservation { user_id, by, ..reservation() }.digest()
    };
    assert_ne!(by("ab", "c"), by("a", "bc"));
    assert_ne!(Reservation { seats: vec![id(12)], ..reservation() }.digest(), reservation().digest());
}

#[test]
fn the_hash_of_the_counts_is_the_same_however_they_came_about() {
    let one = Counts { free: 1, ..Counts::default() };
    let direct = BlockRow { counts: vec![vec![one], vec![one]].into(), ..block() };
    let collected = BlockRow { counts: direct.counts.iter().map(<[Counts]>::to_vec).collect(), ..block() };
    assert_eq!(direct.digest(), collected.digest());
}
