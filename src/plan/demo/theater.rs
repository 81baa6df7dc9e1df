//! A theater: 15 curved rows of 28 in three blocks, 6 wheelchair places with companions behind them, and a balcony of 7
//! rows of 24.

use std::f64::consts::FRAC_PI_2;

use super::build::{self, RowOf};
use crate::plan::draft::{Aisles, Draft, DraftRow, DraftZone};
use crate::plan::types::{Size, Zone};

const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 1_100;
const PITCH: f64 = 24.0;
const ROW_PITCH: f64 = 32.0;
/// Where the circles of all rows have their center: behind the stage.
const CENTER: (f64, f64) = (500.0, -650.0);
/// Of the first row.
const RADIUS: f64 = 850.0;
/// From the last row of the stalls to the first of the balcony.
const BALCONY_GAP: f64 = 70.0;
const SEAT: u16 = 10;

/// Category of a row of the stalls: five rows of R, ten of S.
const R_ROWS: u8 = 5;
/// Indexes of the categories.
const R: u16 = 0;
const S: u16 = 1;
const A: u16 = 2;

pub fn draft() -> Draft {
    let mut stalls = build::zone("Stalls");
    for index in 0..15 {
        let row = RowOf { number: &build::letter(index), category: if index < R_ROWS { R } else { S }, radius: SEAT };
        stalls.rows.push(curved(&stalls.zone, &row, f64::from(index), &[7, 14, 7]));
    }
    let wheelchairs = RowOf { number: "W", category: S, radius: SEAT };
    let mut last = curved(&stalls.zone, &wheelchairs, 15.5, &[6, 6]);
    (0..12).step_by(2).for_each(|place| build::wheelchair_place(&mut last, place));
    stalls.rows.push(last);
    let categories =
        vec![build::category("R", "#b91c1c"), build::category("S", "#1d4ed8"), build::category("A", "#15803d")];
    Draft {
        name: "Theater".to_owned(),
        size: Some(Size { width: WIDTH, height: HEIGHT }),
        categories,
        zones: vec![stalls, balcony()],
        areas: vec![build::rectangle(0, [300.0, 40.0], [400, 120], "Stage")],
        aisles: Aisles::Seen,
    }
}

/// Pillars stand before the corners of its last two rows.
fn balcony() -> DraftZone {
    let mut balcony = build::zone("Balcony");
    let behind = 16.5 + BALCONY_GAP / ROW_PITCH;
    for index in 0..7 {
        let row = RowOf { number: &build::letter(index), category: A, radius: SEAT };
        let mut row = curved(&balcony.zone, &row, behind + f64::from(index), &[12, 12]);
        if index >= 5 {
            [0, 1, 22, 23].into_iter().for_each(|seat| row.seats[seat].restricted_view = true);
        }
        balcony.rows.push(row);
    }
    balcony
}

/// Blocks of seats on a circle, an aisle of one seat's width between two blocks.
fn curved(zone: &Zone, row: &RowOf<'_>, behind: f64, blocks: &[u32]) -> DraftRow {
    let radius = RADIUS + behind * ROW_PITCH;
    let mut places = Vec::new();
    let mut next = 0.0;
    for seats in blocks {
        places.extend((0..*seats).map(|seat| next + f64::from(seat)));
        next += f64::from(*seats) + 1.0;
    }
    let middle = (next - 2.0) / 2.0;
    let on_circle = |place: f64| {
        // From left to right as seen from above, where y grows downward.
        let angle = FRAC_PI_2 - (place - middle) * PITCH / radius;
        (CENTER.0 + radius * angle.cos(), CENTER.1 + radius * angle.sin())
    };
    row.at(zone, places.into_iter().map(on_circle))
}
