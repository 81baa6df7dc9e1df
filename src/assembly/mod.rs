//! Opens the configured log and store, checks that they belong together, and deletes old rows and records.

pub mod backends;
pub mod identity;
pub mod retention;
