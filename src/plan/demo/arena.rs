//! An arena set for a gala: 40 round tables of 10 between two stands of 20 rows of 20.

use std::f64::consts::TAU;

use super::build::{self, RowOf};
use crate::plan::draft::{Aisles, Draft, DraftRow, DraftZone};
use crate::plan::types::{Area, NumberPosition, Row, Shape, Size, Zone};

const WIDTH: u32 = 2_400;
const HEIGHT: u32 = 1_300;
/// Indexes of the categories.
const VIP: u16 = 0;
const TABLES: u16 = 1;
const STANDS: u16 = 2;

/// Tables from left to right, and from the stage backward.
const ACROSS: u32 = 8;
const DEEP: u32 = 5;
const CHAIRS: u32 = 10;
const TABLE_PITCH: f64 = 130.0;
const TABLE_RADIUS: u32 = 30;
/// From the middle of a table to its chairs: neighbors are 28 units apart.
const CHAIR_DISTANCE: f64 = 45.0;
/// The table at the stage's left.
const FIRST_TABLE: (f64, f64) = (745.0, 420.0);

const STAND_ROWS: u32 = 20;
const STAND_SEATS: u32 = 20;
const PITCH: f64 = 24.0;
const ROW_PITCH: f64 = 28.0;

pub fn draft() -> Draft {
    let (floor, mut areas) = floor();
    areas.push(build::rectangle(0, [900.0, 60.0], [600, 160], "Stage"));
    areas.push(build::rectangle(0, [1_100.0, 1_150.0], [200, 60], "Bar"));
    let (west, east) = (stand("West stand", 600.0, -1.0), stand("East stand", 1_800.0, 1.0));
    let categories = vec![
        build::category("VIP", "#7e22ce"),
        build::category("Table", "#b45309"),
        build::category("Stand", "#0f766e"),
    ];
    let size = Some(Size { width: WIDTH, height: HEIGHT });
    let zones = vec![floor, west, east];
    Draft { name: "Arena".to_owned(), size, categories, zones, areas, aisles: Aisles::Seen }
}

/// A table is a row; its top is an area.
fn floor() -> (DraftZone, Vec<Area>) {
    let mut floor = build::zone("Floor");
    let mut tops = Vec::new();
    for table in 0..ACROSS * DEEP {
        let x = FIRST_TABLE.0 + f64::from(table % ACROSS) * TABLE_PITCH;
        let y = FIRST_TABLE.1 + f64::from(table / ACROSS) * TABLE_PITCH;
        let number = (table + 1).to_string();
        let row = RowOf { number: &number, category: if table < 2 * ACROSS { VIP } else { TABLES }, radius: 10 };
        let chairs = (0..CHAIRS).map(|chair| {
            let angle = TAU * f64::from(chair) / f64::from(CHAIRS);
            (x + CHAIR_DISTANCE * angle.sin(), y - CHAIR_DISTANCE * angle.cos())
        });
        let DraftRow { seats, .. } = row.at(&floor.zone, chairs);
        let label = |text: &str| Some(text.to_owned());
        let row = Row { number, label: label("table %s"), seat_label: label("chair %s"), number_position: None };
        let top = build::area(0, build::point(x, y), Shape::Circle(TABLE_RADIUS));
        tops.push(Area { text: Some(build::text_at(build::point(0.0, 5.0), &row.number)), ..top });
        floor.rows.push(DraftRow { row, seats });
    }
    (floor, tops)
}

/// Rows that rise away from the floor, with an aisle in their middle.
fn stand(name: &str, front: f64, outward: f64) -> DraftZone {
    let mut stand = build::zone(name);
    for index in 0..STAND_ROWS {
        let x = front + outward * f64::from(index) * ROW_PITCH;
        let row = straight(&stand.zone, &(index + 1).to_string(), x);
        stand.rows.push(row);
    }
    stand
}

fn straight(zone: &Zone, number: &str, x: f64) -> DraftRow {
    let place = |seat: u32| {
        let aisle = if seat < STAND_SEATS / 2 { 0.0 } else { 1.0 };
        (x, 380.0 + (f64::from(seat) + aisle) * PITCH)
    };
    let mut row = RowOf { number, category: STANDS, radius: 10 }.at(zone, (0..STAND_SEATS).map(place));
    row.row.number_position = Some(NumberPosition::Start);
    if number == "1" {
        [0, 2].into_iter().for_each(|place| build::wheelchair_place(&mut row, place));
    }
    row
}
