//! How large a plan may be, and what is done with a zone that is larger than a section.

use std::time::Instant;

use serde_json::{Value, json};

use super::samples::{file, lines, read_with, row, try_read, written, zone};
use crate::plan::demo::Hall;
use crate::plan::{Format, Plan, read, write};

/// Rows of 100 seats with numbers that differ in the whole plan.
fn rows(from: u32, count: u32) -> Vec<Value> {
    let places: Vec<f64> = (0..100).map(|seat| f64::from(seat) * 20.0).collect();
    (from..from + count).map(|number| row(&number.to_string(), f64::from(number) * 20.0, &places)).collect()
}

#[test]
fn a_large_zone_is_split_between_rows() {
    let hall = file(vec![zone("Süd", rows(0, 201)), zone("Nord", rows(300, 1))]);
    let plan = read_with(&hall, &["zone \"Süd\" has more than 10000 seats: 3 sections"]);
    let sections: Vec<_> = plan
        .sections()
        .iter()
        .map(|section| (section.name.as_str(), section.rows.len(), section.seats.len()))
        .collect();
    assert_eq!(sections, [("Süd 1", 100, 10_000), ("Süd 2", 100, 10_000), ("Süd 3", 1, 100), ("Nord", 1, 100)]);
    assert_eq!(plan.label("Süd 3", 7).unwrap(), "Süd, row 200, seat 7", "people know one zone");
    assert_eq!(lines(&written(&plan)), lines(&hall), "written, it is one zone again");
}

#[test]
fn what_is_too_large_is_refused() {
    let many = |zones: u32| file((0..zones).map(|n| zone(&n.to_string(), rows(n, 1))).collect());
    assert_eq!(try_read(&many(200)).unwrap().plan.sections().len(), 200);
    assert_eq!(try_read(&many(201)).unwrap_err().to_string(), "/sections: 201 sections, more than 200");

    // As text: a tree of 100,001 seats would take longer to make than to read.
    let seat =
        |n: u32| format!(r#"{{"seat_guid":"{n}","seat_number":"{n}","position":{{"x":{n},"y":0}},"category":"R"}}"#);
    let long_rows: Vec<String> = (0..=100)
        .map(|row| {
            let seats: Vec<String> = (0..if row < 100 { 1_000 } else { 1 }).map(|n| seat(row * 1_000 + n)).collect();
            format!(r#"{{"row_number":"{row}","seats":[{}]}}"#, seats.join(","))
        })
        .collect();
    let zone_of = format!(r#"{{"position":{{"x":0,"y":0}},"rows":[{}]}}"#, long_rows.join(","));
    let text = format!(r#"{{"name":"x","categories":[{{"name":"R"}}],"zones":[{zone_of}]}}"#);
    let error = read(text.as_bytes(), None, "x").unwrap_err().to_string();
    assert_eq!(error, "/zones/0/rows/100/seats/0: more than 100000 seats");

    let long: Vec<f64> = (0..10_001).map(f64::from).collect();
    let error = try_read(&file(vec![zone("A", vec![row("1", 0.0, &long)])])).unwrap_err().to_string();
    assert_eq!(error, "/zones/0/rows/0/seats: 10001 seats, more than 10000");

    let mut hall = file(vec![zone("A", rows(0, 1))]);
    hall["categories"] = (0..101).map(|n| json!({"name": n.to_string()})).collect();
    assert_eq!(try_read(&hall).unwrap_err().to_string(), "/categories: more than 100 categories");
}

#[test]
fn the_same_limits_hold_for_csv() {
    let csv = |sections: u32, rows: u32, seats: u32| {
        let mut text = String::from("section,row,seat\n");
        for section in 0..sections {
            for row in 0..rows {
                (0..seats).for_each(|seat| text.push_str(&format!("{section},{row},{seat}\n")));
            }
        }
        read(text.as_bytes(), None, "x").map(|read| read.plan).map_err(|error| error.to_string())
    };
    assert_eq!(csv(101, 1, 1).unwrap_err(), "line 102: more than 100 categories");
    assert_eq!(csv(1, 1, 10_001).unwrap_err(), "row \"0\" of zone \"0\" has 10001 seats, more than 10000");
    assert_eq!(csv(2, 500, 101).unwrap_err(), "line 100002: more than 100000 seats");
    let largest = csv(2, 1_000, 50).unwrap();
    assert_eq!((largest.seats(), largest.sections().len()), (100_000, 10));
}

/// A generous bound, so that a machine under load does not fail it: a quadratic reader takes minutes.
#[test]
fn fifty_thousand_seats_are_read_in_seconds() {
    let stadium = Hall::Stadium.plan();
    let files = Format::ALL.map(|format| (format, write(&stadium, format)));
    for (format, file) in files {
        let began = Instant::now();
        let plan: Plan = read(file.as_bytes(), None, "Stadium").unwrap().plan;
        let took = began.elapsed();
        assert_eq!(plan.seats(), 50_000);
        assert!(took.as_secs() < 20, "{format}: {took:?}");
        println!("{format}: {took:?}, {} KB", file.len() / 1_000);
    }
}
