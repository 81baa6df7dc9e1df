//! From pretix's JSON to a draft.

use std::collections::HashMap;

use serde_json::Value;

use super::areas::Areas;
use super::fields::{Object, Offset};
use crate::plan::draft::{Aisles, Draft, DraftRow, DraftSeat, DraftZone};
use crate::plan::finding::{At, PlanError, Warnings};
use crate::plan::text::{self, NAME_MAX};
use crate::plan::types::{
    CATEGORIES_MAX, Category, NumberPosition, RADIUS_DEFAULT, RADIUS_MAX, ROWS_MAX, Row, SEATS_MAX, SECTION_SEATS_MAX,
    Seat, Size, StartDirection, Zone,
};

const ROOT: [&str; 4] = ["name", "zones", "categories", "size"];
const CATEGORY: [&str; 2] = ["name", "color"];
const ZONE: [&str; 6] = ["name", "zone_id", "uuid", "position", "rows", "areas"];
const ROW: [&str; 7] = ["row_number", "row_label", "seat_label", "uuid", "seats", "row_number_position", "position"];
/// `wheelchair` is of plans in the wild, not of the format.
const SEAT: [&str; 8] =
    ["seat_guid", "seat_number", "uuid", "position", "category", "start_direction", "radius", "wheelchair"];

/// Reads a plan; `name` is for one that has none.
pub fn read(json: &[u8], name: &str, warnings: &mut Warnings) -> Result<Draft, PlanError> {
    let value: Value =
        serde_json::from_slice(json).map_err(|error| PlanError::new("", format!("this is not JSON: {error}")))?;
    let root = Object::of(&value, At::Root, "a seating plan")?;
    root.note_unknown(&ROOT, warnings);
    let given = root.text("name", warnings)?.filter(|name| !name.is_empty());
    let name = given.unwrap_or_else(|| {
        warnings.note("/name", format!("the plan has no name: it is called {name:?}"));
        name.to_owned()
    });
    let size = read_size(&root, warnings)?;
    let (categories, by_name) = read_categories(&root, warnings)?;
    let mut reader = Reader { warnings, categories: by_name, guids: HashMap::new(), areas: Areas::default() };
    let zones = reader.zones(&root)?;
    let areas = reader.areas.list;
    Ok(Draft { name, size, categories, zones, areas, aisles: Aisles::Seen })
}

/// `None` if there is no size: older files have none.
fn read_size(root: &Object<'_>, warnings: &mut Warnings) -> Result<Option<Size>, PlanError> {
    let Some(value) = root.member("size") else { return Ok(None) };
    let at = root.at();
    let size = Object::of(value, At::Member(&at, "size"), "a size")?;
    size.note_unknown(&["width", "height"], warnings);
    let width = size.whole("width", 0..=crate::plan::check::SIDE_MAX, warnings);
    let height = size.whole("height", 0..=crate::plan::check::SIDE_MAX, warnings);
    Ok(width.zip(height).map(|(width, height)| Size { width, height }))
}

/// The categories and the index of each name, as the file writes it.
fn read_categories(
    root: &Object<'_>,
    warnings: &mut Warnings,
) -> Result<(Vec<Category>, HashMap<String, u16>), PlanError> {
    let (mut categories, mut by_name): (Vec<Category>, _) = (Vec::new(), HashMap::new());
    let at = root.at();
    let list = At::Member(&at, "categories");
    for (index, value) in root.items("categories")?.iter().enumerate() {
        let category = Object::of(value, At::Item(&list, index), "a category")?;
        category.note_unknown(&CATEGORY, warnings);
        let name = category.required_text("name", warnings)?;
        if !text::is_clean(&name, NAME_MAX) {
            return Err(category.error("name", "must be 1 to 64 visible characters"));
        }
        let color = category.color("color", warnings);
        let known = categories.iter().position(|other| other.name == name);
        if known.is_some() {
            warnings.note(category.at(), "a category is there twice: the first one counts");
        }
        let index = known.unwrap_or(categories.len());
        if known.is_none() {
            categories.push(Category { name: name.clone(), color });
        }
        if categories.len() > CATEGORIES_MAX {
            return Err(PlanError::new(list, format!("more than {CATEGORIES_MAX} categories")));
        }
        by_name.insert(name, u16::try_from(index).unwrap_or(u16::MAX));
    }
    Ok((categories, by_name))
}

struct Reader<'w> {
    warnings: &'w mut Warnings,
    categories: HashMap<String, u16>,
    /// Zone, row and seat of each guid.
    guids: HashMap<String, [usize; 3]>,
    areas: Areas,
}

impl Reader<'_> {
    fn zones(&mut self, root: &Object<'_>) -> Result<Vec<DraftZone>, PlanError> {
        let at = root.at();
        let list = At::Member(&at, "zones");
        let zones = root.items("zones")?;
        if zones.len() > ROWS_MAX {
            return Err(PlanError::new(list, format!("more than {ROWS_MAX} zones")));
        }
        zones.iter().enumerate().map(|(index, value)| self.zone(index, value, At::Item(&list, index))).collect()
    }

    fn zone(&mut self, index: usize, value: &Value, at: At<'_>) -> Result<DraftZone, PlanError> {
        let zone = Object::of(value, at, "a zone")?;
        zone.note_unknown(&ZONE, self.warnings);
        let base = zone.offset("position", self.warnings)?.unwrap_or_else(|| {
            self.warnings.note(at, "a zone has no position: it begins in the corner");
            Offset::default()
        });
        let list = At::Member(&at, "rows");
        let rows = zone.items("rows")?;
        if rows.len() > ROWS_MAX {
            return Err(PlanError::new(list, format!("more than {ROWS_MAX} rows")));
        }
        let rows = rows.iter().enumerate();
        let rows = rows.map(|(row, value)| self.row([index, row], base, value, At::Item(&list, row)));
        let rows = rows.collect::<Result<_, _>>()?;
        if zone.member("areas").is_some() {
            self.areas.read(u32::try_from(index).unwrap_or(u32::MAX), base, &zone, self.warnings)?;
        }
        let name = zone.text("name", self.warnings)?;
        let id = zone.exact_text("zone_id", self.warnings)?;
        Ok(DraftZone { zone: Zone { name, id }, rows })
    }

    fn row(&mut self, of: [usize; 2], base: Offset, value: &Value, at: At<'_>) -> Result<DraftRow, PlanError> {
        let object = Object::of(value, at, "a row")?;
        object.note_unknown(&ROW, self.warnings);
        let base = base.plus(object.offset("position", self.warnings)?.unwrap_or_default());
        let row = Row {
            number: object.required_text("row_number", self.warnings)?,
            label: object.text("row_label", self.warnings)?.filter(|text| !text.is_empty()),
            seat_label: object.text("seat_label", self.warnings)?.filter(|text| !text.is_empty()),
            number_position: self.number_position(&object),
        };
        let list = At::Member(&at, "seats");
        let seats = object.items("seats")?;
        if seats.is_empty() {
            self.warnings.note(at, "a row has no seats: left out");
        }
        if seats.len() > SECTION_SEATS_MAX {
            return Err(PlanError::new(list, format!("{} seats, more than {SECTION_SEATS_MAX}", seats.len())));
        }
        let seats = seats.iter().enumerate();
        let seats = seats.map(|(seat, value)| self.seat([of[0], of[1], seat], base, value, At::Item(&list, seat)));
        Ok(DraftRow { row, seats: seats.collect::<Result<_, _>>()? })
    }

    fn number_position(&mut self, row: &Object<'_>) -> Option<NumberPosition> {
        const NAME: &str = "row_number_position";
        let (position, odd) = match row.member(NAME)?.as_str() {
            Some("start") => (Some(NumberPosition::Start), None),
            Some("end") => (Some(NumberPosition::End), None),
            Some("both") => (Some(NumberPosition::Both), None),
            Some("left") => (Some(NumberPosition::Start), Some("\"left\" is read as \"start\"")),
            Some("right") => (Some(NumberPosition::End), Some("\"right\" is read as \"end\"")),
            Some("none" | "") => (None, Some("\"none\" is read as null")),
            _ => (None, Some("\"row_number_position\" of a row is not \"start\", \"end\" or \"both\": ignored")),
        };
        if let Some(message) = odd {
            let at = row.at();
            self.warnings.note(At::Member(&at, NAME), message);
        }
        position
    }

    fn seat(&mut self, of: [usize; 3], base: Offset, value: &Value, at: At<'_>) -> Result<DraftSeat, PlanError> {
        let seat = Object::of(value, at, "a seat")?;
        seat.note_unknown(&SEAT, self.warnings);
        let guid = self.guid(of, &seat)?;
        let number = seat.required_text("seat_number", self.warnings)?;
        seat.required("position")?;
        let offset = seat.offset("position", self.warnings)?.unwrap_or_default();
        let at = base.plus(offset).rounded(At::Member(&at, "position"))?;
        let category = self.category(&seat)?;
        let radius = seat.whole("radius", 1..=u32::from(RADIUS_MAX), self.warnings);
        let radius = radius.and_then(|radius| u16::try_from(radius).ok()).unwrap_or(RADIUS_DEFAULT);
        let start_direction = self.start_direction(&seat);
        let mut read = DraftSeat::from(Seat { number, guid, at, category, radius, start_direction });
        if let Some(value) = seat.member("wheelchair") {
            let at = seat.at();
            self.warnings.note(At::Member(&at, "wheelchair"), "\"wheelchair\" is not in the format: taken as a tag");
            read.wheelchair = *value == Value::Bool(true);
        }
        Ok(read)
    }

    fn guid(&mut self, of: [usize; 3], seat: &Object<'_>) -> Result<String, PlanError> {
        seat.required("seat_guid")?;
        let guid = seat.exact_text("seat_guid", self.warnings)?.filter(|guid| !guid.is_empty());
        let guid = guid.ok_or_else(|| seat.error("seat_guid", "is empty"))?;
        if self.guids.len() == SEATS_MAX {
            return Err(PlanError::new(seat.at(), format!("more than {SEATS_MAX} seats")));
        }
        if let Some([zone, row, other]) = self.guids.insert(guid.clone(), of) {
            let first = format!("/zones/{zone}/rows/{row}/seats/{other}");
            return Err(seat.error("seat_guid", format!("{guid:?} is there twice, first at {first}")));
        }
        Ok(guid)
    }

    fn category(&mut self, seat: &Object<'_>) -> Result<u16, PlanError> {
        let name = seat.required_text("category", self.warnings)?;
        let known = self.categories.get(name.as_str()).copied();
        known.ok_or_else(|| seat.error("category", format!("{name:?} is not in the list of categories")))
    }

    fn start_direction(&mut self, seat: &Object<'_>) -> Option<StartDirection> {
        let value = seat.member("start_direction")?;
        let known = StartDirection::ALL.into_iter().find(|direction| Some(direction.as_str()) == value.as_str());
        if known.is_none() && value.as_str() != Some("") {
            seat.odd("start_direction", "\"<\", \">\" or \"<>\"", self.warnings);
        }
        known
    }
}
