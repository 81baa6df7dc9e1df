//! The halls in the library: always the same, and as they are described.

use std::collections::{BTreeSet, HashSet};

use super::samples::{complaints, written};
use crate::plan::demo::Hall;
use crate::plan::{Format, Plan, Point, draw, read, write};

/// No two seats overlap, all are inside the drawing.
fn assert_is_drawable(plan: &Plan) {
    let mut cells: HashSet<(i32, i32)> = HashSet::new();
    let size = plan.parts().size;
    for seat in plan.sections().iter().flat_map(|section| &section.seats) {
        let radius = i32::from(seat.radius) * 100;
        let inside = |at: i32, side: u32| at >= radius && i64::from(at + radius) <= i64::from(side) * 100;
        assert!(inside(seat.at.x, size.width) && inside(seat.at.y, size.height), "{}", seat.guid);
        // Centers in one cell of this size are closer than two radii.
        let cell = radius * 14 / 10;
        assert!(cells.insert((seat.at.x / cell, seat.at.y / cell)), "{} overlaps another", seat.guid);
    }
}

#[test]
fn halls_are_what_they_are_said_to_be() {
    for (hall, seats, sections, runs) in
        [(Hall::Theater, 600, 2, 61), (Hall::Arena, 1_200, 3, 120), (Hall::Stadium, 50_000, 44, 2_200)]
    {
        let plan = hall.plan();
        assert_eq!(plan.seats(), seats, "{hall}");
        assert_eq!(plan.sections().len(), sections, "{hall}");
        assert_eq!(plan.sections().iter().map(|section| section.runs.len()).sum::<usize>(), runs, "{hall}");
        assert_eq!(plan.id(), hall.plan().id(), "{hall}");
        assert_eq!(hall.to_string().parse::<Hall>().unwrap(), hall);
        assert_is_drawable(&plan);
        let labels = plan.sections().iter().flat_map(|section| (1..).map_while(|number| section.label_of(number)));
        assert_eq!(labels.collect::<BTreeSet<_>>().len(), seats, "{hall}: every seat is called differently");
    }
    assert!("cinema".parse::<Hall>().is_err());
}

#[test]
fn halls_survive_each_format() {
    for hall in Hall::ALL {
        let plan = hall.plan();
        assert_eq!(complaints(&written(&plan)), [""; 0]);
        let again = |format: Format| read(write(&plan, format).as_bytes(), None, plan.name()).unwrap();
        let turnstile = again(Format::Turnstile);
        assert_eq!((turnstile.plan.id(), turnstile.warnings.len()), (plan.id(), 0));
        let pretix = again(Format::Pretix);
        assert_eq!(pretix.warnings, []);
        for (from, to) in plan.sections().iter().zip(pretix.plan.sections()) {
            assert_eq!((&from.runs, &from.seats, &from.rows), (&to.runs, &to.seats, &to.rows), "{hall}");
        }
        let csv = again(Format::Csv);
        for (from, to) in plan.sections().iter().zip(csv.plan.sections()) {
            assert_eq!(from.tags.companion.len(), to.tags.companion.len(), "{hall}");
            let guids = |section: &crate::plan::Section| {
                let mut guids: Vec<_> = section.seats.iter().map(|seat| seat.guid.clone()).collect();
                guids.sort_unstable();
                guids
            };
            assert_eq!(guids(from), guids(to), "{hall}");
        }
    }
}

#[test]
fn labels_are_as_printed_in_the_hall() {
    let (theater, arena, stadium) = (Hall::Theater.plan(), Hall::Arena.plan(), Hall::Stadium.plan());
    assert_eq!(theater.label("Stalls", 1).unwrap(), "Stalls, row A, seat 8");
    assert_eq!(arena.label("Floor", 1).unwrap(), "Floor, table 4, chair 1");
    assert_eq!(stadium.label("Block 101", 1_000).unwrap(), "Block 101, row 25, seat 40");
    for (section, number) in [("Stalls", 0), ("Stalls", 433), ("stalls", 1), ("", 1)] {
        assert_eq!(theater.label(section, number), None, "{section} {number}");
    }
}

#[test]
fn the_stage_of_each_hall_is_found() {
    let focal = |hall: Hall| hall.plan().focal_point();
    assert_eq!(focal(Hall::Theater), Point { x: 50_000, y: 10_000 });
    assert_eq!(focal(Hall::Arena), Point { x: 120_000, y: 14_000 });
    assert!(focal(Hall::Stadium).x < 150_000, "the left end");
}

#[test]
fn a_drawing_has_every_seat_and_no_markup_of_the_plan() {
    for hall in Hall::ALL {
        let plan = hall.plan();
        let svg = draw(&plan);
        let tables =
            plan.parts().areas.iter().filter(|area| matches!(area.shape, crate::plan::Shape::Circle(_))).count();
        let wheelchairs: usize = plan.sections().iter().map(|section| section.tags.wheelchair.len()).sum();
        assert_eq!(svg.matches("<circle ").count(), plan.seats() - wheelchairs + tables, "{hall}");
        assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count(), "{hall}");
    }
    assert!(draw(&Hall::Theater.plan()).contains("<title>Stalls, row A, seat 8</title>"));
    let file = "section,row,seat\n<script>&\"',1,1\n";
    let svg = draw(&read(file.as_bytes(), None, "<b>").unwrap().plan);
    assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    assert!(svg.contains("&lt;script&gt;&amp;"), "{svg}");
}
