//! Blocks of 100,000 seats: how much one record changes, and how many records it takes.

use uuid::Uuid;

use super::fixture::*;
use crate::domain::block::{
    Block, BlockRow, Counts, LIST_ROWS_MAX, NewSection, OpenBlock, Payment, PaymentState, Reply, Reservation,
    ReservationState, Row, Rows, SWEEP_MAX, Seat, SeatState, SectionRow, Terms,
};
use crate::domain::{
    Aggregate, Arrival, Asking, Decision, Fingerprint, Lane, LogTime, PaymentId, Position, RequestId, ReservationId,
    SeatId, Verdict,
};

const SECTIONS: u32 = 50;
const SECTION_SEATS: u32 = 2_000;
const PER_RESERVATION: u32 = 4;
const ROWS_MAX: usize = 12_000;
const OUTCOME_BYTES_MAX: usize = 256 * 1024;

fn at(time: i64) -> Arrival {
    Arrival { position: Position::new(Lane::Seats, 3, 0), time: LogTime(time) }
}

fn section_name(rank: u32, long: bool) -> String {
    // 64 characters of 4 bytes each: the longest name there is.
    if long { format!("{}{rank:02}", "\u{1F3AD}".repeat(62)) } else { format!("Block {rank:02}") }
}

/// All seats of the block in reservations of four, HELD until `ends` or bought.
fn full(ends: Option<LogTime>, long: bool) -> Rows {
    let sections: Vec<NewSection> =
        (0..SECTIONS).map(|rank| plain(&section_name(rank, long), SECTION_SEATS, PRICE)).collect();
    let opened =
        Hall::opened_uncounted(OpenBlock { sections, terms: Terms { max_seats_per_user: 4, ..terms() }, ..opening() });
    let sections: Vec<SectionRow> = opened.rows().sections;
    let mut rows = Rows { sections: sections.clone(), ..opened.rows() };
    rows.block.counts = vec![vec![Counts::default()]; SECTIONS as usize].into();
    rows.block.pending = if ends.is_some() { SECTIONS * SECTION_SEATS } else { 0 };
    rows.block.due_at = ends;
    for section in &sections {
        for first in (1..=SECTION_SEATS).step_by(PER_RESERVATION as usize) {
            let number = u128::from(section.rank * SECTION_SEATS + first);
            let seats = (first..first + PER_RESERVATION).map(|n| SeatId { section: section.name.clone(), number: n });
            add(&mut rows, number, seats.collect(), ends);
        }
    }
    rows
}

fn add(rows: &mut Rows, number: u128, seats: Vec<SeatId>, ends: Option<LogTime>) {
    let (id, payment) = (ReservationId(Uuid::from_u128(number)), PaymentId(Uuid::from_u128(number)));
    let user_id = user(&format!("user-{number}"));
    let (state, seat_state) = match ends {
        Some(_) => (ReservationState::Held, SeatState::Held(id)),
        None => (ReservationState::Confirmed { payment: Some(payment), serial: 1 }, SeatState::Sold(id)),
    };
    let amount = amount(PRICE * seats.len() as i64);
    rows.seats.extend(seats.iter().map(|seat| Seat {
        key: key(),
        id: seat.clone(),
        state: seat_state,
        remembered: None,
        checked: None,
        changed: at(2_000),
    }));
    if ends.is_none() {
        rows.payments.push(Payment {
            id: payment,
            key: key(),
            reservation_id: id,
            user_id: user_id.clone(),
            amount,
            state: PaymentState::Completed,
            asking: Asking { request_id: RequestId(id.0), fingerprint: Fingerprint(1), by: None },
            created_at: LogTime(2_000),
            changed: at(2_000),
        });
    }
    rows.reservations.push(Reservation {
        id,
        key: key(),
        user_id,
        by: None,
        seats,
        amount,
        state,
        expires_at: ends.unwrap_or(LogTime(2_000 + HOLD_TTL_MS)),
        held: at(2_000),
        changed: at(2_000),
    });
}

fn hall_of(rows: Rows) -> Hall {
    Hall { block: Some(Block::load(rows)), counted: false, ..Hall::closed() }
}

/// What an outcome takes as JSON, about.
fn outcome_bytes(decision: &Decision<Block>) -> usize {
    let Reply::HoldsExpired { reservations, seats, .. } = succeeded(decision) else { panic!() };
    500 + reservations.len() * 39 + seats.iter().map(|seat| seat.to_string().len() + 3).sum::<usize>()
}

fn rows_of(decision: &Decision<Block>) -> (usize, usize) {
    let reservations = decision.changes.iter().filter(|row| matches!(row, Row::Reservation(_))).count();
    (decision.changes.len(), reservations)
}

#[test]
fn opening_100_000_seats_writes_the_block_and_its_sections() {
    let sections = (0..SECTIONS).map(|rank| plain(&section_name(rank, false), SECTION_SEATS, PRICE)).collect();
    let mut hall = Hall { counted: false, ..Hall::closed() };
    let decision = hall.run(0, crate::domain::block::Command::OpenBlock(OpenBlock { sections, ..opening() }));
    assert_eq!(succeeded(&decision), Reply::BlockOpened { key: key(), sections: 50, seats: 100_000 });
    assert_eq!((decision.changes.len(), hall.block().rows()), (51, 51));
    let last = hall.run(2_000, best("ann", 4));
    assert_eq!(last.changes.len(), 6);
}

#[test]
fn s14_25_000_holds_that_end_together_end_in_small_records() {
    for (long, records_max) in [(false, 35), (true, 140)] {
        let mut hall = hall_of(full(Some(LogTime(STARTS_AT)), long));
        // Others are decided meanwhile: a refused hold looks at none of the due ones.
        assert!(matches!(hall.run(STARTS_AT, best("ann", 1)).verdict, Verdict::Decided(Err(_))));
        let decisions = hall.expire_all(STARTS_AT);
        assert!(decisions.len() <= records_max, "{} records", decisions.len());
        let mut ended = Vec::new();
        for decision in &decisions {
            let (rows, reservations) = rows_of(decision);
            assert!(rows <= LIST_ROWS_MAX + 1 && reservations > 0);
            assert!(outcome_bytes(decision) <= OUTCOME_BYTES_MAX, "{}", outcome_bytes(decision));
            let Reply::HoldsExpired { reservations, .. } = succeeded(decision) else { panic!() };
            ended.extend(reservations);
        }
        assert_eq!((ended.len(), hall.free(), hall.row().pending), (25_000, 100_000, 0));
        assert!(ended.is_sorted(), "first by end, then by id");
    }
}

#[test]
fn p12_25_000_sold_reservations_are_paid_back_in_records_of_at_most_500() {
    for (long, records_max) in [(false, 50), (true, 140)] {
        let mut hall = hall_of(full(None, long));
        succeeded(&hall.run(3_000, cancel_show()));
        let decisions = hall.expire_all(3_001);
        assert!(decisions.len() <= records_max, "{} records", decisions.len());
        let mut refunds = 0;
        for decision in &decisions {
            let (rows, reservations) = rows_of(decision);
            assert!(rows <= ROWS_MAX && reservations <= SWEEP_MAX && reservations > 0);
            assert!(outcome_bytes(decision) <= OUTCOME_BYTES_MAX);
            refunds += wallet_commands(decision).len();
        }
        let BlockRow { refunds_due, sweep_done, .. } = hall.row();
        assert_eq!((refunds, *refunds_due, *sweep_done), (25_000, 25_000, true));
        assert_eq!(hall.free(), 100_000);
        let asked = hall.expire_all(3_001 + TIMEOUT_MS);
        assert_eq!(asked.iter().map(|decision| wallet_commands(decision).len()).sum::<usize>(), 25_000);
        assert!(asked.iter().all(|decision| decision.changes.len() <= LIST_ROWS_MAX + 1));
    }
}

/// Not a test: `cargo test --lib crowds -- --ignored --nocapture` prints what a decision takes by size of the block.
#[test]
#[ignore = "prints times"]
fn decision_times() {
    use std::time::Instant;
    for (sections, seats) in [(1, 100), (5, 200), (50, 2_000), (500, 200)] {
        let sections: Vec<_> = (0..sections).map(|n| rows_of_20(&format!("Block {n:03}"), seats)).collect();
        let terms = Terms { max_seats_per_user: 100, ..terms() };
        let opened = OpenBlock { sections, terms, ..opening() };
        for named in [true, false] {
            let mut hall = Hall::opened_uncounted(opened.clone());
            let mut times = Vec::new();
            for n in 0..20_000u32 {
                let number = 1 + 4 * (n % (seats / 4));
                let rank = (n / (seats / 4)) % hall.block().sections.len() as u32;
                let section = hall.block().section(rank).row.name.clone();
                let ids = (number..number + 4).map(|number| SeatId { section: section.clone(), number });
                let hold = match named {
                    true => choose("ann", crate::domain::block::Choice::Seats(ids.collect())),
                    false => best("ann", 4),
                };
                let before = Instant::now();
                let decision = hall.run(2_000, hold);
                times.push(before.elapsed());
                let id = held(&decision).id;
                succeeded(&hall.run(2_000, cancel("ann", id)));
                hall.block.as_mut().unwrap().forget(u64::MAX);
                hall.log.clear();
                hall.store.clear();
            }
            times.sort_unstable();
            let total = opened.sections.len() as u32 * seats;
            println!(
                "{total:>7} seats, {} sections, named {named}: {:?} a hold",
                opened.sections.len(),
                times[times.len() / 2]
            );
        }
    }
    let rows = full(None, false);
    let before = Instant::now();
    let block = Block::load(rows);
    println!("100,000 sold seats are loaded in {:?} ({} rows)", before.elapsed(), block.rows());
}

fn rows_of_20(section: &str, seats: u32) -> NewSection {
    use crate::domain::block::{Layout, LayoutParts, Span};
    let plain = plain(section, seats, PRICE).layout.parts().clone();
    let runs = (0..seats / 20).map(|row| Span { first: 20 * row + 1, last: 20 * row + 20 }).collect();
    NewSection { name: name(section), layout: Layout::new(LayoutParts { runs, ..plain }).unwrap() }
}
