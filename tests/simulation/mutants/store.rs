//! Bugs of an owner that look from outside like a store that lies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use turnstile::domain::queue::{Queue, Token};
use turnstile::domain::wallet::Wallet;
use turnstile::domain::{Change, RequestId, ScheduleId, UserId};
use turnstile::log::{LanePartition, Log, NewRecord};
use turnstile::store::{CommitBatch, Committed, OutboxRow, RequestRow, Store, StoreError};
use turnstile::testing::{Layer, Layered};
use turnstile::wire;

use super::Mutant;

/// The store as the owners see it.
pub fn of_owners(mutant: Option<Mutant>, below: Arc<dyn Store>, log: Arc<dyn Log>) -> Arc<dyn Store> {
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

/// Moves each batch to wherever the partition is by now.
struct Unfenced(Arc<dyn Store>);

#[async_trait]
impl Layer for Unfenced {
    fn below(&self) -> &dyn Store {
        &*self.0
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let Some(now) = self.0.progress(batch.partition).await? else { return Ok(Committed::Fenced) };
        self.0.commit(&CommitBatch { epoch: now.epoch, from_offset: now.next_offset, ..batch.clone() }).await
    }
}

struct Owners {
    mutant: Mutant,
    below: Arc<dyn Store>,
    log: Arc<dyn Log>,
    /// What fenced batches would have written.
    kept: Mutex<Vec<CommitBatch>>,
}

impl Owners {
    fn kept(&self) -> MutexGuard<'_, Vec<CommitBatch>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch as this owner means it to be committed.
    async fn prepared(&self, batch: &CommitBatch) -> Result<CommitBatch, StoreError> {
        let mut batch = batch.clone();
        match self.mutant {
            Mutant::CompletionForgotten => batch.completions.clear(),
            Mutant::DeadLetterDropped => batch.dead_letters.clear(),
            Mutant::PublishedBeforeCommit => self.publish(&batch.outbox),
            Mutant::OffsetFirst => {
                let offset = CommitBatch {
                    changes: Vec::new(),
                    requests: Vec::new(),
                    completions: Vec::new(),
                    outbox: Vec::new(),
                    dead_letters: Vec::new(),
                    ..batch.clone()
                };
                if self.below.commit(&offset).await? == Committed::Done {
                    batch.from_offset = batch.next_offset;
                }
            }
            _ => {}
        }
        Ok(batch)
    }

    fn publish(&self, rows: &[OutboxRow]) {
        for row in rows {
            let partition = wire::partition_for(&row.key, self.log.partitions().of(row.topic));
            let (key, value) = (row.key.clone().into(), row.payload.clone().into());
            drop(self.log.append(row.topic, partition, NewRecord { key, value, headers: row.headers.clone() }));
        }
    }

    /// The same once more, on top of whatever is there.
    async fn commit_again(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let Some(progress) = self.below.progress(batch.partition).await? else { return Ok(Committed::Fenced) };
        let again = CommitBatch { from_offset: progress.next_offset, requests: Vec::new(), ..batch.clone() };
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
            // Whether it works does not matter: it will be deleted again.
            (Mutant::DeletedEarly, Ok(Committed::Done)) => {
                drop(self.below.delete_outbox(batch.partition, batch.next_outbox_seq).await);
            }
            _ => {}
        }
        answer
    }

    async fn load_requests(&self, partition: LanePartition, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        if self.mutant == Mutant::DedupInMemoryOnly {
            return Ok(Vec::new());
        }
        let mut rows = self.below.load_requests(partition, ids).await?;
        for batch in self.kept().iter().filter(|batch| batch.partition == partition) {
            let unknown = |row: &&RequestRow| rows.iter().all(|known| known.request_id != row.request_id);
            let wanted = batch.requests.iter().filter(|row| ids.contains(&row.request_id)).filter(unknown);
            let wanted: Vec<RequestRow> = wanted.cloned().collect();
            rows.extend(wanted);
        }
        Ok(rows)
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        let mut wallets = self.below.load_wallets(users).await?;
        for change in self.kept().iter().flat_map(|batch| &batch.changes) {
            if let Change::Wallet(kept) = change
                && users.contains(&kept.user_id)
            {
                wallets.retain(|wallet| wallet.user_id != kept.user_id);
                wallets.push(kept.clone());
            }
        }
        Ok(wallets)
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
