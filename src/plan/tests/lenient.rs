//! Files as they are found: unknown fields, odd values, older versions.

use serde_json::{Value, json};

use super::samples::{complaints, file, lines, read_with, row, small, written, zone};
use crate::plan::{NumberPosition, Point, Shape, Size};

#[test]
fn unknown_fields_are_named_and_left_out_of_what_is_written() {
    let mut hall = small();
    hall["x_units"] = json!("cm");
    let rows = &mut hall["zones"][0]["rows"];
    rows[0]["segment_breaks"] = json!([2]);
    rows[1]["seats"][0]["status"] = json!("free");
    rows[1]["seats"][2]["status"] = json!("free");
    hall["categories"][0]["category_label"] = json!("best");
    hall["zones"][0]["a/b"] = json!(1);
    let plan = read_with(
        &hall,
        &[
            "/x_units: \"x_units\" of a seating plan is ignored",
            "/categories/0/category_label: \"category_label\" of a category is ignored",
            "/zones/0/a~1b: \"a/b\" of a zone is ignored",
            "/zones/0/rows/0/segment_breaks: \"segment_breaks\" of a row is ignored",
            "/zones/0/rows/1/seats/0/status: \"status\" of a seat is ignored (2 times)",
        ],
    );
    assert_eq!(complaints(&written(&plan)), [""; 0]);
    assert_eq!(lines(&written(&plan)), lines(&small()));
}

#[test]
fn row_number_positions_of_other_names_are_understood() {
    let at = "/zones/0/rows/0/row_number_position";
    let odd = "\"row_number_position\" of a row is not \"start\", \"end\" or \"both\": ignored";
    for (given, expected, warning) in [
        (json!("start"), Some(NumberPosition::Start), None),
        (json!("end"), Some(NumberPosition::End), None),
        (json!("both"), Some(NumberPosition::Both), None),
        (Value::Null, None, None),
        (json!("left"), Some(NumberPosition::Start), Some("\"left\" is read as \"start\"")),
        (json!("right"), Some(NumberPosition::End), Some("\"right\" is read as \"end\"")),
        (json!("none"), None, Some("\"none\" is read as null")),
        (json!("top"), None, Some(odd)),
        (json!(7), None, Some(odd)),
    ] {
        let mut hall = small();
        hall["zones"][0]["rows"][0]["row_number_position"] = given;
        let warnings: Vec<String> = warning.iter().map(|warning| format!("{at}: {warning}")).collect();
        let plan = read_with(&hall, &warnings.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(plan.sections()[0].rows[0].number_position, expected);
        assert_eq!(complaints(&written(&plan)), [""; 0]);
    }
}

#[test]
fn numbers_may_be_texts_and_texts_numbers() {
    let mut hall = small();
    let first = &mut hall["zones"][0]["rows"][0];
    first["row_number"] = json!(1);
    first["seats"][0]["seat_number"] = json!(101);
    first["seats"][0]["seat_guid"] = json!(12.5);
    first["seats"][1]["position"]["x"] = json!(" 120.25 ");
    first["seats"][1]["radius"] = json!(8.4);
    let plan = read_with(
        &hall,
        &[
            "/zones/0/rows/0/row_number: \"row_number\" of a row is a number, not a text: taken as it is",
            "/zones/0/rows/0/seats/0/seat_guid: \"seat_guid\" of a seat is a number, not a text: taken as it is",
            "/zones/0/rows/0/seats/0/seat_number: \"seat_number\" of a seat is a number, not a text: taken as it is",
            "/zones/0/rows/0/seats/1/position/x: \"x\" of a position is a text, not a number: taken as a number",
            "/zones/0/rows/0/seats/1/radius: \"radius\" of a seat is not a whole number: rounded",
        ],
    );
    let written = lines(&written(&plan));
    assert_eq!((&written[0][1][..], &written[0][4][..], &written[0][5][..]), ("1", "101", "12.5"));
    assert_eq!((&written[1][6][..], &written[1][8][..]), ("12025 10000", "8"));
}

#[test]
fn odd_values_of_what_is_optional_are_left_out() {
    let mut hall = small();
    hall["categories"][0]["color"] = json!("\"><script>");
    hall["categories"].as_array_mut().unwrap().push(json!({"name": "R", "color": "#000"}));
    hall["zones"][0]["position"] = Value::Null;
    hall["zones"][0]["rows"][0]["row_label"] = json!("Ro\u{200b}w %s");
    let seats = &mut hall["zones"][0]["rows"][0]["seats"];
    seats[0]["radius"] = json!(-3);
    seats[1]["radius"] = json!("wide");
    seats[2]["start_direction"] = json!("up");
    let empty_row = json!({"row_number": "X", "seats": []});
    hall["zones"][0]["rows"].as_array_mut().unwrap().push(empty_row);
    let plan = read_with(
        &hall,
        &[
            "/categories/0/color: \"color\" of a category is not a color: ignored",
            "/categories/2: a category is there twice: the first one counts",
            "/zones/0: a zone has no position: it begins in the corner",
            "/zones/0/rows/0/row_label: \"row_label\" of a row has invisible characters: left out",
            "/zones/0/rows/0/seats/0/radius: \"radius\" of a seat is not 1 to 1000: ignored",
            "/zones/0/rows/0/seats/1/radius: \"radius\" of a seat is not a number: ignored",
            "/zones/0/rows/0/seats/2/start_direction: \"start_direction\" of a seat is not \"<\", \">\" or \"<>\": ignored",
            "/zones/0/rows/2: a row has no seats: left out",
        ],
    );
    assert_eq!(plan.categories().len(), 2);
    assert_eq!(plan.label("Parkett", 1).unwrap(), "Parkett, Row A, seat 1");
}

#[test]
fn wheelchair_places_of_plans_in_the_wild_are_wheelchair_places() {
    // As in a sports hall: every other number, no companion seats drawn, numbers that run on across an aisle.
    let mut places = row("1", 100.0, &[0.0, 40.0, 80.0, 160.0, 200.0]);
    for (seat, number) in places["seats"].as_array_mut().unwrap().iter_mut().zip(["11", "13", "15", "17", "19"]) {
        seat["seat_number"] = json!(number);
        seat["wheelchair"] = json!(true);
    }
    let at = "/zones/0/rows/0/seats/0/wheelchair";
    let warning = format!("{at}: \"wheelchair\" is not in the format: taken as a tag (5 times)");
    let plan = read_with(&file(vec![zone("Kategorie I", vec![places])]), &[&warning]);
    let section = &plan.sections()[0];
    assert_eq!(section.tags.wheelchair.len(), 5);
    let runs: Vec<_> = section.runs.iter().map(|run| (run.at, run.count)).collect();
    assert_eq!(runs, [(3, 2), (0, 3)], "the pair right of the aisle is nearer to the middle of the hall");
    assert_eq!(plan.label("Kategorie I", 2).unwrap(), "Kategorie I, row 1, seat 19");
    assert!(section.tags.aisle.len() == 2 && section.tags.aisle.contains(&1) && section.tags.aisle.contains(&5));
    assert_eq!(complaints(&written(&plan)), [""; 0]);
}

#[test]
fn files_of_the_first_version_are_read() {
    let mut hall = small();
    hall.as_object_mut().unwrap().remove("size");
    hall["zones"][0]["areas"] = json!([
        {"width": 200, "height": 50, "position": {"x": 20, "y": 10}, "text": "Stage", "color": "#ccc"},
        {"shape": "circle", "circle": {"radius": 20}, "position": {"x": 1, "y": 2}},
    ]);
    let warning = "/zones/0/areas/0: an area of an older version of the format is read as a rectangle";
    let plan = read_with(&hall, &[warning]);
    assert_eq!(plan.parts().size, Size { width: 190, height: 180 });
    let area = &plan.parts().areas[0];
    assert_eq!(area.shape, Shape::Rectangle(200, 50));
    let text = area.text.as_ref().unwrap();
    assert_eq!((text.text.as_str(), text.at), ("Stage", Point { x: 10_000, y: 2_500 }));
    assert_eq!(plan.focal_point(), Point { x: 12_000, y: 3_500 });
    assert_eq!(complaints(&written(&plan)), [""; 0]);
}

#[test]
fn areas_that_cannot_be_drawn_are_left_out() {
    let mut hall = small();
    hall["zones"][0]["areas"] = json!([
        {"shape": "star", "position": {"x": 0, "y": 0}},
        {"shape": "circle", "position": {"x": 0, "y": 0}},
        {"shape": "rectangle", "rectangle": {"width": "wide", "height": 5}},
        {"shape": "ellipse", "ellipse": {"radius": {"x": 3.5, "y": 2}}, "rotation": 405},
    ]);
    let plan = read_with(
        &hall,
        &[
            "/zones/0/areas/0: an area has no shape: left out (3 times)",
            "/zones/0/areas/2/rectangle/width: \"width\" of rectangle is not a number: ignored",
        ],
    );
    let areas = &plan.parts().areas;
    assert_eq!((areas.len(), areas[0].rotation), (1, 4_500));
    assert_eq!(areas[0].shape, Shape::Ellipse(Point { x: 350, y: 200 }));
}
