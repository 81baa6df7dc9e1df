//! A stadium for a concert: two tiers of straights and half circles around a field, the stage at its left end.
//!
//! The lower tier has 20 sections of 25 rows of 40 seats, the upper one 24 of 25 rows of 50. A section is parted by an
//! aisle; no section lies partly on a straight.

use std::f64::consts::PI;

use super::build::{self, RowOf};
use crate::plan::draft::{Aisles, Draft, DraftRow, DraftZone};
use crate::plan::types::{Shape, Size, Zone};

/// Of a straight.
const STRAIGHT: f64 = 2_500.0;
const ROWS: u32 = 25;
const ROW_PITCH: f64 = 12.0;
const SEAT: u16 = 4;
const MARGIN: f64 = 60.0;

/// Indexes of the categories.
const FRONT: u16 = 0;
const LOWER: u16 = 1;
const LOWER_CURVE: u16 = 2;
const UPPER: u16 = 3;
const UPPER_CURVE: u16 = 4;
/// Rows of the lower straights that are in the best category.
const FRONT_ROWS: u32 = 8;

struct Tier {
    /// Of the half circles, in the first row.
    radius: f64,
    on_straight: u32,
    on_curve: u32,
    seats: u32,
    /// The number before the first section.
    numbered: u32,
    straight: u16,
    curve: u16,
}

const TIERS: [Tier; 2] = [
    Tier { radius: 600.0, on_straight: 6, on_curve: 4, seats: 40, numbered: 100, straight: LOWER, curve: LOWER_CURVE },
    Tier { radius: 960.0, on_straight: 5, on_curve: 7, seats: 50, numbered: 200, straight: UPPER, curve: UPPER_CURVE },
];

/// The outermost row.
const OUTER: f64 = TIERS[1].radius + ROWS as f64 * ROW_PITCH;
const WIDTH: f64 = STRAIGHT + 2.0 * (OUTER + MARGIN);
const HEIGHT: f64 = 2.0 * (OUTER + MARGIN);

/// The four sides in the order of the sections' numbers, clockwise from the upper left corner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Top,
    Right,
    Bottom,
    /// Behind the stage.
    Left,
}

pub fn draft() -> Draft {
    let mut zones = Vec::new();
    for tier in &TIERS {
        let mut number = tier.numbered;
        for side in [Side::Top, Side::Right, Side::Bottom, Side::Left] {
            let sections = if side.is_straight() { tier.on_straight } else { tier.on_curve };
            for section in 0..sections {
                number += 1;
                zones.push(section_of(tier, side, section, sections, number));
            }
        }
    }
    let (left, middle) = (MARGIN + OUTER, HEIGHT / 2.0);
    let field = build::rectangle(0, [left + 200.0, middle - 450.0], [STRAIGHT as u32 - 200, 900], "Field");
    let stage = build::rectangle(0, [left - 250.0, middle - 250.0], [400, 500], "Stage");
    let tower = build::area(0, build::point(left + 1_200.0, middle), Shape::Ellipse(build::point(60.0, 40.0)));
    Draft {
        name: "Stadium".to_owned(),
        size: Some(Size { width: WIDTH as u32, height: HEIGHT as u32 }),
        categories: vec![
            build::category("Front", "#b91c1c"),
            build::category("Lower", "#c2410c"),
            build::category("Lower curve", "#1d4ed8"),
            build::category("Upper", "#0f766e"),
            build::category("Upper curve", "#4b5563"),
        ],
        zones,
        areas: vec![field, stage, tower],
        aisles: Aisles::Seen,
    }
}

impl Side {
    fn is_straight(self) -> bool {
        matches!(self, Side::Top | Side::Bottom)
    }

    /// A place on the row of this radius, `along` from 0 to 1 in the order of the numbers.
    fn place(self, along: f64, radius: f64) -> (f64, f64) {
        let (left, middle) = (MARGIN + OUTER, HEIGHT / 2.0);
        match self {
            Side::Top => (left + along * STRAIGHT, middle - radius),
            Side::Bottom => (left + (1.0 - along) * STRAIGHT, middle + radius),
            Side::Right | Side::Left => {
                let (center, turn) = if self == Side::Right { (left + STRAIGHT, -0.5) } else { (left, 0.5) };
                let angle = PI * (along + turn);
                (center + radius * angle.cos(), middle + radius * angle.sin())
            }
        }
    }
}

fn section_of(tier: &Tier, side: Side, section: u32, sections: u32, number: u32) -> DraftZone {
    let mut zone = build::zone(&format!("Block {number}"));
    zone.zone.id = Some(number.to_string());
    for index in 0..ROWS {
        let row = row_of(tier, side, &zone.zone, index, |place| (f64::from(section) + place) / f64::from(sections));
        zone.rows.push(row);
    }
    zone
}

/// `along`: from a place in the section to one on the side, both from 0 to 1.
fn row_of(tier: &Tier, side: Side, zone: &Zone, index: u32, along: impl Fn(f64) -> f64) -> DraftRow {
    // One seat's width for the aisle in the middle, one between two sections.
    let widths = f64::from(tier.seats + 2);
    let radius = tier.radius + f64::from(index) * ROW_PITCH;
    let place = |seat: u32| {
        let aisle = if seat < tier.seats / 2 { 1.0 } else { 2.0 };
        side.place(along((f64::from(seat) + aisle) / widths), radius)
    };
    let front = tier.straight == LOWER && side.is_straight() && index < FRONT_ROWS;
    let category = match (front, side.is_straight()) {
        (true, _) => FRONT,
        (false, true) => tier.straight,
        (false, false) => tier.curve,
    };
    let number = (index + 1).to_string();
    let mut row = RowOf { number: &number, category, radius: SEAT }.at(zone, (0..tier.seats).map(place));
    row.seats.iter_mut().for_each(|seat| seat.restricted_view = side == Side::Left);
    let last = index + 1 == ROWS;
    if last && tier.straight == LOWER && side.is_straight() {
        [0, 2].into_iter().for_each(|place| build::wheelchair_place(&mut row, place));
    }
    row
}
