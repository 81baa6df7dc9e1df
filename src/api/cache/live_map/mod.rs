//! The seats of one date, read once and kept up by outcomes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::seat_map::{Place, Seats, Shown, Touched};
use super::seat_news::{SeatChange, SeatNews};
use crate::domain::{BlockKey, BlockName, ReservationId, SeatId, SectionName};
use crate::store::BlockSeats;
use crate::wire::routing::partition_for;

pub(super) struct LiveMap {
    seats: Seats,
    blocks: HashMap<BlockName, Block>,
    /// The seats of each hold: some outcomes do not name them.
    holds: HashMap<ReservationId, Vec<Place>>,
}

struct Block {
    /// Of the seats lane.
    partition: u32,
    /// Every decision up to this offset is part of the map.
    ///
    /// After a read this is the last change of a row. A decision that changes seats writes their rows, and rows are read
    /// at one moment. So a decision after this offset is not in what was read, and one before it is.
    known: u64,
    /// Index into the map's sections.
    sections: HashMap<SectionName, usize>,
}

/// An outcome that is not possible by what the map knows: one before it is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit;

impl LiveMap {
    /// `seats` are those of the rows.
    pub fn new(seats: Seats, rows: &[BlockSeats]) -> LiveMap {
        let mut live = LiveMap { seats, blocks: HashMap::new(), holds: HashMap::new() };
        let mut first = 0;
        for of in rows {
            let sections: HashMap<SectionName, usize> =
                of.sections.iter().map(|row| row.name.clone()).zip(first..).collect();
            first += of.sections.len();
            let changes = of.sections.iter().map(|row| row.changed).chain(of.seats.iter().map(|seat| seat.changed));
            let known = changes.map(|changed| changed.position.offset).max().unwrap_or(0);
            let partition = of.sections.first().map_or(0, |row| row.changed.position.partition.partition);
            for seat in &of.seats {
                let place = sections.get(&seat.id.section).map(|at| Place { section: *at, number: seat.id.number });
                let held = seat.state.reservation().filter(|_| Shown::from(seat.state.status()) == Shown::Held);
                if let (Some(place), Some(reservation)) = (place, held) {
                    live.holds.entry(reservation).or_default().push(place);
                }
            }
            live.blocks.insert(of.block.clone(), Block { partition, known, sections });
        }
        live
    }

    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    pub fn succeed(&mut self, before: Option<&Seats>, version: u64) -> usize {
        self.seats.succeed(before, version)
    }

    /// Whether outcomes of this date come in the order of decisions for each partition of the seats lane: then they lie on
    /// one partition of the outcomes. One that overtook another would make [`super::seat_offsets::Offsets`] say too much.
    pub fn is_told_in_order(&self, outcomes: u32) -> bool {
        let mut places: BTreeMap<u32, u32> = BTreeMap::new();
        self.blocks.iter().all(|(name, block)| {
            let key = BlockKey { schedule_id: self.seats.schedule_id, block: name.clone() };
            let at = partition_for(&key.to_string(), outcomes);
            *places.entry(block.partition).or_insert(at) == at
        })
    }

    /// Takes in what an outcome says, unless it is known. What shows has this version from now on. After a misfit the map
    /// is of no use.
    pub fn apply(&mut self, news: &SeatNews, version: u64) -> Result<(), Misfit> {
        let block = self.blocks.get_mut(&news.block).ok_or(Misfit)?;
        if block.partition != news.decided.partition.partition {
            return Err(Misfit);
        }
        if news.decided.offset <= block.known {
            return Ok(());
        }
        block.known = news.decided.offset;
        news.changes.iter().try_for_each(|change| self.change(change, news, version))
    }

    fn change(&mut self, change: &SeatChange, news: &SeatNews, version: u64) -> Result<(), Misfit> {
        let at = (news.decided.offset, version);
        match change {
            SeatChange::End(reservation) => {
                let places = self.holds.remove(reservation).ok_or(Misfit)?;
                places.into_iter().for_each(|place| self.put(place, (Shown::Available, None), at));
            }
            SeatChange::Hold(reservation, seats) => {
                let places = self.places(news, seats)?;
                // A sold one was cancelled: its outcome is to come.
                let is_free = |place| self.touched(place).is_none_or(|seat| seat.status != Shown::Held);
                fits(&places, is_free)?;
                places.iter().for_each(|place| self.put(*place, (Shown::Held, Some(*reservation)), at));
                self.holds.insert(*reservation, places);
            }
            SeatChange::Free(reservations, seats) => {
                let places = self.places(news, seats)?;
                let of: HashSet<&ReservationId> = reservations.iter().collect();
                fits(&places, |place| self.owner(place).is_some_and(|owner| of.contains(&owner)))?;
                places.into_iter().for_each(|place| self.put(place, (Shown::Available, None), at));
                reservations.iter().for_each(|reservation| drop(self.holds.remove(reservation)));
            }
            SeatChange::GiveBack(reservation, seats) => {
                for place in self.places(news, seats)? {
                    if self.owner(place) == Some(*reservation) {
                        self.put(place, (Shown::Available, None), at);
                    }
                }
                self.holds.remove(reservation);
            }
            SeatChange::Sell(reservation, seats) => {
                let places = self.places(news, seats)?;
                self.sell(*reservation, places, at)?;
            }
            SeatChange::SellHeld(reservation) => {
                let places = self.holds.get(reservation).cloned().ok_or(Misfit)?;
                self.sell(*reservation, places, at)?;
            }
            SeatChange::Sections => return Err(Misfit),
        }
        Ok(())
    }

    fn sell(&mut self, reservation: ReservationId, places: Vec<Place>, at: (u64, u64)) -> Result<(), Misfit> {
        fits(&places, |place| self.owner(place) == Some(reservation))?;
        places.into_iter().for_each(|place| self.put(place, (Shown::Sold, Some(reservation)), at));
        self.holds.remove(&reservation);
        Ok(())
    }

    fn put(&mut self, place: Place, state: (Shown, Option<ReservationId>), (offset, version): (u64, u64)) {
        self.seats.put(place, state, offset, version);
    }

    fn touched(&self, place: Place) -> Option<&Touched> {
        self.seats.seat(place).flatten()
    }

    fn owner(&self, place: Place) -> Option<ReservationId> {
        self.touched(place)?.reservation
    }

    fn places(&self, news: &SeatNews, seats: &[SeatId]) -> Result<Vec<Place>, Misfit> {
        let sections = &self.blocks.get(&news.block).ok_or(Misfit)?.sections;
        let place = |seat: &SeatId| {
            let place = Place { section: *sections.get(&seat.section)?, number: seat.number };
            self.seats.seat(place).map(|_| place)
        };
        seats.iter().map(|seat| place(seat).ok_or(Misfit)).collect()
    }
}

fn fits(places: &[Place], fit: impl Fn(Place) -> bool) -> Result<(), Misfit> {
    if places.iter().all(|place| fit(*place)) { Ok(()) } else { Err(Misfit) }
}
