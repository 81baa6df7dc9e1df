//! The seating plans of pretix: read leniently, written strictly.
//!
//! Positions add up: zone, row, seat; zone, area. Written plans have them in the seats alone, and no `uuid`.

mod areas;
mod fields;
mod read;
mod write;

pub use read::read;
pub use write::write;
