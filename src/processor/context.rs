//! What a worker works with.

use std::sync::Arc;
use std::time::Duration;

use super::capture::Capture;
use super::committer::Committer;
use super::reads::Reads;
use super::standing::Standings;
use crate::log::Log;
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::{OwnerStore, Remember};

#[derive(Clone)]
pub struct Deps {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn OwnerStore>,
    pub clock: Clock,
    pub health: Health,
}

/// Who publishes the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayMode {
    /// This worker's own relay.
    Worker,
    /// Change data capture by this replication slot; rows stay until it has confirmed them.
    External { slot: Arc<str> },
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this worker in the store's `owner` column and in the group.
    pub owner: String,
    /// Most records taken at once, so at most as many in one transaction.
    pub batch_records_max: usize,
    /// Most bytes of records taken at once.
    pub batch_bytes_max: usize,
    /// Rows of state (seats, wallets, tokens) one partition keeps in memory.
    pub cache_rows_max: usize,
    /// Outbox rows on their way to the log, a partition.
    pub relay_in_flight_max: usize,
    pub relay: RelayMode,
    /// How long a fenced or parked partition rests before it is acquired again, if it is still assigned.
    pub rest: Duration,
    /// How long requests count as seen: as the store has noted it at its first start. Operators may have changed it since,
    /// a partition at a time.
    pub remember: Remember,
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
            remember: Remember::DEFAULT,
        }
    }
}

/// How long a shutdown waits for batches under way; the process's own deadline lies above it.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// Shared by all partitions of a worker.
pub(super) struct Context {
    pub deps: Deps,
    pub settings: Settings,
    pub standings: Arc<Standings>,
    pub committer: Committer,
    pub reads: Reads,
    /// Of use where something else publishes the outbox.
    pub capture: Capture,
}
