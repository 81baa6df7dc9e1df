//! Every request as it was decided, also those that the store has replaced or forgotten since, for the checks at the end.
//! And whether it forgets too early.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use turnstile::domain::{LanePartition, LogTime, Position};
use turnstile::log::{Log, Topic};
use turnstile::store::{
    CommitBatch, CommitGroup, Committed, RequestKey, RequestRow, RequestState, Store, StoreError, lane_partitions,
};
use turnstile::testing::{Call, Layer};

use crate::cluster::{REMEMBER, lock};
use crate::log::SimLog;
use crate::sim::Sim;

type Result<T> = std::result::Result<T, StoreError>;

/// How far a partition must have come before anything may be forgotten.
#[derive(Clone, Copy, Default)]
struct Due {
    offset: u64,
    outbox_seq: u64,
}

#[derive(Default)]
struct Kept {
    rows: BTreeMap<Position, RequestRow>,
    latest: BTreeMap<(RequestKey, LanePartition), Position>,
    due: BTreeMap<LanePartition, Due>,
}

/// A layer over the store itself, under its faults.
pub struct Archive {
    sim: Arc<Sim>,
    log: Arc<SimLog>,
    below: Arc<dyn Store>,
    kept: Mutex<Kept>,
}

impl Archive {
    pub fn new(sim: &Arc<Sim>, log: &Arc<SimLog>, below: Arc<dyn Store>) -> Arc<Archive> {
        Arc::new(Archive { sim: Arc::clone(sim), log: Arc::clone(log), below, kept: Mutex::default() })
    }

    pub fn requests(&self) -> Vec<RequestRow> {
        lock(&self.kept).rows.values().cloned().collect()
    }

    /// The store is an older copy: all partitions have to go where they were.
    pub fn restored(&self) {
        let kept = &mut *lock(&self.kept);
        for partition in lane_partitions(self.log.partitions()) {
            kept.due.entry(partition).or_default().offset = self.end(partition);
        }
    }

    fn end(&self, of: LanePartition) -> u64 {
        self.log.end(Topic::Lane(of.lane), of.partition)
    }

    /// What is decided again must be decided as before.
    fn keep(&self, batch: &CommitBatch) {
        let kept = &mut *lock(&self.kept);
        for row in &batch.requests {
            kept.latest.insert((row.key, batch.partition), row.position);
            let known = kept.rows.entry(row.position).or_insert_with(|| row.clone());
            let pending = RequestRow { state: RequestState::Pending, ..known.clone() };
            if *known != *row && pending != *row {
                self.sim.broke(|| format!("decided again and otherwise: {row:?}, before {known:?}"));
            }
        }
        for completion in &batch.completions {
            let key = RequestKey { id: completion.request_id, internal: false };
            let at = kept.latest.get(&(key, batch.partition));
            let Some(row) = at.and_then(|at| kept.rows.get_mut(at)) else { continue };
            let decided = RequestState::Decided(completion.decided.clone());
            match &row.state {
                RequestState::Pending => row.state = decided,
                before if *before == decided => {}
                before => {
                    self.sim.broke(|| format!("completed again and otherwise: {completion:?}, before {before:?}"))
                }
            }
        }
    }

    /// Whether everything is decided and published that may lead to a repeat.
    async fn may_forget(&self, of: LanePartition, before: LogTime) -> Result<std::result::Result<(), String>> {
        for partition in lane_partitions(self.log.partitions()) {
            let due = lock(&self.kept).due.get(&partition).copied();
            // Before the progress: what it has to publish grows with that.
            let pending = self.below.progress_views().await?.into_iter().find(|view| view.partition == partition);
            let pending = pending.map_or(0, |view| view.outbox_pending);
            let progress = self.below.progress(partition).await?;
            let (Some(due), Some(progress)) = (due, progress) else {
                return Ok(Err(format!("{partition} is nobody's")));
            };
            if progress.next_offset < due.offset {
                return Ok(Err(format!("{partition} has to go to {} again", due.offset)));
            }
            if progress.next_outbox_seq - pending < due.outbox_seq {
                return Ok(Err(format!("{partition} has rows to publish")));
            }
            let acts = self.below.interventions(partition, progress.next_offset).await?;
            if partition == of && before > REMEMBER.after(&acts).since(progress.last_time) {
                return Ok(Err(format!("at {:?} of {of} it still counts", progress.last_time)));
            }
        }
        Ok(Ok(()))
    }
}

/// The store with its archive.
pub struct Archived(pub Arc<Archive>);

#[async_trait]
impl Layer for Archived {
    fn below(&self) -> &dyn Store {
        &*self.0.below
    }

    async fn pass<'a, T: Send>(&'a self, call: Call, answer: BoxFuture<'a, Result<T>>) -> Result<T> {
        let answered = answer.await?;
        if let Call::Acquire(of) = call {
            let outbox_seq = self.0.below.progress(of).await?.map_or(0, |progress| progress.next_outbox_seq);
            // What was appended since others acquired it was never decided.
            let end = Due { offset: self.0.end(of), outbox_seq };
            lock(&self.0.kept).due.entry(of).or_insert(end).outbox_seq = outbox_seq;
        }
        Ok(answered)
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>> {
        // To its end even if the caller is killed meanwhile: the store commits all the same.
        let (archive, group) = (Arc::clone(&self.0), group.clone());
        let committing = tokio::spawn(async move {
            let committed = archive.below.commit_group(&group).await?;
            let done = group.batches.iter().zip(&committed).filter(|(_, committed)| **committed == Committed::Done);
            done.for_each(|(batch, _)| archive.keep(batch));
            Ok(committed)
        });
        committing.await.map_err(|error| StoreError::Unknown(error.to_string()))?
    }

    async fn forget_requests(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64> {
        let may = self.0.may_forget(of, before).await?;
        let forgotten = self.0.below.forget_requests(of, before, limit).await?;
        if let (Err(why), 1..) = (may, forgotten) {
            self.0.sim.broke(|| format!("{forgotten} requests of {of} were forgotten too early: {why}"));
        }
        self.0.sim.note("forgotten", [of.lane as u64, of.partition.into(), forgotten]);
        Ok(forgotten)
    }
}
