//! Bugs of an owner that look from outside like a store that lies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use turnstile::domain::queue::{Queue, Token};
use turnstile::domain::wallet::{self, PaymentAnswer, Wallet};
use turnstile::domain::{Changes, Lane, LanePartition, PaymentId, ScheduleId, UserId};
use turnstile::log::{Log, NewRecord};
use turnstile::store::{
    CommitBatch, Committed, OutboxRow, OwnerStore, Progress, RequestKey, RequestRow, Store, StoreError,
};
use turnstile::testing::{Layer, Layered};
use turnstile::wire;

use super::Mutant;

/// The store as the owners see it.
pub fn of_owners(mutant: Option<Mutant>, below: Arc<dyn Store>, log: Arc<dyn Log>) -> Arc<dyn OwnerStore> {
    match mutant {
        Some(mutant) => Arc::new(Layered(Owners { mutant, below, log, kept: Mutex::default() })),
        None => below,
    }
}

/// The store itself, below its faults.
pub fn itself(mutant: Option<Mutant>, below: Arc<dyn Store>) -> Arc<dyn Store> {
    match mutant {
        Some(Mutant::NoFence) => Arc::new(Layered(Unfenced(below))),
        _ => below,
    }
}

/// Commits each batch at the partition's current epoch and offset.
struct Unfenced(Arc<dyn Store>);

#[async_trait]
impl Layer for Unfenced {
    fn below(&self) -> &dyn Store {
        &*self.0
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let Some(now) = self.0.progress(batch.partition).await? else { return Ok(Committed::Fenced) };
        let before = Progress { epoch: now.epoch, next_offset: now.next_offset, ..batch.before };
        let after = Progress { epoch: now.epoch, ..batch.after };
        self.0.commit(&CommitBatch { before, after, ..batch.clone() }).await
    }
}

/// No changes of a lane.
fn nothing(lane: Lane) -> Changes {
    match lane {
        Lane::Seats => Changes::Seats(Vec::new()),
        Lane::Wallets => Changes::Wallets(Vec::new()),
        Lane::Queues => Changes::Queues(Vec::new()),
    }
}

fn wallet_rows(changes: &Changes) -> &[wallet::Row] {
    match changes {
        Changes::Wallets(rows) => rows,
        Changes::Seats(_) | Changes::Queues(_) => &[],
    }
}

struct Owners {
    mutant: Mutant,
    below: Arc<dyn Store>,
    log: Arc<dyn Log>,
    /// Batches that were fenced.
    kept: Mutex<Vec<CommitBatch>>,
}

impl Owners {
    fn kept(&self) -> MutexGuard<'_, Vec<CommitBatch>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch as this owner commits it.
    async fn prepared(&self, batch: &CommitBatch) -> Result<CommitBatch, StoreError> {
        let mut batch = batch.clone();
        match self.mutant {
            Mutant::CompletionForgotten => batch.completions.clear(),
            Mutant::DeadLetterDropped => batch.dead_letters.clear(),
            Mutant::PublishedBeforeCommit => self.publish(&batch.outbox),
            Mutant::OffsetFirst => {
                let offset = CommitBatch {
                    changes: nothing(batch.partition.lane),
                    requests: Vec::new(),
                    completions: Vec::new(),
                    outbox: Vec::new(),
                    dead_letters: Vec::new(),
                    ..batch.clone()
                };
                if self.below.commit(&offset).await? == Committed::Done {
                    batch.before.next_offset = batch.after.next_offset;
                }
            }
            _ => {}
        }
        Ok(batch)
    }

    fn publish(&self, rows: &[OutboxRow]) {
        for row in rows {
            let partition = wire::routing::partition_for(&row.key, self.log.partitions().of(row.topic));
            let (key, value) = (row.key.clone().into(), row.payload.clone().into());
            drop(self.log.append(row.topic, partition, NewRecord { key, value, headers: row.headers.clone() }));
        }
    }

    /// Commits the same again on top of the current progress.
    async fn commit_again(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let Some(progress) = self.below.progress(batch.partition).await? else { return Ok(Committed::Fenced) };
        let before = Progress { next_offset: progress.next_offset, ..batch.before };
        let again = CommitBatch { before, requests: Vec::new(), ..batch.clone() };
        self.below.commit(&again).await
    }
}

#[async_trait]
impl Layer for Owners {
    fn below(&self) -> &dyn Store {
        &*self.below
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let batch = self.prepared(batch).await?;
        let answer = self.below.commit(&batch).await;
        match (self.mutant, &answer) {
            (Mutant::FencedIsDone, Ok(Committed::Fenced)) | (Mutant::UnknownIsDone, Err(StoreError::Unknown(_))) => {
                return Ok(Committed::Done);
            }
            (Mutant::UnknownIsRepeated, Err(StoreError::Unknown(_))) => return self.commit_again(&batch).await,
            (Mutant::MemoryKept, Ok(Committed::Fenced)) => self.kept().push(batch),
            // If it fails, the relay deletes them later.
            (Mutant::DeletedEarly, Ok(Committed::Done)) => {
                drop(self.below.delete_outbox(batch.partition, 0..batch.after.next_outbox_seq).await);
            }
            _ => {}
        }
        answer
    }

    async fn load_requests(
        &self,
        partition: LanePartition,
        keys: &[RequestKey],
    ) -> Result<Vec<RequestRow>, StoreError> {
        if self.mutant == Mutant::DedupInMemoryOnly {
            return Ok(Vec::new());
        }
        let mut rows = self.below.load_requests(partition, keys).await?;
        for batch in self.kept().iter().filter(|batch| batch.partition == partition) {
            let unknown = |row: &&RequestRow| rows.iter().all(|known| known.key != row.key);
            let wanted = batch.requests.iter().filter(|row| keys.contains(&row.key)).filter(unknown);
            let wanted: Vec<RequestRow> = wanted.cloned().collect();
            rows.extend(wanted);
        }
        Ok(rows)
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        let mut wallets = self.below.load_wallets(users).await?;
        for row in self.kept().iter().flat_map(|batch| wallet_rows(&batch.changes)) {
            if let wallet::Row::Wallet(kept) = row
                && users.contains(&kept.user_id)
            {
                wallets.retain(|wallet| wallet.user_id != kept.user_id);
                wallets.push(kept.clone());
            }
        }
        Ok(wallets)
    }

    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>, StoreError> {
        match self.mutant {
            Mutant::AnswerForgotten => Ok(Vec::new()),
            _ => self.below.load_answers(payments).await,
        }
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        let mut loaded = self.below.load_queue(schedule).await?;
        if self.mutant == Mutant::PlaceReused
            && let Some((row, live)) = &mut loaded
        {
            row.next_sequence = live.iter().map(|token| token.sequence + 1).max().unwrap_or(1);
        }
        Ok(loaded)
    }

    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        match self.mutant {
            Mutant::LeftoversForgotten => Ok(Vec::new()),
            _ => self.below.outbox(partition, from, limit).await,
        }
    }
}
