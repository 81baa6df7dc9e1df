//! What a seat map knows: sections, touched seats, and since which version each is shown as it is.

use std::collections::HashMap;
use std::sync::Arc;

use super::section::Section;
use super::shown::Shown;
use super::touched::Touched;
use crate::api::cache::plans::Known;
use crate::api::cache::seat_offsets::Offsets;
use crate::domain::{ReservationId, ScheduleId, SectionName};
use crate::store::BlockSeats;

/// To copy it costs little: copies share all that does not change.
#[derive(Clone)]
pub(in crate::api::cache) struct Seats {
    pub schedule_id: ScheduleId,
    /// By block in order of name, within a block by rank.
    pub(super) sections: Vec<Arc<Section>>,
    pub offsets: Offsets,
    /// Grows with whatever is shown differently. Of this process only.
    pub version: u64,
}

/// Where a seat is in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api::cache) struct Place {
    /// Index of the section.
    pub section: usize,
    pub number: u32,
}

impl Seats {
    /// Seats whose section is not listed are left out.
    pub fn new(schedule_id: ScheduleId, blocks: &[BlockSeats]) -> Seats {
        let mut offsets = Offsets::default();
        let mut sections = Vec::new();
        for block in blocks {
            let first = sections.len();
            sections.extend(block.sections.iter().map(Section::of));
            let own = &mut sections[first..];
            own.iter().for_each(|section| offsets.note(section.partition, section.offset));
            let index: HashMap<&SectionName, usize> = block.sections.iter().map(|row| &row.name).zip(0..).collect();
            for seat in &block.seats {
                let position = seat.changed.position;
                offsets.note(position.partition.partition, position.offset);
                if let Some(section) = index.get(&seat.id.section).and_then(|at| own.get_mut(*at)) {
                    section.touched.put(Touched {
                        number: seat.id.number,
                        status: seat.state.status().into(),
                        reservation: seat.state.reservation(),
                        offset: position.offset,
                        version: 0,
                    });
                }
            }
        }
        Seats { schedule_id, sections: sections.into_iter().map(Arc::new).collect(), offsets, version: 0 }
    }

    /// With what the seats are called in the hall.
    pub fn labelled(mut self, plan: Option<Arc<Known>>) -> Self {
        if let Some(plan) = plan {
            self.sections.iter_mut().for_each(|section| Arc::make_mut(section).labelled(&plan));
        }
        self
    }

    /// Rows it holds in memory.
    pub fn rows(&self) -> usize {
        self.sections.iter().map(|section| 1 + section.touched.len()).sum()
    }

    /// Seats it shows.
    pub fn count(&self) -> usize {
        self.sections.iter().map(|section| section.seats()).sum()
    }

    /// `None`: there is no such seat. `Some(None)`: nobody touched it.
    pub fn seat(&self, place: Place) -> Option<Option<&Touched>> {
        let section = self.sections.get(place.section)?;
        (1..=section.seats()).contains(&(place.number as usize)).then(|| section.touched.get(place.number))
    }

    /// A change of a seat that there is, decided at this offset of its partition. Under this version if it shows.
    pub fn put(
        &mut self,
        place: Place,
        (status, reservation): (Shown, Option<ReservationId>),
        offset: u64,
        version: u64,
    ) {
        let section = Arc::make_mut(&mut self.sections[place.section]);
        let before = section.touched.get(place.number).map(|seat| (seat.status, seat.version));
        let (shown, since) = before.unwrap_or((Shown::Available, 0));
        let seat = Touched { number: place.number, status, reservation, offset, version: since };
        if shown == status {
            section.touched.put(seat);
            return;
        }
        self.offsets.note_told(section.partition, offset);
        self.version = version;
        section.touched.put(Touched { version, ..seat });
    }

    /// Takes the versions over from what was shown before; what differs has this one. How much does.
    pub fn succeed(&mut self, before: Option<&Seats>, version: u64) -> usize {
        let of_before = before.iter().flat_map(|before| &before.sections);
        let known: HashMap<_, &Section> =
            of_before.map(|section| ((&section.block, &section.name), section.as_ref())).collect();
        let mut differences = 0;
        for section in &mut self.sections {
            let section = Arc::make_mut(section);
            differences += section.succeed(known.get(&(&section.block, &section.name)).copied(), version);
        }
        self.version = if differences > 0 { version } else { before.map_or(0, |before| before.version) };
        differences
    }
}
