//! `expire_holds`: what has run out by this record's time ends. PAYING and CONFIRMED are not its business.

use super::edit::Edit;
use super::{ReservationStatus, Section};
use crate::domain::{Arrival, Decision, Success};

pub(super) fn decide(section: &Section, at: &Arrival) -> Decision {
    let mut edit = Edit::new(section, at);
    let mut reservations = Vec::new();
    let mut seats = Vec::new();
    for reservation in section.due(at.time) {
        reservations.push(reservation.id);
        seats.extend_from_slice(&reservation.seats);
        edit.reservation(reservation.clone(), ReservationStatus::Expired);
    }
    seats.sort_unstable();
    let success = Success::HoldsExpired {
        schedule_id: section.row.schedule_id,
        section: section.row.name.clone(),
        reservations,
        seats,
    };
    Decision::succeeded(success, edit.finish())
}
