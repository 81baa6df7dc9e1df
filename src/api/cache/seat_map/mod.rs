//! The seats of a date at one moment, and how far along the log that moment is.

mod compact;
mod seats;
mod section;
mod shown;
mod since;
mod touched;

#[cfg(test)]
pub(in crate::api) mod tests;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

pub use self::compact::Form;
use self::compact::{changed_letters, letters};
pub(super) use self::seats::{Place, Seats};
use self::section::Section;
pub use self::shown::Shown;
pub use self::since::Since;
pub(super) use self::touched::Touched;
use super::seat_offsets::Offsets;
use crate::api::http::representation::Representation;
use crate::domain::SectionName;

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
    seats: Seats,
    /// At most one for each section, status and form.
    bodies: Mutex<HashMap<Filter, Arc<Representation>>>,
    /// By form.
    snapshots: [OnceLock<Bytes>; 2],
}

impl SeatMap {
    pub(super) fn of(seats: Seats) -> Self {
        SeatMap { seats, bodies: Mutex::default(), snapshots: Default::default() }
    }

    /// As rows say, of a date without a plan.
    #[cfg(test)]
    pub fn new(schedule_id: crate::domain::ScheduleId, blocks: &[crate::store::BlockSeats]) -> Self {
        SeatMap::of(Seats::new(schedule_id, blocks))
    }

    fn sections(&self) -> impl Iterator<Item = &Section> {
        self.seats.sections.iter().map(AsRef::as_ref)
    }

    pub fn offsets(&self) -> &Offsets {
        &self.seats.offsets
    }

    /// Two maps of one date in one process show the same if they have the same version.
    pub fn version(&self) -> u64 {
        self.seats.version
    }

    /// Rows it holds in memory.
    pub fn rows(&self) -> usize {
        self.seats.rows()
    }

    /// Seats it shows.
    pub fn seats(&self) -> usize {
        self.seats.count()
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
                let letters = letters(self.sections().filter(|section| of_section(section)));
                Representation::tagged(letters.into(), self.seats.offsets.to_string())
            }
        };
        let body = Arc::new(body);
        if self.sections().any(of_section) {
            bodies().insert(filter, body.clone());
        }
        body
    }

    /// The event that says everything.
    pub fn snapshot_event(&self, form: Form) -> Bytes {
        let data = || match form {
            Form::Readable => self.render(|_| true, None),
            Form::Compact => letters(self.sections()),
        };
        self.snapshots[form as usize].get_or_init(|| event("snapshot", &self.seats.offsets, &data())).clone()
    }

    /// The event that says what changed since then; `None` if nothing did. Of a section that was amended it has all
    /// seats: flags and prices may have changed.
    pub fn changes_event(&self, since: Since<'_>, form: Form) -> Option<Bytes> {
        let data = match form {
            Form::Readable => self.changed_seats(since),
            Form::Compact => changed_letters(self.sections(), since),
        };
        let mut now = self.seats.offsets.clone();
        if let Since::Id(seen) = since {
            now.merge(seen);
        }
        Some(event("seats", &now, &data?))
    }

    fn changed_seats(&self, since: Since<'_>) -> Option<String> {
        let mut list = List::new(String::new());
        for section in self.sections() {
            let amended = section.is_amended(since);
            if !amended && !section.is_touched(since) {
                continue;
            }
            section.each(|number, price, status, touched| {
                if amended || touched.is_some_and(|seat| section.is_changed(seat, since)) {
                    section.write_seat(list.item(), number, price, status);
                }
            });
        }
        (!list.empty).then(|| list.end())
    }

    fn render(&self, keep: impl Fn(&Section) -> bool, status: Option<Shown>) -> String {
        let sections = || self.sections().filter(|section| keep(section));
        // A filter by status usually leaves few seats, or most.
        let capacity = if status.is_none() { sections().map(Section::rendered).sum() } else { 0 };
        let mut out = String::with_capacity(64 + capacity);
        let _ = write!(out, r#"{{"schedule_id":"{}","seats":"#, self.seats.schedule_id);
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
