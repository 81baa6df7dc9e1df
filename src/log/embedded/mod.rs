//! The log on one machine: partitions in their own SQLite file.
//!
//! ```text
//! append ──queue──> writer ──one transaction──> file ──> tail (newest records) ──> readers that keep up
//!                                                 └──────────── read pool ───────> readers that catch up
//! ```
//! An append is acknowledged when its transaction is on disk. A commit adds one row to a partition: a row per record
//! cost 5 to 6 times the CPU (256 records of 200 bytes: 1.0 ms against 0.16 ms in SQLite alone).
//! Measured on 2 shared cores, ext4, fsync about 0.4 ms, unoptimized build, records of 200 bytes, 4 partitions
//! (`figures` in `tests/conformance/log/embedded.rs`): 1 at once 0.46 ms, 2,200/s; 16 at once 0.49 ms, 33,000/s;
//! 256 at once 1.7 ms, 150,000/s; 4096 at once 19 ms, 219,000/s.

mod chunk;
mod file;
mod reader;
mod state;
mod tail;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::ready;
use tokio::sync::{mpsc, oneshot};

pub use self::file::OpenError;
use self::file::{LogFile, load_ends};
use self::reader::Reader;
use self::state::{Shared, closed};
use self::tail::Partition;
use self::writer::{Append, Job, Writer};
use super::group::{DRAIN, Group, Source};
use super::{
    AppendError, AppendFuture, LanePartition, Log, LogIdentity, Membership, NewRecord, PartitionCounts,
    PartitionReader, ReadError, Topic, record_size, refusal,
};
use crate::domain::LogTime;
use crate::runtime::clock::Clock;

/// Newest records kept in memory, in bytes: per partition and in total.
const TAIL_BYTES_MAX: usize = 4 << 20;
const TAILS_BYTES_MAX: usize = 16 << 20;

/// How to open an embedded log.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// The SQLite file; its directory must exist.
    pub path: PathBuf,
    /// The counts the log was created with.
    pub partitions: PartitionCounts,
    pub clock: Clock,
    /// Appends waiting for a commit; more are refused with [`AppendError::Backlog`].
    pub queue_records_max: usize,
    /// The same in bytes.
    pub queue_bytes_max: usize,
    /// Bound on the file's size: at the bound, as on a full disk, appends fail until a trim.
    pub file_bytes_max: Option<u64>,
}

impl EmbeddedSettings {
    pub fn new(path: impl Into<PathBuf>, partitions: PartitionCounts, clock: Clock) -> Self {
        EmbeddedSettings {
            path: path.into(),
            partitions,
            clock,
            queue_records_max: 16 * 1024,
            queue_bytes_max: 32 << 20,
            file_bytes_max: None,
        }
    }
}

/// The embedded log. Clones share it.
#[derive(Clone)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    group: Arc<Group>,
}

impl EmbeddedLog {
    /// Opens or creates the log in this file. Needs a tokio runtime, which runs the writer.
    pub async fn open(path: &Path, partitions: PartitionCounts, clock: Clock) -> Result<Self, OpenError> {
        Self::open_with(EmbeddedSettings::new(path, partitions, clock)).await
    }

    pub async fn open_with(settings: EmbeddedSettings) -> Result<Self, OpenError> {
        let EmbeddedSettings { path, partitions: counts, clock, .. } = settings;
        let (file, mut connection) = LogFile::open(&path, &counts, settings.file_bytes_max).await?;
        let places: Vec<_> =
            Topic::ALL.into_iter().flat_map(|topic| (0..counts.of(topic)).map(move |number| (topic, number))).collect();
        let ends = load_ends(&mut connection, &places)
            .await
            .map_err(|error| OpenError::Disk { path, reason: error.to_string() })?;
        let tail_bytes_max = TAIL_BYTES_MAX.min(TAILS_BYTES_MAX / places.len().max(1));
        let shared = Arc::new(Shared {
            log_id: file.log_id.clone(),
            partitions: ends
                .iter()
                .zip(&places)
                .map(|(ends, (topic, number))| {
                    Partition::new(*topic, *number, ends.first_offset, ends.next_offset, tail_bytes_max)
                })
                .collect(),
            partition_ids: ends.iter().map(|ends| ends.id).collect(),
            places,
            read_pool: file.read_pool(),
            queued_bytes: AtomicUsize::new(0),
            queue_bytes_max: settings.queue_bytes_max,
            counts,
        });
        let (jobs, queue) = mpsc::channel(settings.queue_records_max.max(1));
        let writer = Writer {
            shared: Arc::clone(&shared),
            file,
            clock,
            jobs: queue,
            connection: Some(connection),
            resumed: vec![None; ends.len()],
            ends,
            retry: Duration::ZERO,
        };
        tokio::spawn(writer.run());
        let group = Group::new(&shared.counts, DRAIN);
        Ok(EmbeddedLog { shared, jobs, group })
    }

    /// Copies a log that may be in use, also by another process.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
        let disk = |error: sqlx::Error| OpenError::Disk { path: from.to_owned(), reason: error.to_string() };
        file::copy(from, to).await.map_err(disk)
    }

    /// Commits the queue, closes the file and releases its lock. Later appends fail; readers end.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.jobs.send(Job::Close(done)).await.is_ok() {
            let _ = closed.await;
        } else {
            // Another clone is closing it.
            self.jobs.closed().await;
        }
    }

    /// Deletes the oldest records of a topic that were appended before this time: about `limit` per partition, in whole
    /// commits, so that no append waits long. Returns the number deleted; call again until it is 0. Offsets are not
    /// reused.
    pub async fn trim(&self, topic: Topic, before: LogTime, limit: u64) -> Result<u64, ReadError> {
        let mut trimmed = 0;
        for number in 0..self.shared.counts.of(topic) {
            let partition = self.shared.index(topic, number)?;
            let (done, answer) = oneshot::channel();
            let job = Job::Trim { partition, before, limit, done };
            self.jobs.send(job).await.map_err(|_| ReadError::Unavailable(closed()))?;
            trimmed += answer.await.unwrap_or_else(|_| Err(ReadError::Unavailable(closed())))?;
        }
        Ok(trimmed)
    }

    /// Queues an append unless the queue is full.
    fn enqueue(&self, append: Append) -> Result<(), AppendError> {
        let size = append.size;
        let queued = self.shared.queued_bytes.fetch_add(size, Ordering::AcqRel);
        let put = if queued + size > self.shared.queue_bytes_max {
            Err(AppendError::Backlog)
        } else {
            self.jobs.try_send(Job::Append(append)).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AppendError::Backlog,
                mpsc::error::TrySendError::Closed(_) => AppendError::Unacknowledged(closed()),
            })
        };
        if put.is_err() {
            self.shared.queued_bytes.fetch_sub(size, Ordering::AcqRel);
        }
        put
    }
}

impl Source for Shared {
    fn open(self: &Arc<Self>, topic: Topic, number: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        Ok(Box::new(Reader::open(self, self.index(topic, number)?, start)?))
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn partitions(&self) -> &PartitionCounts {
        &self.shared.counts
    }

    async fn identity(&self) -> Result<LogIdentity, ReadError> {
        Ok(LogIdentity { log_id: self.shared.log_id.clone(), topics: BTreeMap::new() })
    }

    fn append(&self, topic: Topic, number: u32, record: NewRecord) -> AppendFuture {
        let size = record_size(&record);
        let refused = refusal(&self.shared.counts, topic, number, size).or_else(|| chunk::refusal(&record));
        if let Some(refused) = refused {
            return ready(Err(refused)).boxed();
        }
        let Ok(partition) = self.shared.index(topic, number) else {
            return ready(Err(AppendError::Refused(format!("{topic} has no partition {number}")))).boxed();
        };
        let (done, acknowledged) = oneshot::channel();
        match self.enqueue(Append { partition, record, size, done }) {
            Ok(()) => {
                acknowledged.map(|answer| answer.unwrap_or_else(|_| Err(AppendError::Unacknowledged(closed())))).boxed()
            }
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    async fn end_offset(&self, topic: Topic, number: u32) -> Result<u64, ReadError> {
        Ok(self.shared.partitions[self.shared.index(topic, number)?].next_offset())
    }

    async fn first_offset(&self, topic: Topic, number: u32) -> Result<u64, ReadError> {
        Ok(self.shared.partitions[self.shared.index(topic, number)?].first_offset())
    }

    async fn read(&self, topic: Topic, number: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.shared.open(topic, number, start)
    }

    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError> {
        Ok(Box::new(self.group.join(member, Arc::clone(&self.shared))))
    }

    fn resume_at(&self, partition: LanePartition, end: u64, time: LogTime) {
        let Ok(partition) = self.shared.index(Topic::Lane(partition.lane), partition.partition) else { return };
        // Told again with the next commit if the queue is full.
        let _ = self.jobs.try_send(Job::Resume { partition, end, time });
    }

    async fn flush(&self, deadline: Duration) {
        let flushed = async {
            let (done, flushed) = oneshot::channel();
            if self.jobs.send(Job::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        };
        let _ = tokio::time::timeout(deadline, flushed).await;
    }
}
