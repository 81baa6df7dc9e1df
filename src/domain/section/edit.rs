//! Collects the changes of one command and keeps the count of free seats exact.

use super::{Payment, PaymentStatus, Reservation, ReservationStatus, SeatStatus, Section};
use crate::domain::{Arrival, Change, ReservationId};

pub(super) struct Edit<'a> {
    section: &'a Section,
    at: Arrival,
    available: u32,
    changes: Vec<Change>,
}

impl<'a> Edit<'a> {
    pub(super) fn new(section: &'a Section, at: &Arrival) -> Self {
        Edit { section, at: *at, available: section.row.available, changes: Vec::new() }
    }

    /// Gives a seat its next status. At most once per seat and command, since it counts from the seat as it is now.
    pub(super) fn seat(&mut self, number: u32, status: SeatStatus, reservation: Option<ReservationId>) {
        let mut seat = self.section.seats[number as usize - 1].clone();
        match (seat.status, status) {
            (SeatStatus::Available, SeatStatus::Available) => {}
            (SeatStatus::Available, _) => self.available -= 1,
            (_, SeatStatus::Available) => self.available += 1,
            _ => {}
        }
        (seat.status, seat.reservation, seat.changed) = (status, reservation, self.at);
        self.changes.push(Change::Seat(seat));
    }

    /// Moves a reservation to a status, its seats along with it.
    pub(super) fn reservation(&mut self, mut next: Reservation, status: ReservationStatus) -> Reservation {
        let seat_status = match status {
            ReservationStatus::Held => SeatStatus::Held,
            ReservationStatus::Paying => SeatStatus::Paying,
            ReservationStatus::Confirmed => SeatStatus::Sold,
            ReservationStatus::Expired | ReservationStatus::Cancelled | ReservationStatus::Refunded => {
                SeatStatus::Available
            }
        };
        let holder = status.is_live().then_some(next.id);
        for number in &next.seats {
            self.seat(*number, seat_status, holder);
        }
        self.reservation_only(&mut next, status);
        next
    }

    /// Moves a reservation to a status and leaves its seats to the caller.
    pub(super) fn reservation_only(&mut self, next: &mut Reservation, status: ReservationStatus) {
        next.status = status;
        next.changed = self.at;
        self.changes.push(Change::Reservation(next.clone()));
    }

    pub(super) fn payment(&mut self, mut next: Payment, status: PaymentStatus) -> Payment {
        next.status = status;
        next.changed = self.at;
        self.changes.push(Change::Payment(next.clone()));
        next
    }

    /// The changes, with the section's row if the count of free seats is another one now.
    pub(super) fn finish(mut self) -> Vec<Change> {
        if self.available != self.section.row.available {
            let mut row = self.section.row.clone();
            (row.available, row.changed) = (self.available, self.at);
            self.changes.push(Change::Section(row));
        }
        self.changes
    }
}
