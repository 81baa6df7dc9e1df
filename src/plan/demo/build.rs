//! What the halls are built of. Lengths are in units.

use crate::plan::compact::usual_guid;
use crate::plan::draft::{DraftRow, DraftSeat, DraftZone};
use crate::plan::types::{Area, AreaText, Category, HUNDREDTHS, NumberPosition, Point, Row, Seat, Shape, Zone};

/// The nearest hundredth: sines that differ in their last bit make the same plan.
pub fn point(x: f64, y: f64) -> Point {
    let hundredths = |value: f64| (value * f64::from(HUNDREDTHS)).round() as i32;
    Point { x: hundredths(x), y: hundredths(y) }
}

pub fn category(name: &str, color: &str) -> Category {
    Category { name: name.to_owned(), color: Some(color.to_owned()) }
}

pub fn zone(name: &str) -> DraftZone {
    DraftZone { zone: Zone { name: Some(name.to_owned()), id: None }, rows: Vec::new() }
}

/// A row whose seats are numbered from 1.
pub struct RowOf<'a> {
    pub number: &'a str,
    pub category: u16,
    pub radius: u16,
}

impl RowOf<'_> {
    pub fn at(&self, zone: &Zone, places: impl Iterator<Item = (f64, f64)>) -> DraftRow {
        let number_position = Some(NumberPosition::Both);
        let row = Row { number: self.number.to_owned(), number_position, ..Row::default() };
        let seats = places.zip(1..).map(|((x, y), number): (_, u32)| {
            let number = number.to_string();
            let guid = usual_guid(zone, &row, &number);
            let (category, radius, start_direction) = (self.category, self.radius, None);
            DraftSeat::from(Seat { number, guid, at: point(x, y), category, radius, start_direction })
        });
        DraftRow { seats: seats.collect(), row }
    }
}

/// Makes the seat a wheelchair place and the one after it its companion's.
pub fn wheelchair_place(row: &mut DraftRow, at: usize) {
    row.seats[at].wheelchair = true;
    row.seats[at + 1].companion_of = Some(row.seats[at].seat.guid.clone());
}

/// A labeled rectangle; `x` and `y` are its upper left corner.
pub fn rectangle(zone: u32, [x, y]: [f64; 2], [width, height]: [u32; 2], text: &str) -> Area {
    let middle = point(f64::from(width) / 2.0, f64::from(height) / 2.0);
    let text = AreaText { size: Some((height / 8).clamp(16, 80)), ..text_at(middle, text) };
    Area { text: Some(text), ..area(zone, point(x, y), Shape::Rectangle(width, height)) }
}

pub fn area(zone: u32, at: Point, shape: Shape) -> Area {
    let (color, border_color) = (Some("#e5e7eb".to_owned()), Some("#6b7280".to_owned()));
    Area { zone, at, shape, rotation: 0, color, border_color, text: None }
}

pub fn text_at(at: Point, text: &str) -> AreaText {
    AreaText { text: text.to_owned(), at, color: Some("#374151".to_owned()), size: Some(16) }
}

/// A, B … Z.
pub fn letter(index: u8) -> String {
    char::from(b'A' + index).to_string()
}
