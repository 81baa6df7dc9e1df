//! From CSV to a draft.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord};

use super::columns::{AISLE, AISLE_BEFORE, COMPANION, Column, Columns, RESTRICTED_VIEW, WHEELCHAIR};
use super::grid;
use crate::plan::compact::usual_guid;
use crate::plan::draft::{Aisles, Draft, DraftRow, DraftSeat, DraftZone};
use crate::plan::finding::{PlanError, Warnings};
use crate::plan::text::{self, GUID_MAX, NAME_MAX, TEXT_MAX};
use crate::plan::types::{
    CATEGORIES_MAX, Category, HUNDREDTHS, POSITION_MAX, Point, RADIUS_DEFAULT, ROWS_MAX, Row, SEATS_MAX, Seat, Zone,
};

/// Reads a file; the plan is called `name`. Commas, semicolons or tabs: whatever the first line has most of.
pub fn read(file: &[u8], name: &str, warnings: &mut Warnings) -> Result<Draft, PlanError> {
    let text = std::str::from_utf8(file).map_err(|error| {
        let line = file[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        PlanError::new(format!("line {line}"), "this is not UTF-8 text")
    })?;
    let header = text.lines().next().unwrap_or_default();
    let often = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    // The comma is last: of equals, the last is the most.
    let delimiter = [b'\t', b';', b','].into_iter().max_by_key(often).unwrap_or(b',');
    let mut csv = ReaderBuilder::new().delimiter(delimiter).from_reader(file);
    let header = csv.headers().map_err(|error| wrong(&error, file))?.clone();
    let columns = Columns::of(&header, warnings)?;
    let mut sheet = Sheet { columns, warnings, zones: Vec::new(), places: Places::default(), categories: Vec::new() };
    let mut record = StringRecord::new();
    while csv.read_record(&mut record).map_err(|error| wrong(&error, file))? {
        sheet.line(&record, line_of(record.position(), file))?;
    }
    sheet.finish(name)
}

/// A record begins where the one before it ended: blank lines, and half of a CR LF, are still before it.
fn line_of(position: Option<&csv::Position>, file: &[u8]) -> usize {
    let Some(position) = position else { return 1 };
    let byte = usize::try_from(position.byte()).unwrap_or(file.len()).min(file.len());
    let blank = file[byte..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
    usize::try_from(position.line()).unwrap_or(usize::MAX).saturating_add(blank.count())
}

fn wrong(error: &csv::Error, file: &[u8]) -> PlanError {
    let line = line_of(error.position(), file);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            PlanError::new(format!("line {line}"), format!("{len} fields, but the first line has {expected_len}"))
        }
        _ => PlanError::new("", format!("this is not CSV: {error}")),
    }
}

/// What was seen where, by its names in the file.
#[derive(Default)]
struct Places {
    zones: HashMap<String, usize>,
    rows: HashMap<(usize, String), usize>,
    categories: HashMap<String, u16>,
    /// The line of each guid.
    guids: HashMap<String, usize>,
}

struct Sheet<'w> {
    columns: Columns,
    warnings: &'w mut Warnings,
    /// Seats with their lines.
    zones: Vec<(DraftZone, Vec<Vec<usize>>)>,
    places: Places,
    categories: Vec<Category>,
}

impl Sheet<'_> {
    fn line(&mut self, record: &StringRecord, line: usize) -> Result<(), PlanError> {
        let at = format!("line {line}");
        let section = self.text(record, Column::Section, &at)?;
        let row = self.text(record, Column::Row, &at)?;
        let number = self.text(record, Column::Seat, &at)?;
        // A guid is compared byte for byte, so it is taken as it stands.
        let given = self.columns.get(record, Column::Guid).to_owned();
        if section.is_empty() || (number.is_empty() && given.is_empty()) {
            let missing = if section.is_empty() { Column::Section } else { Column::Seat };
            return Err(PlanError::new(at, format!("{} is empty", missing.as_str())));
        }
        if !text::fits(&given, GUID_MAX) {
            return Err(PlanError::new(at, format!("guid is longer than {GUID_MAX} characters")));
        }
        let category = match self.columns.has(Column::Category) {
            true => self.text(record, Column::Category, &at)?,
            false => text::shortened(&section, NAME_MAX).to_owned(),
        };
        let category = self.category(category, &at)?;
        let point = self.point(record, &at)?;
        let zone = self.zone(&section, &at)?;
        let row = self.row(zone, row, &at)?;
        let (zone, lines) = &mut self.zones[zone];
        let guid = match given.is_empty() {
            false => given,
            true => usual_guid(&zone.zone, &zone.rows[row].row, &number),
        };
        if self.places.guids.len() == SEATS_MAX {
            return Err(PlanError::new(at, format!("more than {SEATS_MAX} seats")));
        }
        if let Some(first) = self.places.guids.insert(guid.clone(), line) {
            return Err(PlanError::new(at, format!("seat {guid:?} is there twice, first on line {first}")));
        }
        let (at_point, start_direction) = (point.unwrap_or_default(), None);
        let seat = Seat { number, guid, at: at_point, category, radius: RADIUS_DEFAULT, start_direction };
        let mut seat = DraftSeat::from(seat);
        read_tags(self.columns.get(record, Column::Tags), &mut seat, &at, self.warnings);
        let place = self.columns.get(record, Column::CompanionOf);
        if !place.trim().is_empty() {
            seat.companion_of = Some(place.to_owned());
        }
        zone.rows[row].seats.push(seat);
        lines[row].push(line);
        Ok(())
    }

    fn text(&mut self, record: &StringRecord, column: Column, at: &str) -> Result<String, PlanError> {
        let (cleaned, had_invisible) = text::clean(self.columns.get(record, column));
        if had_invisible {
            self.warnings.note(at, format!("{} has invisible characters: left out", column.as_str()));
        }
        match text::fits(&cleaned, TEXT_MAX) {
            true => Ok(cleaned.into_owned()),
            false => Err(PlanError::new(at, format!("{} is longer than {TEXT_MAX} characters", column.as_str()))),
        }
    }

    fn category(&mut self, name: String, at: &str) -> Result<u16, PlanError> {
        if let Some(known) = self.places.categories.get(&name) {
            return Ok(*known);
        }
        if !text::is_clean(&name, NAME_MAX) {
            return Err(PlanError::new(at, "category must be 1 to 64 visible characters"));
        }
        if self.categories.len() == CATEGORIES_MAX {
            return Err(PlanError::new(at, format!("more than {CATEGORIES_MAX} categories")));
        }
        let index = u16::try_from(self.categories.len()).unwrap_or(u16::MAX);
        self.categories.push(Category { name: name.clone(), color: None });
        self.places.categories.insert(name, index);
        Ok(index)
    }

    /// `None`: the file has no positions.
    fn point(&self, record: &StringRecord, at: &str) -> Result<Option<Point>, PlanError> {
        if !self.columns.has(Column::X) {
            return Ok(None);
        }
        let coordinate = |column: Column| {
            let text = self.columns.get(record, column);
            // Where a semicolon parts the fields, a comma is a decimal point.
            let number = text.trim().replace(',', ".").parse::<f64>().ok().filter(|number| number.is_finite());
            let number = number.filter(|number| number.abs() <= f64::from(POSITION_MAX));
            let wrong = || format!("{} is {text:?}, not a number up to {POSITION_MAX}", column.as_str());
            let number = number.ok_or_else(|| PlanError::new(at, wrong()))?;
            Ok((number * f64::from(HUNDREDTHS)).round() as i32)
        };
        Ok(Some(Point { x: coordinate(Column::X)?, y: coordinate(Column::Y)? }))
    }

    fn zone(&mut self, section: &str, at: &str) -> Result<usize, PlanError> {
        if let Some(known) = self.places.zones.get(section) {
            return Ok(*known);
        }
        if self.zones.len() == ROWS_MAX {
            return Err(PlanError::new(at, format!("more than {ROWS_MAX} sections")));
        }
        let zone = Zone { name: Some(section.to_owned()), id: None };
        self.zones.push((DraftZone { zone, rows: Vec::new() }, Vec::new()));
        self.places.zones.insert(section.to_owned(), self.zones.len() - 1);
        Ok(self.zones.len() - 1)
    }

    fn row(&mut self, zone: usize, number: String, at: &str) -> Result<usize, PlanError> {
        let key = (zone, number);
        if let Some(known) = self.places.rows.get(&key) {
            return Ok(*known);
        }
        let (drafted, lines) = &mut self.zones[zone];
        if drafted.rows.len() == ROWS_MAX {
            return Err(PlanError::new(at, format!("more than {ROWS_MAX} rows")));
        }
        let row = Row { number: key.1.clone(), ..Row::default() };
        drafted.rows.push(DraftRow { row, seats: Vec::new() });
        lines.push(Vec::new());
        self.places.rows.insert(key, drafted.rows.len() - 1);
        Ok(drafted.rows.len() - 1)
    }

    fn finish(self, name: &str) -> Result<Draft, PlanError> {
        let mut zones = Vec::new();
        for (mut zone, lines) in self.zones {
            let guids = wheelchair_guids(&zone);
            for (row, lines) in zone.rows.iter_mut().zip(&lines) {
                join_companions(row, lines, &guids)?;
            }
            zones.push(zone);
        }
        let said = zones.iter().flat_map(|zone| &zone.rows).flat_map(|row| &row.seats).any(|seat| seat.aisle_before);
        let positions = self.columns.has(Column::X);
        if !positions {
            grid::lay_out(&mut zones);
        }
        let aisles = if said || !positions { Aisles::Said } else { Aisles::Seen };
        let (name, categories) = (name.to_owned(), self.categories);
        Ok(Draft { name, size: None, categories, zones, areas: Vec::new(), aisles })
    }
}

/// A companion seat that does not say whose it is has an empty guid for its place.
fn read_tags(text: &str, seat: &mut DraftSeat, at: &str, warnings: &mut Warnings) {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    for word in words {
        match word.to_lowercase().as_str() {
            WHEELCHAIR => seat.wheelchair = true,
            RESTRICTED_VIEW => seat.restricted_view = true,
            AISLE => seat.aisle = true,
            AISLE_BEFORE => seat.aisle_before = true,
            COMPANION => seat.companion_of = Some(String::new()),
            _ => warnings.note(at, format!("tag {:?} is ignored", text::shortened(word, 40))),
        }
    }
}

fn wheelchair_guids(zone: &DraftZone) -> std::collections::HashSet<String> {
    let seats = zone.rows.iter().flat_map(|row| &row.seats);
    seats.filter(|seat| seat.wheelchair).map(|seat| seat.seat.guid.clone()).collect()
}

/// Finds the wheelchair place of each companion seat of a row: by guid, by number in the row, or the nearest.
fn join_companions(
    row: &mut DraftRow,
    lines: &[usize],
    guids: &std::collections::HashSet<String>,
) -> Result<(), PlanError> {
    let places: Vec<(usize, String, String)> = row
        .seats
        .iter()
        .enumerate()
        .filter(|(_, seat)| seat.wheelchair)
        .map(|(at, seat)| (at, seat.seat.number.clone(), seat.seat.guid.clone()))
        .collect();
    for (at, seat) in row.seats.iter_mut().enumerate() {
        let Some(wanted) = seat.companion_of.take() else { continue };
        let wrong = |message: String| PlanError::new(format!("line {}", lines[at]), message);
        if seat.wheelchair {
            return Err(wrong("a seat is a wheelchair place or a companion's, not both".into()));
        }
        let by_number = places.iter().find(|(_, number, _)| number == wanted.trim());
        let place = match wanted.as_str() {
            "" => places.iter().min_by_key(|(place, ..)| place.abs_diff(at)).map(|(.., guid)| guid.clone()),
            guid if guids.contains(guid) => Some(guid.to_owned()),
            _ => by_number.map(|(.., guid)| guid.clone()),
        };
        let which = if wanted.is_empty() { "its row has".to_owned() } else { format!("{wanted:?} is") };
        let missing = || wrong(format!("a companion's seat needs a wheelchair place: {which} none"));
        seat.companion_of = Some(place.ok_or_else(missing)?);
    }
    Ok(())
}
