//! The block in memory: built from rows, kept in step with them. Its indexes follow from the rows and the time of the
//! last record.

use std::collections::{BTreeMap, BTreeSet};

use super::section::{Section, Touched};
use super::stretches::{Place, Scope, Stretches};
use super::{BlockRow, Payment, Recall, Remembered, Reservation, Span};
use crate::domain::digest::Digest;
use crate::domain::names::{CategoryName, SectionName, UserId};
use crate::domain::{Code, LogTime, PaymentId, Refusal, ReservationId, SeatId};

/// A block in memory.
#[derive(Debug, Clone)]
pub struct Block {
    pub(super) row: BlockRow,
    /// Of `row`: it changes with almost every decision.
    pub(super) row_digest: u64,
    /// By rank.
    pub(super) sections: Vec<Section>,
    pub(super) ranks: BTreeMap<SectionName, u32>,
    /// Category names, numbered over all sections.
    pub(super) categories: BTreeMap<CategoryName, usize>,
    /// Unfinished ones, and ended ones while a command names them.
    pub(super) reservations: BTreeMap<ReservationId, Reservation>,
    pub(super) payments: BTreeMap<PaymentId, Payment>,
    /// HELD reservations by the time they end, see [`Block::end_of`].
    pub(super) holds: BTreeSet<(LogTime, ReservationId)>,
    /// Reservations that have seats: what a cancellation works through.
    pub(super) live: BTreeSet<ReservationId>,
    /// Payments and refunds by the time the wallet is asked again.
    pub(super) asks: BTreeSet<(LogTime, PaymentId)>,
    /// Live seats by user, without those of holds that had run out at `time`. Users without one have no entry.
    pub(super) users: BTreeMap<UserId, u32>,
    /// Free seats that remember a user, by the end of that user's first hold.
    pub(super) remembering: BTreeMap<UserId, BTreeSet<(LogTime, Place)>>,
    pub(super) stretches: Stretches,
    /// What the indexes are of: the time of the last record, but before the show starts: nothing can be held from then
    /// on, and 25,000 holds that all end at the start need not be looked at.
    pub(super) time: LogTime,
    /// Whether companion seats are ordinary seats at `time`.
    pub(super) companions_free: bool,
    /// Ended reservations and payments by the offset that last changed them.
    pub(super) ended: BTreeSet<(u64, Recall)>,
    pub(super) touched: usize,
}

impl Block {
    pub(super) fn new(row: BlockRow) -> Block {
        Block {
            row_digest: row.digest(),
            row,
            sections: Vec::new(),
            ranks: BTreeMap::new(),
            categories: BTreeMap::new(),
            reservations: BTreeMap::new(),
            payments: BTreeMap::new(),
            holds: BTreeSet::new(),
            live: BTreeSet::new(),
            asks: BTreeSet::new(),
            users: BTreeMap::new(),
            remembering: BTreeMap::new(),
            stretches: Stretches::default(),
            time: LogTime(i64::MIN),
            companions_free: false,
            ended: BTreeSet::new(),
            touched: 0,
        }
    }

    /// The block's row: its terms, counts and timers.
    pub fn row(&self) -> &BlockRow {
        &self.row
    }

    pub fn reservation(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(&id)
    }

    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.get(&id)
    }

    pub(super) fn rank_of(&self, name: &SectionName) -> Option<u32> {
        self.ranks.get(name).copied()
    }

    pub(super) fn section(&self, rank: u32) -> &Section {
        &self.sections[rank as usize]
    }

    /// Where a seat of this block lies; `None`: it has no such seat.
    pub(super) fn place(&self, id: &SeatId) -> Option<Place> {
        let rank = self.rank_of(&id.section)?;
        let exists = (1..=self.section(rank).layout().seats()).contains(&id.number);
        exists.then_some(Place { rank, number: id.number })
    }

    pub(super) fn seat_id(&self, place: Place) -> SeatId {
        SeatId { section: self.section(place.rank).row.name.clone(), number: place.number }
    }

    pub(super) fn touched(&self, place: Place) -> Option<&Touched> {
        self.section(place.rank).touched(place.number)
    }

    /// The reservation, if it is this user's.
    pub(super) fn owned(&self, id: ReservationId, user: &UserId) -> Result<&Reservation, Refusal> {
        match self.reservation(id) {
            None => Err(Refusal::new(Code::ReservationNotFound, "there is no such reservation in this block")),
            Some(reservation) if reservation.user_id != *user => {
                Err(Refusal::new(Code::NotReservationOwner, "the reservation is another user's"))
            }
            Some(reservation) => Ok(reservation),
        }
    }

    /// Whether the holder of one of its seats was admitted.
    pub(super) fn is_checked(&self, reservation: &Reservation) -> bool {
        let mut places = reservation.seats.iter().filter_map(|seat| self.place(seat));
        places.any(|place| self.touched(place).is_some_and(|seat| seat.checked.is_some()))
    }

    /// Seats the user holds, pays or has bought; holds that have run out do not count.
    pub(super) fn seats_of(&self, user: &UserId) -> u32 {
        self.users.get(user).copied().unwrap_or(0)
    }

    pub(super) fn category(&self, name: &CategoryName) -> Option<usize> {
        self.categories.get(name).copied()
    }

    /// The free seats that are closed to this user: their hold ended unpaid after `since`, and no later than `time`.
    /// Ascending.
    pub(super) fn cooling(&self, user: &UserId, since: LogTime, time: LogTime, scope: Scope) -> Vec<Place> {
        let Some(seats) = self.remembering.get(user) else { return Vec::new() };
        let first = (since.plus_ms(1), Place { rank: 0, number: 0 });
        let last = (time, Place { rank: u32::MAX, number: u32::MAX });
        if first > last {
            return Vec::new();
        }
        let inside = |place: &Place| scope.section.is_none_or(|rank| rank == place.rank);
        let mut places: Vec<Place> = seats.range(first..=last).map(|(_, place)| *place).filter(inside).collect();
        places.sort_unstable();
        places
    }

    /// When a hold ends: as it says, or when the show starts.
    pub(super) fn end_of(&self, reservation: &Reservation) -> LogTime {
        reservation.expires_at.min(self.row.terms.starts_at)
    }

    /// Moves the indexes to this time: seats of holds that have run out by then are free, and companion seats once
    /// their time has come.
    pub(super) fn advance_to(&mut self, time: LogTime) {
        let time = time.min(self.row.terms.starts_at.plus_ms(-1));
        if time <= self.time {
            return;
        }
        let run_out = (self.time.plus_ms(1), ReservationId(uuid::Uuid::nil()));
        let until = (time, ReservationId(uuid::Uuid::max()));
        let ids: Vec<ReservationId> = self.holds.range(run_out..=until).map(|(_, id)| *id).collect();
        self.time = time;
        for id in ids {
            self.lapse(id);
        }
        if !self.companions_free && self.row.terms.companions_free_at.is_some_and(|at| at <= time) {
            self.companions_free = true;
            self.offer_companions();
        }
    }

    fn lapse(&mut self, id: ReservationId) {
        let reservation = &self.reservations[&id];
        let (user_id, seats) = (reservation.user_id.clone(), reservation.seats.clone());
        let end = self.end_of(reservation);
        self.count_seats(&user_id, seats.len() as u32, false);
        for place in seats.iter().filter_map(|seat| self.place(seat)).collect::<Vec<_>>() {
            let section = &mut self.sections[place.rank as usize];
            let Some(seat) = section.touched_mut(place.number) else { continue };
            let ended = || Remembered { user_id: user_id.clone(), first_end: end };
            seat.lapsed = Some(seat.remembered.clone().unwrap_or_else(ended));
            self.offer(place);
            self.keep_memory(place);
        }
    }

    fn offer_companions(&mut self) {
        for rank in 0..self.sections.len() as u32 {
            let companions = self.section(rank).layout().parts().companions.clone();
            for (number, _) in companions {
                self.offer(Place { rank, number });
            }
        }
    }

    /// Whether `best_available` may give this seat.
    pub(super) fn is_offered(&self, place: Place) -> bool {
        let section = self.section(place.rank);
        let layout = section.layout();
        section.is_free(place.number)
            && layout.is_for_sale(place.number)
            && !layout.is_wheelchair(place.number)
            && (self.companions_free || layout.place_of(place.number).is_none())
    }

    /// Brings the stretches in line with a seat.
    pub(super) fn offer(&mut self, place: Place) {
        let segment = self.section(place.rank).segment_of(place.number);
        match (self.stretches.contains(place), self.is_offered(place)) {
            (false, true) => {
                self.stretches.insert(segment, Span { first: place.number, last: place.number });
            }
            (true, false) => self.stretches.remove(segment, place.number),
            _ => {}
        }
    }

    /// Indexes what a free seat remembers.
    pub(super) fn keep_memory(&mut self, place: Place) {
        if let Some(memory) = self.touched(place).and_then(Touched::memory).cloned() {
            self.remembering.entry(memory.user_id).or_default().insert((memory.first_end, place));
        }
    }

    pub(super) fn count_seats(&mut self, user: &UserId, seats: u32, add: bool) {
        if !self.users.contains_key(user) {
            self.users.insert(user.clone(), 0);
        }
        let Some(count) = self.users.get_mut(user) else { return };
        *count = if add { *count + seats } else { count.saturating_sub(seats) };
        if *count == 0 {
            self.users.remove(user);
        }
    }
}
