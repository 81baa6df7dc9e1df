//! Opens the configured log and store, checks that they belong together, copies them, and deletes old rows and records;
//! says that the process is alive.

pub mod backends;
pub mod backup;
pub mod heartbeat;
pub mod identity;
pub mod retention;
