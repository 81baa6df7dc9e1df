//! F52: larger drawings of a hall that a date is sold in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::samples::{file, read_with, row, seat, small, zone};
use crate::plan::demo::Hall;
use crate::plan::{Format, Plan, PlanError, SeatCounts, extended, keeps, read, write};

/// A date that has all seats of the plan.
fn all_of(plan: &Plan) -> SeatCounts {
    plan.sections().iter().map(|section| (section.name.clone(), section.seats.len() as u32)).collect()
}

fn grown(old: &Plan, new: &Plan) -> Result<Plan, PlanError> {
    extended(old, &all_of(old), new)
}

/// Guids of a section, seat 1 first.
fn guids<'a>(plan: &'a Plan, section: &str) -> Vec<&'a str> {
    plan.section(section).unwrap().seats.iter().map(|seat| seat.guid.as_str()).collect()
}

fn runs(plan: &Plan, section: &str) -> Vec<[u32; 4]> {
    plan.section(section).unwrap().runs.iter().map(|run| [run.first, run.count, run.row, run.at]).collect()
}

/// `small` with a row before its first, two seats more at both ends of row B, and a balcony of another category.
fn larger() -> Value {
    let mut long = row("B", 130.0, &[100.0, 120.0, 140.0]);
    let seats = long["seats"].as_array_mut().unwrap();
    seats.insert(0, seat("B-0", "0", 80.0, 130.0, "R"));
    seats.push(seat("B-4", "4", 160.0, 130.0, "S"));
    let places = [100.0, 120.0, 140.0];
    let mut balcony = row("Z", 400.0, &[100.0, 120.0]);
    balcony["seats"][0]["category"] = json!("T");
    let rows = vec![row("0", 70.0, &places), row("A", 100.0, &places), long];
    let mut whole = file(vec![zone("Balkon", vec![balcony]), zone("Parkett", rows)]);
    whole["categories"] = json!([{"name": "T"}, {"name": "S"}, {"name": "R", "color": "#0000ff"}]);
    whole
}

#[test]
fn f52_a_larger_plan_keeps_the_numbers_of_the_seats_there_are_and_appends_the_others() {
    let (old, new) = (read_with(&small(), &[]), read_with(&larger(), &[]));
    assert_eq!(guids(&new, "Parkett")[..2], ["0-1", "0-2"], "by itself it counts from its first row");
    let plan = grown(&old, &new).unwrap();
    let so_far = guids(&old, "Parkett");
    assert_eq!(guids(&plan, "Parkett"), [&so_far[..], &["0-1", "0-2", "0-3", "B-0", "B-4"]].concat());
    // The row of three was one run and is a part of a longer row now.
    assert_eq!(runs(&plan, "Parkett"), [[1, 3, 1, 0], [4, 3, 2, 1], [7, 3, 0, 0], [10, 1, 2, 0], [11, 1, 2, 4]]);
    for (number, label) in
        [(1, "Parkett, row A, seat 1"), (7, "Parkett, row 0, seat 1"), (11, "Parkett, row B, seat 4")]
    {
        assert_eq!(plan.label("Parkett", number).as_deref(), Some(label));
    }
    let names: Vec<&str> = plan.categories().iter().map(|category| category.name.as_str()).collect();
    assert_eq!(names, ["R", "S", "T"], "those so far first");
    assert_eq!(plan.categories()[0].color.as_deref(), Some("#0000ff"), "as it is drawn now");
    let category = |section: &str, number: u32| {
        plan.categories()[usize::from(plan.section(section).unwrap().seat(number).unwrap().category)].name.as_str()
    };
    assert_eq!(
        ["R", "S", "T", "R"],
        [category("Parkett", 1), category("Parkett", 11), category("Balkon", 1), category("Balkon", 2)]
    );
    assert_eq!(guids(&plan, "Balkon"), ["Z-1", "Z-2"]);
    let at = |plan: &Plan| plan.section("Parkett").unwrap().seat(1).unwrap().at;
    assert_eq!(at(&plan), at(&old));
    assert_eq!(keeps(&old, &all_of(&old), &plan), Ok(()));
}

#[test]
fn f52_extending_again_by_the_same_file_changes_nothing() {
    let (old, new) = (read_with(&small(), &[]), read_with(&larger(), &[]));
    let plan = grown(&old, &new).unwrap();
    assert_eq!(grown(&plan, &new).unwrap().id(), plan.id());
    assert_eq!(grown(&plan, &plan).unwrap().id(), plan.id());
    // Seats that the plan shows and the date has not got are not bound to anything.
    assert_eq!(extended(&plan, &all_of(&old), &old).unwrap().seats(), old.seats());
    assert!(grown(&plan, &old).is_err());
}

#[test]
fn f52_every_hall_extends_itself_from_each_of_its_formats() {
    for hall in Hall::ALL {
        let old = hall.plan();
        for format in [Format::Turnstile, Format::Pretix] {
            let file = read(write(&old, format).as_bytes(), Some(format), "Hall").unwrap().plan;
            let plan = grown(&old, &file).unwrap();
            assert_eq!(all_of(&plan), all_of(&old));
            // Pretix's format has no word for wheelchair places: those that there are stay.
            for (was, is) in old.sections().iter().zip(plan.sections()) {
                assert_eq!((&was.tags.wheelchair, &was.tags.companion), (&is.tags.wheelchair, &is.tags.companion));
            }
        }
    }
}

#[test]
fn f52_what_tickets_rest_on_cannot_be_drawn_otherwise() {
    let old = read_with(&small(), &[]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut file = small();
        change(&mut file);
        grown(&old, &read(file.to_string().as_bytes(), None, "").unwrap().plan).unwrap_err().message
    };
    let seats = |file: &mut Value, row: usize, change: &dyn Fn(&mut Vec<Value>)| {
        change(file["zones"][0]["rows"][row]["seats"].as_array_mut().unwrap());
    };
    for (change, message) in [
        (
            &(|file: &mut Value| seats(file, 0, &|row| drop(row.remove(1)))) as &dyn Fn(&mut Value),
            "Parkett, row A, seat 2 is not in this plan: seats can be taken out of the sale, but not out of the hall",
        ),
        (
            &|file: &mut Value| drop(file["zones"][0]["rows"].as_array_mut().unwrap().remove(1)),
            "Parkett, row B, seat 1 and 2 more are not in this plan: seats can be taken out of the sale, but not out of the hall",
        ),
        (
            &|file: &mut Value| file["zones"][0]["rows"][0]["seats"][0]["seat_number"] = json!("11"),
            "Parkett, row A, seat 1 is called Parkett, row A, seat 11 in this plan: tickets say the former",
        ),
        (
            &|file: &mut Value| file["zones"][0]["rows"][0]["seats"][0]["category"] = json!("S"),
            "Parkett, row A, seat 1 is of category R, and of S in this plan",
        ),
        (
            &|file: &mut Value| file["zones"][0]["rows"][0]["seats"][2]["wheelchair"] = json!(true),
            "Parkett, row A, seat 3: wheelchair places and companion seats stay what they are",
        ),
        (
            &|file: &mut Value| seats(file, 0, &|row| row.insert(1, seat("A-9", "9", 110.0, 100.0, "R"))),
            "Parkett, row A, seat 1 and Parkett, row A, seat 2 sit side by side, and no longer in this plan",
        ),
        (
            &|file: &mut Value| {
                let row = file["zones"][0]["rows"].as_array_mut().unwrap().remove(1);
                file["zones"].as_array_mut().unwrap().push(zone("Rang", vec![row]));
            },
            "Parkett, row B, seat 1 is in section Rang in this plan: seats stay in their sections",
        ),
        (
            &|file: &mut Value| file["zones"][0]["name"] = json!("Stalls"),
            "Parkett, row A, seat 1 is in section Stalls in this plan: seats stay in their sections",
        ),
    ] {
        assert_eq!(changed(change), message);
    }
}

#[test]
fn f52_seats_that_were_added_without_a_drawing_stay_without_one() {
    let (old, new) = (read_with(&small(), &[]), read_with(&larger(), &[]));
    let has = |counts: &[(&str, u32)]| -> SeatCounts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<BTreeMap<_, _>>()
    };
    let refused = |counts: &[(&str, u32)]| extended(&old, &has(counts), &new).unwrap_err().message;
    assert_eq!(
        refused(&[("Parkett", 8)]),
        "seats 7 to 8 of section Parkett were added without a drawing: no more can be drawn in it"
    );
    assert_eq!(
        refused(&[("Parkett", 6), ("Balkon", 2)]),
        "section Balkon was added without a drawing and cannot be drawn now"
    );
    assert!(extended(&old, &has(&[("Parkett", 6), ("Box", 2)]), &new).is_ok(), "one that the file does not draw");
}

#[test]
fn f52_a_plan_that_numbers_seats_otherwise_is_not_taken_as_it_is() {
    let (old, new) = (read_with(&small(), &[]), read_with(&larger(), &[]));
    let refused = keeps(&old, &all_of(&old), &new).unwrap_err().message;
    assert_eq!(
        refused,
        "Parkett, row A, seat 1 has another number in this plan: import its file as one that extends the date"
    );
}
