//! `check_ticket`: admits the holder of a sold seat, once.

use crate::domain::block::draft::Draft;
use crate::domain::block::stretches::Place;
use crate::domain::block::{Block, CheckTicket, Reply, ReservationState, SeatState};
use crate::domain::{Arrival, Code, Decision, More, Refusal};

pub(super) fn decide(block: &Block, command: &CheckTicket, at: &Arrival) -> Decision<Block> {
    let Some(place) = sold(block, command) else {
        return Decision::rejected(Refusal::new(Code::TicketInvalid, "no such ticket was sold, or it was paid back"));
    };
    if let Some(first) = block.touched(place).and_then(|seat| seat.checked) {
        let refusal = Refusal::new(Code::TicketUsed, format!("the ticket of seat {} was used before", command.seat));
        return Decision::rejected(refusal.with(More::Used(first)));
    }
    let mut draft = Draft::new(block, at);
    draft.check(place);
    draft.succeeded(Reply::TicketChecked {
        key: command.key.clone(),
        reservation_id: command.reservation_id,
        seat: command.seat.clone(),
        admitted_at: at.time,
    })
}

/// The seat of a ticket that holds. None does once the show is cancelled, paid back or not yet.
fn sold(block: &Block, command: &CheckTicket) -> Option<Place> {
    let place = block.place(&command.seat)?;
    let is_its_seat = block.touched(place)?.state == SeatState::Sold(command.reservation_id);
    let ReservationState::Confirmed { serial, .. } = block.reservation(command.reservation_id)?.state else {
        return None;
    };
    (is_its_seat && serial == command.serial && block.row.cancelled.is_none()).then_some(place)
}
