//! A partition decided again from its first record, by the owner's own steps, over nothing: what the audit compares.

use super::batch::{self, TimeBounds};
use super::memory::Memory;
use crate::domain::LogTime;
use crate::log::{LanePartition, PartitionCounts, Record};
use crate::store::memory::MemoryStore;
use crate::store::{CommitBatch, Progress, StoreError};

/// Replays one partition. It keeps all its aggregates and all request ids in memory, about 60 bytes a request besides
/// the state itself, so that it needs no store.
pub struct Replay {
    partition: LanePartition,
    counts: PartitionCounts,
    memory: Memory,
    progress: Progress,
    /// Where the owner would look for what its memory does not have: nothing was ever stored.
    nothing: MemoryStore,
}

impl Replay {
    pub fn new(partition: LanePartition, counts: &PartitionCounts) -> Self {
        let progress = Progress { epoch: 0, next_offset: 0, last_time: LogTime(0), next_outbox_seq: 0, state_hash: 0 };
        let memory = Memory::new(partition, usize::MAX);
        Replay { partition, counts: counts.clone(), memory, progress, nothing: MemoryStore::new() }
    }

    /// Decides the next records; what comes back is what an owner would have committed. Where the log does not stamp
    /// records, the caller puts the times that were used in.
    ///
    /// # Errors
    /// None in practice: an empty store in memory always answers.
    pub async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError> {
        let decoded = batch::decode(records, self.partition, &self.counts);
        let number = self.memory.begin();
        self.memory.prefetch(&self.nothing, &decoded.commands()).await?;
        let bounds = TimeBounds { now: LogTime(0), tolerance_ms: 0 };
        Ok(batch::decide(decoded, &mut self.memory, &mut self.progress, self.partition, bounds, number).commit)
    }

    /// How far it has come, and the state hash there.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}
