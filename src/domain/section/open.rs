//! `open_section`: the seats come into being.

use super::{HOLD_TTL_MS_MAX, SEATS_MAX, SEATS_PER_HOLD_MAX, Seat, SeatStatus, Section, SectionRow};
use crate::domain::command::OpenSection;
use crate::domain::wallet::AMOUNT_MAX;
use crate::domain::{Arrival, Change, Code, Decision, Refusal, Success};

pub(super) fn decide(section: Option<&Section>, command: &OpenSection, at: &Arrival) -> Decision {
    if let Some(refusal) = out_of_bounds(command) {
        return Decision::rejected(refusal);
    }
    let row = SectionRow {
        schedule_id: command.schedule_id,
        name: command.section.clone(),
        seats: command.seats,
        price: command.price,
        hold_ttl_ms: command.hold_ttl_ms,
        max_seats_per_user: command.max_seats_per_user,
        sales_open_at: command.sales_open_at,
        starts_at: command.starts_at,
        queue: command.queue,
        available: command.seats,
        changed: *at,
    };
    let success = Success::SectionOpened {
        schedule_id: row.schedule_id,
        section: row.name.clone(),
        seats: row.seats,
        price: row.price,
    };
    let Some(section) = section else {
        return Decision::succeeded(success, rows(row));
    };
    // Equal but for what has happened to the seats since.
    let repeated = SectionRow { available: section.row.available, changed: section.row.changed, ..row };
    if repeated == section.row {
        return Decision::succeeded(success, Vec::new());
    }
    Decision::rejected(Refusal::new(Code::SectionConflict, "the section is open already, with other content"))
}

fn rows(row: SectionRow) -> Vec<Change> {
    let seat = |number| {
        Change::Seat(Seat {
            schedule_id: row.schedule_id,
            section: row.name.clone(),
            number,
            status: SeatStatus::Available,
            reservation: None,
            changed: row.changed,
        })
    };
    std::iter::once(Change::Section(row.clone())).chain((1..=row.seats).map(seat)).collect()
}

/// The front door checks these bounds too; here they keep a foreign producer from making a section without bound.
fn out_of_bounds(command: &OpenSection) -> Option<Refusal> {
    if !(1..=AMOUNT_MAX).contains(&command.price) {
        return Some(Refusal::new(Code::InvalidAmount, format!("the price of a seat is 1 to {AMOUNT_MAX}")));
    }
    let bounds = [
        ("seats", i64::from(command.seats), i64::from(SEATS_MAX)),
        ("hold_ttl_ms", command.hold_ttl_ms, HOLD_TTL_MS_MAX),
        ("max_seats_per_user", i64::from(command.max_seats_per_user), i64::from(SEATS_PER_HOLD_MAX)),
    ];
    let (name, _, max) = bounds.into_iter().find(|(_, value, max)| !(1..=*max).contains(value))?;
    Some(Refusal::new(Code::SectionConflict, format!("{name} of a section is 1 to {max}")))
}
