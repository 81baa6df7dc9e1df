//! From a plan to CSV. What a spreadsheet has no column for is lost: areas, colors, labels of rows, sizes of seats.

use std::collections::HashSet;

use csv::WriterBuilder;

use super::columns::{AISLE, AISLE_BEFORE, COMPANION, Column, RESTRICTED_VIEW, WHEELCHAIR};
use crate::plan::draft::{DraftSeat, zones_of};
use crate::plan::plan::Plan;
use crate::plan::types::HUNDREDTHS;

const IN_MEMORY: &str = "memory takes every line of nine fields";

pub fn write(plan: &Plan) -> String {
    let mut csv = WriterBuilder::new().from_writer(Vec::new());
    csv.write_record(Column::ALL.map(Column::as_str)).expect(IN_MEMORY);
    let mut written = HashSet::new();
    for zone in zones_of(plan) {
        for (row, section) in zone.zone.rows.iter().zip(&zone.sections) {
            // Two rows of one number are one row here: at least their seats must not become neighbors.
            let again = !written.insert((*section, row.row.number.clone()));
            for (at, drafted) in row.seats.iter().enumerate() {
                let apart = drafted.aisle_before || (again && at == 0);
                let seat = &drafted.seat;
                let category = &plan.categories()[usize::from(seat.category)].name;
                let (x, y) = (units(seat.at.x), units(seat.at.y));
                let (tags, place) = (tags(drafted, apart), drafted.companion_of.as_deref().unwrap_or_default());
                let fields =
                    [*section, &row.row.number, &seat.number, category.as_str(), &x, &y, &tags, place, &seat.guid];
                csv.write_record(fields).expect(IN_MEMORY);
            }
        }
    }
    String::from_utf8(csv.into_inner().expect(IN_MEMORY)).expect("texts are UTF-8")
}

fn units(hundredths: i32) -> String {
    (f64::from(hundredths) / f64::from(HUNDREDTHS)).to_string()
}

fn tags(seat: &DraftSeat, apart: bool) -> String {
    let tags = [
        (seat.wheelchair, WHEELCHAIR),
        (seat.companion_of.is_some(), COMPANION),
        (seat.restricted_view, RESTRICTED_VIEW),
        (seat.aisle, AISLE),
        (apart, AISLE_BEFORE),
    ];
    tags.into_iter().filter(|(tagged, _)| *tagged).map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}
