//! Positions for a file that has none: rows below each other, each in the middle, sections one after the other.

use crate::plan::draft::DraftZone;
use crate::plan::types::{HUNDREDTHS, Point};

/// In hundredths of a unit.
const PITCH: i32 = 25 * HUNDREDTHS;
const ROW_PITCH: i32 = 30 * HUNDREDTHS;
const SECTION_GAP: i32 = 60 * HUNDREDTHS;
const MARGIN: i32 = 50 * HUNDREDTHS;

/// An aisle is one seat wide.
pub fn lay_out(zones: &mut [DraftZone]) {
    let rows = || zones.iter().flat_map(|zone| &zone.rows);
    let places = |seats: usize, aisles: usize| i32::try_from(seats + aisles).unwrap_or(i32::MAX / PITCH);
    let width_of = |row: &crate::plan::draft::DraftRow| {
        places(row.seats.len(), row.seats.iter().skip(1).filter(|seat| seat.aisle_before).count()) - 1
    };
    let widest = rows().map(width_of).max().unwrap_or(0);
    let mut y = MARGIN + SECTION_GAP;
    for zone in zones {
        for row in &mut zone.rows {
            let mut x = MARGIN + (widest - width_of(row)) * PITCH / 2;
            for (index, seat) in row.seats.iter_mut().enumerate() {
                if index > 0 {
                    x += if seat.aisle_before { 2 * PITCH } else { PITCH };
                }
                seat.seat.at = Point { x, y };
            }
            y += ROW_PITCH;
        }
        y += SECTION_GAP;
    }
}
