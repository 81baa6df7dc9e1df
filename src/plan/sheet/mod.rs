//! Plans as CSV, for what is kept in a spreadsheet. A line is a seat; the first line names the columns.

mod columns;
mod grid;
mod read;
mod write;

pub use read::read;
pub use write::write;
