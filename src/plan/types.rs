//! What a seating plan is made of. Lengths are in the plan's unit (a pixel of the editor); positions are kept to a
//! hundredth of it, as integers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Most seats of a section; a larger zone is split.
pub const SECTION_SEATS_MAX: usize = 10_000;
pub const SECTIONS_MAX: usize = 200;
/// Most seats of a plan.
pub const SEATS_MAX: usize = 100_000;
pub const CATEGORIES_MAX: usize = 100;
/// Zones, and rows of a zone: what the ranks of pretix have digits for.
pub const ROWS_MAX: usize = 9_999;
pub const AREAS_MAX: usize = 10_000;
/// Most corners of one polygon.
pub const POINTS_MAX: usize = 10_000;
/// The radius of a seat that names none.
pub const RADIUS_DEFAULT: u16 = 10;
pub const RADIUS_MAX: u16 = 1_000;
/// Hundredths in a unit.
pub const HUNDREDTHS: i32 = 100;
/// Farthest position in either direction, in units.
pub const POSITION_MAX: i32 = 1_000_000;

/// In hundredths of a unit; y grows downward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "[i32; 2]", into = "[i32; 2]")]
pub struct Point {
    pub x: i32,
    pub y: i32,
}

impl From<[i32; 2]> for Point {
    fn from([x, y]: [i32; 2]) -> Self {
        Point { x, y }
    }
}

impl From<Point> for [i32; 2] {
    fn from(point: Point) -> Self {
        [point.x, point.y]
    }
}

impl Point {
    pub fn is_in_range(self) -> bool {
        let max = (POSITION_MAX * HUNDREDTHS).unsigned_abs();
        self.x.unsigned_abs() <= max && self.y.unsigned_abs() <= max
    }

    /// Squared, so that it stays an integer: at most 2 · (4 · 10^8)².
    pub fn distance_squared(self, other: Point) -> i64 {
        let (dx, dy) = (i64::from(self.x) - i64::from(other.x), i64::from(self.y) - i64::from(other.y));
        dx * dx + dy * dy
    }
}

/// Of the whole drawing, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

/// What prices are given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// A part of the hall as the drawing has it. A large zone makes several sections, one without seats none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the drawing's editor makes guids from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Where the number of a row is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberPosition {
    Start,
    End,
    Both,
}

/// A row or a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub number: String,
    /// Instead of `row C`; `%s` is the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Instead of `seat 12`; `%s` is the number of the seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_position: Option<NumberPosition>,
}

/// From where a row is booked in order; kept for the drawing's editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartDirection {
    #[serde(rename = "<")]
    Left,
    #[serde(rename = ">")]
    Right,
    #[serde(rename = "<>")]
    Both,
}

impl StartDirection {
    pub const ALL: [StartDirection; 3] = [StartDirection::Left, StartDirection::Right, StartDirection::Both];

    pub fn as_str(self) -> &'static str {
        match self {
            StartDirection::Left => "<",
            StartDirection::Right => ">",
            StartDirection::Both => "<>",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// What is printed on the chair; unlike the seat's place in its section, it may be any text.
    pub number: String,
    /// Unique in the plan, shown to nobody.
    pub guid: String,
    pub at: Point,
    /// Index into the plan's categories.
    pub category: u16,
    /// In units, 1..=[`RADIUS_MAX`]
    pub radius: u16,
    pub start_direction: Option<StartDirection>,
}

/// Neighbors: seats of one row without an aisle between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of its first seat in the section, from 1.
    pub first: u32,
    pub count: u32,
    /// Index of its row.
    pub row: u32,
    /// How many seats of the row come before it.
    pub at: u32,
}

/// Numbers of seats in their section.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub wheelchair: BTreeSet<u32>,
    /// Companion seat → its wheelchair place.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub companion: BTreeMap<u32, u32>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub restricted_view: BTreeSet<u32>,
    /// Beside an aisle.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub aisle: BTreeSet<u32>,
}

/// What is sold under one name; its seats have the numbers 1..n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Unique in the plan: NFC, visible, at most 64 characters.
    pub name: String,
    /// For people; the same for all sections of a zone that was split.
    pub label: String,
    /// Index of its zone.
    pub zone: u32,
    /// In the order of the drawing.
    pub rows: Vec<Row>,
    /// Best first; one after the other they hold all seats.
    pub runs: Vec<Run>,
    /// Seat 1 first.
    pub seats: Vec<Seat>,
    pub tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Corners, from the area's position.
    Polygon(Vec<Point>),
    /// Width and height in units; the position is its upper left corner.
    Rectangle(u32, u32),
    /// Both radii in hundredths; the position is its center.
    Ellipse(Point),
    /// Radius in units; the position is its center.
    Circle(u32),
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaText {
    pub text: String,
    /// From the area's position.
    pub at: Point,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Of the letters, in units; 16 if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
}

/// What is drawn beside seats: a stage, a table, a bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// Index of its zone.
    pub zone: u32,
    pub at: Point,
    pub shape: Shape,
    /// Clockwise around the position, in hundredths of a degree.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rotation: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<AreaText>,
}

fn is_zero(value: &i32) -> bool {
    *value == 0
}

/// A plan before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanParts {
    pub name: String,
    pub size: Size,
    pub categories: Vec<Category>,
    pub zones: Vec<Zone>,
    /// In the order of their zones.
    pub sections: Vec<Section>,
    pub areas: Vec<Area>,
}
