//! The seats of a date at one moment, and how far along the log that moment is.

mod compact;
mod section;
mod shown;

#[cfg(test)]
pub(in crate::api) mod tests;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

pub use self::compact::Form;
use self::compact::{changed_letters, letters};
use self::section::{Section, Touched};
pub use self::shown::Shown;
use super::plans::Known;
use super::seat_offsets::Offsets;
use crate::api::http::representation::Representation;
use crate::domain::{ScheduleId, SectionName};
use crate::store::BlockSeats;

/// Which seats are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filter {
    pub section: Option<SectionName>,
    /// Of the readable form only.
    pub status: Option<Shown>,
    pub form: Form,
}

/// All seats of a date. What is sent of it is rendered once, however many ask for it. A seat that nobody touched takes
/// no memory: it follows from its section.
pub struct SeatMap {
    schedule_id: ScheduleId,
    /// By block in order of name, within a block by rank.
    sections: Vec<Section>,
    offsets: Offsets,
    /// At most one for each section, status and form.
    bodies: Mutex<HashMap<Filter, Arc<Representation>>>,
    /// By form.
    snapshots: [OnceLock<Bytes>; 2],
}

impl SeatMap {
    /// Seats whose section is not listed are left out.
    pub fn new(schedule_id: ScheduleId, blocks: &[BlockSeats]) -> Self {
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
                    let status = seat.state.status().into();
                    section.touched.push(Touched { number: seat.id.number, status, offset: position.offset });
                }
            }
            own.iter_mut().for_each(|section| section.touched.sort_unstable_by_key(|seat| seat.number));
        }
        SeatMap { schedule_id, sections, offsets, bodies: Mutex::default(), snapshots: Default::default() }
    }

    /// With what the seats are called in the hall.
    pub fn labelled(mut self, plan: Option<Arc<Known>>) -> Self {
        if let Some(plan) = plan {
            self.sections.iter_mut().for_each(|section| section.labelled(&plan));
        }
        self
    }

    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Rows it holds in memory.
    pub fn rows(&self) -> usize {
        self.sections.iter().map(|section| 1 + section.touched.len()).sum()
    }

    /// `{"schedule_id", "seats":[…]}` as JSON, or the letters of each section.
    pub fn body(&self, filter: Filter) -> Arc<Representation> {
        let bodies = || self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = bodies().get(&filter) {
            return body.clone();
        }
        let of_section = |section: &Section| filter.section.as_ref().is_none_or(|name| *name == section.name);
        let body = match filter.form {
            Form::Readable => Representation::new(self.render(of_section, filter.status).into()),
            Form::Compact => {
                let letters = letters(self.sections.iter().filter(|section| of_section(section)));
                Representation::tagged(letters.into(), self.offsets.to_string())
            }
        };
        let body = Arc::new(body);
        if self.sections.iter().any(of_section) {
            bodies().insert(filter, body.clone());
        }
        body
    }

    /// The event that says everything.
    pub fn snapshot_event(&self, form: Form) -> Bytes {
        let data = || match form {
            Form::Readable => self.render(|_| true, None),
            Form::Compact => letters(self.sections.iter()),
        };
        self.snapshots[form as usize].get_or_init(|| event("snapshot", &self.offsets, &data())).clone()
    }

    /// The event that says what changed after `seen`; `None` if nothing did. Of a section that was amended it has all
    /// seats: flags and prices may have changed.
    pub fn changes_event(&self, seen: &Offsets, form: Form) -> Option<Bytes> {
        let data = match form {
            Form::Readable => self.changed_seats(seen),
            Form::Compact => changed_letters(&self.sections, seen),
        };
        let mut now = seen.clone();
        now.merge(&self.offsets);
        Some(event("seats", &now, &data?))
    }

    fn changed_seats(&self, seen: &Offsets) -> Option<String> {
        let mut list = List::new(String::new());
        for section in &self.sections {
            let amended = section.is_amended_since(seen);
            if !amended && !section.is_touched_since(seen) {
                continue;
            }
            section.each(|number, price, status, touched| {
                if amended || touched.is_some_and(|seat| seen.is_before(section.partition, seat.offset)) {
                    section.write_seat(list.item(), number, price, status);
                }
            });
        }
        (!list.empty).then(|| list.end())
    }

    fn render(&self, keep: impl Fn(&Section) -> bool, status: Option<Shown>) -> String {
        let sections = || self.sections.iter().filter(|section| keep(section));
        // A filter by status usually leaves few seats, or most.
        let capacity = if status.is_none() { sections().map(Section::rendered).sum() } else { 0 };
        let mut out = String::with_capacity(64 + capacity);
        let _ = write!(out, r#"{{"schedule_id":"{}","seats":"#, self.schedule_id);
        let mut list = List::new(out);
        for section in sections() {
            section.each(|number, price, shown, _| {
                if status.is_none_or(|status| status == shown) {
                    section.write_seat(list.item(), number, price, shown);
                }
            });
        }
        let mut out = list.end();
        out.push('}');
        out
    }
}

/// A JSON list being written.
struct List {
    out: String,
    empty: bool,
}

impl List {
    fn new(mut out: String) -> List {
        out.push('[');
        List { out, empty: true }
    }

    /// Where to write the next item.
    fn item(&mut self) -> &mut String {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        &mut self.out
    }

    fn end(mut self) -> String {
        self.out.push(']');
        self.out
    }
}

/// One server-sent event. The data has no line breaks.
fn event(name: &str, id: &Offsets, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\nid: {id}\ndata: {data}\n\n"))
}
