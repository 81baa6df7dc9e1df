//! A seating plan: immutable, named by its content.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::check;
use super::compact;
use super::finding::PlanError;
use super::focal;
use super::types::{Category, PlanParts, Point, Run, Seat, Section};

/// SHA-256 of the canonical bytes; as text 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanId(pub [u8; 32]);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for PlanId {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let wrong = || PlanError::new("", "a plan's id is 64 lower-case hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let mut id = [0; 32];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(PlanId(id))
    }
}

/// A checked plan. A clone is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    id: PlanId,
    parts: Arc<PlanParts>,
}

impl Plan {
    /// Refuses parts that are not what their types say.
    ///
    /// # Errors
    /// The first thing that is wrong, with a pointer into the compact format.
    pub fn new(parts: PlanParts) -> Result<Plan, PlanError> {
        check::check(&parts)?;
        let id = PlanId(Sha256::digest(compact::write(&parts).as_bytes()).into());
        Ok(Plan { id, parts: Arc::new(parts) })
    }

    pub fn id(&self) -> PlanId {
        self.id
    }

    pub fn parts(&self) -> &PlanParts {
        &self.parts
    }

    pub fn name(&self) -> &str {
        &self.parts.name
    }

    pub fn categories(&self) -> &[Category] {
        &self.parts.categories
    }

    pub fn sections(&self) -> &[Section] {
        &self.parts.sections
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.parts.sections.iter().find(|section| section.name == name)
    }

    /// Of all sections.
    pub fn seats(&self) -> usize {
        self.parts.sections.iter().map(|section| section.seats.len()).sum()
    }

    /// Where everybody looks.
    pub fn focal_point(&self) -> Point {
        focal::point(&self.parts.areas, self.parts.size)
    }

    /// A seat as printed in the hall: `Parkett, row C, seat 12`. `None`: the plan has no such seat.
    pub fn label(&self, section: &str, number: u32) -> Option<String> {
        self.section(section)?.label_of(number)
    }
}

impl Section {
    /// Seats are numbered from 1.
    pub fn seat(&self, number: u32) -> Option<&Seat> {
        self.seats.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The run of a seat.
    pub fn run_of(&self, number: u32) -> Option<&Run> {
        self.seat(number)?;
        self.runs.get(self.runs.partition_point(|run| run.first <= number).checked_sub(1)?)
    }

    /// See [`Plan::label`].
    pub fn label_of(&self, number: u32) -> Option<String> {
        let row = &self.rows[self.run_of(number)?.row as usize];
        let named = |template: &Option<String>, word: &str, number: &str| match template {
            Some(template) => template.replace("%s", number),
            None if number.is_empty() => String::new(),
            None => format!("{word} {number}"),
        };
        let row_text = named(&row.label, "row", &row.number);
        let seat_text = named(&row.seat_label, "seat", &self.seat(number)?.number);
        let parts = [self.label.as_str(), &row_text, &seat_text];
        Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "))
    }

    /// Squared distance of a run's middle to a point, in hundredths: how good it is.
    pub fn distance_squared(&self, run: &Run, to: Point) -> i64 {
        let first = run.first as usize - 1;
        middle(self.seats[first..first + run.count as usize].iter().map(|seat| seat.at)).distance_squared(to)
    }
}

/// The mean of at least one point.
pub fn middle(points: impl Iterator<Item = Point>) -> Point {
    let (mut count, mut x, mut y) = (0, 0, 0);
    for point in points {
        count += 1;
        x += i64::from(point.x);
        y += i64::from(point.y);
    }
    let mean = |sum: i64| i32::try_from(sum.div_euclid(count.max(1))).unwrap_or(i32::MAX);
    Point { x: mean(x), y: mean(y) }
}
