//! The log port: partitioned, append-only topics of opaque records.
//!
//! It moves bytes and knows no command. Implementations: `embedded` (SQLite file), `kafka`, and an in-memory one for
//! tests. All of them pass `tests/conformance`.

pub mod embedded;
pub(crate) mod group;
pub mod kafka;
mod news;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::domain::{Lane, LogTime};

pub use crate::domain::LanePartition;

/// Largest record a log accepts, in bytes of key, value and headers. Above the limit of a command, so that a dead
/// letter can carry an oversized record and its reason (Kafka's default limit is 1 MiB).
pub const APPEND_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The six topics. Their names on a real log are `{prefix}.{as_str}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Lane(Lane),
    Outcomes,
    DeadLetters,
}

impl Topic {
    pub const ALL: [Topic; 6] = [
        Topic::Lane(Lane::Seats),
        Topic::Lane(Lane::Wallets),
        Topic::Lane(Lane::Queues),
        Topic::Lane(Lane::Inbox),
        Topic::Outcomes,
        Topic::DeadLetters,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Lane(lane) => lane.as_str(),
            Topic::Outcomes => "outcomes",
            Topic::DeadLetters => "dead-letters",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Topic::ALL
            .into_iter()
            .find(|topic| topic.as_str() == text)
            .ok_or_else(|| format!("no topic is called {text:?}"))
    }
}

/// Number of partitions of each topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionCounts {
    pub seats: u32,
    pub wallets: u32,
    pub queues: u32,
    pub inbox: u32,
    pub outcomes: u32,
    pub dead_letters: u32,
}

impl PartitionCounts {
    pub fn of(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Lane(Lane::Seats) => self.seats,
            Topic::Lane(Lane::Wallets) => self.wallets,
            Topic::Lane(Lane::Queues) => self.queues,
            Topic::Lane(Lane::Inbox) => self.inbox,
            Topic::Outcomes => self.outcomes,
            Topic::DeadLetters => self.dead_letters,
        }
    }
}

/// Names and values. Most names are the program's own, and values are parts of one buffer: to copy them is cheap.
pub type Headers = Vec<(Cow<'static, str>, Bytes)>;

/// A record to append; the caller names the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub key: Bytes,
    pub value: Bytes,
    pub headers: Headers,
}

/// Time of a record, by its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    /// Set by the log at append, ms since 1970 UTC.
    LogAppend(i64),
    /// Set by the producer: trusted within bounds only.
    Create(i64),
}

impl Timestamp {
    pub fn millis(self) -> i64 {
        match self {
            Timestamp::LogAppend(ms) | Timestamp::Create(ms) => ms,
        }
    }
}

/// A record as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: u64,
    pub timestamp: Timestamp,
    pub key: Option<Bytes>,
    /// `None`: the producer sent no value (a tombstone).
    pub value: Option<Bytes>,
    pub headers: Headers,
    /// How many headers the log's client library could not read. They are missing from `headers`.
    pub unreadable_headers: usize,
}

impl Record {
    /// Stands for a record of which nothing can be read.
    pub fn unread(offset: u64) -> Self {
        let timestamp = Timestamp::LogAppend(i64::MIN);
        Record { offset, timestamp, key: None, value: None, headers: Headers::new(), unreadable_headers: 0 }
    }

    /// Bytes counted against a batch's limit.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + header_bytes(&self.headers)
    }
}

/// The name of a header that was read: without an allocation if it is one of those that nearly all records have.
pub(crate) fn header_name(name: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 11] = [
        "traceparent",
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_subject",
        "ce_time",
        "content-type",
        "turnstile-request-id",
        "turnstile-fingerprint",
        "turnstile-schedule",
    ];
    match KNOWN.iter().find(|known| **known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

fn header_bytes(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// Same measure as [`Record::size`].
pub(crate) fn record_size(record: &NewRecord) -> usize {
    record.key.len() + record.value.len() + header_bytes(&record.headers)
}

/// The checks common to all logs; `None` if the append is acceptable.
pub(crate) fn refusal(counts: &PartitionCounts, topic: Topic, partition: u32, size: usize) -> Option<AppendError> {
    if partition >= counts.of(topic) {
        return Some(AppendError::Refused(format!("{topic} has no partition {partition}")));
    }
    (size > APPEND_BYTES_MAX)
        .then(|| AppendError::Refused(format!("{size} bytes is more than the limit of {APPEND_BYTES_MAX}")))
}

/// The longest prefix of `records` within a reader's limits; always at least one record.
pub(crate) fn batch_within<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    records_max: usize,
    bytes_max: usize,
) -> Vec<Record> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for record in records {
        bytes += record.size();
        if !batch.is_empty() && (batch.len() >= records_max || bytes > bytes_max) {
            break;
        }
        batch.push(record.clone());
    }
    batch
}

/// Place of an appended record in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log's queue is full: nothing was appended; retry later (the API server answers 503).
    #[error("the log's queue is full")]
    Backlog,
    /// Nothing was appended, because of a record: it is too large, say. A log that takes or refuses a batch whole may mean
    /// another record of the batch; one that is refused by itself would be again.
    #[error("the record was refused: {0}")]
    Refused(String),
    /// Nothing was appended, and no record will be until an operator changes something: gives write access, brings back a
    /// topic, sets a clock.
    #[error("the log does not allow it: {0}")]
    Denied(String),
    /// Not acknowledged; whether it was appended is unknown. Retry: the request id makes that harmless.
    #[error("the log did not acknowledge: {0}")]
    Unacknowledged(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log is unavailable or busy; the reader continues when called again.
    #[error("the log cannot be read now: {0}")]
    Unavailable(String),
    /// The start offset lies before the log's first record or past its end.
    #[error("offset {offset} is not on the log: {reason}")]
    OutOfRange { offset: u64, reason: String },
}

/// Identifies a log, so that a store is never run against another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// Cluster id, or the embedded log's own id.
    pub log_id: String,
    /// Topic ids, if the log has them; an id changes when its topic is deleted and recreated.
    pub topics: BTreeMap<Topic, String>,
}

/// Acknowledgment of one append. Dropping it does not undo the append.
pub type AppendFuture = BoxFuture<'static, Result<Appended, AppendError>>;

/// A log, shared as `Arc<dyn Log>`.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Fixed for the life of the log.
    fn partitions(&self) -> &PartitionCounts;

    async fn identity(&self) -> Result<LogIdentity, ReadError>;

    /// Appends a record. The call fixes its place in the partition's order, not the first poll of the future, so calls
    /// can be pipelined: of two appends by one caller to one partition, the first gets the lower offset. Resolves when
    /// the record is durable. If an append fails, later ones of the same caller may still succeed.
    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture;

    /// Offset of the next record appended to this partition.
    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError>;

    /// Offset of the first record still on the log.
    async fn first_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError>;

    /// Reads one partition from `start`, outside of any group (outcome feed, audit, dead letters).
    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError>;

    /// Joins the workers' group, which shares the command topics of all lanes.
    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError>;

    /// What members have [reported](Membership::report), for lag dashboards; empty from a log without a group of its own.
    async fn reported(&self) -> Result<BTreeMap<LanePartition, u64>, ReadError> {
        Ok(BTreeMap::new())
    }

    /// The owner of a lane's partition has decided everything before `end`, and the log time is this now: where the last
    /// record lies ahead of it, an operator gave that one another time. A log that stamps records itself begins there again.
    fn resume_at(&self, _partition: LanePartition, _end: u64, _time: LogTime) {}

    /// Waits until every append is acknowledged or the deadline has passed.
    async fn flush(&self, deadline: Duration);
}

/// An event of a membership. Lists are increments and may be empty.
#[derive(Debug)]
pub enum GroupEvent {
    /// New partitions. Nothing is read from one until [`Membership::open`] names its start offset.
    Assigned(Vec<LanePartition>),
    /// Partitions to give up: finish the work in progress, then call [`Membership::release`] for each, within
    /// `deadline`. After that another member may own them, and the store fences late commits.
    Revoked { partitions: Vec<LanePartition>, deadline: Duration },
    /// Another member owns these already: commit nothing more.
    Lost(Vec<LanePartition>),
    /// The membership has ended for good, e.g. by a fatal error of the client. No event follows.
    Closed(String),
}

/// Membership in the workers' group. Polling and heartbeats run inside the implementation and never wait for the
/// caller's work.
#[async_trait]
pub trait Membership: Send + Sync {
    /// The next event; cancel-safe. One caller at a time.
    async fn event(&self) -> GroupEvent;

    /// Starts reading an assigned partition at the offset named by the owner.
    async fn open(&self, partition: LanePartition, start: u64) -> Result<Box<dyn PartitionReader>, ReadError>;

    /// Confirms a revocation: work on this partition has stopped. Drop its reader first.
    fn release(&self, partition: LanePartition);

    /// Another owner has this partition. If the group cannot say so, because it does not answer, the partition is lost.
    fn fenced(&self, _partition: LanePartition) {}

    /// For lag dashboards only: everything before `next_offset` is committed, or is no record. Never blocks; a report may
    /// be dropped.
    fn report(&self, partition: LanePartition, next_offset: u64);

    /// Leaves the group, so that the others take over before the session times out.
    async fn leave(&self);
}

/// How far a reader can see beyond the records it has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Everything before was returned or is no record: transaction markers, aborted records.
    pub passed: u64,
    /// Records from here on cannot be read yet: a transaction is open.
    pub readable: u64,
    /// Offset of the next record appended.
    pub end: u64,
}

/// Reads one partition in order.
#[async_trait]
pub trait PartitionReader: Send {
    /// As last heard from the log, which may be a few seconds ago; `None` from a log without gaps and transactions.
    fn reach(&self) -> Option<Reach> {
        None
    }

    /// Waits for at least one record, then returns all that have arrived, within the limits: at most `records_max`
    /// and, except for the first, `bytes_max` ([`Record::size`]). Offsets ascend; they may have gaps. Cancel-safe:
    /// dropping a call loses no record.
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError>;
}
