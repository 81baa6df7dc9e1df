//! From a plan to pretix's JSON, with the members of its schema only.

use serde::Serialize;
use serde_json::{Number, Value, json};

use crate::plan::draft::{DraftRow, zones_of};
use crate::plan::plan::Plan;
use crate::plan::types::{Area, Category, HUNDREDTHS, NumberPosition, Point, RADIUS_DEFAULT, Row, Shape};

#[derive(Serialize)]
struct Root<'a> {
    name: &'a str,
    size: Sides,
    categories: &'a [Category],
    zones: Vec<Zone<'a>>,
}

#[derive(Serialize)]
struct Sides {
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Position {
    x: Number,
    y: Number,
}

impl From<Point> for Position {
    fn from(point: Point) -> Self {
        Position { x: units(point.x), y: units(point.y) }
    }
}

/// Whole where it can be: older readers want integers.
fn units(hundredths: i32) -> Number {
    match hundredths % HUNDREDTHS {
        0 => Number::from(hundredths / HUNDREDTHS),
        _ => Number::from_f64(f64::from(hundredths) / f64::from(HUNDREDTHS)).expect("finite"),
    }
}

#[derive(Serialize)]
struct Zone<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_id: Option<&'a str>,
    position: Position,
    rows: Vec<WrittenRow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    areas: Vec<Value>,
}

#[derive(Serialize)]
struct WrittenRow<'a> {
    row_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    row_label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat_label: Option<&'a str>,
    row_number_position: Option<NumberPosition>,
    seats: Vec<WrittenSeat<'a>>,
}

#[derive(Serialize)]
struct WrittenSeat<'a> {
    seat_guid: &'a str,
    seat_number: &'a str,
    position: Position,
    category: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    radius: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_direction: Option<&'static str>,
}

pub fn write(plan: &Plan) -> String {
    let parts = plan.parts();
    let zones = zones_of(plan);
    let zones = zones.iter().enumerate().map(|(index, written)| Zone {
        name: written.zone.zone.name.as_deref(),
        zone_id: written.zone.zone.id.as_deref(),
        position: Point::default().into(),
        rows: written.zone.rows.iter().map(|row| write_row(row, &parts.categories)).collect(),
        areas: parts.areas.iter().filter(|area| area.zone as usize == index).map(write_area).collect(),
    });
    let size = Sides { width: parts.size.width, height: parts.size.height };
    let root = Root { name: &parts.name, size, categories: &parts.categories, zones: zones.collect() };
    serde_json::to_string(&root).expect("texts and finite numbers are always JSON")
}

fn write_row<'a>(written: &'a DraftRow, categories: &'a [Category]) -> WrittenRow<'a> {
    let Row { number, label, seat_label, number_position } = &written.row;
    let seats = written.seats.iter().map(|drafted| {
        let seat = &drafted.seat;
        WrittenSeat {
            seat_guid: &seat.guid,
            seat_number: &seat.number,
            position: seat.at.into(),
            category: &categories[usize::from(seat.category)].name,
            radius: (seat.radius != RADIUS_DEFAULT).then_some(seat.radius),
            start_direction: seat.start_direction.map(|direction| direction.as_str()),
        }
    });
    WrittenRow {
        row_number: number,
        row_label: label.as_deref(),
        seat_label: seat_label.as_deref(),
        row_number_position: *number_position,
        seats: seats.collect(),
    }
}

fn write_area(area: &Area) -> Value {
    let position = |point: Point| json!({"x": units(point.x), "y": units(point.y)});
    let (shape, member) = match &area.shape {
        Shape::Polygon(points) => {
            ("polygon", json!({"points": points.iter().map(|point| position(*point)).collect::<Vec<_>>()}))
        }
        Shape::Rectangle(width, height) => ("rectangle", json!({"width": width, "height": height})),
        Shape::Ellipse(radius) => ("ellipse", json!({"radius": position(*radius)})),
        Shape::Circle(radius) => ("circle", json!({"radius": radius})),
        Shape::Text => ("text", Value::Null),
    };
    let mut written = json!({"shape": shape, "position": position(area.at)});
    if !member.is_null() {
        written[shape] = member;
    }
    if area.rotation != 0 {
        written["rotation"] = units(area.rotation).into();
    }
    for (name, color) in [("color", &area.color), ("border_color", &area.border_color)] {
        if let Some(color) = color {
            written[name] = color.as_str().into();
        }
    }
    if let Some(text) = &area.text {
        written["text"] = json!({"text": text.text, "position": position(text.at)});
        if let Some(color) = &text.color {
            written["text"]["color"] = color.as_str().into();
        }
        if let Some(size) = text.size {
            written["text"]["size"] = size.into();
        }
    }
    written
}
