//! Commits a group of batches, however long the store is away, and finds out what happened when nobody can say.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{info, warn};

use super::standing::{Standings, Step};
use crate::domain::LanePartition;
use crate::store::{CommitBatch, CommitGroup, Committed, Ownership, Progress, Published, StoreError};
use crate::telemetry::metrics::{BATCH_RECORDS, COMMIT_BATCHES, COMMIT_SECONDS, COMMITS_FENCED};

/// Why a batch is not committed and never will be by this owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The partition has an owner of a later epoch.
    Fenced,
    NotTaken {
        timed_out: bool,
        reason: String,
    },
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

/// A batch and the owner that waits for its end, who gets it back to publish its outbox rows.
pub(super) struct Job {
    pub batch: CommitBatch,
    pub rows: usize,
    pub bytes: usize,
    pub answer: oneshot::Sender<Result<CommitBatch, Stopped>>,
}

impl Job {
    pub fn new(batch: CommitBatch, answer: oneshot::Sender<Result<CommitBatch, Stopped>>) -> Self {
        let (rows, bytes) = batch.size();
        Job { batch, rows, bytes, answer }
    }
}

/// What becomes of one batch of a group.
enum Fate {
    Done,
    Stopped(Stopped),
    /// Not known, or to be sent again.
    Open,
}

/// Batches on their way to the store with their owners, place by place, and what is published.
#[derive(Default)]
pub(super) struct Group {
    commit: CommitGroup,
    answers: Vec<oneshot::Sender<Result<CommitBatch, Stopped>>>,
}

/// How a group ended. The owners know it already.
#[derive(Default)]
pub(super) struct Ended {
    /// Batches that were not committed, by partition and epoch: what was decided on top of them is void.
    pub stopped: Vec<(LanePartition, u64)>,
    /// The store has it, or its epoch is over.
    pub published: Vec<Published>,
    /// Partitions and epochs without a batch that turned out to be over.
    pub overtaken: Vec<(LanePartition, u64)>,
}

impl Group {
    pub fn new(jobs: Vec<Job>, published: Vec<Published>) -> Self {
        let (batches, answers) = jobs.into_iter().map(|job| (job.batch, job.answer)).unzip();
        Group { commit: CommitGroup { batches, published }, answers }
    }

    /// Each batch alone. What is published waits for the next group.
    fn apart(self) -> impl Iterator<Item = Group> {
        let alone = |(batch, answer)| Group {
            commit: CommitGroup { batches: vec![batch], published: Vec::new() },
            answers: vec![answer],
        };
        self.commit.batches.into_iter().zip(self.answers).map(alone)
    }

    fn partitions(&self) -> Vec<LanePartition> {
        self.commit.batches.iter().map(|batch| batch.partition).collect()
    }

    /// Whose published rows were fenced, where no batch tells. Their results follow those of the batches.
    fn overtaken(&self, committed: &[Committed]) -> Vec<(LanePartition, u64)> {
        let CommitGroup { batches, published } = &self.commit;
        let alone = published.iter().filter(|of| batches.iter().all(|batch| batch.partition != of.partition));
        let results = alone.zip(committed.iter().skip(batches.len()));
        results
            .filter(|(_, committed)| **committed == Committed::Fenced)
            .map(|(of, _)| (of.partition, of.epoch))
            .collect()
    }

    /// The store does not take what is left, which is a batch alone or what is published.
    fn refused(&mut self, error: &StoreError, ended: &mut Ended) {
        if self.commit.batches.is_empty() {
            warn!(%error, "published outbox rows are deleted later");
        }
        let (timed_out, reason) = match error {
            StoreError::TimedOut(reason) => (true, reason),
            StoreError::Failed(reason) | StoreError::Unavailable(reason) | StoreError::Unknown(reason) => {
                (false, reason)
            }
        };
        let stopped = |_: usize, _: &CommitBatch| {
            Fate::Stopped(Stopped::NotTaken { timed_out, reason: format!("commit: {reason}") })
        };
        self.settle(stopped, ended);
    }

    /// Tells owners what became of their batches; the open ones stay.
    fn settle(&mut self, fate: impl Fn(usize, &CommitBatch) -> Fate, ended: &mut Ended) {
        let jobs = std::mem::take(&mut self.commit.batches).into_iter().zip(std::mem::take(&mut self.answers));
        for (place, (batch, answer)) in jobs.enumerate() {
            let lane = batch.partition.lane.as_str();
            // An owner that no longer listens was aborted: the next one finds the batch committed or not.
            match fate(place, &batch) {
                Fate::Open => {
                    self.commit.batches.push(batch);
                    self.answers.push(answer);
                }
                Fate::Done => {
                    let records = batch.after.next_offset - batch.before.next_offset;
                    BATCH_RECORDS.with_label_values(&[lane]).observe(records as f64);
                    let _ = answer.send(Ok(batch));
                }
                Fate::Stopped(stopped) => {
                    if stopped == Stopped::Fenced {
                        COMMITS_FENCED.with_label_values(&[lane]).inc();
                    }
                    ended.stopped.push((batch.partition, batch.before.epoch));
                    let _ = answer.send(Err(stopped));
                }
            }
        }
    }
}

/// Commits a group; after an error that is about what it holds, each batch alone. The future may be dropped at any await:
/// the next owners then find their batches committed or not, and both are right.
pub(super) async fn commit(store: &dyn Ownership, standings: &Standings, group: Group) -> Ended {
    let (mut ended, mut left) = (Ended::default(), VecDeque::from([group]));
    while let Some(mut group) = left.pop_front() {
        match until_known(store, standings, &mut group, &mut ended).await {
            Ok(()) => {}
            Err(_) if group.commit.batches.len() > 1 => left.extend(group.apart()),
            Err(error) => group.refused(&error, &mut ended),
        }
    }
    ended
}

/// Sends a group until no batch of it is open.
///
/// # Errors
/// [`StoreError::Failed`] or [`StoreError::TimedOut`]: what is left of the group is not taken as it is.
async fn until_known(
    store: &dyn Ownership,
    standings: &Standings,
    group: &mut Group,
    ended: &mut Ended,
) -> Result<(), StoreError> {
    let (mut backoff, mut away) = (Backoff::new(), false);
    loop {
        let fenced = match once(store, &group.commit).await {
            Ok(committed) => {
                if away {
                    info!("the store is back");
                }
                ended.overtaken.extend(group.overtaken(&committed));
                ended.published.append(&mut group.commit.published);
                let fate = |place: usize, _: &CommitBatch| match committed.get(place) {
                    Some(Committed::Done) => Fate::Done,
                    // Perhaps by itself: an attempt that seemed lost came after the read that said so.
                    _ if away => Fate::Open,
                    _ => Fate::Stopped(Stopped::Fenced),
                };
                group.settle(fate, ended);
                true
            }
            Err(error @ (StoreError::Failed(_) | StoreError::TimedOut(_))) => return Err(error),
            Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown(_))) => {
                let partitions = group.partitions();
                partitions.iter().for_each(|partition| standings.of(*partition).failed(Step::Commit, &error));
                if !away {
                    warn!(?partitions, %error, "a commit is repeated until the store answers");
                }
                backoff.wait().await;
                false
            }
        };
        away = true;
        if !group.commit.batches.is_empty() {
            let progress = read_back(store, &group.partitions(), &mut backoff).await?;
            group.settle(|_, batch| judge(batch, progress.get(&batch.partition), fenced), ended);
        }
        if group.commit.batches.is_empty() {
            return Ok(());
        }
    }
}

/// One attempt. Whoever else is in the group, a panic over one batch is that one's.
async fn once(store: &dyn Ownership, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
    let began = Instant::now();
    let result = AssertUnwindSafe(store.commit_group(group)).catch_unwind().await;
    COMMIT_BATCHES.with_label_values::<&str>(&[]).observe(group.batches.len() as f64);
    for batch in &group.batches {
        COMMIT_SECONDS.with_label_values(&[batch.partition.lane.as_str()]).observe(began.elapsed().as_secs_f64());
    }
    result.unwrap_or_else(|_| Err(StoreError::Failed("panicked; see the log".to_owned())))
}

/// Reads how far these partitions are, once no commit of them is under way. Asked after every failure, not just unknown
/// ones: being wrong about "nothing was changed" would fence an owner by its own commit.
async fn read_back(
    store: &dyn Ownership,
    partitions: &[LanePartition],
    backoff: &mut Backoff,
) -> Result<BTreeMap<LanePartition, Progress>, StoreError> {
    loop {
        match store.progress_of(partitions).await {
            Ok(progress) => return Ok(progress.into_iter().collect()),
            Err(StoreError::Failed(reason)) => return Err(StoreError::Failed(format!("reading progress: {reason}"))),
            Err(_) => backoff.wait().await,
        }
    }
}

fn judge(batch: &CommitBatch, progress: Option<&Progress>, fenced: bool) -> Fate {
    match progress {
        Some(progress) if progress.epoch != batch.before.epoch => Fate::Stopped(Stopped::Fenced),
        Some(progress) if progress.next_offset == batch.after.next_offset => Fate::Done,
        Some(progress) if progress.next_offset == batch.before.next_offset && !fenced => Fate::Open,
        _ => Fate::Stopped(Stopped::Fenced),
    }
}
