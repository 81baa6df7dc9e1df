//! A hall as a file has it: zones, rows and seats in the order of the drawing. Readers make it, writers are given it.

use super::plan::Plan;
use super::types::{Area, Category, Row, Seat, Size, Zone};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSeat {
    pub seat: Seat,
    pub wheelchair: bool,
    pub restricted_view: bool,
    pub aisle: bool,
    /// An aisle lies between the seat before it in the row and this one.
    pub aisle_before: bool,
    /// The guid of the wheelchair place whose companion sits here.
    pub companion_of: Option<String>,
}

impl From<Seat> for DraftSeat {
    fn from(seat: Seat) -> Self {
        let (wheelchair, restricted_view, aisle, aisle_before) = (false, false, false, false);
        DraftSeat { seat, wheelchair, restricted_view, aisle, aisle_before, companion_of: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    pub row: Row,
    pub seats: Vec<DraftSeat>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftZone {
    pub zone: Zone,
    pub rows: Vec<DraftRow>,
}

/// How it is known where aisles are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aisles {
    /// The file says so: [`DraftSeat::aisle_before`].
    Said,
    /// Where two seats of a row are much farther from each other than its others.
    Seen,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    /// `None`: as large as its seats need.
    pub size: Option<Size>,
    pub categories: Vec<Category>,
    pub zones: Vec<DraftZone>,
    pub areas: Vec<Area>,
    pub aisles: Aisles,
}

/// A zone of a plan for a writer, and the name of the section that each of its rows is in.
pub struct WrittenZone<'a> {
    pub zone: DraftZone,
    pub sections: Vec<&'a str>,
}

/// The plan in the order of its drawing.
pub fn zones_of(plan: &Plan) -> Vec<WrittenZone<'_>> {
    let parts = plan.parts();
    let empty =
        |zone: &Zone| WrittenZone { zone: DraftZone { zone: zone.clone(), rows: Vec::new() }, sections: Vec::new() };
    let mut zones: Vec<_> = parts.zones.iter().map(empty).collect();
    for section in &parts.sections {
        let tags = &section.tags;
        let zone = &mut zones[section.zone as usize];
        let first_row = zone.zone.rows.len();
        zone.zone.rows.extend(section.rows.iter().map(|row| DraftRow { row: row.clone(), seats: Vec::new() }));
        zone.sections.resize(zone.zone.rows.len(), &section.name);
        let mut runs = section.runs.clone();
        runs.sort_by_key(|run| (run.row, run.at));
        for run in runs {
            for number in run.first..run.first + run.count {
                let place = tags.companion.get(&number);
                zone.zone.rows[first_row + run.row as usize].seats.push(DraftSeat {
                    seat: section.seats[number as usize - 1].clone(),
                    wheelchair: tags.wheelchair.contains(&number),
                    restricted_view: tags.restricted_view.contains(&number),
                    aisle: tags.aisle.contains(&number),
                    aisle_before: number == run.first && run.at > 0,
                    companion_of: place.map(|place| section.seats[*place as usize - 1].guid.clone()),
                });
            }
        }
    }
    zones
}
