//! What became of partitions, for endpoints of webhooks: no outcome says it, since a partition that stands still decides
//! nothing. The notifier that leads writes it.

use crate::domain::texts::texts;
use crate::domain::{LanePartition, LogTime};

texts! {
    pub enum PartitionChange ("a change of a partition") {
        /// Something stops it; all others go on.
        Parked = "parked",
        /// What was parked goes on.
        Recovered = "recovered",
    }
}

/// One change of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEvent {
    pub partition: LanePartition,
    /// Counts the changes of this partition from 1. Two notifiers that see the same change give it the same number, and
    /// one of them is refused.
    pub number: u64,
    pub change: PartitionChange,
    /// Everything before is decided.
    pub next_offset: u64,
    /// Who owned it.
    pub owner: String,
    /// Why it was parked.
    pub reason: String,
    /// By the clock of the notifier.
    pub at: LogTime,
}

/// Older ones are deleted, but for the newest of each partition: it says how the partition stood last.
pub const PARTITION_EVENTS_KEPT: u32 = 1_000;
