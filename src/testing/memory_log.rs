//! A log in memory. It keeps everything, so its size is the test's business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::log::group::{DRAIN, Group, Source};
use crate::log::{
    AppendError, AppendFuture, Appended, Headers, Log, LogIdentity, Membership, NewRecord, PartitionCounts,
    PartitionReader, ReadError, Record, Timestamp, Topic, batch_within, record_size, refusal,
};
use crate::runtime::clock::Clock;

/// Appends a held log takes before it answers `Backlog`, unless told otherwise.
const BACKLOG_RECORDS_MAX: usize = 10_000;
const FAR_AHEAD_MS: i64 = 60_000;

/// Says how an append ends that is not to be stored.
pub type Judge = Arc<dyn Fn(Topic, &NewRecord) -> Option<AppendError> + Send + Sync>;

/// The log. Clones share it.
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<Inner>,
    group: Arc<Group>,
}

struct Inner {
    counts: PartitionCounts,
    clock: Clock,
    log_id: String,
    backlog_records_max: usize,
    state: Mutex<State>,
}

struct State {
    partitions: BTreeMap<(Topic, u32), Partition>,
    held: bool,
    /// Partitions without a leader: nobody can begin to read them.
    unreadable: BTreeSet<(Topic, u32)>,
    judge: Option<Judge>,
    /// Appends that wait for [`MemoryLog::release_appends`], in order.
    waiting: VecDeque<Waiting>,
    /// Offsets that cannot be read, whether or not a record is there.
    damaged: BTreeMap<(Topic, u32), Range<u64>>,
}

struct Partition {
    /// In order of offset; with gaps where records were [removed](MemoryLog::remove).
    records: Vec<Record>,
    /// Everything before was [trimmed](MemoryLog::trim).
    first: u64,
    /// The end offset; readers wait for it to change.
    end: watch::Sender<u64>,
}

struct Waiting {
    topic: Topic,
    partition: u32,
    record: NewRecord,
    done: oneshot::Sender<Result<Appended, AppendError>>,
}

impl MemoryLog {
    pub fn new(counts: PartitionCounts, clock: Clock) -> Self {
        Self::with_limits(counts, clock, BACKLOG_RECORDS_MAX, DRAIN)
    }

    /// `backlog_records_max` bounds the appends that wait while the log is held; `drain` is the time an owner gets to
    /// release a revoked partition.
    pub fn with_limits(counts: PartitionCounts, clock: Clock, backlog_records_max: usize, drain: Duration) -> Self {
        let partitions = Topic::ALL
            .into_iter()
            .flat_map(|topic| (0..counts.of(topic)).map(move |partition| (topic, partition)))
            .map(|place| (place, Partition { records: Vec::new(), first: 0, end: watch::Sender::new(0) }))
            .collect();
        let group = Group::new(&counts, drain);
        let (unreadable, judge, waiting, damaged) = Default::default();
        let state = Mutex::new(State { partitions, held: false, unreadable, judge, waiting, damaged });
        let log_id = Uuid::now_v7().to_string();
        MemoryLog { inner: Arc::new(Inner { counts, clock, log_id, backlog_records_max, state }), group }
    }

    /// From now on each append is shown to this judge first; `None` takes it away.
    pub fn set_judge(&self, judge: Option<Judge>) {
        self.inner.lock().judge = judge;
    }

    /// From now on appends are neither stored nor acknowledged.
    pub fn hold_appends(&self) {
        self.inner.lock().held = true;
    }

    /// Stores and acknowledges what was held, in order.
    pub fn release_appends(&self) {
        let mut state = self.inner.lock();
        state.held = false;
        while let Some(waiting) = state.waiting.pop_front() {
            let appended = self.inner.store(&mut state, waiting.topic, waiting.partition, waiting.record);
            // Nobody may be waiting any more, which takes nothing back.
            let _ = waiting.done.send(appended);
        }
    }

    /// Fails what was held: `stored` says whether it is on the log nevertheless.
    pub fn fail_appends(&self, stored: bool) {
        let mut state = self.inner.lock();
        state.held = false;
        while let Some(waiting) = state.waiting.pop_front() {
            if stored {
                let _ = self.inner.store(&mut state, waiting.topic, waiting.partition, waiting.record);
            }
            let _ = waiting.done.send(Err(AppendError::Unacknowledged("the acknowledgement was lost".to_owned())));
        }
    }

    /// From now on nobody can begin to read the partition, or ask where it ends.
    pub fn make_unreadable(&self, topic: Topic, partition: u32) {
        self.inner.lock().unreadable.insert((topic, partition));
    }

    /// Puts a record as another program might: without a key, without a value, with a time of its own. Returns its
    /// offset, or `None` if there is no such partition.
    pub fn put(
        &self,
        (topic, partition): (Topic, u32),
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: Headers,
        timestamp: Timestamp,
    ) -> Option<u64> {
        let mut state = self.inner.lock();
        let partition = state.partitions.get_mut(&(topic, partition))?;
        Some(partition.push(|offset| Record { offset, timestamp, key, value, headers, unreadable_headers: 0 }))
    }

    /// From now on these offsets of a partition cannot be read, whether or not a record is there; an empty range: all can.
    pub fn damage(&self, place: (Topic, u32), offsets: Range<u64>) {
        self.inner.lock().damaged.insert(place, offsets);
    }

    /// Deletes the records of a partition before this offset, as a log's retention does.
    pub fn trim(&self, place: (Topic, u32), first: u64) {
        if let Some(partition) = self.inner.lock().partitions.get_mut(&place) {
            partition.first = first;
            partition.records.retain(|record| record.offset >= first);
        }
    }

    /// Deletes one record, as compaction does: its offset stays empty.
    pub fn remove(&self, place: (Topic, u32), offset: u64) {
        if let Some(partition) = self.inner.lock().partitions.get_mut(&place) {
            partition.records.retain(|record| record.offset != offset);
        }
    }

    /// Ends the session of the members of this name, as if their heartbeats had stopped: they learn of the loss when
    /// they ask for the next event, and join again.
    pub fn expire(&self, member: &str) {
        self.group.expire(member);
    }
}

impl Partition {
    fn push(&mut self, record: impl FnOnce(u64) -> Record) -> u64 {
        let offset = *self.end.borrow();
        self.records.push(record(offset));
        self.end.send_replace(offset + 1);
        offset
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(
        &self,
        state: &mut State,
        topic: Topic,
        partition: u32,
        record: NewRecord,
    ) -> Result<Appended, AppendError> {
        let now_ms = self.clock.now().0;
        let Some(partition) = state.partitions.get_mut(&(topic, partition)) else {
            return Err(AppendError::Refused(format!("{topic} has no partition {partition}")));
        };
        let last_ms = partition.records.last().map_or(i64::MIN, |record| record.timestamp.millis());
        let NewRecord { key, value, headers } = record;
        // As brokers do, and unlike the embedded log, it goes on behind a record that lies far ahead.
        let far_ahead = last_ms.saturating_sub(now_ms) > FAR_AHEAD_MS;
        let timestamp = Timestamp::LogAppend(if far_ahead { now_ms } else { now_ms.max(last_ms) });
        let offset = partition.push(|offset| Record {
            offset,
            timestamp,
            key: Some(key),
            value: Some(value),
            headers,
            unreadable_headers: 0,
        });
        Ok(Appended { offset })
    }

    fn first(&self, place: (Topic, u32)) -> u64 {
        self.lock().partitions.get(&place).map_or(0, |partition| partition.first)
    }

    fn end(&self, topic: Topic, partition: u32) -> Result<watch::Receiver<u64>, ReadError> {
        let state = self.lock();
        if state.unreadable.contains(&(topic, partition)) {
            return Err(ReadError::Unavailable("it has no leader".to_owned()));
        }
        let partition = state.partitions.get(&(topic, partition));
        partition
            .map(|partition| partition.end.subscribe())
            .ok_or_else(|| ReadError::Unavailable(format!("{topic} has no such partition")))
    }
}

impl Source for Inner {
    fn open(self: &Arc<Self>, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        let end = self.end(topic, partition)?;
        if start > *end.borrow() {
            return Err(ReadError::OutOfRange { offset: start, reason: format!("it ends at {}", *end.borrow()) });
        }
        let first = self.first((topic, partition));
        if start < first {
            return Err(ReadError::OutOfRange { offset: start, reason: format!("it begins at {first}") });
        }
        Ok(Box::new(Reader { log: Arc::clone(self), place: (topic, partition), next: start, end }))
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn partitions(&self) -> &PartitionCounts {
        &self.inner.counts
    }

    async fn identity(&self) -> Result<LogIdentity, ReadError> {
        Ok(LogIdentity { log_id: self.inner.log_id.clone(), topics: BTreeMap::new() })
    }

    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture {
        if let Some(refused) = refusal(&self.inner.counts, topic, partition, record_size(&record)) {
            return futures_util::future::ready(Err(refused)).boxed();
        }
        let mut state = self.inner.lock();
        if let Some(error) = state.judge.as_ref().and_then(|judge| judge(topic, &record)) {
            return futures_util::future::ready(Err(error)).boxed();
        }
        if !state.held {
            let appended = self.inner.store(&mut state, topic, partition, record);
            return futures_util::future::ready(appended).boxed();
        }
        if state.waiting.len() >= self.inner.backlog_records_max {
            return futures_util::future::ready(Err(AppendError::Backlog)).boxed();
        }
        let (done, acknowledged) = oneshot::channel();
        state.waiting.push_back(Waiting { topic, partition, record, done });
        async move {
            acknowledged.await.unwrap_or_else(|_| Err(AppendError::Unacknowledged("the log was closed".to_owned())))
        }
        .boxed()
    }

    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        Ok(*self.inner.end(topic, partition)?.borrow())
    }

    async fn first_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        self.inner.end(topic, partition).map(|_| self.inner.first((topic, partition)))
    }

    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.inner.open(topic, partition, start)
    }

    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError> {
        Ok(Box::new(self.group.join(member, Arc::clone(&self.inner))))
    }

    /// Nothing to wait for: an append is acknowledged at once or held on purpose.
    async fn flush(&self, _deadline: Duration) {}
}

struct Reader {
    log: Arc<Inner>,
    place: (Topic, u32),
    next: u64,
    end: watch::Receiver<u64>,
}

impl Reader {
    fn damage_at(&self, offset: u64) -> Result<Range<u64>, ReadError> {
        let damaged = self.log.lock().damaged.get(&self.place).cloned().unwrap_or_default();
        if damaged.contains(&offset) {
            return Err(ReadError::Unavailable(format!("the records from {offset} on are damaged")));
        }
        Ok(damaged)
    }
}

#[async_trait]
impl PartitionReader for Reader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        loop {
            let next = self.next;
            self.damage_at(next)?;
            if self.end.wait_for(|end| *end > next).await.is_err() {
                return Err(ReadError::Unavailable("the log was closed".to_owned()));
            }
            let damaged = self.damage_at(next)?;
            let state = self.log.lock();
            let Some(partition) = state.partitions.get(&self.place) else {
                return Err(ReadError::Unavailable("no such partition".to_owned()));
            };
            let from = partition.records.partition_point(|record| record.offset < next);
            let readable = partition.records[from..].iter().take_while(|record| !damaged.contains(&record.offset));
            let batch = batch_within(readable, records_max, bytes_max);
            self.next = batch.last().map_or(*partition.end.borrow(), |last| last.offset + 1);
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }
}
