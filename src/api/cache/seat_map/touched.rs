//! The touched seats of a section, in chunks that the copies of a map share: a change copies a chunk, a copy none.

use std::sync::Arc;

use super::shown::Shown;
use crate::domain::ReservationId;

/// Numbers of one chunk.
const CHUNK: u32 = 256;

#[derive(Clone)]
pub(in crate::api::cache) struct Touched {
    pub number: u32,
    pub status: Shown,
    /// Whose it is, unless it is free.
    pub reservation: Option<ReservationId>,
    /// When it last changed.
    pub offset: u64,
    /// Of the map that first showed this status.
    pub version: u64,
}

/// Ascending by number.
#[derive(Clone, Default)]
pub(super) struct TouchedSeats {
    chunks: Vec<Arc<Vec<Touched>>>,
    len: usize,
}

impl TouchedSeats {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn iter(&self) -> impl Iterator<Item = &Touched> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub fn get(&self, number: u32) -> Option<&Touched> {
        let chunk = self.chunks.get((number / CHUNK) as usize)?;
        chunk.binary_search_by_key(&number, |seat| seat.number).ok().map(|at| &chunk[at])
    }

    pub fn put(&mut self, seat: Touched) {
        let index = (seat.number / CHUNK) as usize;
        if self.chunks.len() <= index {
            self.chunks.resize_with(index + 1, Arc::default);
        }
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        match chunk.binary_search_by_key(&seat.number, |seat| seat.number) {
            Ok(at) => chunk[at] = seat,
            Err(at) => {
                chunk.insert(at, seat);
                self.len += 1;
            }
        }
    }

    pub fn each_mut(&mut self, mut visit: impl FnMut(&mut Touched)) {
        self.chunks.iter_mut().for_each(|chunk| Arc::make_mut(chunk).iter_mut().for_each(&mut visit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_what_has_not_changed() {
        let seat = |number, offset| Touched { number, status: Shown::Held, reservation: None, offset, version: 0 };
        let mut seats = TouchedSeats::default();
        for number in [9, 300, 256, 255, 1, 300] {
            seats.put(seat(number, 1));
        }
        let copy = seats.clone();
        seats.put(seat(2, 7));
        seats.put(seat(9, 8));
        let listed = |seats: &TouchedSeats| seats.iter().map(|seat| (seat.number, seat.offset)).collect::<Vec<_>>();
        assert_eq!(listed(&copy), [(1, 1), (9, 1), (255, 1), (256, 1), (300, 1)]);
        assert_eq!(listed(&seats), [(1, 1), (2, 7), (9, 8), (255, 1), (256, 1), (300, 1)]);
        assert_eq!((copy.len(), seats.len()), (5, 6));
        assert!(Arc::ptr_eq(&copy.chunks[1], &seats.chunks[1]));
        assert_eq!(seats.get(9).map(|seat| seat.offset), Some(8));
        assert!(seats.get(3).is_none() && seats.get(100_000).is_none());
    }
}
