//! Free + held + paying + sold = all seats, and each taken seat belongs to one reservation that says so.

use std::collections::{BTreeMap, HashMap};

use crate::domain::block::{CountTable, Counts, Layout, ReservationState, Row, Seat, SeatStatus};
use crate::domain::{BlockKey, ReservationId, SectionName};

/// What a block's row says.
struct Said {
    counts: CountTable,
    pending: u32,
    /// Companion seats are counted as ordinary seats.
    companions_free: bool,
}

struct Section {
    rank: u32,
    layout: Layout,
    /// All of its seats but the taken ones, by category.
    free: Vec<Counts>,
}

#[derive(Default)]
pub(super) struct Seats {
    blocks: BTreeMap<BlockKey, Said>,
    sections: BTreeMap<(BlockKey, SectionName), Section>,
    /// Seats HELD or PAYING.
    pending: BTreeMap<BlockKey, u32>,
    /// Seats by the reservation they name: how many, and in which state.
    taken: HashMap<ReservationId, (usize, SeatStatus)>,
    /// Live reservations: how many seats each has, and in which state they must be.
    live: HashMap<ReservationId, (usize, SeatStatus)>,
    complaints: Vec<String>,
}

impl Seats {
    pub fn row(&mut self, row: &Row) {
        match row {
            Row::Block(row) => {
                let (counts, companions_free) = (row.counts.clone(), row.companions_free());
                self.blocks.insert(row.key.clone(), Said { counts, pending: row.pending, companions_free });
            }
            Row::Section(row) => {
                let section = Section { rank: row.rank, layout: row.layout.clone(), free: all_free(&row.layout) };
                self.sections.insert((row.key.clone(), row.name.clone()), section);
            }
            Row::Seat(seat) => self.seat(seat),
            Row::Reservation(row) => {
                if let Some(status) = seats_of(row.state) {
                    self.live.insert(row.id, (row.seats.len(), status));
                }
            }
            Row::Payment(_) => {}
        }
    }

    fn seat(&mut self, seat: &Seat) {
        let Some(id) = seat.state.reservation() else { return };
        let status = seat.state.status();
        let taken = self.taken.entry(id).or_insert((0, status));
        taken.0 += 1;
        if taken.1 != status {
            self.complaints.push(format!("the seats of reservation {id} are in different states"));
        }
        if status != SeatStatus::Sold {
            *self.pending.entry(seat.key.clone()).or_default() += 1;
        }
        let section = self.sections.get_mut(&(seat.key.clone(), seat.id.section.clone()));
        match section.filter(|section| (1..=section.layout.seats()).contains(&seat.id.number)) {
            Some(Section { layout, free, .. }) => {
                let free = &mut free[layout.category_of(seat.id.number)];
                let one = one_free(layout, seat.id.number);
                // A row in the store twice would not get below 0 unseen: the counts differ then.
                free.free = free.free.wrapping_sub(one.free);
                free.blocked = free.blocked.wrapping_sub(one.blocked);
                free.companions = free.companions.wrapping_sub(one.companions);
            }
            None => self.complaints.push(format!("no section of block {} has seat {}", seat.key, seat.id)),
        }
    }

    pub fn complaints(mut self) -> Vec<String> {
        let mut complaints = std::mem::take(&mut self.complaints);
        let mut free: BTreeMap<&BlockKey, BTreeMap<u32, &Vec<Counts>>> = BTreeMap::new();
        for ((key, name), section) in &self.sections {
            if free.entry(key).or_default().insert(section.rank, &section.free).is_some() {
                complaints.push(format!("section {name} of block {key} has another one's rank {}", section.rank));
            }
        }
        for (key, said) in &self.blocks {
            let mut counted: Vec<_> = free.remove(key).unwrap_or_default().into_values().cloned().collect();
            if said.companions_free {
                counted.iter_mut().flatten().for_each(|counts| counts.companions = 0);
            }
            let counted = CountTable::from(counted);
            if said.counts != counted {
                complaints.push(format!("block {key} says {:?} seats are free, {counted:?} are", said.counts));
            }
            let pending = self.pending.remove(key).unwrap_or(0);
            if said.pending != pending {
                complaints.push(format!("block {key} says {} seats are pending, {pending} are", said.pending));
            }
        }
        complaints.extend(free.into_keys().map(|key| format!("block {key} has sections and no row")));
        let mut seats: Vec<_> = self.taken.iter().filter(|(id, taken)| self.live.get(id) != Some(taken)).collect();
        seats.sort_unstable_by_key(|(id, _)| **id);
        for (id, (count, status)) in seats {
            complaints.push(format!("{count} seats are {status} of reservation {id}, which does not say so"));
        }
        let mut without: Vec<_> = self.live.keys().filter(|id| !self.taken.contains_key(id)).collect();
        without.sort_unstable();
        complaints.extend(without.into_iter().map(|id| format!("reservation {id} has no seats")));
        complaints
    }
}

fn all_free(layout: &Layout) -> Vec<Counts> {
    let mut free = vec![Counts::default(); layout.categories().len()];
    for number in 1..=layout.seats() {
        let (sum, one) = (&mut free[layout.category_of(number)], one_free(layout, number));
        sum.free += one.free;
        sum.blocked += one.blocked;
        sum.companions += one.companions;
    }
    free
}

/// What a free seat counts for.
fn one_free(layout: &Layout, number: u32) -> Counts {
    let for_sale = layout.is_for_sale(number);
    let companion = layout.place_of(number).is_some();
    Counts { free: 1, blocked: u32::from(!for_sale), companions: u32::from(for_sale && companion) }
}

/// In which state the seats of a live reservation are.
fn seats_of(state: ReservationState) -> Option<SeatStatus> {
    match state {
        ReservationState::Held => Some(SeatStatus::Held),
        ReservationState::Paying(_) => Some(SeatStatus::Paying),
        ReservationState::Confirmed { .. } => Some(SeatStatus::Sold),
        ReservationState::Expired | ReservationState::Cancelled { .. } | ReservationState::Refunded { .. } => None,
    }
}
