//! Rows taken into memory, and dropped from it.

use std::collections::{BTreeMap, BTreeSet};

use super::section::{Section, Touched};
use super::state::Block;
use super::stretches::Place;
use super::{
    BlockRow, Category, Payment, Recall, Remembered, Reservation, ReservationState, Row, Rows, Seat, SectionRow, Span,
};
use crate::domain::LogTime;
use crate::domain::digest::Digest;
use crate::domain::names::UserId;

impl Block {
    /// From the store's rows. Seats of holds that have run out count as free from the first
    /// [`crate::domain::Aggregate::advance`] on.
    pub fn load(rows: Rows) -> Block {
        let mut block = Block::new(rows.block);
        for section in rows.sections {
            block.add_section(section);
        }
        for reservation in rows.reservations {
            block.put_reservation(reservation);
        }
        for payment in rows.payments {
            block.put_payment(payment);
        }
        for seat in &rows.seats {
            let (place, _) = block.replace_seat(seat);
            block.keep_memory(place);
        }
        for rank in 0..block.sections.len() as u32 {
            block.offer_section(rank);
        }
        block
    }

    /// Returns the digest of the row before.
    fn put_block(&mut self, row: BlockRow, digest: u64) -> u64 {
        let moved = row.terms.starts_at != self.row.terms.starts_at;
        self.row = row;
        let before = std::mem::replace(&mut self.row_digest, digest);
        if moved {
            let holds = std::mem::take(&mut self.holds);
            self.holds = holds.iter().map(|(_, id)| (self.end_of(&self.reservations[id]), *id)).collect();
        }
        before
    }

    fn put_section(&mut self, row: SectionRow) -> Option<SectionRow> {
        let rank = row.rank;
        if rank as usize >= self.sections.len() {
            self.add_section(row);
            self.offer_section(rank);
            return None;
        }
        let numbers = self.number_categories(&row);
        let section = &mut self.sections[rank as usize];
        self.stretches.remove_section(rank, &section.segments);
        let old = section.amend(row, &numbers);
        self.offer_section(rank);
        Some(old)
    }

    fn add_section(&mut self, row: SectionRow) {
        assert_eq!(row.rank as usize, self.sections.len(), "sections come in order of rank");
        self.ranks.insert(row.name.clone(), row.rank);
        let numbers = self.number_categories(&row);
        self.sections.push(Section::new(row, &numbers));
    }

    /// The numbers of a section's categories within the block.
    fn number_categories(&mut self, row: &SectionRow) -> Vec<usize> {
        let number = |category: &Category| {
            let next = self.categories.len();
            *self.categories.entry(category.name.clone()).or_insert(next)
        };
        row.layout.categories().iter().map(number).collect()
    }

    /// Adds a section's stretches whole.
    fn offer_section(&mut self, rank: u32) {
        let mut spans = Vec::new();
        for segment in &self.section(rank).segments {
            let mut first = None;
            for number in segment.span.first..=segment.span.last + 1 {
                let offered = number <= segment.span.last && self.is_offered(Place { rank, number });
                match (first, offered) {
                    (None, true) => first = Some(number),
                    (Some(start), false) => {
                        spans.push((*segment, Span { first: start, last: number - 1 }));
                        first = None;
                    }
                    _ => {}
                }
            }
        }
        for (segment, span) in spans {
            self.stretches.insert(segment, span);
        }
    }

    fn put_seat(&mut self, seat: &Seat) -> Option<Seat> {
        let (place, old) = self.replace_seat(seat);
        if let Some(memory) = old.as_ref().and_then(Touched::memory) {
            forget_memory(&mut self.remembering, memory, place);
        }
        self.offer(place);
        self.keep_memory(place);
        old.map(|old| self.section(place.rank).seat(place.number, &old))
    }

    fn replace_seat(&mut self, seat: &Seat) -> (Place, Option<Touched>) {
        let Some(place) = self.place(&seat.id) else { panic!("no seat of this block: {}", seat.id) };
        let Seat { key: _, id: _, state, remembered, checked, changed } = seat.clone();
        let section = &mut self.sections[place.rank as usize];
        let old = section.put(place.number, Touched { state, remembered, checked, changed, lapsed: None });
        self.touched += usize::from(old.is_none());
        (place, old)
    }

    pub(super) fn put_reservation(&mut self, new: Reservation) -> Option<Reservation> {
        let id = new.id;
        let old = self.reservations.remove(&id);
        if let Some(old) = &old {
            self.ended.remove(&(old.changed.position.offset, Recall::Reservation(id)));
            self.live.remove(&id);
            let held = old.state == ReservationState::Held;
            let lapsed = held && self.end_of(old) <= self.time;
            if held {
                self.holds.remove(&(self.end_of(old), id));
            }
            if old.state.is_live() && !lapsed {
                self.count_seats(&old.user_id, old.seats.len() as u32, false);
            }
        }
        if new.state == ReservationState::Held {
            self.holds.insert((self.end_of(&new), id));
        }
        if new.state.is_live() {
            self.live.insert(id);
            self.count_seats(&new.user_id, new.seats.len() as u32, true);
        }
        if !new.state.is_unfinished() {
            self.ended.insert((new.changed.position.offset, Recall::Reservation(id)));
        }
        self.reservations.insert(id, new);
        old
    }

    pub(super) fn put_payment(&mut self, new: Payment) -> Option<Payment> {
        let id = new.id;
        let old = self.payments.remove(&id);
        if let Some(old) = &old {
            self.ended.remove(&(old.changed.position.offset, Recall::Payment(id)));
            if let Some(waiting) = old.state.waiting() {
                self.asks.remove(&(waiting.ask_at, id));
            }
        }
        if let Some(waiting) = new.state.waiting() {
            self.asks.insert((waiting.ask_at, id));
        }
        if !new.state.is_unfinished() {
            self.ended.insert((new.changed.position.offset, Recall::Payment(id)));
        }
        self.payments.insert(id, new);
        old
    }

    /// Drops what ended before this offset.
    pub(super) fn forget_ended(&mut self, before: u64) {
        while let Some((offset, recall)) = self.ended.first().copied().filter(|(offset, _)| *offset < before) {
            self.ended.remove(&(offset, recall));
            match recall {
                Recall::Reservation(id) => drop(self.reservations.remove(&id)),
                Recall::Payment(id) => drop(self.payments.remove(&id)),
            }
        }
    }

    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    pub(super) fn count_rows(&self) -> usize {
        1 + self.sections.len() + self.touched + self.reservations.len() + self.payments.len()
    }
}

fn forget_memory(remembering: &mut BTreeMap<UserId, BTreeSet<(LogTime, Place)>>, memory: &Remembered, place: Place) {
    if let Some(seats) = remembering.get_mut(&memory.user_id) {
        seats.remove(&(memory.first_end, place));
        if seats.is_empty() {
            remembering.remove(&memory.user_id);
        }
    }
}

/// Takes one row of a decision into memory. Returns digest of the row before XOR digest of the row after, where no row
/// counts as 0.
///
/// Panics on a row that no decision on this block can contain: going on would corrupt the partition's state.
pub(super) fn apply(state: &mut Option<Block>, row: &Row) -> u64 {
    let after = row.digest();
    let before = match (state, row) {
        (slot @ None, Row::Block(row)) => {
            *slot = Some(Block::new(row.clone()));
            0
        }
        (Some(block), Row::Block(row)) => block.put_block(row.clone(), after),
        (Some(block), Row::Section(row)) => digest_of(&block.put_section(row.clone())),
        (Some(block), Row::Seat(seat)) => digest_of(&block.put_seat(seat)),
        (Some(block), Row::Reservation(reservation)) => digest_of(&block.put_reservation(reservation.clone())),
        (Some(block), Row::Payment(payment)) => digest_of(&block.put_payment(payment.clone())),
        (None, other) => panic!("not a row of a new block: {other:?}"),
    };
    before ^ after
}

fn digest_of<T: Digest>(row: &Option<T>) -> u64 {
    row.as_ref().map_or(0, Digest::digest)
}
