//! The log port: partitioned, append-only topics of opaque records.
//!
//! It moves bytes and knows no command. Implementations: `embedded` (SQLite file), `kafka`, and one in memory for tests.
//! All of them pass `tests/conformance`.

pub mod embedded;
pub(crate) mod group;
pub mod kafka;
mod news;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::domain::Lane;

/// Largest record value, in bytes, that anyone may append as a command.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Largest record, in bytes of key, value and headers, that a log takes at all. More than a command may have, so that
/// a dead letter can carry the record that was too large (Kafka's own default limit is 1 MiB) and its reason.
pub const APPEND_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The five topics. Their names on a real log are `{prefix}.{as_str}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Lane(Lane),
    Outcomes,
    DeadLetters,
}

impl Topic {
    pub const ALL: [Topic; 5] = [
        Topic::Lane(Lane::Seats),
        Topic::Lane(Lane::Wallets),
        Topic::Lane(Lane::Queues),
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

/// How many partitions each topic has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionCounts {
    pub seats: u32,
    pub wallets: u32,
    pub queues: u32,
    pub outcomes: u32,
    pub dead_letters: u32,
}

impl PartitionCounts {
    pub fn of(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Lane(Lane::Seats) => self.seats,
            Topic::Lane(Lane::Wallets) => self.wallets,
            Topic::Lane(Lane::Queues) => self.queues,
            Topic::Outcomes => self.outcomes,
            Topic::DeadLetters => self.dead_letters,
        }
    }
}

pub type Headers = Vec<(String, Vec<u8>)>;

/// A record to append. Its partition is the caller's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub key: Bytes,
    pub value: Bytes,
    pub headers: Headers,
}

/// Who says when a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    /// The log stamped it, ms since 1970 UTC.
    LogAppend(i64),
    /// The producer did: to be believed within bounds only.
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
}

impl Record {
    /// The bytes it counts for against a batch's limit.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + header_bytes(&self.headers)
    }
}

fn header_bytes(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// The same measure as [`Record::size`].
pub(crate) fn record_size(record: &NewRecord) -> usize {
    record.key.len() + record.value.len() + header_bytes(&record.headers)
}

/// Why an append cannot be taken, whatever the log.
pub(crate) fn refusal(counts: &PartitionCounts, topic: Topic, partition: u32, size: usize) -> Option<AppendError> {
    if partition >= counts.of(topic) {
        return Some(AppendError::Refused(format!("{topic} has no partition {partition}")));
    }
    (size > APPEND_BYTES_MAX)
        .then(|| AppendError::Refused(format!("{size} bytes is more than the limit of {APPEND_BYTES_MAX}")))
}

/// As many of the first records as fit a reader's limits; the first one always does.
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

/// Where an appended record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log's own queue is full: nothing was appended, try again later (503 at the front door).
    #[error("the log's queue is full")]
    Backlog,
    /// Nothing was appended and a repeat would not help.
    #[error("the record was refused: {0}")]
    Refused(String),
    /// Not acknowledged; whether it was appended is unknown. Repeat it: the request id makes that harmless.
    #[error("the log did not acknowledge: {0}")]
    Unacknowledged(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log is away or busy; the reader goes on by itself when called again.
    #[error("the log cannot be read now: {0}")]
    Unavailable(String),
    /// The offset to start at is not on the log: before its first record or past its end.
    #[error("offset {offset} is not on the log: {reason}")]
    OutOfRange { offset: u64, reason: String },
}

/// Which log this is, so that a store is never run against another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// Cluster id, or the embedded log's own id.
    pub log_id: String,
    /// Topic ids where the log has them; changes when a topic is deleted and made again.
    pub topics: BTreeMap<Topic, String>,
}

/// Acknowledgement of one append. Dropping it does not take the append back.
pub type AppendFuture = BoxFuture<'static, Result<Appended, AppendError>>;

/// One log. Cheap to share: implementations are used as `Arc<dyn Log>`.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Fixed for the life of the log.
    fn partitions(&self) -> &PartitionCounts;

    async fn identity(&self) -> Result<LogIdentity, ReadError>;

    /// Appends a record. The place in the partition's order is taken when this is called, not when the future is
    /// polled, so calls may be pipelined: of two appends by one caller to one partition the first lies before the
    /// second. Resolves when the record is durable. If an append fails, later ones of the same caller may still
    /// succeed.
    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture;

    /// The offset the next record of this partition will get.
    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError>;

    /// The offset of the first record still on the log.
    async fn first_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError>;

    /// Reads one partition from `start` on, outside of any group (outcome feed, audit, dead letters).
    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError>;

    /// Joins the group of workers that share the command topics of all lanes.
    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError>;

    /// Waits until what was appended is acknowledged or the deadline is reached.
    async fn flush(&self, deadline: Duration);
}

/// One partition of a lane: what a group hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LanePartition {
    pub lane: Lane,
    pub partition: u32,
}

impl fmt::Display for LanePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.lane, self.partition)
    }
}

/// What a member of the group is told. Lists are increments and may be empty.
#[derive(Debug)]
pub enum GroupEvent {
    /// These are yours now. Open each with [`Membership::open`] at the offset you name; until then nothing is read.
    Assigned(Vec<LanePartition>),
    /// Let go of these: finish what is under way, then call [`Membership::release`] for each, by `deadline` from now.
    /// After it another member may own them; what you still commit is then fenced by the store.
    Revoked { partitions: Vec<LanePartition>, deadline: Duration },
    /// These are somebody else's already: commit nothing more.
    Lost(Vec<LanePartition>),
    /// The membership ended for good and no event follows, e.g. a fatal error of the client.
    Closed(String),
}

/// Membership of the workers' group. Polling and heartbeats are the implementation's business and never wait for the
/// caller's work.
#[async_trait]
pub trait Membership: Send + Sync {
    /// The next event; cancel-safe. One caller at a time.
    async fn event(&self) -> GroupEvent;

    /// Starts reading an assigned partition at the offset the owner names.
    async fn open(&self, partition: LanePartition, start: u64) -> Result<Box<dyn PartitionReader>, ReadError>;

    /// Answers a revocation: this partition's work has stopped. Its reader must be dropped before.
    fn release(&self, partition: LanePartition);

    /// For lag dashboards only: the owner has committed everything before `next_offset`. Never blocks, may be dropped.
    fn report(&self, partition: LanePartition, next_offset: u64);

    /// Leaves the group, so that the others take over without waiting for a session to time out.
    async fn leave(&self);
}

/// Reads one partition in order.
#[async_trait]
pub trait PartitionReader: Send {
    /// Waits for at least one record, then returns what else has arrived, within the limits: at most `records_max`
    /// and, but for the first, `bytes_max` ([`Record::size`]). Offsets ascend; they may have gaps. Cancel-safe: a call
    /// that is dropped loses no record.
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError>;
}
