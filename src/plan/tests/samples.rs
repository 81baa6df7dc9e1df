//! Files in pretix's format, and what they say, read without the code under test.

use serde_json::{Value, json};

use crate::plan::{Format, Plan, PlanError, Read, read, write};

/// One seat of a file as text: zone, row, its labels, number, guid, x and y in hundredths, category, radius, direction.
pub type Line = [String; 10];

pub fn seat(guid: &str, number: &str, x: f64, y: f64, category: &str) -> Value {
    json!({"seat_guid": guid, "seat_number": number, "position": {"x": x, "y": y}, "category": category})
}

/// Seats 1.. at these places; `A-1`, `A-2` … for row A.
pub fn row(number: &str, y: f64, places: &[f64]) -> Value {
    let seats =
        places.iter().zip(1..).map(|(x, n): (_, u32)| seat(&format!("{number}-{n}"), &n.to_string(), *x, y, "R"));
    json!({"row_number": number, "seats": seats.collect::<Vec<_>>()})
}

pub fn zone(name: &str, rows: Vec<Value>) -> Value {
    json!({"name": name, "position": {"x": 0, "y": 0}, "rows": rows})
}

pub fn file(zones: Vec<Value>) -> Value {
    let categories = json!([{"name": "R", "color": "#b91c1c"}, {"name": "S"}]);
    json!({"name": "Hall", "size": {"width": 800, "height": 600}, "categories": categories, "zones": zones})
}

/// Two rows of three.
pub fn small() -> Value {
    let places = [100.0, 120.0, 140.0];
    file(vec![zone("Parkett", vec![row("A", 100.0, &places), row("B", 130.0, &places)])])
}

pub fn try_read(value: &Value) -> Result<Read, PlanError> {
    read(value.to_string().as_bytes(), None, "unnamed")
}

/// Reads a file and expects these warnings.
pub fn read_with(value: &Value, warnings: &[&str]) -> Plan {
    let read = try_read(value).unwrap();
    let found: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(found, warnings, "{value}");
    read.plan
}

pub fn written(plan: &Plan) -> Value {
    serde_json::from_str(&write(plan, Format::Pretix)).unwrap()
}

fn coordinate(of: &Value, name: &str) -> f64 {
    of["position"][name].as_f64().unwrap_or(0.0)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// All seats in the order of the file, positions added up.
pub fn lines(file: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    for zone in file["zones"].as_array().unwrap() {
        for row in zone["rows"].as_array().unwrap() {
            for seat in row["seats"].as_array().unwrap() {
                let at = |name| {
                    let sum = coordinate(zone, name) + coordinate(row, name) + coordinate(seat, name);
                    ((sum * 100.0).round() as i64).to_string()
                };
                lines.push([
                    text(&zone["name"]),
                    text(&row["row_number"]),
                    text(&row["row_label"]),
                    text(&row["seat_label"]),
                    text(&seat["seat_number"]),
                    text(&seat["seat_guid"]),
                    format!("{} {}", at("x"), at("y")),
                    text(&seat["category"]),
                    seat.get("radius").map_or_else(|| "10".to_owned(), text),
                    text(&seat["start_direction"]),
                ]);
            }
        }
    }
    lines
}

/// The areas of each zone, with the zone's position in theirs.
pub fn areas(file: &Value) -> Vec<Value> {
    let zones = file["zones"].as_array().unwrap();
    let of = |zone: &Value| {
        let mut areas = zone.get("areas").and_then(Value::as_array).cloned().unwrap_or_default();
        for area in &mut areas {
            for name in ["x", "y"] {
                let sum = coordinate(zone, name) + coordinate(area, name);
                area["position"][name] = json!((sum * 100.0).round() as i64);
            }
        }
        Value::from(areas)
    };
    zones.iter().map(of).collect()
}

/// Member names and kinds that the format allows, as documented; everything else is a complaint.
pub fn complaints(file: &Value) -> Vec<String> {
    let mut found = Vec::new();
    object(file, "plan", &["name", "zones", "categories", "size"], &[], &mut found);
    object(&file["size"], "size", &["width", "height"], &[], &mut found);
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    each(&file["categories"]).iter().for_each(|c| object(c, "category", &["name"], &["color"], &mut found));
    for zone in each(&file["zones"]) {
        object(&zone, "zone", &["position", "rows"], &["name", "zone_id", "uuid", "areas"], &mut found);
        for row in each(&zone["rows"]) {
            let optional = ["row_label", "seat_label", "uuid", "row_number_position", "position"];
            object(&row, "row", &["row_number", "seats"], &optional, &mut found);
            if ![json!("start"), json!("end"), json!("both"), Value::Null].contains(&row["row_number_position"]) {
                found.push(format!("row_number_position {}", row["row_number_position"]));
            }
            for seat in each(&row["seats"]) {
                let required = ["seat_guid", "seat_number", "position", "category"];
                object(&seat, "seat", &required, &["uuid", "start_direction", "radius"], &mut found);
                object(&seat["position"], "position", &["x", "y"], &[], &mut found);
                let texts = ["seat_guid", "seat_number", "category"].map(|name| &seat[name]);
                let numbers = ["x", "y"].map(|name| &seat["position"][name]);
                if !texts.iter().all(|text| text.is_string()) || !numbers.iter().all(|number| number.is_number()) {
                    found.push(format!("seat {seat}"));
                }
            }
        }
        for area in each(&zone["areas"]) {
            let shapes = ["polygon", "rectangle", "ellipse", "circle", "text"];
            let others = ["shape", "color", "border_color", "rotation", "position", "uuid"];
            object(&area, "area", &[], &[&shapes[..], &others].concat(), &mut found);
            if !shapes.iter().any(|shape| area["shape"] == *shape) {
                found.push(format!("shape {}", area["shape"]));
            }
            for (name, member) in [("width", "rectangle"), ("height", "rectangle"), ("radius", "circle")] {
                if !area[member].is_null() && !area[member][name].is_u64() {
                    found.push(format!("{member} {}", area[member]));
                }
            }
        }
    }
    found
}

fn object(value: &Value, what: &str, required: &[&str], optional: &[&str], found: &mut Vec<String>) {
    let Some(members) = value.as_object() else { return found.push(format!("{what} is no object: {value}")) };
    let unknown =
        members.keys().filter(|name| !required.contains(&name.as_str()) && !optional.contains(&name.as_str()));
    found.extend(unknown.map(|name| format!("{what} has {name}")));
    found.extend(
        required.iter().filter(|name| !members.contains_key(**name)).map(|name| format!("{what} lacks {name}")),
    );
}
