//! How the store is configured.

use std::time::Duration;

/// Where the tables are and how many connections to them there may be.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://…`
    pub url: String,
    /// Holds the tables; a plain lower-case name.
    pub schema: String,
    /// Of this process, at least 2. A third of them serve the front door, the others the owners of partitions.
    pub connections_max: u32,
    /// Longest wait for a free connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// Longest time for one statement. A commit of the largest batch takes a few hundred milliseconds; an acquire
    /// waits for at most one commit of the owner before.
    pub statement_timeout: Duration,
}
