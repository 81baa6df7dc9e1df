//! Everything that is kept is counted again, the slow way.

use std::collections::{BTreeMap, BTreeSet};

use super::fixture::Hall;
use crate::domain::block::stretches::Place;
use crate::domain::block::{Block, Counts, Reservation, ReservationState, SeatState, SeatStatus};
use crate::domain::{Aggregate, LogTime, UserId};

pub fn all(hall: &Hall, time: LogTime) {
    let hash = hall.store.values().map(Block::digest).fold(0, |hash, digest| hash ^ digest);
    assert_eq!(hall.state_hash, hash, "the state hash is of all rows");
    let Some(block) = &hall.block else { return };
    counts(block);
    seats(block);
    timers(block, time);
    users(block);
    assert_eq!(block.stretches.all(), stretches(block), "stretches");
    let mut loaded = Block::load(hall.rows());
    assert_eq!(loaded.rows() + block.remembered(), block.rows());
    loaded.advance(block.time);
    assert_eq!(loaded.stretches.all(), block.stretches.all(), "stretches after a load");
    assert_eq!((&loaded.users, &loaded.remembering), (&block.users, &block.remembering), "users after a load");
    assert_eq!((&loaded.holds, &loaded.live, &loaded.asks), (&block.holds, &block.live, &block.asks));
}

fn places(block: &Block) -> impl Iterator<Item = Place> {
    let sections = block.sections.iter();
    sections.flat_map(|s| (1..=s.layout().seats()).map(|number| Place { rank: s.row.rank, number }))
}

fn state(block: &Block, place: Place) -> SeatState {
    block.touched(place).map_or(SeatState::Available, |seat| seat.state)
}

fn counts(block: &Block) {
    let row = block.row();
    let mut expected: Vec<Vec<Counts>> = Vec::new();
    let mut by_status: BTreeMap<SeatStatus, u32> = BTreeMap::new();
    for section in &block.sections {
        let layout = section.layout();
        let mut counts = vec![Counts::default(); layout.categories().len()];
        for number in 1..=layout.seats() {
            let status = state(block, Place { rank: section.row.rank, number }).status();
            *by_status.entry(status).or_default() += 1;
            if status == SeatStatus::Available {
                let sum = &mut counts[layout.category_of(number)];
                sum.free += 1;
                if !layout.is_for_sale(number) {
                    sum.blocked += 1;
                } else if layout.place_of(number).is_some() && !row.companions_free() {
                    sum.companions += 1;
                }
            }
        }
        expected.push(counts);
    }
    assert_eq!(row.counts, expected.into(), "counts");
    let of = |status| by_status.get(&status).copied().unwrap_or(0);
    assert_eq!(row.pending, of(SeatStatus::Held) + of(SeatStatus::Paying), "pending");
    let total: u32 = block.sections.iter().map(|section| section.layout().seats()).sum();
    assert_eq!(row.counts.all().iter().map(|c| c.free).sum::<u32>() + row.pending + of(SeatStatus::Sold), total);
    match row.noted {
        Some(noted) => assert_eq!(noted.state, row.sale_state(), "the queue knows"),
        None => assert!(!row.queue),
    }
}

/// Each seat that is not free is its live reservation's, and the other way round.
fn seats(block: &Block) {
    let mut expected = BTreeMap::new();
    for reservation in block.live.iter().map(|id| block.reservation(*id).unwrap()) {
        assert!(reservation.state.is_live());
        for seat in &reservation.seats {
            let state = match reservation.state {
                ReservationState::Held => SeatState::Held(reservation.id),
                ReservationState::Paying(_) => SeatState::Paying(reservation.id),
                _ => SeatState::Sold(reservation.id),
            };
            assert_eq!(expected.insert(block.place(seat).unwrap(), state), None, "a seat is one user's: {seat}");
        }
    }
    let found = places(block).map(|place| (place, state(block, place)));
    let found: BTreeMap<_, _> = found.filter(|(_, state)| *state != SeatState::Available).collect();
    assert_eq!(found, expected);
    for place in places(block) {
        let Some(seat) = block.touched(place) else { continue };
        let remembers = seat.remembered.is_some();
        assert!(!remembers || !matches!(seat.state, SeatState::Sold(_)), "a sold seat remembers nobody");
        assert!(seat.checked.is_none() || matches!(seat.state, SeatState::Sold(_)));
    }
}

fn timers(block: &Block, time: LogTime) {
    let row = block.row();
    let live = || block.live.iter().map(|id| block.reservation(*id).unwrap());
    let is_held = |reservation: &&Reservation| reservation.state == ReservationState::Held;
    let holds: BTreeSet<_> = live().filter(is_held).map(|r| (r.expires_at.min(row.terms.starts_at), r.id)).collect();
    assert_eq!(block.holds, holds);
    let asks: BTreeSet<_> = block.payments.values().filter_map(|p| Some((p.state.waiting()?.ask_at, p.id))).collect();
    assert_eq!(block.asks, asks);
    let sweep = row.cancelled.filter(|_| !row.sweep_done).map(|cancelled| cancelled.time);
    let companions = row.terms.companions_free_at.filter(|_| !row.companions_free());
    let due = [holds.first().map(|(end, _)| *end), asks.first().map(|(at, _)| *at), sweep, companions];
    assert_eq!(row.due_at, due.into_iter().flatten().min(), "due_at at {time:?}");
}

fn users(block: &Block) {
    let mut users: BTreeMap<UserId, u32> = BTreeMap::new();
    for reservation in block.live.iter().map(|id| block.reservation(*id).unwrap()) {
        let lapsed = reservation.state == ReservationState::Held && block.end_of(reservation) <= block.time;
        if !lapsed {
            *users.entry(reservation.user_id.clone()).or_default() += reservation.seats.len() as u32;
        }
    }
    assert_eq!(block.users, users);
}

/// Neighbors that `best_available` may give, seat by seat.
fn stretches(block: &Block) -> Vec<(Place, u32)> {
    let mut stretches: Vec<(Place, u32)> = Vec::new();
    for place in places(block).filter(|place| is_offered(block, *place, block.time)) {
        let layout = block.section(place.rank).layout();
        match stretches.last_mut() {
            Some((first, last))
                if first.rank == place.rank
                    && *last + 1 == place.number
                    && layout.run_of(*last) == layout.run_of(place.number)
                    && layout.category_of(*last) == layout.category_of(place.number) =>
            {
                *last = place.number;
            }
            _ => stretches.push((place, place.number)),
        }
    }
    stretches
}

/// Whether `best_available` may give a seat at this time, whoever asks.
pub fn is_offered(block: &Block, place: Place, time: LogTime) -> bool {
    let layout = block.section(place.rank).layout();
    let free = match state(block, place) {
        SeatState::Available => true,
        SeatState::Held(id) => block.end_of(block.reservation(id).unwrap()) <= time,
        _ => false,
    };
    let companions_free = block.row().terms.companions_free_at.is_some_and(|at| at <= time);
    free && layout.is_for_sale(place.number)
        && !layout.is_wheelchair(place.number)
        && (companions_free || layout.place_of(place.number).is_none())
}
