//! Files that are no plans: each is refused with what is wrong and where.

use serde_json::{Value, json};

use super::samples::{file, small, try_read};
use crate::plan::{FILE_BYTES_MAX, Format, read, write};

fn error(file: &Value) -> String {
    try_read(file).unwrap_err().to_string()
}

#[test]
fn what_is_required_is_missed_with_a_pointer() {
    for (pointer, member, expected) in [
        ("", "zones", "/zones: is missing"),
        ("", "categories", "/categories: is missing"),
        ("/categories/1", "name", "/categories/1/name: is missing"),
        ("/zones/0", "rows", "/zones/0/rows: is missing"),
        ("/zones/0/rows/1", "seats", "/zones/0/rows/1/seats: is missing"),
        ("/zones/0/rows/1", "row_number", "/zones/0/rows/1/row_number: is missing"),
        ("/zones/0/rows/1/seats/2", "seat_guid", "/zones/0/rows/1/seats/2/seat_guid: is missing"),
        ("/zones/0/rows/1/seats/2", "seat_number", "/zones/0/rows/1/seats/2/seat_number: is missing"),
        ("/zones/0/rows/1/seats/2", "position", "/zones/0/rows/1/seats/2/position: is missing"),
        ("/zones/0/rows/1/seats/2", "category", "/zones/0/rows/1/seats/2/category: is missing"),
        ("/zones/0/rows/1/seats/2/position", "y", "/zones/0/rows/1/seats/2/position/y: must be a number"),
    ] {
        for null in [false, true] {
            let mut hall = small();
            let members = hall.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
            match null {
                true => members.insert(member.to_owned(), Value::Null),
                false => members.remove(member),
            };
            assert_eq!(error(&hall), expected, "null: {null}");
        }
    }
}

#[test]
fn wrong_values_are_refused_with_a_pointer() {
    let seat = "/zones/0/rows/1/seats/2";
    for (pointer, value, expected) in [
        ("/zones".to_owned(), json!({}), "/zones: must be an array"),
        ("/zones/0".to_owned(), json!("x"), "/zones/0: a zone must be an object"),
        ("/name".to_owned(), json!(["x"]), "/name: must be a text"),
        ("/categories/0/name".to_owned(), json!("\u{200b}"), "/categories/0/name: must be 1 to 64 visible characters"),
        (
            "/categories/0/name".to_owned(),
            json!("x".repeat(65)),
            "/categories/0/name: must be 1 to 64 visible characters",
        ),
        (format!("{seat}/seat_guid"), json!(""), "/zones/0/rows/1/seats/2/seat_guid: is empty"),
        (format!("{seat}/seat_guid"), json!({}), "/zones/0/rows/1/seats/2/seat_guid: must be a text"),
        (
            format!("{seat}/seat_guid"),
            json!("A-2"),
            "/zones/0/rows/1/seats/2/seat_guid: \"A-2\" is there twice, first at /zones/0/rows/0/seats/1",
        ),
        (
            format!("{seat}/category"),
            json!("Loge"),
            "/zones/0/rows/1/seats/2/category: \"Loge\" is not in the list of categories",
        ),
        (format!("{seat}/position"), json!([1, 2]), "/zones/0/rows/1/seats/2/position: a position must be an object"),
        (
            format!("{seat}/position/x"),
            json!(1e7),
            "/zones/0/rows/1/seats/2/position/x: 10000000 is more than 1000000 from the corner",
        ),
        (
            format!("{seat}/seat_number"),
            json!("9".repeat(257)),
            "/zones/0/rows/1/seats/2/seat_number: is longer than 256 characters",
        ),
        ("/zones/0/rows".to_owned(), json!([]), "/sections: the plan has no seats"),
        ("/zones".to_owned(), json!([]), "/sections: the plan has no seats"),
    ] {
        let mut hall = small();
        *hall.pointer_mut(&pointer).unwrap() = value;
        assert_eq!(error(&hall), expected);
    }
    assert_eq!(error(&json!([])), "a seating plan must be an object");
    assert_eq!(error(&file(vec![])), "/sections: the plan has no seats");
}

#[test]
fn what_is_no_json_is_said_with_its_place() {
    let text = |text: &str| read(text.as_bytes(), None, "x").unwrap_err().to_string();
    assert!(text("{\"name\": \"x\",\n  zones}").starts_with("this is not JSON: key must be a string at line 2"));
    assert!(text("{").starts_with("this is not JSON: EOF"));
    let deep = "[".repeat(100_000);
    assert!(text(&deep).starts_with("this is not JSON: recursion limit"), "{}", text(&deep));
    let large = vec![b' '; FILE_BYTES_MAX + 1];
    assert_eq!(read(&large, None, "x").unwrap_err().message, "the file is larger than 16 MiB");
}

#[test]
fn a_byte_order_mark_does_no_harm() {
    let plan = try_read(&small()).unwrap().plan;
    for format in Format::ALL {
        let file = format!("\u{feff}{}", write(&plan, format));
        let read = read(file.as_bytes(), None, "Hall").unwrap();
        assert_eq!((read.format, read.plan.seats()), (format, 6));
    }
}
