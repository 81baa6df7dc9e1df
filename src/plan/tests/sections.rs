//! What a date takes of a plan, and the order in which it is sold.

use std::collections::BTreeMap;

use serde_json::json;

use super::samples::{file, read_with, row, try_read, zone};
use crate::plan::demo::Hall;
use crate::plan::{Plan, SectionBody, sections};

fn prices(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
    of.iter().map(|(name, price)| ((*name).to_owned(), *price)).collect()
}

/// What the rules demand of a section: runs and categories cover 1..=seats in order.
fn assert_is_whole(body: &SectionBody) {
    let covers = |pairs: Vec<[u32; 2]>| {
        let mut next = 1;
        for [first, count] in pairs {
            assert!(first == next && count > 0, "{} at {first}", body.name);
            next += count;
        }
        assert_eq!(next, body.seats + 1, "{}", body.name);
    };
    covers(body.runs.clone());
    covers(body.category_runs.iter().map(|[first, count, _]| [*first, *count]).collect());
    assert!(body.category_runs.iter().all(|run| (run[2] as usize) < body.categories.len()));
    let is_wheelchair =
        |seat: u32| body.wheelchair.iter().any(|[first, count]| (*first..first + count).contains(&seat));
    assert!(body.companions.iter().all(|[seat, place]| is_wheelchair(*place) && !is_wheelchair(*seat)));
    assert!(body.companions.is_sorted_by(|a, b| a[0] < b[0]));
}

#[test]
fn halls_become_whole_sections() {
    for hall in Hall::ALL {
        let plan = hall.plan();
        let all: Vec<_> = plan.categories().iter().map(|category| (category.name.as_str(), 1)).collect();
        let bodies = sections(&plan, &prices(&all), &[]).unwrap();
        bodies.iter().for_each(assert_is_whole);
        assert_eq!(bodies.iter().map(|body| body.seats as usize).sum::<usize>(), plan.seats());
    }
}

#[test]
fn a_section_names_the_categories_it_has() {
    let plan = Hall::Theater.plan();
    let prices = prices(&[("R", 110_000), ("S", 90_000), ("A", 50_000)]);
    let blocked = ["Stalls-A-7".to_owned(), "Stalls-A-8".to_owned(), "Stalls-A-9".to_owned()];
    let bodies = serde_json::to_value(sections(&plan, &prices, &blocked).unwrap()).unwrap();
    assert_eq!(bodies[0]["name"], "Stalls");
    assert_eq!(bodies[0]["runs"][0], json!([1, 14]), "the middle of row A");
    assert_eq!(bodies[0]["categories"], json!([{"name": "R", "price": 110_000}, {"name": "S", "price": 90_000}]));
    assert_eq!(bodies[1]["categories"], json!([{"name": "A", "price": 50_000}]));
    // Seats 8 and 9 are the first of the middle, 7 is left of the aisle.
    let stalls = plan.section("Stalls").unwrap();
    let seven = stalls.seats.iter().position(|seat| seat.guid == "Stalls-A-7").unwrap() + 1;
    assert_eq!(bodies[0]["not_for_sale"], json!([[1, 2], [seven, 1]]));
    assert_eq!(bodies[0]["companions"].as_array().unwrap().len(), 6);
    assert!(bodies[1].get("companions").is_none() && bodies[1].get("wheelchair").is_none());
}

#[test]
fn prices_and_blocked_seats_must_fit() {
    let plan = Hall::Theater.plan();
    let error = |of: &[(&str, i64)], blocked: &str| {
        sections(&plan, &prices(of), &[blocked.to_owned()]).unwrap_err().to_string()
    };
    let all = [("R", 3), ("S", 2), ("A", 0)];
    assert_eq!(error(&all, "x"), "/blocked/0: the plan has no seat \"x\"");
    assert_eq!(error(&all[..2], "Stalls-A-1"), "/prices: category \"A\" has no price");
    assert_eq!(error(&[("VIP", 1)], "Stalls-A-1"), "/prices: the plan has no category \"VIP\"");
    assert_eq!(error(&[("R", -1)], "Stalls-A-1"), "/prices: the price of \"R\" is below 0");
}

fn is_best_first(plan: &Plan) {
    let focal = plan.focal_point();
    for section in plan.sections() {
        let distances: Vec<_> = section.runs.iter().map(|run| section.distance_squared(run, focal)).collect();
        assert!(distances.is_sorted(), "{}", section.name);
    }
}

#[test]
fn the_best_run_is_the_one_nearest_to_the_stage() {
    Hall::ALL.iter().for_each(|hall| is_best_first(&hall.plan()));
    let places = [380.0, 400.0, 420.0];
    let rows = || vec![row("A", 100.0, &places), row("B", 200.0, &places), row("C", 300.0, &places)];
    let order = |plan: &Plan| -> Vec<u32> { plan.sections()[0].runs.iter().map(|run| run.row).collect() };
    let hall = file(vec![zone("Parkett", rows())]);
    assert_eq!(order(&read_with(&hall, &[])), [0, 1, 2], "top center");
    let mut turned = file(vec![zone("Parkett", rows())]);
    turned["zones"][0]["areas"] = json!([
        {"shape": "rectangle", "rectangle": {"width": 100, "height": 20}, "position": {"x": 350, "y": 500},
         "text": {"text": "Bühne", "position": {"x": 50, "y": 10}}},
    ]);
    assert_eq!(order(&read_with(&turned, &[])), [2, 1, 0]);
    let far = zone("Rang", vec![row("R", 50.0, &places)]);
    turned["zones"].as_array_mut().unwrap().insert(0, far);
    let plan = try_read(&turned).unwrap().plan;
    let bodies = sections(&plan, &prices(&[("R", 1)]), &[]).unwrap();
    let names: Vec<_> = bodies.iter().map(|body| body.name.as_str()).collect();
    assert_eq!(names, ["Parkett", "Rang"], "the best section first, whatever the order of the drawing");
}
