//! The seats of a schedule at one moment, and how far along each partition of the log that moment is.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::domain::section::{Seat, SeatStatus, SectionRow};
use crate::domain::{ScheduleId, SectionName};

/// For each partition of the seats lane the offset of the last change. Text: `partition:offset,…`, ascending.
///
/// A partition commits in order and a snapshot is one read, so a snapshot that has a change has all changes of its
/// partition before it: "everything after these offsets" misses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offsets(BTreeMap<u32, u64>);

impl Offsets {
    /// Whether everything these offsets tell of is part of `self`.
    pub fn cover(&self, seen: &Offsets) -> bool {
        seen.0.iter().all(|(partition, offset)| self.0.get(partition).is_some_and(|own| own >= offset))
    }

    /// The later offset of each partition.
    pub fn merge(&mut self, other: &Offsets) {
        for (partition, offset) in &other.0 {
            self.note(*partition, *offset);
        }
    }

    fn note(&mut self, partition: u32, offset: u64) {
        let own = self.0.entry(partition).or_insert(offset);
        *own = (*own).max(offset);
    }

    fn is_before(&self, partition: u32, offset: u64) -> bool {
        self.0.get(&partition).is_none_or(|own| *own < offset)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (partition, offset)) in self.0.iter().enumerate() {
            write!(f, "{}{partition}:{offset}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Offsets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ERROR: &str = "event ids are {partition}:{offset},…";
        let mut offsets = Offsets::default();
        for part in text.split(',') {
            let (partition, offset) = part.split_once(':').ok_or(ERROR)?;
            offsets.note(partition.parse().map_err(|_| ERROR)?, offset.parse().map_err(|_| ERROR)?);
        }
        Ok(offsets)
    }
}

/// A seat's status as everybody sees it: who pays still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    Available,
    Held,
    Sold,
}

impl Shown {
    pub const ALL: [Shown; 3] = [Shown::Available, Shown::Held, Shown::Sold];

    pub fn as_str(self) -> &'static str {
        match self {
            Shown::Available => "AVAILABLE",
            Shown::Held => "HELD",
            Shown::Sold => "SOLD",
        }
    }
}

impl From<SeatStatus> for Shown {
    fn from(status: SeatStatus) -> Self {
        match status {
            SeatStatus::Available => Shown::Available,
            SeatStatus::Held | SeatStatus::Paying => Shown::Held,
            SeatStatus::Sold => Shown::Sold,
        }
    }
}

impl FromStr for Shown {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Shown::ALL.into_iter().find(|status| status.as_str() == text).ok_or("a status is AVAILABLE, HELD or SOLD")
    }
}

/// Which seats are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filter {
    pub section: Option<SectionName>,
    pub status: Option<Shown>,
}

/// All seats of a schedule. What is sent of it is rendered once, whoever asks for it.
pub struct SeatMap {
    schedule_id: ScheduleId,
    sections: Vec<Section>,
    /// In order of section and number.
    seats: Vec<Cell>,
    offsets: Offsets,
    /// At most one for each section and status.
    bodies: Mutex<HashMap<Filter, Bytes>>,
    snapshot: OnceLock<Bytes>,
}

struct Section {
    name: SectionName,
    price: i64,
}

#[derive(Clone, Copy)]
struct Cell {
    /// Index into the sections.
    section: u32,
    number: u32,
    status: Shown,
    partition: u32,
    offset: u64,
}

impl SeatMap {
    /// Seats whose section is not there are left out.
    pub fn new(schedule_id: ScheduleId, seats: &[Seat], sections: &[SectionRow]) -> Self {
        let index: HashMap<&SectionName, u32> = sections.iter().zip(0..).map(|(row, i)| (&row.name, i)).collect();
        let mut offsets = Offsets::default();
        let cell = |seat: &Seat| {
            let position = seat.changed.position;
            offsets.note(position.partition, position.offset);
            Some(Cell {
                section: *index.get(&seat.section)?,
                number: seat.number,
                status: seat.status.into(),
                partition: position.partition,
                offset: position.offset,
            })
        };
        SeatMap {
            schedule_id,
            seats: seats.iter().filter_map(cell).collect(),
            sections: sections.iter().map(|row| Section { name: row.name.clone(), price: row.price }).collect(),
            offsets,
            bodies: Mutex::default(),
            snapshot: OnceLock::new(),
        }
    }

    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// `{"schedule_id", "seats":[…]}` as JSON.
    pub fn body(&self, filter: Filter) -> Bytes {
        let bodies = || self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = bodies().get(&filter) {
            return body.clone();
        }
        let section = filter.section.as_ref().map(|name| self.sections.iter().position(|s| s.name == *name));
        if section == Some(None) {
            return self.render(|_| false).into();
        }
        let section = section.flatten();
        let body = Bytes::from(self.render(|cell| {
            section.is_none_or(|index| cell.section as usize == index)
                && filter.status.is_none_or(|status| cell.status == status)
        }));
        bodies().insert(filter, body.clone());
        body
    }

    /// The event that says everything.
    pub fn snapshot_event(&self) -> Bytes {
        self.snapshot.get_or_init(|| event("snapshot", &self.offsets, &self.render(|_| true))).clone()
    }

    /// The event that says what changed after `seen`; `None` if nothing did.
    pub fn changes_event(&self, seen: &Offsets) -> Option<Bytes> {
        let mut list = String::new();
        self.write_seats(&mut list, |cell| seen.is_before(cell.partition, cell.offset));
        if list == "[]" {
            return None;
        }
        let mut now = seen.clone();
        now.merge(&self.offsets);
        Some(event("seats", &now, &list))
    }

    fn render(&self, keep: impl Fn(&Cell) -> bool) -> String {
        let mut out = String::with_capacity(64 + self.seats.len() * 80);
        let _ = write!(out, r#"{{"schedule_id":"{}","seats":"#, self.schedule_id);
        self.write_seats(&mut out, keep);
        out.push('}');
        out
    }

    /// Names of sections are plain, so nothing needs escaping.
    fn write_seats(&self, out: &mut String, keep: impl Fn(&Cell) -> bool) {
        out.push('[');
        let mut empty = true;
        for cell in self.seats.iter().filter(|cell| keep(cell)) {
            if !std::mem::take(&mut empty) {
                out.push(',');
            }
            let Section { name, price } = &self.sections[cell.section as usize];
            let (number, status) = (cell.number, cell.status.as_str());
            let _ = write!(
                out,
                r#"{{"seat":"{name}-{number}","section":"{name}","number":{number},"price":{price},"status":"{status}"}}"#
            );
        }
        out.push(']');
    }
}

/// One server-sent event. The data has no line breaks.
fn event(name: &str, id: &Offsets, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\nid: {id}\ndata: {data}\n\n"))
}

#[cfg(test)]
pub(in crate::api) mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Arrival, Lane, LogTime, Position};

    fn changed(partition: u32, offset: u64) -> Arrival {
        Arrival { position: Position { lane: Lane::Seats, partition, offset }, time: LogTime(0) }
    }

    fn id() -> ScheduleId {
        ScheduleId(Uuid::from_u128(1))
    }

    pub(in crate::api) fn seat(section: &str, number: u32, status: SeatStatus, at: (u32, u64)) -> Seat {
        let section = section.parse().unwrap();
        Seat { schedule_id: id(), section, number, status, reservation: None, changed: changed(at.0, at.1) }
    }

    pub(in crate::api) fn section(name: &str, seats: u32, price: i64) -> SectionRow {
        SectionRow {
            schedule_id: id(),
            name: name.parse().unwrap(),
            seats,
            price,
            hold_ttl_ms: 1000,
            max_seats_per_user: 4,
            sales_open_at: None,
            starts_at: LogTime(1),
            queue: false,
            available: seats,
            changed: changed(0, 0),
        }
    }

    fn map() -> SeatMap {
        let seats = [
            seat("A", 1, SeatStatus::Available, (3, 10)),
            seat("A", 2, SeatStatus::Paying, (3, 12)),
            seat("B-1", 1, SeatStatus::Sold, (5, 7)),
        ];
        SeatMap::new(id(), &seats, &[section("A", 2, 1000), section("B-1", 1, 500)])
    }

    fn names(body: &Bytes) -> Vec<String> {
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["schedule_id"], id().to_string());
        body["seats"].as_array().unwrap().iter().map(|seat| seat["seat"].as_str().unwrap().to_owned()).collect()
    }

    fn data(event: &Bytes) -> (String, Value) {
        let text = std::str::from_utf8(event).unwrap();
        assert!(text.ends_with("\n\n"));
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        (line("id: ").to_owned(), serde_json::from_str(line("data: ")).unwrap())
    }

    #[test]
    fn a_seat_says_where_it_is_what_it_costs_and_whether_it_is_free() {
        let body: Value = serde_json::from_slice(&map().body(Filter::default())).unwrap();
        assert_eq!(
            body["seats"],
            json!([
                {"seat": "A-1", "section": "A", "number": 1, "price": 1000, "status": "AVAILABLE"},
                {"seat": "A-2", "section": "A", "number": 2, "price": 1000, "status": "HELD"},
                {"seat": "B-1-1", "section": "B-1", "number": 1, "price": 500, "status": "SOLD"},
            ])
        );
    }

    #[test]
    fn seats_are_filtered_by_section_and_status() {
        let map = map();
        let body = |section: Option<&str>, status| {
            names(&map.body(Filter { section: section.map(|name| name.parse().unwrap()), status }))
        };
        assert_eq!(body(Some("A"), None), ["A-1", "A-2"]);
        assert_eq!(body(None, Some(Shown::Held)), ["A-2"]);
        assert_eq!(body(Some("A"), Some(Shown::Sold)), Vec::<String>::new());
        assert_eq!(body(Some("Z"), None), Vec::<String>::new());
        assert!(map.bodies.lock().unwrap().keys().all(|filter| filter.section != Some("Z".parse().unwrap())));
    }

    #[test]
    fn events_carry_the_last_offset_of_each_partition() {
        let (id, value) = data(&map().snapshot_event());
        assert_eq!(id, "3:12,5:7");
        assert_eq!(value["seats"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_reader_gets_what_changed_after_what_they_have_seen_of_each_partition() {
        let map = map();
        let changes = |seen: &str| {
            map.changes_event(&seen.parse().unwrap()).map(|event| {
                let (id, value) = data(&event);
                let seats: Vec<String> =
                    value.as_array().unwrap().iter().map(|seat| seat["seat"].as_str().unwrap().to_owned()).collect();
                (id, seats.join(" "))
            })
        };
        let all = |seats: &str| Some(("3:12,5:7".to_owned(), seats.to_owned()));
        assert_eq!(changes("3:12,5:7"), None);
        assert_eq!(changes("3:10,5:7"), all("A-2"));
        assert_eq!(changes("3:9,5:6"), all("A-1 A-2 B-1-1"));
        assert_eq!(changes("3:12"), all("B-1-1"), "a partition never seen is new");
        assert_eq!(changes("3:10,5:99"), Some(("3:12,5:99".to_owned(), "A-2".to_owned())), "never back");
    }

    #[test]
    fn offsets_cover_what_is_not_after_them() {
        let offsets = |text: &str| text.parse::<Offsets>().unwrap();
        let own = offsets("3:12,5:7");
        for seen in ["3:12,5:7", "3:1", "5:0"] {
            assert!(own.cover(&offsets(seen)), "{seen}");
        }
        for seen in ["3:13", "3:12,5:8", "4:0"] {
            assert!(!own.cover(&offsets(seen)), "{seen}");
        }
        assert_eq!(offsets("5:7,3:12").to_string(), "3:12,5:7");
        for bad in ["", "3", "3:", ":1", "3:-1", "a:b", "3:1,", "3:1;5:7", "4294967296:1"] {
            assert!(bad.parse::<Offsets>().is_err(), "{bad}");
        }
    }
}
