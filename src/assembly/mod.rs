//! Opens the configured log and store, checks that they belong together, copies them, and deletes old rows and records.

pub mod backends;
pub mod backup;
pub mod identity;
pub mod retention;
