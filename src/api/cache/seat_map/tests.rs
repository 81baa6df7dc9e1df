//! What a seat map shows, and what its events say.

use std::slice::from_ref;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::block::{Category, Layout, LayoutParts, Seat, SeatState, SeatStatus, SectionRow, Span};
use crate::domain::{Amount, Arrival, BlockKey, Lane, LogTime, Position, ReservationId, ScheduleId};
use crate::store::BlockSeats;

pub(in crate::api) fn id() -> ScheduleId {
    ScheduleId(Uuid::from_u128(1))
}

pub(super) fn changed(partition: u32, offset: u64) -> Arrival {
    Arrival { position: Position::new(Lane::Seats, partition, offset), time: LogTime(0) }
}

fn key(name: &str) -> BlockKey {
    BlockKey { schedule_id: id(), block: name.parse().unwrap() }
}

fn state(status: SeatStatus) -> SeatState {
    let reservation = ReservationId(Uuid::from_u128(2));
    match status {
        SeatStatus::Available => SeatState::Available,
        SeatStatus::Held => SeatState::Held(reservation),
        SeatStatus::Paying => SeatState::Paying(reservation),
        SeatStatus::Sold => SeatState::Sold(reservation),
    }
}

/// A block on a partition: its sections (name, seats, price) and touched seats (name, status, offset).
pub(in crate::api) fn block(
    partition: u32,
    sections: &[(&str, u32, i64)],
    touched: &[(&str, SeatStatus, u64)],
) -> BlockSeats {
    let name = format!("b{partition}");
    let row = |(rank, (section, seats, price)): (u32, &(&str, u32, i64))| SectionRow {
        key: key(&name),
        name: section.parse().unwrap(),
        rank,
        layout: Layout::plain(*seats, &section.parse().unwrap(), Amount::price(*price).unwrap()).unwrap(),
        changed: changed(partition, 0),
    };
    let seat = |(seat, status, offset): &(&str, SeatStatus, u64)| Seat {
        key: key(&name),
        id: seat.parse().unwrap(),
        state: state(*status),
        remembered: None,
        checked: None,
        changed: changed(partition, *offset),
    };
    BlockSeats {
        block: name.parse().unwrap(),
        sections: (0..).zip(sections).map(row).collect(),
        seats: touched.iter().map(seat).collect(),
    }
}

/// The map of this version, after one that was read before.
pub(in crate::api) fn map_after(before: &[BlockSeats], now: &[BlockSeats], version: u64) -> SeatMap {
    let [mut before, mut now] = [before, now].map(|blocks| Seats::new(id(), blocks));
    before.succeed(None, 1);
    now.succeed(Some(&before), version);
    SeatMap::of(now)
}

pub(super) fn map() -> SeatMap {
    let one = block(3, &[("A", 3, 1000)], &[("A-1", SeatStatus::Available, 10), ("A-2", SeatStatus::Paying, 12)]);
    let two = block(5, &[("B-1", 1, 500)], &[("B-1-1", SeatStatus::Sold, 7)]);
    SeatMap::new(id(), &[one, two])
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

fn changes(map: &SeatMap, seen: &str) -> Option<(String, String)> {
    map.changes_event(Since::Id(&seen.parse().unwrap()), Form::Readable).map(|event| {
        let (id, value) = data(&event);
        let seats = value.as_array().unwrap().iter().map(|seat| seat["seat"].as_str().unwrap().to_owned());
        (id, seats.collect::<Vec<_>>().join(" "))
    })
}

#[test]
fn f12_a_seat_says_where_it_is_what_it_costs_and_whether_it_is_free() {
    let body: Value = serde_json::from_slice(map().body(Filter::default()).plain()).unwrap();
    assert_eq!(
        body["seats"],
        json!([
            {"seat": "A-1", "section": "A", "number": 1, "price": 1000, "status": "AVAILABLE"},
            {"seat": "A-2", "section": "A", "number": 2, "price": 1000, "status": "HELD"},
            {"seat": "A-3", "section": "A", "number": 3, "price": 1000, "status": "AVAILABLE"},
            {"seat": "B-1-1", "section": "B-1", "number": 1, "price": 500, "status": "SOLD"},
        ])
    );
}

#[test]
fn a_seat_costs_what_its_category_costs_and_is_not_for_sale_only_while_it_is_free() {
    let span = |first, last| Span { first, last };
    let category = |name: &str, price| Category { name: name.parse().unwrap(), price: Amount::price(price).unwrap() };
    let mut block = block(3, &[("A", 5, 1)], &[("A-3", SeatStatus::Sold, 4)]);
    block.sections[0].layout = Layout::new(LayoutParts {
        seats: 5,
        runs: vec![span(1, 5)],
        categories: vec![category("R", 900), category("S", 500)],
        category_runs: vec![(span(1, 2), 1), (span(3, 5), 0)],
        not_for_sale: vec![span(2, 3), span(5, 5)],
        ..LayoutParts::default()
    })
    .unwrap();
    let body: Value = serde_json::from_slice(SeatMap::new(id(), &[block]).body(Filter::default()).plain()).unwrap();
    let shown = body["seats"].as_array().unwrap().iter().map(|seat| (seat["price"].clone(), seat["status"].clone()));
    let expected =
        [(500, "AVAILABLE"), (500, "NOT_FOR_SALE"), (900, "SOLD"), (900, "AVAILABLE"), (900, "NOT_FOR_SALE")];
    assert!(shown.eq(expected.map(|(price, status)| (json!(price), json!(status)))), "{body}");
}

#[test]
fn names_of_sections_are_escaped() {
    let map = SeatMap::new(id(), &[block(3, &[("\"Ö\\\" 1", 1, 1)], &[])]);
    assert_eq!(names(map.body(Filter::default()).plain()), ["\"Ö\\\" 1-1"]);
}

#[test]
fn f12_seats_are_filtered_by_section_and_status() {
    let map = map();
    let body = |section: Option<&str>, status| {
        let section = section.map(|name| name.parse().unwrap());
        names(map.body(Filter { section, status, ..Filter::default() }).plain())
    };
    assert_eq!(body(Some("A"), None), ["A-1", "A-2", "A-3"]);
    assert_eq!(body(None, Some(Shown::Held)), ["A-2"]);
    assert_eq!(body(Some("A"), Some(Shown::Sold)), Vec::<String>::new());
    assert_eq!(body(Some("Z"), None), Vec::<String>::new());
    assert!(map.bodies.lock().unwrap().keys().all(|filter| filter.section != Some("Z".parse().unwrap())));
}

#[test]
fn events_carry_the_last_offset_of_each_partition() {
    let (id, value) = data(&map().snapshot_event(Form::Readable));
    assert_eq!(id, "3:12,5:7");
    assert_eq!(value["seats"].as_array().unwrap().len(), 4);
    let untouched = SeatMap::new(super::tests::id(), &[block(4, &[("A", 1, 1)], &[])]);
    assert_eq!(
        data(&untouched.snapshot_event(Form::Readable)).0,
        "4:0",
        "a block without a touched seat is known as well"
    );
}

#[test]
fn a_reader_gets_what_changed_after_what_they_have_seen_of_each_partition() {
    let map = map();
    let all = |seats: &str| Some(("3:12,5:7".to_owned(), seats.to_owned()));
    assert_eq!(changes(&map, "3:12,5:7"), None);
    assert_eq!(changes(&map, "3:10,5:7"), all("A-2"));
    assert_eq!(changes(&map, "3:9,5:6"), all("A-1 A-2 B-1-1"));
    assert_eq!(changes(&map, "3:12"), all("B-1-1"), "a partition never seen is new");
    let further = Some(("3:12,5:99".to_owned(), "A-2".to_owned()));
    assert_eq!(changes(&map, "3:10,5:99"), further, "never back");
}

#[test]
fn an_amended_section_is_told_whole() {
    let mut amended = block(3, &[("A", 2, 1), ("B", 1, 1)], &[("A-1", SeatStatus::Held, 5)]);
    amended.sections[0].changed = changed(3, 9);
    let map = SeatMap::new(id(), &[amended]);
    assert_eq!(changes(&map, "3:8"), Some(("3:9".to_owned(), "A-1 A-2".to_owned())));
    assert_eq!(changes(&map, "3:9"), None);
}

#[test]
fn what_shows_as_before_keeps_its_version_and_what_differs_is_told_once() {
    let before = block(3, &[("A", 3, 1)], &[("A-1", SeatStatus::Held, 5), ("A-2", SeatStatus::Sold, 6)]);
    let seats = [("A-1", SeatStatus::Paying, 8), ("A-2", SeatStatus::Available, 6), ("A-3", SeatStatus::Available, 7)];
    let map = map_after(from_ref(&before), &[block(3, &[("A", 3, 1)], &seats)], 9);
    let since = |version| map.changes_event(Since::Version(version), Form::Compact).map(|event| data(&event).1);
    assert_eq!(since(1), Some(json!({"A": {"A": [2]}})), "whatever its offset is");
    assert_eq!((since(9), map.version()), (None, 9));
    assert_eq!(map_after(from_ref(&before), from_ref(&before), 9).version(), 1);
    let mut amended = before.clone();
    amended.sections[0].changed = changed(3, 9);
    let gone_back = block(3, &[("A", 3, 1)], &[("A-1", SeatStatus::Held, 5)]);
    for (now, letters) in [(amended, "HSA"), (gone_back, "HAA")] {
        let map = map_after(from_ref(&before), &[now], 9);
        let event = map.changes_event(Since::Version(1), Form::Compact).unwrap();
        assert_eq!(data(&event).1, json!({"A": letters}));
    }
}

#[test]
fn seats_nobody_touched_take_no_memory() {
    let map = SeatMap::new(id(), &[block(3, &[("A", 100_000, 1)], &[])]);
    assert_eq!(map.rows(), 1);
    let body = map.body(Filter::default());
    assert!(body.plain().ends_with(br#""number":100000,"price":1,"status":"AVAILABLE"}]}"#));
}

fn since(map: &SeatMap, seen: &str) -> Option<(String, Value)> {
    let event = map.changes_event(Since::Id(&seen.parse().unwrap()), Form::Compact)?;
    let text = String::from_utf8(event.to_vec()).unwrap();
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    Some((line("id: "), serde_json::from_str(&line("data: ")).unwrap()))
}

#[test]
fn f58_a_seat_is_a_letter() {
    let letters = |section: Option<&str>| {
        let section = section.map(|name| name.parse().unwrap());
        let body = map().body(Filter { section, form: Form::Compact, ..Filter::default() });
        serde_json::from_slice::<Value>(body.plain()).unwrap()
    };
    assert_eq!(letters(None), json!({"A": "AHA", "B-1": "S"}));
    assert_eq!(letters(Some("B-1")), json!({"B-1": "S"}));
    assert_eq!(letters(Some("Z")), json!({}));
    let odd = SeatMap::new(id(), &[block(3, &[("\"Ö\\\" 1", 2, 1)], &[])]);
    let all = Filter { form: Form::Compact, ..Filter::default() };
    assert_eq!(serde_json::from_slice::<Value>(odd.body(all).plain()).unwrap(), json!({"\"Ö\\\" 1": "AA"}));
    let snapshot = map().snapshot_event(Form::Compact);
    assert_eq!(snapshot, event("snapshot", map().offsets(), r#"{"A":"AHA","B-1":"S"}"#));
}

#[test]
fn f58_changes_are_numbers_by_letter_under_the_same_ids() {
    let map = map();
    let at = |id: &str, value: Value| Some((id.to_owned(), value));
    assert_eq!(since(&map, "3:12,5:7"), None);
    assert_eq!(since(&map, "3:9,5:6"), at("3:12,5:7", json!({"A": {"A": [1], "H": [2]}, "B-1": {"S": [1]}})));
    assert_eq!(since(&map, "3:12"), at("3:12,5:7", json!({"B-1": "S"})), "never seen: whole");
    assert_eq!(since(&map, "3:10,5:99"), at("3:12,5:99", json!({"A": {"H": [2]}})));
    let mut amended = block(3, &[("A", 2, 1), ("B", 1, 1)], &[("A-1", SeatStatus::Held, 5)]);
    amended.sections[0].changed = changed(3, 9);
    assert_eq!(since(&SeatMap::new(id(), &[amended]), "3:8"), at("3:9", json!({"A": "HA"})));
}

/// 50,000 seats in 20 sections, 2,000 of them changed: what the documentation says of both forms.
#[test]
fn f58_the_compact_form_is_a_tenth_at_most() {
    let names: Vec<String> = (0..20).map(|number| format!("Section {number}")).collect();
    let sections: Vec<(&str, u32, i64)> = names.iter().map(|name| (name.as_str(), 2_500, 110_000)).collect();
    let seats: Vec<String> =
        names.iter().flat_map(|name| (1..=100).map(move |number| format!("{name}-{}", 25 * number))).collect();
    let touched: Vec<_> = seats.iter().map(|seat| (seat.as_str(), SeatStatus::Held, 9)).collect();
    let map = SeatMap::new(id(), &[block(3, &sections, &touched)]);
    let seen = "3:8".parse().unwrap();
    let sizes = |form| [map.snapshot_event(form).len(), map.changes_event(Since::Id(&seen), form).unwrap().len()];
    let [readable, compact] = Form::ALL.map(sizes);
    println!(
        "snapshot {} bytes, compact {}; 2,000 changes {}, compact {}",
        readable[0], compact[0], readable[1], compact[1]
    );
    assert!(readable[0] > 80 * compact[0] && readable[1] > 10 * compact[1], "{readable:?} {compact:?}");
}
