//! A partition decided again from its first record, by the owner's own steps, over nothing: what the audit compares.

use async_trait::async_trait;

use super::batch::{self, TimeBounds};
use super::memory::Memory;
use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Reservation, Section};
use crate::domain::wallet::Wallet;
use crate::domain::{LogTime, RequestId, ReservationId, ScheduleId, SectionName, UserId};
use crate::log::{LanePartition, PartitionCounts, Record};
use crate::store::{AggregateLoads, CommitBatch, Progress, RequestRow, StoreError};

/// Replays one partition. It keeps all its aggregates and all request ids in memory, about 60 bytes a request besides
/// the state itself, so that it needs no store.
pub struct Replay {
    partition: LanePartition,
    counts: PartitionCounts,
    memory: Memory,
    progress: Progress,
}

impl Replay {
    pub fn new(partition: LanePartition, counts: &PartitionCounts) -> Self {
        let progress = Progress { epoch: 0, next_offset: 0, last_time: LogTime(0), next_outbox_seq: 0, state_hash: 0 };
        let memory = Memory::new(partition, usize::MAX);
        Replay { partition, counts: counts.clone(), memory, progress }
    }

    /// Decides the next records; what comes back is what an owner would have committed. Where the log does not stamp
    /// records, the caller puts the times that were used in.
    ///
    /// # Errors
    /// None: what was never stored can always be read.
    pub async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError> {
        let decoded = batch::decode(records, self.partition, &self.counts);
        let number = self.memory.begin();
        self.memory.prefetch(&Nothing, &decoded.commands()).await?;
        let bounds = TimeBounds { now: LogTime(0), tolerance_ms: 0 };
        Ok(batch::decide(decoded, &mut self.memory, &mut self.progress, self.partition, bounds, number).commit)
    }

    /// How far it has come, and the state hash there.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// Where a replay looks for what its memory does not have: nothing was ever stored.
struct Nothing;

#[async_trait]
impl AggregateLoads for Nothing {
    async fn load_sections(&self, _: &[(ScheduleId, SectionName)]) -> Result<Vec<Section>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_reservations(&self, _: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_wallets(&self, _: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_queue(&self, _: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        Ok(None)
    }

    async fn load_requests(&self, _: LanePartition, _: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        Ok(Vec::new())
    }
}
