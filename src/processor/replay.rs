//! A partition decided again from its first record, by the owner's own steps, over nothing: what the audit compares.

use async_trait::async_trait;
use uuid::Uuid;

use super::decider::{Decider, Limits};
use super::inbox::Inbox;
use super::interventions::Interventions;
use super::lanes::LaneAggregate;
use crate::domain::block::{self, Block, Payment, Reservation};
use crate::domain::queue::{Queue, QueueState, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet, WalletState};
use crate::domain::{BlockKey, Lane, LanePartition, LogTime, PaymentId, ReservationId, ScheduleId, UserId};
use crate::log::{PartitionCounts, Record};
use crate::store::remember;
use crate::store::{AggregateLoads, CommitBatch, Intervention, Progress, Remember, RequestKey, RequestRow, StoreError};

/// Replays one partition. It keeps all its aggregates, with all that they remember, and all request ids in memory, about
/// 60 bytes a request besides the rows themselves, so that it needs no store.
pub struct Replay(Box<dyn Decides>);

impl Replay {
    /// `acts`: what operators did and owners applied.
    pub fn new(
        partition: LanePartition,
        counts: &PartitionCounts,
        remember: Remember,
        acts: Vec<Intervention>,
    ) -> Self {
        Replay(match partition.lane {
            Lane::Seats => decider::<Block>(partition, counts, remember, acts),
            Lane::Wallets => decider::<WalletState>(partition, counts, remember, acts),
            Lane::Queues => decider::<QueueState>(partition, counts, remember, acts),
            Lane::Inbox => decider::<Inbox>(partition, counts, remember, acts),
        })
    }

    /// Decides the next records; what comes back is what an owner would have committed, as one batch.
    ///
    /// # Errors
    /// A record has no log time.
    pub async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError> {
        self.0.decide(records).await
    }

    /// How far it has come, and the state hash there.
    pub fn progress(&self) -> &Progress {
        self.0.progress()
    }

    /// How long requests count as seen from there on.
    pub fn remember(&mut self) -> Remember {
        self.0.remember()
    }
}

fn decider<A: LaneAggregate>(
    partition: LanePartition,
    counts: &PartitionCounts,
    remember: Remember,
    acts: Vec<Intervention>,
) -> Box<dyn Decides> {
    let limits = Limits { cache_rows_max: usize::MAX, changed_rows_max: usize::MAX };
    let mut decider = Decider::<A>::new(partition, counts, limits, Progress::NONE, remember);
    decider.requests().change(remember::changes(&acts).into_iter().map(|(began, ms)| (began.offset, ms)));
    *decider.interventions() = Interventions::new(acts, 0, None);
    Box::new(decider)
}

/// No record lies ahead of this clock.
const NOW: LogTime = LogTime(i64::MAX);

/// A [`Decider`] of any lane.
#[async_trait]
trait Decides: Send + Sync {
    async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError>;

    fn progress(&self) -> &Progress;

    fn remember(&mut self) -> Remember;
}

#[async_trait]
impl<A: LaneAggregate> Decides for Decider<A> {
    async fn decide(&mut self, records: Vec<Record>) -> Result<CommitBatch, StoreError> {
        self.put(records, NOW);
        if let Some((_, Err(reason))) = self.waits(NOW) {
            return Err(StoreError::Failed(reason));
        }
        let decoded = self.take_rest().ok_or_else(|| StoreError::Failed("nothing to decide".into()))?;
        self.prefetch(&Nothing, &decoded, false).await?;
        // Never committed: it forgets nothing.
        let decided = Decider::decide(self, decoded, NOW).commit;
        match self.waits(NOW) {
            Some((_, Err(reason))) => Err(StoreError::Failed(reason)),
            _ => Ok(decided),
        }
    }

    fn progress(&self) -> &Progress {
        Decider::progress(self)
    }

    fn remember(&mut self) -> Remember {
        let Progress { next_offset, last_time, .. } = *Decider::progress(self);
        self.requests().come_to(next_offset, last_time);
        self.requests().remember()
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

    async fn load_requests_of(&self, _: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>, StoreError> {
        Ok(Vec::new())
    }
}
