//! Bugs of an owner that look from outside like a store that lies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use turnstile::domain::queue::{Queue, Token};
use turnstile::domain::wallet::{self, PaymentAnswer, Wallet};
use turnstile::domain::{Changes, Lane, LanePartition, PaymentId, ScheduleId, UserId};
use turnstile::log::{Log, NewRecord};
use turnstile::store::{
    CommitBatch, CommitGroup, Committed, OutboxRow, OwnerStore, Progress, Published, RequestKey, RequestRow, Store,
    StoreError,
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

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        let mut group = group.clone();
        for batch in &mut group.batches {
            let now = self.0.progress(batch.partition).await?.unwrap_or(batch.before);
            batch.before = Progress { epoch: now.epoch, next_offset: now.next_offset, ..batch.before };
            batch.after.epoch = now.epoch;
        }
        self.0.commit_group(&group).await
    }
}

/// No changes of a lane.
fn nothing(lane: Lane) -> Changes {
    match lane {
        Lane::Seats => Changes::Seats(Vec::new()),
        Lane::Wallets => Changes::Wallets(Vec::new()),
        Lane::Queues => Changes::Queues(Vec::new()),
        Lane::Inbox => Changes::Inbox,
    }
}

fn wallet_rows(changes: &Changes) -> &[wallet::Row] {
    match changes {
        Changes::Wallets(rows) => rows,
        Changes::Seats(_) | Changes::Queues(_) | Changes::Inbox => &[],
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

    /// The group as these owners commit it.
    async fn prepared(&self, group: &CommitGroup) -> Result<CommitGroup, StoreError> {
        let mut group = group.clone();
        for batch in &mut group.batches {
            self.prepare(batch).await?;
        }
        if self.mutant == Mutant::PublishedEarly {
            let published = |batch: &CommitBatch| Published {
                partition: batch.partition,
                epoch: batch.before.epoch,
                seqs: 0..batch.before.next_outbox_seq,
            };
            group.published = group.batches.iter().map(published).collect();
        }
        Ok(group)
    }

    /// Everything but the progress.
    async fn write_all_the_same(&self, mut batch: CommitBatch) {
        if let Ok(Some(now)) = self.below.progress(batch.partition).await {
            (batch.before, batch.after) = (now, now);
            // It may be refused as a repeat.
            drop(self.below.commit(&batch).await);
        }
    }

    async fn prepare(&self, batch: &mut CommitBatch) -> Result<(), StoreError> {
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
                    interventions: Vec::new(),
                    ..batch.clone()
                };
                if self.below.commit(&offset).await? == Committed::Done {
                    batch.before.next_offset = batch.after.next_offset;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn publish(&self, rows: &[OutboxRow]) {
        for row in rows {
            let partition = wire::routing::partition_for(&row.key, self.log.partitions().of(row.topic));
            let (key, value) = (row.key.clone().into(), row.payload.clone());
            drop(self.log.append(row.topic, partition, NewRecord { key, value, headers: row.headers.clone() }));
        }
    }

    /// Commits the same again on top of the current progress.
    async fn commit_again(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        let mut again = group.clone();
        for batch in &mut again.batches {
            let progress = self.below.progress(batch.partition).await?.unwrap_or(batch.before);
            batch.before.next_offset = progress.next_offset;
            batch.requests.clear();
            batch.completions.clear();
        }
        self.below.commit_group(&again).await
    }
}

#[async_trait]
impl Layer for Owners {
    fn below(&self) -> &dyn Store {
        &*self.below
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        let group = self.prepared(group).await?;
        let mut committed = match (self.mutant, self.below.commit_group(&group).await) {
            (Mutant::UnknownIsDone, Err(StoreError::Unknown(_))) => vec![Committed::Done; group.batches.len()],
            (Mutant::UnknownIsFenced, Err(StoreError::Unknown(_))) => vec![Committed::Fenced; group.batches.len()],
            (Mutant::UnknownIsRepeated, Err(StoreError::Unknown(_))) => return self.commit_again(&group).await,
            (_, answer) => answer?,
        };
        match self.mutant {
            Mutant::ResultOfAnother => committed.reverse(),
            Mutant::FencedTakesOthers if committed.contains(&Committed::Fenced) => committed.fill(Committed::Fenced),
            _ => {}
        }
        for (batch, committed) in group.batches.into_iter().zip(&mut committed) {
            match (self.mutant, &committed) {
                (Mutant::FencedIsDone, Committed::Fenced) => *committed = Committed::Done,
                (Mutant::MemoryKept, Committed::Fenced) => self.kept().push(batch),
                (Mutant::FenceNotJoined, Committed::Fenced) => self.write_all_the_same(batch).await,
                // If it fails, the relay deletes them later.
                (Mutant::DeletedEarly, Committed::Done) => {
                    let (partition, epoch, seqs) = (batch.partition, batch.after.epoch, 0..batch.after.next_outbox_seq);
                    let published = vec![Published { partition, epoch, seqs }];
                    drop(self.below.commit_group(&CommitGroup { batches: Vec::new(), published }).await);
                }
                _ => {}
            }
        }
        Ok(committed)
    }

    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>, StoreError> {
        if self.mutant == Mutant::DedupInMemoryOnly {
            return Ok(Vec::new());
        }
        let mut rows = self.below.load_requests_of(keys).await?;
        for row in self.kept().iter().flat_map(|batch| &batch.requests) {
            let key = (row.position.partition, row.key);
            if keys.contains(&key) && rows.iter().all(|known| (known.position.partition, known.key) != key) {
                rows.push(row.clone());
            }
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
