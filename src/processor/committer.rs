//! One committer for all partitions of a worker.
//!
//! While a statement is under way, decided batches of all partitions gather; the next statement takes them all. So the
//! cost of a commit is shared by more commands the higher the load, whatever the number of partitions, and at rest a
//! command commits at once. A batch that is large by itself takes a second connection, and nobody waits for it but its
//! own partition.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::commit::{self, Ended, Group, Job, Stopped};
use super::published::Marks;
use super::standing::Standings;
use crate::domain::LanePartition;
use crate::store::{CommitBatch, Ownership, Published};

/// A group takes no further batch above so many rows or bytes: they bound how long the first of them waits for the
/// others.
const GROUP_ROWS_MAX: usize = 20_000;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// A batch with more rows goes alone, on the second connection.
const SMALL_ROWS_MAX: usize = 5_000;
/// Batches on their way to the committer. Owners wait for room; they have two each at most.
const JOBS_MAX: usize = 64;

/// Where owners hand in batches, and relays what is published.
#[derive(Clone)]
pub(super) struct Committer {
    jobs: mpsc::Sender<Job>,
    marks: Arc<Marks>,
}

impl Committer {
    /// It works until the returned task is dropped.
    pub fn start(store: Arc<dyn Ownership>, standings: Arc<Standings>) -> (Committer, AbortOnDropHandle<()>) {
        let (jobs, receiver) = mpsc::channel(JOBS_MAX);
        let marks = Arc::new(Marks::default());
        let queue = VecDeque::new();
        let worker = Worker { store, standings, marks: Arc::clone(&marks), queue, small: None, large: None };
        (Committer { jobs, marks }, AbortOnDropHandle::new(tokio::spawn(worker.run(receiver))))
    }

    /// Hands in a batch. One that follows an uncommitted batch of its partition is void if that one fails. The receiver
    /// resolves with its end; it never does when the committer has stopped.
    pub async fn commit(&self, batch: CommitBatch) -> oneshot::Receiver<Result<CommitBatch, Stopped>> {
        let (answer, result) = oneshot::channel();
        // If the committer has stopped, the answer is dropped with the job.
        let _ = self.jobs.send(Job::new(batch, answer)).await;
        result
    }

    /// The log has everything before `end` of what this epoch's owner publishes.
    pub fn published(&self, partition: LanePartition, epoch: u64, end: u64) {
        self.marks.set(partition, epoch, end);
    }

    /// Resolves when the store says that this epoch is over though no batch was fenced: an owner that has nothing to
    /// decide would not learn it, and nobody would publish what is left. Cancel-safe.
    pub async fn overtaken(&self, partition: LanePartition, epoch: u64) {
        self.marks.until_overtaken(partition, epoch).await;
    }

    /// What of it no commit has taken along yet.
    pub fn waiting(&self, partition: LanePartition, epoch: u64) -> Option<Published> {
        self.marks.waiting(partition, epoch)
    }
}

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Large,
}

fn size(job: &Job) -> Size {
    if job.rows > SMALL_ROWS_MAX { Size::Large } else { Size::Small }
}

/// A statement under way, with its repeats.
struct UnderWay {
    partitions: Vec<LanePartition>,
    ended: BoxFuture<'static, Ended>,
}

struct Worker {
    store: Arc<dyn Ownership>,
    standings: Arc<Standings>,
    marks: Arc<Marks>,
    /// In order of arrival, so in order of offset within a partition.
    queue: VecDeque<Job>,
    small: Option<UnderWay>,
    large: Option<UnderWay>,
}

/// Cancel-safe: the slot is emptied when the end is there.
async fn ended(slot: &mut Option<UnderWay>) -> Ended {
    let Some(under_way) = slot else { return std::future::pending().await };
    let ended = (&mut under_way.ended).await;
    *slot = None;
    ended
}

impl Worker {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            self.start(Size::Small);
            self.start(Size::Large);
            tokio::select! {
                biased;
                ended = ended(&mut self.small) => self.ended(&ended),
                ended = ended(&mut self.large) => self.ended(&ended),
                job = jobs.recv() => match job {
                    Some(job) => self.queue.push_back(job),
                    None => return,
                },
                () = self.marks.due(), if self.small.is_none() => {}
            }
            while let Ok(job) = jobs.try_recv() {
                self.queue.push_back(job);
            }
        }
    }

    /// Sends what has gathered for this connection, if it is free.
    fn start(&mut self, size: Size) {
        let slot = match size {
            Size::Small => &self.small,
            Size::Large => &self.large,
        };
        if slot.is_some() {
            return;
        }
        let jobs = self.gather(size);
        let published = match size {
            Size::Small => self.marks.along(jobs.iter().map(|job| &job.batch)),
            Size::Large => Vec::new(),
        };
        if jobs.is_empty() && published.is_empty() {
            return;
        }
        let partitions = jobs.iter().map(|job| job.batch.partition).collect();
        let (store, standings) = (Arc::clone(&self.store), Arc::clone(&self.standings));
        let group = Group::new(jobs, published);
        let ended = async move { commit::commit(&*store, &standings, group).await }.boxed();
        let under_way = Some(UnderWay { partitions, ended });
        match size {
            Size::Small => self.small = under_way,
            Size::Large => self.large = under_way,
        }
    }

    /// The first batch of each partition that has none under way, as long as they fit together; a large one alone.
    fn gather(&mut self, wanted: Size) -> Vec<Job> {
        let under_way = [&self.small, &self.large].into_iter().flatten();
        let mut seen: BTreeSet<LanePartition> = under_way.flat_map(|it| it.partitions.iter().copied()).collect();
        let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(self.queue.len()));
        let (mut rows, mut bytes) = (0, 0);
        for job in self.queue.drain(..) {
            // Its owner is gone.
            if job.answer.is_closed() {
                continue;
            }
            let fits = rows + job.rows <= GROUP_ROWS_MAX && bytes + job.bytes <= GROUP_BYTES_MAX;
            let fits = taken.is_empty() || wanted == Size::Small && fits;
            if seen.insert(job.batch.partition) && size(&job) == wanted && fits {
                (rows, bytes) = (rows + job.rows, bytes + job.bytes);
                taken.push(job);
            } else {
                left.push_back(job);
            }
        }
        self.queue = left;
        taken
    }

    fn ended(&mut self, ended: &Ended) {
        self.marks.done(&ended.published);
        self.marks.overtaken(&ended.overtaken);
        self.queue.retain(|job| !ended.stopped.contains(&(job.batch.partition, job.batch.before.epoch)));
    }
}
