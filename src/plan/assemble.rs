//! From the order of a drawing to a plan: sections, aisles, and the best seats first.

use std::collections::{HashMap, HashSet};

use super::check::SIDE_MAX;
use super::draft::{Aisles, Draft, DraftRow, DraftSeat, DraftZone};
use super::finding::{PlanError, Warnings};
use super::focal;
use super::plan::Plan;
use super::text::{self, TEXT_MAX};
use super::types::{HUNDREDTHS, PlanParts, Point, ROWS_MAX, Row, Run, SECTION_SEATS_MAX, Section, Size, Tags, Zone};

/// A gap is an aisle if it is wider than this many hundredths of the row's median pitch.
const AISLE_PERCENT: i64 = 160;
/// Around the seats of a file that names no size, in units.
const MARGIN: i32 = 50;

/// Numbers the seats. In each section the runs are in the order of their distance to the focal point, then of the
/// drawing; the seats of a run keep its order.
///
/// # Errors
/// When the result is beyond a limit, or a row is longer than a section may be.
pub fn assemble(draft: Draft, warnings: &mut Warnings) -> Result<Plan, PlanError> {
    let size = draft.size.unwrap_or_else(|| size_around(&draft.zones));
    let focal = focal::point(&draft.areas, size);
    let mut names = HashSet::new();
    let (mut zones, mut sections) = (Vec::new(), Vec::new());
    for (index, DraftZone { zone, mut rows }) in draft.zones.into_iter().enumerate() {
        rows.retain(|row| !row.seats.is_empty());
        if !rows.is_empty() {
            let label = label_of(&zone, index, warnings);
            let blocks = split(rows, &label)?;
            let count = blocks.len();
            if count > 1 {
                warnings.note("", format!("zone {label:?} has more than {SECTION_SEATS_MAX} seats: {count} sections"));
            }
            for (block, rows) in blocks.into_iter().enumerate() {
                let wish = if count > 1 { format!("{label} {}", block + 1) } else { label.clone() };
                let name = text::unique_name(&wish, &mut names);
                if name != wish {
                    let why =
                        format!("section {wish:?} is called {name:?}: names are unique and at most 64 characters");
                    warnings.note(format!("/zones/{index}"), why);
                }
                let mut section = number_seats(rows, draft.aisles, focal, warnings);
                (section.name, section.zone) = (name, u32::try_from(index).unwrap_or(u32::MAX));
                section.label.clone_from(&label);
                sections.push(section);
            }
        }
        zones.push(zone);
    }
    note_equal_labels(&sections, warnings);
    Plan::new(PlanParts { name: draft.name, size, categories: draft.categories, zones, sections, areas: draft.areas })
}

/// What people call a zone.
fn label_of(zone: &Zone, index: usize, warnings: &mut Warnings) -> String {
    let given = zone.name.iter().chain(&zone.id).map(|text| text::clean(text).0).find(|text| !text.is_empty());
    match given {
        Some(text) => text::shortened(&text, TEXT_MAX).to_owned(),
        None => {
            let name = format!("Zone {}", index + 1);
            warnings.note(format!("/zones/{index}"), format!("a zone without a name is called {name:?}"));
            name
        }
    }
}

/// Consecutive rows that fit into a section.
fn split(rows: Vec<DraftRow>, label: &str) -> Result<Vec<Vec<DraftRow>>, PlanError> {
    let mut blocks: Vec<Vec<DraftRow>> = Vec::new();
    let mut seats = 0;
    for row in rows {
        let count = row.seats.len();
        if count > SECTION_SEATS_MAX {
            let what = format!("row {:?} of zone {label:?} has {count} seats", row.row.number);
            return Err(PlanError::new("", format!("{what}, more than {SECTION_SEATS_MAX}")));
        }
        match blocks.last_mut() {
            Some(block) if seats + count <= SECTION_SEATS_MAX && block.len() < ROWS_MAX => {
                block.push(row);
                seats += count;
            }
            _ => {
                blocks.push(vec![row]);
                seats = count;
            }
        }
    }
    Ok(blocks)
}

/// A section without a name.
fn number_seats(rows: Vec<DraftRow>, aisles: Aisles, focal: Point, warnings: &mut Warnings) -> Section {
    let mut runs: Vec<(i64, usize, Vec<DraftSeat>, u32)> = Vec::new();
    let mut kept: Vec<Row> = Vec::new();
    for (index, DraftRow { row, mut seats }) in rows.into_iter().enumerate() {
        kept.push(row);
        if aisles == Aisles::Seen {
            mark_aisles(&mut seats);
        }
        let mut before = 0;
        while !seats.is_empty() {
            let end = seats.iter().skip(1).position(|seat| seat.aisle_before).map_or(seats.len(), |at| at + 1);
            let rest = seats.split_off(end);
            let middle = super::plan::middle(seats.iter().map(|seat| seat.seat.at));
            runs.push((middle.distance_squared(focal), index, seats, before));
            before += u32::try_from(end).unwrap_or(u32::MAX);
            seats = rest;
        }
    }
    // Stable: equally far ones stay in the order of the drawing.
    runs.sort_by_key(|(distance, ..)| *distance);
    let mut section = Section {
        name: String::new(),
        label: String::new(),
        zone: 0,
        rows: kept,
        runs: Vec::new(),
        seats: Vec::new(),
        tags: Tags::default(),
    };
    let mut companions = Vec::new();
    for (_, row, seats, at) in runs {
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let first = narrow(section.seats.len() + 1);
        section.runs.push(Run { first, count: narrow(seats.len()), row: narrow(row), at });
        for (number, seat) in (first..).zip(seats) {
            let tags = &mut section.tags;
            tags.wheelchair.extend(seat.wheelchair.then_some(number));
            tags.restricted_view.extend(seat.restricted_view.then_some(number));
            tags.aisle.extend(seat.aisle.then_some(number));
            companions.extend(seat.companion_of.map(|place| (number, place)));
            section.seats.push(seat.seat);
        }
    }
    join_companions(&mut section, companions, warnings);
    section
}

/// Marks both seats beside each gap that is wider than the row's others.
fn mark_aisles(seats: &mut [DraftSeat]) {
    let length = |a: &DraftSeat, b: &DraftSeat| a.seat.at.distance_squared(b.seat.at).isqrt();
    let gaps: Vec<i64> = seats.windows(2).map(|pair| length(&pair[0], &pair[1])).collect();
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    // The lower of two middles: of three seats, two that sit together say what the pitch is.
    let Some(median) = sorted.len().checked_sub(1).map(|last| sorted[last / 2]).filter(|median| *median > 0) else {
        return;
    };
    for (index, gap) in gaps.into_iter().enumerate() {
        if gap * 100 > median * AISLE_PERCENT {
            seats[index].aisle = true;
            (seats[index + 1].aisle, seats[index + 1].aisle_before) = (true, true);
        }
    }
}

fn join_companions(section: &mut Section, companions: Vec<(u32, String)>, warnings: &mut Warnings) {
    if companions.is_empty() {
        return;
    }
    let numbers: HashMap<&str, u32> = section.seats.iter().map(|seat| seat.guid.as_str()).zip(1..).collect();
    for (seat, guid) in companions {
        match numbers.get(guid.as_str()) {
            Some(place) if section.tags.wheelchair.contains(place) => {
                section.tags.companion.insert(seat, *place);
            }
            _ => warnings.note("", "a companion seat and its wheelchair place are in two sections: an ordinary seat"),
        }
    }
}

fn size_around(zones: &[DraftZone]) -> Size {
    let seats = || zones.iter().flat_map(|zone| &zone.rows).flat_map(|row| &row.seats).map(|seat| seat.seat.at);
    let side = |of: fn(Point) -> i32| {
        let farthest = seats().map(of).max().unwrap_or(0).max(0);
        (farthest / HUNDREDTHS + MARGIN).unsigned_abs().min(SIDE_MAX)
    };
    Size { width: side(|at| at.x), height: side(|at| at.y) }
}

/// Two seats that nobody can tell apart in the hall.
fn note_equal_labels(sections: &[Section], warnings: &mut Warnings) {
    let mut labels = HashSet::new();
    for section in sections {
        for label in (1..).map_while(|number| section.label_of(number)) {
            if labels.contains(&label) {
                warnings.note(&label, "two seats have this label");
            } else {
                labels.insert(label);
            }
        }
    }
}
