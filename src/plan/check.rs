//! What holds for every plan, whichever format it came in. Pointers are into the compact format.

use std::collections::HashSet;

use super::finding::PlanError;
use super::text::{self, GUID_MAX, NAME_MAX, TEXT_MAX};
use super::types::{
    AREAS_MAX, Area, CATEGORIES_MAX, POINTS_MAX, PlanParts, Point, RADIUS_MAX, ROWS_MAX, Row, SEATS_MAX,
    SECTION_SEATS_MAX, SECTIONS_MAX, Section, Shape, Size, Tags, Zone,
};

/// Longest side of the drawing, in units.
pub const SIDE_MAX: u32 = 1_000_000;

type Checked = Result<(), PlanError>;

fn must(holds: bool, at: impl FnOnce() -> String, message: impl Into<String>) -> Checked {
    if holds { Ok(()) } else { Err(PlanError::new(at(), message)) }
}

pub fn check(parts: &PlanParts) -> Checked {
    must(text::is_clean(&parts.name, TEXT_MAX), || "/name".into(), "must be 1 to 256 visible characters")?;
    let Size { width, height } = parts.size;
    must(width.max(height) <= SIDE_MAX, || "/size".into(), format!("a side is longer than {SIDE_MAX}"))?;
    check_categories(parts)?;
    must(parts.zones.len() <= ROWS_MAX, || "/zones".into(), format!("more than {ROWS_MAX} zones"))?;
    for (index, zone) in parts.zones.iter().enumerate() {
        let Zone { name, id } = zone;
        let fit = [name, id].into_iter().flatten().all(|text| text::fits(text, TEXT_MAX));
        must(fit, || format!("/zones/{index}"), "a text is longer than 256 characters")?;
    }
    check_sections(parts)?;
    must(parts.areas.len() <= AREAS_MAX, || "/areas".into(), format!("more than {AREAS_MAX} areas"))?;
    for (index, area) in parts.areas.iter().enumerate() {
        check_area(area, parts.zones.len()).map_err(|message| PlanError::new(format!("/areas/{index}"), message))?;
    }
    Ok(())
}

fn check_categories(parts: &PlanParts) -> Checked {
    let count = parts.categories.len();
    must((1..=CATEGORIES_MAX).contains(&count), || "/categories".into(), "a plan has 1 to 100 categories")?;
    let mut names = HashSet::new();
    for (index, category) in parts.categories.iter().enumerate() {
        let at = || format!("/categories/{index}");
        must(text::is_clean(&category.name, NAME_MAX), at, "a category's name is 1 to 64 visible characters in NFC")?;
        must(names.insert(&category.name), at, format!("category {:?} is there twice", category.name))?;
        must(category.color.as_deref().is_none_or(text::is_color), at, "the color is none")?;
    }
    Ok(())
}

fn check_sections(parts: &PlanParts) -> Checked {
    let count = parts.sections.len();
    must(count > 0, || "/sections".into(), "the plan has no seats")?;
    must(count <= SECTIONS_MAX, || "/sections".into(), format!("{count} sections, more than {SECTIONS_MAX}"))?;
    let seats: usize = parts.sections.iter().map(|section| section.seats.len()).sum();
    must(seats <= SEATS_MAX, || "/sections".into(), format!("{seats} seats, more than {SEATS_MAX}"))?;
    let in_order = parts.sections.is_sorted_by_key(|section| section.zone);
    must(in_order, || "/sections".into(), "sections must be in the order of their zones")?;
    let (mut names, mut guids) = (HashSet::new(), HashSet::new());
    for (index, section) in parts.sections.iter().enumerate() {
        let at = |member: &str| format!("/sections/{index}{member}");
        must(
            text::is_clean(&section.name, NAME_MAX),
            || at("/name"),
            "a section's name is 1 to 64 visible characters in NFC",
        )?;
        must(names.insert(&section.name), || at("/name"), format!("section {:?} is there twice", section.name))?;
        must(text::is_clean(&section.label, TEXT_MAX), || at("/label"), "must be 1 to 256 visible characters")?;
        must((section.zone as usize) < parts.zones.len(), || at("/zone"), "there is no such zone")?;
        check_section(section, parts.categories.len())
            .map_err(|(member, message)| PlanError::new(at(member), message))?;
        for seat in &section.seats {
            let twice = || format!("guid {:?} is there twice", seat.guid);
            must(guids.insert(seat.guid.as_str()), || at("/guids"), twice())?;
        }
    }
    Ok(())
}

fn check_section(section: &Section, categories: usize) -> Result<(), (&'static str, String)> {
    let must = |holds: bool, member: &'static str, message: &str| match holds {
        true => Ok(()),
        false => Err((member, message.to_owned())),
    };
    must((1..=SECTION_SEATS_MAX).contains(&section.seats.len()), "/x", "a section has 1 to 10000 seats")?;
    must((1..=ROWS_MAX).contains(&section.rows.len()), "/rows", "a section has 1 to 9999 rows")?;
    for Row { number, label, seat_label, .. } in &section.rows {
        let texts = [Some(number), label.as_ref(), seat_label.as_ref()];
        let fine = texts.into_iter().flatten().all(|text| text.is_empty() || text::is_clean(text, TEXT_MAX));
        must(fine, "/rows", "a text is not visible or longer than 256 characters")?;
    }
    must(runs_cover(section), "/runs", "runs must follow each other and hold each seat of each row once")?;
    for seat in &section.seats {
        let number = seat.number.is_empty() || text::is_clean(&seat.number, TEXT_MAX);
        must(number, "/seat_numbers", "a number is not visible or longer than 256 characters")?;
        let guid = !seat.guid.is_empty() && text::fits(&seat.guid, GUID_MAX);
        must(guid, "/guids", "a guid is 1 to 1024 characters")?;
        must(seat.at.is_in_range(), "/x", "a seat is farther than 1000000 units from the corner")?;
        must(usize::from(seat.category) < categories, "/categories", "there is no such category")?;
        must((1..=RADIUS_MAX).contains(&seat.radius), "/radius", "a radius is 1 to 1000")?;
    }
    check_tags(&section.tags, section.seats.len()).map_err(|message| ("/tags", message.to_owned()))
}

/// Whether the runs are numbered 1.. and their pieces of rows make whole rows.
fn runs_cover(section: &Section) -> bool {
    let mut next = 1;
    for run in &section.runs {
        if run.first != next || run.count == 0 || run.row as usize >= section.rows.len() {
            return false;
        }
        match next.checked_add(run.count) {
            Some(after) => next = after,
            None => return false,
        }
    }
    let mut pieces: Vec<_> = section.runs.iter().map(|run| (run.row, run.at, run.count)).collect();
    pieces.sort_unstable();
    let (mut row, mut end) = (None, 0);
    for (of, at, count) in pieces {
        let begins = row.map_or(0, |row: u32| row + 1);
        let follows = if row == Some(of) { at == end } else { of == begins && at == 0 };
        if !follows {
            return false;
        }
        (row, end) = (Some(of), at + count);
    }
    row.is_some_and(|last| last as usize + 1 == section.rows.len()) && next as usize == section.seats.len() + 1
}

fn check_tags(tags: &Tags, seats: usize) -> Result<(), &'static str> {
    let Tags { wheelchair, companion, restricted_view, aisle } = tags;
    let numbers = wheelchair.iter().chain(companion.keys()).chain(companion.values()).chain(restricted_view);
    if !numbers.chain(aisle).all(|number| (1..=seats).contains(&(*number as usize))) {
        return Err("a tag is on a seat that is not there");
    }
    let fits = companion.iter().all(|(seat, place)| wheelchair.contains(place) && !wheelchair.contains(seat));
    if fits { Ok(()) } else { Err("a companion seat belongs to a wheelchair place and is none") }
}

fn check_area(area: &Area, zones: usize) -> Result<(), &'static str> {
    let holds = |holds: bool, message| if holds { Ok(()) } else { Err(message) };
    holds((area.zone as usize) < zones, "there is no such zone")?;
    let positions = [area.at].into_iter().chain(area.text.as_ref().map(|text| text.at));
    holds(positions.into_iter().all(Point::is_in_range), "a position is farther than 1000000 units from the corner")?;
    match &area.shape {
        Shape::Polygon(points) => {
            holds(points.len() <= POINTS_MAX, "a polygon has more than 10000 corners")?;
            holds(points.iter().all(|point| point.is_in_range()), "a corner is too far away")?;
        }
        Shape::Rectangle(width, height) => holds(*width.max(height) <= SIDE_MAX, "a side is too long")?,
        Shape::Circle(radius) => holds(*radius <= SIDE_MAX, "the radius is too long")?,
        Shape::Ellipse(radius) => {
            holds(radius.x >= 0 && radius.y >= 0 && radius.is_in_range(), "a radius is negative or too long")?;
        }
        Shape::Text => {}
    }
    let text_color = area.text.as_ref().and_then(|text| text.color.as_ref());
    let mut colors = [area.color.as_ref(), area.border_color.as_ref(), text_color].into_iter().flatten();
    holds(colors.all(|color| text::is_color(color)), "a color is none")?;
    let text = area.text.as_ref();
    holds(text.is_none_or(|text| text::fits(&text.text, TEXT_MAX)), "the text is longer than 256 characters")?;
    holds(text.and_then(|text| text.size).is_none_or(|size| size <= SIDE_MAX), "the text is too large")
}
