//! Commits one batch, however long the store is away, and finds out what happened when nobody can say.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::store::{CommitBatch, Committed, Ownership, StoreError};
use crate::telemetry::metrics::{BATCH_RECORDS, COMMIT_SECONDS, COMMITS_FENCED};

/// Why a batch is not committed and never will be by this owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Fenced,
    NotTaken { timed_out: bool, reason: String },
    Failed(String),
}

/// Waits between attempts while the store is away: 50 ms, doubling, at most 1 s.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub fn new() -> Self {
        Backoff(Duration::from_millis(50))
    }

    /// How long to wait now.
    pub fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(Duration::from_secs(1));
        wait
    }

    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

/// Commits the batch and hands it back, so that its outbox rows can be published. The caller may be dropped at any
/// await: the next owner then finds the batch committed or not, and both are right.
pub(super) async fn commit(store: Arc<dyn Ownership>, batch: CommitBatch) -> Result<CommitBatch, Stopped> {
    let lane = batch.partition.lane.as_str();
    let mut backoff = Backoff::new();
    let mut away = false;
    loop {
        let timer = COMMIT_SECONDS.with_label_values(&[lane]).start_timer();
        let result = store.commit(&batch).await;
        timer.observe_duration();
        match result {
            Ok(Committed::Done) => {
                let records = batch.after.next_offset - batch.before.next_offset;
                BATCH_RECORDS.with_label_values(&[lane]).observe(records as f64);
                if away {
                    info!(partition = %batch.partition, "the store is back");
                }
                return Ok(batch);
            }
            Ok(Committed::Fenced) => {
                COMMITS_FENCED.with_label_values(&[lane]).inc();
                return Err(Stopped::Fenced);
            }
            Err(StoreError::Failed(reason)) => return Err(not_taken(false, &reason)),
            Err(StoreError::TimedOut(reason)) => return Err(not_taken(true, &reason)),
            Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown(_))) => {
                if !away {
                    warn!(partition = %batch.partition, %error, "commit is repeated until the store answers");
                }
                away = true;
                backoff.wait().await;
                if took_effect(&*store, &batch, &mut backoff).await? {
                    return Ok(batch);
                }
            }
        }
    }
}

fn not_taken(timed_out: bool, reason: &str) -> Stopped {
    Stopped::NotTaken { timed_out, reason: format!("commit: {reason}") }
}

/// Reads back whether the batch is committed. Asked after every failure, not just unknown ones: being wrong about
/// "nothing was changed" would fence this owner by its own commit.
async fn took_effect(store: &dyn Ownership, batch: &CommitBatch, backoff: &mut Backoff) -> Result<bool, Stopped> {
    loop {
        match store.progress(batch.partition).await {
            Ok(Some(progress)) if progress.epoch != batch.before.epoch => return Err(Stopped::Fenced),
            Ok(Some(progress)) if progress.next_offset == batch.after.next_offset => return Ok(true),
            Ok(Some(progress)) if progress.next_offset == batch.before.next_offset => return Ok(false),
            Ok(_) => return Err(Stopped::Fenced),
            Err(StoreError::Failed(reason)) => return Err(Stopped::Failed(format!("reading progress: {reason}"))),
            Err(_) => backoff.wait().await,
        }
    }
}
