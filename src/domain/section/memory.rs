//! The section in memory: built from rows, kept in step with changes, its indexes always derived from the rows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Payment, PaymentStatus, Reservation, ReservationStatus, Seat, Section, SectionRow};
use crate::domain::digest::Digest;
use crate::domain::{Body, Change, LogTime, ReservationId};

impl Section {
    /// From the store's rows: all seats, all unfinished reservations (see [`Reservation::is_unfinished`]), and the
    /// PENDING or COMPLETED payments these name.
    pub fn load(
        row: SectionRow,
        mut seats: Vec<Seat>,
        reservations: Vec<Reservation>,
        payments: Vec<Payment>,
    ) -> Section {
        seats.sort_by_key(|seat| seat.number);
        let mut section = Section::empty(row);
        section.seats = seats;
        for reservation in reservations {
            section.put_reservation(reservation);
        }
        for payment in payments {
            section.put_payment(payment);
        }
        section
    }

    fn empty(row: SectionRow) -> Section {
        Section {
            row,
            seats: Vec::new(),
            reservations: BTreeMap::new(),
            payments: BTreeMap::new(),
            expiries: BTreeSet::new(),
            seats_by_user: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    /// When the first hold runs out, so that a timer can append `expire_holds` then.
    pub fn next_expiry(&self) -> Option<LogTime> {
        self.expiries.first().map(|(time, _)| *time)
    }

    /// The reservation a command names: to be remembered before the command is decided if it is not known.
    pub fn names(body: &Body) -> Option<ReservationId> {
        match body {
            Body::CancelReservation(c) => Some(c.reservation_id),
            Body::PayReservation(c) => Some(c.reservation_id),
            Body::SettlePayment(c) => Some(c.origin.reservation_id),
            _ => None,
        }
    }

    pub fn knows(&self, id: ReservationId) -> bool {
        self.reservations.contains_key(&id)
    }

    /// Adds an ended reservation that a command names. One of another section is not this section's business; one
    /// that is known here already stays as it is, since memory may be ahead of the store.
    pub fn remember(&mut self, reservation: Reservation) {
        let ours = reservation.schedule_id == self.row.schedule_id && reservation.section == self.row.name;
        if ours && !self.knows(reservation.id) {
            self.put_reservation(reservation);
        }
    }

    /// Drops the reservations that ended before this offset of the section's partition, once everything before it is
    /// committed: from then on the store can give them back.
    pub fn forget_ended(&mut self, before: u64) {
        let reservations = &mut self.reservations;
        self.ended.retain(|id| {
            let keep = reservations.get(id).is_some_and(|ended| ended.changed.position.offset >= before);
            if !keep {
                reservations.remove(id);
            }
            keep
        });
    }

    /// How many ended reservations it remembers.
    pub fn ended_count(&self) -> usize {
        self.ended.len()
    }

    fn put_reservation(&mut self, new: Reservation) -> Option<Reservation> {
        let id = new.id;
        let old = self.reservations.remove(&id);
        if let Some(old) = &old {
            self.expiries.remove(&(old.expires_at, id));
            self.ended.remove(&id);
            if old.status.is_live() {
                self.count_seats(old, false);
            }
        }
        if new.status == ReservationStatus::Held {
            self.expiries.insert((new.expires_at, id));
        }
        if new.status.is_live() {
            self.count_seats(&new, true);
        } else {
            self.ended.insert(id);
        }
        self.reservations.insert(id, new);
        old
    }

    /// Users without live seats have no entry, so the index is bounded by the seats.
    fn count_seats(&mut self, reservation: &Reservation, add: bool) {
        let seats = reservation.seats.len() as u32;
        let count = self.seats_by_user.entry(reservation.user_id.clone()).or_default();
        *count = if add { *count + seats } else { count.saturating_sub(seats) };
        if *count == 0 {
            self.seats_by_user.remove(&reservation.user_id);
        }
    }

    fn put_payment(&mut self, new: Payment) -> Option<Payment> {
        match new.status {
            PaymentStatus::Pending | PaymentStatus::Completed => self.payments.insert(new.id, new),
            PaymentStatus::Failed | PaymentStatus::Refunded => self.payments.remove(&new.id),
        }
    }

    /// Replaces a seat, or adds the next one while the section is being opened.
    fn put_seat(&mut self, new: Seat) -> Option<Seat> {
        let index = new.number as usize - 1;
        if let Some(seat) = self.seats.get_mut(index) {
            return Some(std::mem::replace(seat, new));
        }
        assert_eq!(index, self.seats.len(), "seats are made in order of number");
        self.seats.push(new);
        None
    }
}

/// Takes one change of a decision into memory. Returns what it does to the state hash: digest of the row before XOR
/// digest of the row after, where no row counts as 0.
///
/// Panics on a change that no decision on this section can contain: going on would corrupt the partition's state.
pub fn apply(section: &mut Option<Section>, change: &Change) -> u64 {
    let (before, after) = match (section, change) {
        (slot @ None, Change::Section(row)) => {
            *slot = Some(Section::empty(row.clone()));
            (0, row.digest())
        }
        (Some(section), Change::Section(row)) => {
            (std::mem::replace(&mut section.row, row.clone()).digest(), row.digest())
        }
        (Some(section), Change::Seat(seat)) => (digest_of(&section.put_seat(seat.clone())), seat.digest()),
        (Some(section), Change::Reservation(reservation)) => {
            (digest_of(&section.put_reservation(reservation.clone())), reservation.digest())
        }
        (Some(section), Change::Payment(payment)) => {
            (digest_of(&section.put_payment(payment.clone())), payment.digest())
        }
        (_, other) => panic!("not a change of this section: {other:?}"),
    };
    before ^ after
}

fn digest_of<T: Digest>(row: &Option<T>) -> u64 {
    row.as_ref().map_or(0, Digest::digest)
}
