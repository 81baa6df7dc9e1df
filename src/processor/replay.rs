//! A partition decided again from its first record, by the owner's own steps, over nothing: what the audit compares.

use async_trait::async_trait;
use uuid::Uuid;

use super::batch::TimeBounds;
use super::decider::{Decider, Limits};
use super::inbox::Inbox;
use super::lanes::LaneAggregate;
use crate::domain::block::{self, Block, Payment, Reservation};
use crate::domain::queue::{Queue, QueueState, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet, WalletState};
use crate::domain::{BlockKey, Lane, LanePartition, LogTime, PaymentId, ReservationId, ScheduleId, UserId};
use crate::log::{PartitionCounts, Record};
use crate::store::{AggregateLoads, CommitBatch, Progress, Remember, RequestKey, RequestRow, StoreError};

/// Replays one partition. It keeps all its aggregates, with all that they remember, and all request ids in memory, about
/// 60 bytes a request besides the rows themselves, so that it needs no store.
pub struct Replay(Box<dyn Decides>);

impl Replay {
    pub fn new(partition: LanePartition, counts: &PartitionCounts, remember: Remember) -> Self {
        Replay(match partition.lane {
            Lane::Seats => decider::<Block>(partition, counts, remember),
            Lane::Wallets => decider::<WalletState>(partition, counts, remember),
            Lane::Queues => decider::<QueueState>(partition, counts, remember),
            Lane::Inbox => decider::<Inbox>(partition, counts, remember),
        })
    }

    /// Decides the next records; what comes back is what an owner would have committed, as one batch. Where the log does
    /// not stamp records, the caller puts the times that were used in.
    ///
    /// # Errors
    /// None: what was never stored can always be read.
    pub async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError> {
        self.0.decide(records).await
    }

    /// How far it has come, and the state hash there.
    pub fn progress(&self) -> &Progress {
        self.0.progress()
    }
}

fn decider<A: LaneAggregate>(
    partition: LanePartition,
    counts: &PartitionCounts,
    remember: Remember,
) -> Box<dyn Decides> {
    let limits = Limits { cache_rows_max: usize::MAX, changed_rows_max: usize::MAX };
    Box::new(Decider::<A>::new(partition, counts, limits, Progress::NONE, remember))
}

/// A [`Decider`] of any lane.
#[async_trait]
trait Decides: Send + Sync {
    async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError>;

    fn progress(&self) -> &Progress;
}

#[async_trait]
impl<A: LaneAggregate> Decides for Decider<A> {
    async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError> {
        let decoded = self.decode(records);
        self.prefetch(&Nothing, &decoded).await?;
        let bounds = TimeBounds { now: LogTime(0), tolerance_ms: 0 };
        // Never committed: it forgets nothing.
        Ok(Decider::decide(self, decoded, bounds).commit)
    }

    fn progress(&self) -> &Progress {
        Decider::progress(self)
    }
}

/// Where a replay looks for what its memory does not have: nothing was ever stored.
struct Nothing;

#[async_trait]
impl AggregateLoads for Nothing {
    async fn load_blocks(&self, _: &[BlockKey]) -> Result<Vec<block::Rows>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_reservations(&self, _: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_payments(&self, _: &[PaymentId]) -> Result<Vec<Payment>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_wallets(&self, _: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_answers(&self, _: &[PaymentId]) -> Result<Vec<PaymentAnswer>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_entries(&self, _: &[(EntryKind, Uuid)]) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    async fn load_queue(&self, _: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        Ok(None)
    }

    async fn load_requests(&self, _: LanePartition, _: &[RequestKey]) -> Result<Vec<RequestRow>, StoreError> {
        Ok(Vec::new())
    }
}
