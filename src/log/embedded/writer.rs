//! The single writer: takes all queued appends, commits them together, acknowledges each.
//!
//! During a commit the next appends collect in the queue, so batches grow with the load and a lone append never waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::chunk::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX, encode};
use super::file::{self, Ends, LogFile, NewChunk};
use super::state::Shared;
use crate::domain::LogTime;
use crate::log::{AppendError, Appended, NewRecord, ReadError, Record, Timestamp, Topic};
use crate::runtime::clock::Clock;
use crate::telemetry::metrics::{LOG_COMMIT_RECORDS, LOG_COMMIT_SECONDS};

/// Most records in one commit.
const COMMIT_RECORDS_MAX: usize = 8192;
/// Bytes after which a commit takes no further append.
const COMMIT_BYTES_MAX: usize = 4 << 20;
/// A clock that is further behind a lane's last record appends nothing there.
const BEHIND_MAX_MS: i64 = 60_000;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

pub(super) struct Append {
    /// Index into [`Shared::partitions`].
    pub partition: usize,
    pub record: NewRecord,
    pub size: usize,
    pub done: oneshot::Sender<Result<Appended, AppendError>>,
}

pub(super) enum Job {
    Append(Append),
    /// Answered after everything queued before it.
    Flush(oneshot::Sender<()>),
    Trim {
        partition: usize,
        before: LogTime,
        limit: u64,
        done: oneshot::Sender<Result<u64, ReadError>>,
    },
    /// If the partition ends here, its log time is this.
    Resume {
        partition: usize,
        end: u64,
        time: LogTime,
    },
    /// Commits the queue, releases the file, then answers.
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub file: LogFile,
    pub clock: Clock,
    pub jobs: mpsc::Receiver<Job>,
    /// `None` after a failure, until a new one is open and the ends are read again.
    pub connection: Option<SqliteConnection>,
    /// The committed ends of each partition.
    pub ends: Vec<Ends>,
    /// What the owner of a partition said last of its end and log time.
    pub resumed: Vec<Option<(u64, LogTime)>>,
    /// Delay before the next attempt while writes fail; zero while they succeed.
    pub retry: Duration,
}

impl Writer {
    pub(super) async fn run(mut self) {
        // Runs also if this task panics.
        let _readers_end_with_it = CloseOnDrop(Arc::clone(&self.shared));
        let mut closers = Vec::new();
        while let Some(job) = self.jobs.recv().await {
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Append(first) => {
                        let batch;
                        (batch, next) = self.gather(first);
                        self.write(batch).await;
                    }
                    Job::Flush(done) => _ = done.send(()),
                    Job::Trim { partition, before, limit, done } => {
                        drop(done.send(self.trim(partition, before, limit).await));
                    }
                    Job::Resume { partition, end, time } => {
                        self.resumed[partition] = Some((end, time));
                        self.resume();
                    }
                    Job::Close(done) => {
                        self.jobs.close();
                        closers.push(done);
                    }
                }
            }
        }
        self.shared.read_pool.close().await;
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the embedded log's file did not close cleanly");
        }
        // Release the lock before answering, so that the waiters can open the file again.
        drop(self.file);
        for closer in closers {
            let _ = closer.send(());
        }
    }

    /// This append and those queued behind it, up to the limits; and the job, if any, that ended the run.
    fn gather(&mut self, first: Append) -> (Vec<Append>, Option<Job>) {
        let mut bytes = first.size;
        let mut batch = vec![first];
        let mut other = None;
        while batch.len() < COMMIT_RECORDS_MAX && bytes < COMMIT_BYTES_MAX {
            match self.jobs.try_recv() {
                Ok(Job::Append(append)) => {
                    bytes += append.size;
                    batch.push(append);
                }
                Ok(job) => {
                    other = Some(job);
                    break;
                }
                Err(_) => break,
            }
        }
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
        (batch, other)
    }

    async fn write(&mut self, batch: Vec<Append>) {
        let began = Instant::now();
        LOG_COMMIT_RECORDS.with_label_values(&["embedded"]).observe(batch.len() as f64);
        if let Err(error) = self.make_ready().await {
            let error = AppendError::Unacknowledged(error.to_string());
            return batch.into_iter().for_each(|append| drop(append.done.send(Err(error.clone()))));
        }
        let Batch { chunks, written, waiting } = self.lay_out(batch);
        if waiting.is_empty() {
            return;
        }
        let inserted = match &mut self.connection {
            Some(connection) => file::insert_chunks(connection, chunks).await,
            None => Err(sqlx::Error::WorkerCrashed),
        };
        if let Err(error) = inserted {
            self.broke(&error);
            let error = AppendError::Unacknowledged(error.to_string());
            return waiting.into_iter().for_each(|(done, _)| drop(done.send(Err(error.clone()))));
        }
        self.works();
        for (index, records) in written {
            if let Some(last) = records.last() {
                self.ends[index].next_offset = last.offset + 1;
                self.ends[index].last_time_ms = last.timestamp.millis();
            }
            self.shared.partitions[index].publish(records);
        }
        LOG_COMMIT_SECONDS.with_label_values(&["embedded"]).observe(began.elapsed().as_secs_f64());
        // A caller that stopped waiting has dropped the receiver; the record stays.
        waiting.into_iter().for_each(|(done, offset)| drop(done.send(Ok(Appended { offset }))));
    }

    /// The time of a record appended to this partition now. On a lane log time must go on: a clock that was set back would
    /// make it stand still, and freeze every hold.
    fn stamp(&self, index: usize, now_ms: i64) -> Result<i64, AppendError> {
        let (topic, number) = self.shared.places[index];
        let last_ms = self.ends[index].last_time_ms;
        let behind_ms = last_ms.saturating_sub(now_ms);
        match topic {
            _ if behind_ms <= BEHIND_MAX_MS => Ok(now_ms.max(last_ms)),
            Topic::Lane(_) => Err(AppendError::Denied(format!(
                "this machine's clock is {} s behind the last record of {topic}.{number}",
                behind_ms / 1_000
            ))),
            Topic::Outcomes | Topic::DeadLetters => Ok(now_ms),
        }
    }

    /// Where an owner says that a partition's last record lies ahead of log time, the partition goes on from log time.
    fn resume(&mut self) {
        for (ends, resumed) in self.ends.iter_mut().zip(&self.resumed) {
            if let Some((end, time)) = resumed
                && ends.next_offset == *end
            {
                ends.last_time_ms = ends.last_time_ms.min(time.0);
            }
        }
    }

    /// Assigns offsets and times, and splits each partition's appends into rows. Refuses what gets no time.
    fn lay_out(&self, batch: Vec<Append>) -> Batch {
        let now_ms = self.clock.now().0;
        let mut shares: BTreeMap<usize, Vec<Append>> = BTreeMap::new();
        for append in batch {
            shares.entry(append.partition).or_default().push(append);
        }
        let mut laid = Batch { chunks: Vec::new(), written: Vec::new(), waiting: Vec::new() };
        for (index, share) in shares {
            let Ends { id, next_offset, .. } = self.ends[index];
            let time_ms = match self.stamp(index, now_ms) {
                Ok(time_ms) => time_ms,
                Err(error) => {
                    tracing::error!(%error, "appends are refused until the clock is right");
                    share.into_iter().for_each(|append| drop(append.done.send(Err(error.clone()))));
                    continue;
                }
            };
            let (mut records, mut bytes) = (Vec::new(), 0);
            for (offset, append) in (next_offset..).zip(share) {
                if records.len() >= CHUNK_RECORDS_MAX || bytes >= CHUNK_BYTES_MAX {
                    laid.add(index, id, std::mem::take(&mut records));
                    bytes = 0;
                }
                bytes += append.size;
                let NewRecord { key, value, headers } = append.record;
                let timestamp = Timestamp::LogAppend(time_ms);
                records.push(Record {
                    offset,
                    timestamp,
                    key: Some(key),
                    value: Some(value),
                    headers,
                    unreadable_headers: 0,
                });
                laid.waiting.push((append.done, offset));
            }
            laid.add(index, id, records);
        }
        laid
    }

    async fn trim(&mut self, index: usize, before: LogTime, limit: u64) -> Result<u64, ReadError> {
        let unavailable = |error: &sqlx::Error| ReadError::Unavailable(error.to_string());
        self.make_ready().await.map_err(|error| unavailable(&error))?;
        let ends = self.ends[index];
        let trimmed = match &mut self.connection {
            Some(connection) => file::trim(connection, &ends, before.0, limit).await,
            None => Err(sqlx::Error::WorkerCrashed),
        };
        match trimmed {
            Ok(Some((records, first_offset))) => {
                self.ends[index].first_offset = first_offset;
                self.shared.partitions[index].trimmed(first_offset);
                Ok(records)
            }
            Ok(None) => Ok(0),
            Err(error) => {
                self.broke(&error);
                Err(unavailable(&error))
            }
        }
    }

    /// After a failure: waits, reconnects and reads from the file how much of the last commit it has.
    async fn make_ready(&mut self) -> sqlx::Result<()> {
        if self.connection.is_some() {
            return Ok(());
        }
        tokio::time::sleep(self.retry).await;
        let reopened = async {
            let mut connection = self.file.connect().await?;
            let ends = file::load_ends(&mut connection, &self.shared.places).await?;
            Ok((connection, ends))
        };
        let (connection, ends) = reopened.await.inspect_err(|error| self.broke(error))?;
        for (partition, ends) in self.shared.partitions.iter().zip(&ends) {
            partition.correct_end(ends.next_offset);
        }
        self.ends = ends;
        self.resume();
        self.connection = Some(connection);
        Ok(())
    }

    fn broke(&mut self, error: &sqlx::Error) {
        if self.retry.is_zero() {
            tracing::error!(%error, path = %self.file.path.display(), "the embedded log cannot write; it keeps trying");
        }
        self.connection = None;
        self.retry = (self.retry * 2).clamp(RETRY_FIRST, RETRY_MAX);
    }

    fn works(&mut self) {
        if !self.retry.is_zero() {
            tracing::info!(path = %self.file.path.display(), "the embedded log writes again");
            self.retry = Duration::ZERO;
        }
    }
}

/// A commit in preparation.
struct Batch {
    chunks: Vec<NewChunk>,
    /// The same records for readers, by index of the partition.
    written: Vec<(usize, Arc<[Record]>)>,
    waiting: Vec<(oneshot::Sender<Result<Appended, AppendError>>, u64)>,
}

impl Batch {
    fn add(&mut self, index: usize, partition_id: i64, records: Vec<Record>) {
        let Some(first) = records.first() else { return };
        let (first_offset, time_ms) = (first.offset, first.timestamp.millis());
        let body = encode(&records);
        self.chunks.push(NewChunk { partition_id, first_offset, records: records.len(), time_ms, body });
        self.written.push((index, records.into()));
    }
}

struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.partitions.iter().for_each(|partition| partition.close());
    }
}
