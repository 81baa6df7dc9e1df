//! Turnstile's own format: one form for a plan, read strictly.

use serde_json::{Value, json};

use super::samples::{file, row, small, try_read, zone};
use crate::plan::demo::Hall;
use crate::plan::{Format, Plan, PlanId, read, write};

fn compact(plan: &Plan) -> Value {
    serde_json::from_str(&write(plan, Format::Turnstile)).unwrap()
}

#[test]
fn what_follows_from_the_rest_is_left_out() {
    let mut hall = small();
    for row in hall["zones"][0]["rows"].as_array_mut().unwrap() {
        for seat in row["seats"].as_array_mut().unwrap() {
            seat["seat_guid"] = json!(format!("Parkett-{}", seat["seat_guid"].as_str().unwrap()));
        }
    }
    let plan = try_read(&hall).unwrap().plan;
    assert_eq!(
        compact(&plan),
        json!({
            "format": "turnstile.plan", "version": 1, "name": "Hall", "size": [800, 600],
            "categories": [{"name": "R", "color": "#b91c1c"}, {"name": "S"}],
            "zones": [{"name": "Parkett"}],
            "sections": [{
                "name": "Parkett", "zone": 0, "rows": [{"number": "A"}, {"number": "B"}],
                "runs": [[1, 3, 0, 0], [4, 3, 1, 0]],
                "x": [10000, 12000, 14000, 10000, 12000, 14000], "y": [10000, 10000, 10000, 13000, 13000, 13000],
                "categories": [[1, 6, 0]],
            }],
        })
    );
}

#[test]
fn the_id_is_of_the_content() {
    let plan = try_read(&small()).unwrap().plan;
    assert_eq!(plan.id(), try_read(&small()).unwrap().plan.id());
    assert_eq!(plan.id().to_string().parse::<PlanId>().unwrap(), plan.id());
    for bad in ["", "0", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
        assert!(bad.parse::<PlanId>().is_err(), "{bad}");
    }
    let mut other = small();
    other["zones"][0]["rows"][1]["seats"][2]["position"]["x"] = json!(140.01);
    assert_ne!(try_read(&other).unwrap().plan.id(), plan.id());
    // Written in another way, it is the same plan.
    let mut spread = compact(&plan);
    spread["sections"][0]["categories"] = json!([[1, 2, 0], [3, 4, 0]]);
    spread["sections"][0]["radius"] = json!([[1, 6, 10]]);
    assert_eq!(try_read(&serde_json::from_str(&format!("{spread:#}")).unwrap()).unwrap().plan, plan);
}

#[test]
fn a_wrong_document_is_refused() {
    let plan = try_read(&small()).unwrap().plan;
    for (pointer, value, expected) in [
        ("/version", json!(2), "/version: this program reads version 1, the plan has 2"),
        ("/name", json!(""), "/name: must be 1 to 256 visible characters"),
        ("/size", json!([2_000_000, 1]), "/size: a side is longer than 1000000"),
        ("/categories", json!([]), "/categories: a plan has 1 to 100 categories"),
        ("/categories/1/name", json!("R"), "/categories/1: category \"R\" is there twice"),
        ("/categories/0/color", json!("<"), "/categories/0: the color is none"),
        ("/zones", json!([]), "/sections/0/zone: there is no such zone"),
        ("/sections", json!([]), "/sections: the plan has no seats"),
        (
            "/sections/0/name",
            json!("a\u{200b}"),
            "/sections/0/name: a section's name is 1 to 64 visible characters in NFC",
        ),
        ("/sections/0/y", json!([1]), "/sections/0/y: there must be one for each seat"),
        ("/sections/0/guids", json!(["1"]), "/sections/0/guids: there must be one for each seat"),
        ("/sections/0/guids", json!(["1", "2", "3", "4", "5", "1"]), "/sections/0/guids: guid \"1\" is there twice"),
        ("/sections/0/categories", json!([[1, 5, 0]]), "/sections/0/categories: there must be one for each seat"),
        ("/sections/0/categories", json!([[1, 7, 0]]), "/sections/0/categories: there must be one for each seat"),
        ("/sections/0/categories", json!([[2, 5, 0]]), "/sections/0/categories: there must be one for each seat"),
        ("/sections/0/categories", json!([[1, 6, 2]]), "/sections/0/categories: there is no such category"),
        ("/sections/0/x/0", json!(100_000_001), "/sections/0/x: a seat is farther than 1000000 units from the corner"),
        ("/sections/0/start_directions", json!([[7, "<"]]), "/sections/0/start_directions: there is no such seat"),
        ("/sections/0/tags", json!({"aisle": [7]}), "/sections/0/tags: a tag is on a seat that is not there"),
        (
            "/sections/0/tags",
            json!({"companion": {"1": 2}}),
            "/sections/0/tags: a companion seat belongs to a wheelchair place and is none",
        ),
        ("/areas", json!([{"zone": 3, "at": [0, 0], "shape": "text"}]), "/areas/0: there is no such zone"),
    ] {
        let mut document = compact(&plan);
        document["areas"] = json!([]);
        document["sections"][0]["tags"] = json!({});
        document["sections"][0]["start_directions"] = json!([]);
        *document.pointer_mut(pointer).unwrap() = value;
        assert_eq!(try_read(&document).unwrap_err().to_string(), expected);
    }
    let mut document = compact(&plan);
    document["sections"][0]["price"] = json!(1);
    let error = try_read(&document).unwrap_err().to_string();
    assert!(error.contains("unknown field `price`"), "{error}");
}

#[test]
fn runs_hold_each_seat_of_each_row_once() {
    let plan = try_read(&small()).unwrap().plan;
    for runs in [
        json!([]),
        json!([[1, 3, 0, 0]]),
        json!([[1, 3, 0, 0], [4, 3, 0, 0]]),
        json!([[1, 3, 0, 0], [4, 3, 2, 0]]),
        json!([[1, 3, 0, 0], [5, 3, 1, 0]]),
        json!([[1, 3, 0, 1], [4, 3, 1, 0]]),
        json!([[1, 4_294_967_295_u32, 0, 0], [4, 3, 1, 0]]),
        json!([[1, 3, 0, 4_294_967_295_u32], [4, 3, 1, 0]]),
        json!([[1, 0, 0, 0], [1, 6, 1, 0]]),
    ] {
        let mut document = compact(&plan);
        document["sections"][0]["runs"] = runs.clone();
        let error = try_read(&document).unwrap_err().to_string();
        let expected = "/sections/0/runs: runs must follow each other and hold each seat of each row once";
        assert_eq!(error, expected, "{runs}");
    }
}

#[test]
fn halls_are_small() {
    let bytes = |hall: Hall| write(&hall.plan(), Format::Turnstile).len();
    assert!(bytes(Hall::Theater) < 12_000 && bytes(Hall::Arena) < 32_000 && bytes(Hall::Stadium) < 900_000);
}

#[test]
fn a_large_row_keeps_its_numbers_guids_and_runs() {
    let places: Vec<f64> =
        (0..9_999).map(|seat| f64::from(seat) * 20.0 + if seat > 4_000 { 60.0 } else { 0.0 }).collect();
    let plan = try_read(&file(vec![zone("Z", vec![row("1", 1.0, &places)])])).unwrap().plan;
    let again = read(write(&plan, Format::Turnstile).as_bytes(), None, "").unwrap().plan;
    assert_eq!(again, plan);
    assert_eq!(again.sections()[0].runs.len(), 2);
}
