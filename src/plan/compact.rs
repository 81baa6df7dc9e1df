//! Turnstile's own format: JSON with arrays of integers. Its bytes name the plan, so a plan has one form only.

use serde::{Deserialize, Serialize};

use super::finding::PlanError;
use super::types::{
    Area, Category, PlanParts, Point, RADIUS_DEFAULT, Row, Run, SEATS_MAX, Seat, Section, Size, StartDirection, Tags,
    Zone,
};

pub const FORMAT: &str = "turnstile.plan";
const VERSION: u32 = 1;

/// What the format of a JSON document is told by.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    name: String,
    /// Width, height.
    size: [u32; 2],
    categories: Vec<Category>,
    zones: Vec<Zone>,
    sections: Vec<CompactSection>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    areas: Vec<Area>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompactSection {
    name: String,
    /// Left out where it is the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    zone: u32,
    rows: Vec<Row>,
    /// First seat, count, row, seats of the row before it.
    runs: Vec<[u32; 4]>,
    x: Vec<i32>,
    y: Vec<i32>,
    /// Left out where each row counts 1, 2, 3 …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seat_numbers: Option<Vec<String>>,
    /// Left out where they are `zone-row-seat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guids: Option<Vec<String>>,
    /// First seat, count, index of the category.
    categories: Vec<[u32; 3]>,
    /// First seat, count, radius; left out where all are 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    radius: Vec<[u32; 3]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    start_directions: Vec<(u32, StartDirection)>,
    #[serde(default, skip_serializing_if = "is_untagged")]
    tags: Tags,
}

fn is_untagged(tags: &Tags) -> bool {
    *tags == Tags::default()
}

/// `Some`: the document says that it is of this format.
pub fn version_of(json: &[u8]) -> Option<u32> {
    let head: Head = serde_json::from_slice(json).ok()?;
    (head.format.as_deref() == Some(FORMAT)).then(|| head.version.unwrap_or(0))
}

/// The guid of a seat in a drawing that has no ideas of its own.
pub fn usual_guid(zone: &Zone, row: &Row, number: &str) -> String {
    let zone = zone.id.as_deref().or(zone.name.as_deref()).unwrap_or_default();
    format!("{zone}-{}-{number}", row.number)
}

/// The canonical form.
pub fn write(parts: &PlanParts) -> String {
    let document = Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        name: parts.name.clone(),
        size: [parts.size.width, parts.size.height],
        categories: parts.categories.clone(),
        zones: parts.zones.clone(),
        // A section of a zone that is not there is refused before anybody reads this.
        sections: parts
            .sections
            .iter()
            .map(|section| compact(section, parts.zones.get(section.zone as usize)))
            .collect(),
        areas: parts.areas.clone(),
    };
    serde_json::to_string(&document).expect("integers and texts are always JSON")
}

fn compact(section: &Section, zone: Option<&Zone>) -> CompactSection {
    let zone = zone.cloned().unwrap_or_default();
    let seats = &section.seats;
    let mut places = section.runs.iter().flat_map(|run| (0..run.count).map(move |seat| (run.row, run.at + seat)));
    let counted = seats.iter().zip(places.clone()).all(|(seat, (_, at))| seat.number == (at + 1).to_string());
    let usual = |(seat, (row, _)): (&Seat, (u32, u32))| {
        seat.guid == usual_guid(&zone, &section.rows[row as usize], &seat.number)
    };
    let usual = seats.iter().zip(places.by_ref()).all(usual);
    let radius = lengths(seats.iter().map(|seat| u32::from(seat.radius)));
    let plain = radius.iter().all(|[.., radius]| *radius == u32::from(RADIUS_DEFAULT));
    let directions = (1..).zip(seats).filter_map(|(number, seat)| Some((number, seat.start_direction?)));
    CompactSection {
        name: section.name.clone(),
        label: (section.label != section.name).then(|| section.label.clone()),
        zone: section.zone,
        rows: section.rows.clone(),
        runs: section.runs.iter().map(|run| [run.first, run.count, run.row, run.at]).collect(),
        x: seats.iter().map(|seat| seat.at.x).collect(),
        y: seats.iter().map(|seat| seat.at.y).collect(),
        seat_numbers: (!counted).then(|| seats.iter().map(|seat| seat.number.clone()).collect()),
        guids: (!usual).then(|| seats.iter().map(|seat| seat.guid.clone()).collect()),
        categories: lengths(seats.iter().map(|seat| u32::from(seat.category))),
        radius: if plain { Vec::new() } else { radius },
        start_directions: directions.collect(),
        tags: section.tags.clone(),
    }
}

/// `[first, count, value]` for each stretch of equal values.
pub fn lengths(values: impl Iterator<Item = u32>) -> Vec<[u32; 3]> {
    let mut stretches: Vec<[u32; 3]> = Vec::new();
    for (number, value) in (1..).zip(values) {
        match stretches.last_mut() {
            Some([_, count, of]) if *of == value => *count += 1,
            _ => stretches.push([number, 1, value]),
        }
    }
    stretches
}

/// What [`lengths`] was made from. `None`: it does not say exactly one value for each seat.
fn values(stretches: &[[u32; 3]], seats: usize) -> Option<Vec<u16>> {
    let mut values = Vec::new();
    for [first, count, value] in stretches {
        let fits = *first as usize == values.len() + 1 && *count as usize <= seats - values.len();
        let value = u16::try_from(*value).ok().filter(|_| fits)?;
        values.resize(values.len() + *count as usize, value);
    }
    (values.len() == seats).then_some(values)
}

/// Strict: a file of another version, with unknown members or too few numbers is refused.
///
/// # Errors
/// Says what is wrong and where; what holds beyond the shape is for the check of the plan.
pub fn read(json: &[u8]) -> Result<PlanParts, PlanError> {
    let version = version_of(json).unwrap_or(0);
    if version != VERSION {
        return Err(PlanError::new(
            "/version",
            format!("this program reads version {VERSION}, the plan has {version}"),
        ));
    }
    let document: Document = serde_json::from_slice(json).map_err(|error| PlanError::new("", error.to_string()))?;
    let seats: usize = document.sections.iter().map(|section| section.x.len()).sum();
    if seats > SEATS_MAX {
        return Err(PlanError::new("/sections", format!("{seats} seats, more than {SEATS_MAX}")));
    }
    let zones = &document.zones;
    let sections = document.sections.into_iter().enumerate().map(|(index, section)| {
        let zone = zones.get(section.zone as usize);
        let wrong = |(member, message)| PlanError::new(format!("/sections/{index}/{member}"), message);
        expand(section, zone).map_err(wrong)
    });
    Ok(PlanParts {
        sections: sections.collect::<Result<_, _>>()?,
        name: document.name,
        size: Size { width: document.size[0], height: document.size[1] },
        categories: document.categories,
        zones: document.zones,
        areas: document.areas,
    })
}

fn expand(section: CompactSection, zone: Option<&Zone>) -> Result<Section, (&'static str, &'static str)> {
    const COUNT: &str = "there must be one for each seat";
    let seats = section.x.len();
    let zone = zone.ok_or(("zone", "there is no such zone"))?;
    let runs: Vec<Run> = section
        .runs
        .iter()
        .map(|[first, count, row, at]| Run { first: *first, count: *count, row: *row, at: *at })
        .collect();
    // Walked below, so a count of four billions must not pass.
    let total = runs.iter().map(|run| u64::from(run.count)).sum::<u64>();
    let within = runs.iter().all(|run| (run.row as usize) < section.rows.len() && run.at as usize <= seats);
    if total != seats as u64 || !within {
        return Err(("runs", "runs must follow each other and hold each seat of each row once"));
    }
    let exact = |list: Option<&Vec<String>>| list.is_none_or(|list| list.len() == seats);
    let categories = values(&section.categories, seats).ok_or(("categories", COUNT))?;
    let radii = match section.radius.as_slice() {
        [] => vec![RADIUS_DEFAULT; seats],
        stretches => values(stretches, seats).ok_or(("radius", COUNT))?,
    };
    if section.y.len() != seats {
        return Err(("y", COUNT));
    }
    if !exact(section.seat_numbers.as_ref()) {
        return Err(("seat_numbers", COUNT));
    }
    if !exact(section.guids.as_ref()) {
        return Err(("guids", COUNT));
    }
    let mut expanded = Vec::with_capacity(seats);
    for (row, at) in runs.iter().flat_map(|run| (0..run.count).map(move |seat| (run.row, run.at + seat))) {
        let index = expanded.len();
        let number = section.seat_numbers.as_ref().map_or_else(|| (at + 1).to_string(), |all| all[index].clone());
        let usual = || usual_guid(zone, &section.rows[row as usize], &number);
        expanded.push(Seat {
            guid: section.guids.as_ref().map_or_else(usual, |all| all[index].clone()),
            number,
            at: Point { x: section.x[index], y: section.y[index] },
            category: categories[index],
            radius: radii[index],
            start_direction: None,
        });
    }
    for (number, direction) in section.start_directions {
        let seat = (number as usize).checked_sub(1).and_then(|index| expanded.get_mut(index));
        seat.ok_or(("start_directions", "there is no such seat"))?.start_direction = Some(direction);
    }
    let label = section.label.unwrap_or_else(|| section.name.clone());
    let (name, zone, rows, tags) = (section.name, section.zone, section.rows, section.tags);
    Ok(Section { name, label, zone, rows, runs, seats: expanded, tags })
}
