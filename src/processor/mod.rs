//! The owner's side: takes a partition's commands one after another, decides them, commits, publishes.
//!
//! ```text
//! assignment ── who owns what ──> partition (the loop) ── batch: decode, prefetch, decide ──> commit ──> relay
//!                                     ▲                      memory: aggregates               (fence)
//!                                     └── timers: append what is due, never decide
//! ```

mod assignment;
mod batch;
mod commit;
mod memory;
mod outbox;
mod partition;
mod relay;
mod replay;
mod timers;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::log::Log;
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::Store;

pub use replay::Replay;

/// What a worker works with.
#[derive(Clone)]
pub struct Deps {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub health: Health,
}

/// Who publishes the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayMode {
    /// This worker's own relay.
    Worker,
    /// Change data capture from the outbox table; rows stay until their retention is over.
    External,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this worker in the store's `owner` column and in the group.
    pub owner: String,
    /// Most records in one batch, so in one transaction.
    pub batch_records_max: usize,
    /// Most bytes of records in one batch.
    pub batch_bytes_max: usize,
    /// Rows of state (seats, wallets, tokens) one partition keeps in memory.
    pub cache_rows_max: usize,
    /// Outbox rows on their way to the log, a partition.
    pub relay_in_flight_max: usize,
    pub relay: RelayMode,
    /// How long a fenced or parked partition rests before it is acquired again, if it is still assigned.
    pub rest: Duration,
    /// How far a producer's own timestamp may lie from this clock before it is clamped.
    pub timestamp_tolerance_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            owner: format!("worker-{}", uuid::Uuid::new_v4().simple()),
            batch_records_max: 2_000,
            batch_bytes_max: 4 << 20,
            cache_rows_max: 300_000,
            relay_in_flight_max: 2_000,
            relay: RelayMode::Worker,
            rest: Duration::from_secs(6),
            timestamp_tolerance_ms: 60_000,
        }
    }
}

/// Runs a worker until `shutdown`, then lets its partitions go and leaves the group.
///
/// # Errors
/// When the group cannot be joined or the membership ends for good.
pub async fn run(deps: Deps, settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    assignment::run(Arc::new(Context { deps, settings }), shutdown).await
}

/// Shared by all partitions of a worker.
pub(crate) struct Context {
    deps: Deps,
    settings: Settings,
}
