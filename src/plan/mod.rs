//! Seating plans: where seats are, what they are called, who sits beside whom. Read from a drawing, written as one.

mod assemble;
mod check;
mod compact;
pub mod demo;
mod draft;
mod draw;
mod extend;
mod finding;
mod focal;
mod format;
#[allow(clippy::module_inception, reason = "the type has the module's name")]
mod plan;
mod pretix;
mod schedule;
mod sheet;
#[cfg(test)]
mod tests;
mod text;
mod types;

pub use draw::draw;
pub use extend::{SeatCounts, extended, keeps};
pub use finding::{PlanError, Warning};
pub use format::{FILE_BYTES_MAX, Format, Read, read, write};
pub use plan::{Plan, PlanId};
pub use schedule::{SectionBody, sections};
pub use types::{
    Area, AreaText, Category, NumberPosition, PlanParts, Point, Row, Run, Seat, Section, Shape, Size, StartDirection,
    Tags, Zone,
};
