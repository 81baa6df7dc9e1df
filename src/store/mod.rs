//! The store port: state, outcomes, outbox and progress in one transactional place.
//!
//! Implementations: `sqlite`, `postgres`, and one in memory for tests. All of them pass `tests/conformance`.
//! The processor's half is [`Store`]; the front door reads through [`reads::Reads`].

pub(crate) mod assemble;
pub mod postgres;
pub mod reads;
mod sql;
pub mod sqlite;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Reservation, Section};
use crate::domain::wallet::Wallet;
use crate::domain::{Change, Lane, LogTime, Position, RequestId, ReservationId, ScheduleId, SectionName, UserId};
use crate::log::{Headers, LanePartition, LogIdentity, PartitionCounts, Topic};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is away; nothing was changed. Try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke after COMMIT was sent: read the progress before anything else.
    #[error("whether the commit took effect is unknown: {0}")]
    Unknown(String),
    /// The store answered, and trying again would fail the same way (schema, constraint, corrupt row).
    #[error("the store refused: {0}")]
    Failed(String),
}

/// What an owner gets when it acquires a partition, and what every commit must find unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Grows with each new owner.
    pub epoch: u64,
    /// Everything before this offset is decided and committed.
    pub next_offset: u64,
    /// Log time of the last decided record.
    pub last_time: LogTime,
    /// The number the next outbox row gets.
    pub next_outbox_seq: u64,
    /// XOR over the hashes of all rows of state this partition owns.
    pub state_hash: u64,
}

/// Everything one batch of records leads to. Commits whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBatch {
    pub partition: LanePartition,
    /// Must be the store's epoch.
    pub epoch: u64,
    /// Must be the store's next_offset.
    pub from_offset: u64,
    pub next_offset: u64,
    pub last_time: LogTime,
    pub next_outbox_seq: u64,
    pub state_hash: u64,
    /// At most one change per row key; to be written as upserts (entries and payments too).
    pub changes: Vec<Change>,
    /// New requests, none of which is in the store for this lane and partition.
    pub requests: Vec<RequestRow>,
    /// Outcomes of requests stored PENDING by earlier batches; a missing row is no error.
    pub completions: Vec<RequestCompletion>,
    pub outbox: Vec<OutboxRow>,
    pub dead_letters: Vec<DeadLetter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// Epoch or next_offset did not match: another owner is at work. Nothing was changed.
    Fenced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStatus {
    Pending,
    Succeeded,
    Rejected,
}

impl RequestStatus {
    pub const ALL: [RequestStatus; 3] = [RequestStatus::Pending, RequestStatus::Succeeded, RequestStatus::Rejected];

    pub fn as_str(self) -> &'static str {
        match self {
            RequestStatus::Pending => "PENDING",
            RequestStatus::Succeeded => "SUCCEEDED",
            RequestStatus::Rejected => "REJECTED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        RequestStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A decided (or pending) request. Unique by (request_id, lane, partition): each partition knows its own repeats, so
/// that a replay of one partition needs no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    pub request_id: RequestId,
    /// Where the command lies on the log.
    pub position: Position,
    /// Hash of the command's content: tells a repeat from another command under the same id.
    pub fingerprint: u64,
    /// The command's type, e.g. `hold_seats`.
    pub command: String,
    pub user_id: Option<UserId>,
    pub status: RequestStatus,
    /// The outcome record's value (JSON); `None` while PENDING.
    pub outcome: Option<String>,
    /// Log time of the command.
    pub at: LogTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCompletion {
    pub request_id: RequestId,
    /// Succeeded or Rejected.
    pub status: RequestStatus,
    pub outcome: String,
}

/// A record to publish. Deleted once the log has acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The same on every attempt, derived from the cause's position.
    pub id: Uuid,
    /// 0, 1, 2, … within (lane, partition) of the owner; the order of publishing.
    pub seq: u64,
    /// Where to; `aggregatetype` of the table.
    pub topic: Topic,
    /// Routing key of the record to publish; `aggregateid` of the table.
    pub key: String,
    /// Command or outcome type; `type` of the table.
    pub kind: String,
    pub payload: Vec<u8>,
    pub headers: Headers,
}

/// A record that cannot be applied, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub position: Position,
    pub reason: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub at: LogTime,
}

/// What the store remembers of the log it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedLog {
    pub identity: LogIdentity,
    pub partitions: PartitionCounts,
}

/// The tables whose rows are state: what the state hash covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateTable {
    Section,
    Seat,
    Reservation,
    Payment,
    Wallet,
    WalletEntry,
    Queue,
    Token,
}

impl StateTable {
    /// Aggregates before their parts.
    pub const ALL: [StateTable; 8] = [
        StateTable::Section,
        StateTable::Seat,
        StateTable::Reservation,
        StateTable::Payment,
        StateTable::Wallet,
        StateTable::WalletEntry,
        StateTable::Queue,
        StateTable::Token,
    ];
}

/// What an owner loads to decide: aggregates, and the requests it has decided before.
#[async_trait]
pub trait AggregateLoads: Send + Sync {
    /// Sections with their seats, unfinished reservations (live, or being refunded: `Reservation::is_unfinished`) and
    /// the PENDING or COMPLETED payments these name; sections that were never opened are absent.
    async fn load_sections(&self, keys: &[(ScheduleId, SectionName)]) -> Result<Vec<Section>, StoreError>;

    /// Reservations by id, in whatever status; unknown ones are absent.
    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>, StoreError>;

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError>;

    /// A queue with its live tokens in order of sequence; `None` if it was never opened.
    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError>;

    /// Those of these requests that this partition has stored.
    async fn load_requests(&self, partition: LanePartition, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError>;
}

/// The owner's side of the store. Reads happen between batches, each as one round trip for the whole batch.
#[async_trait]
pub trait Store: reads::Reads + AggregateLoads + 'static {
    /// Makes `owner` the partition's owner: epoch + 1. Older owners' commits are fenced from now on.
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress, StoreError>;

    /// The progress as committed; `None` if nobody ever acquired the partition.
    async fn progress(&self, partition: LanePartition) -> Result<Option<Progress>, StoreError>;

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError>;

    /// For timers at takeover: each section with a HELD reservation and the time its first one runs out. Of all
    /// partitions: the caller keeps those that are its own.
    async fn held_sections(&self) -> Result<Vec<(ScheduleId, SectionName, LogTime)>, StoreError>;

    /// For timers at takeover: every queue that has live tokens, of all partitions.
    async fn live_queues(&self) -> Result<Vec<ScheduleId>, StoreError>;

    /// The next rows to publish of a partition's outbox, `seq >= from`, in order of seq.
    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;

    /// Deletes a partition's outbox rows with `seq < before`: the log has them.
    async fn delete_outbox(&self, partition: LanePartition, before: u64) -> Result<(), StoreError>;

    /// What the store remembers of its log, if anything.
    async fn recorded_log(&self) -> Result<Option<RecordedLog>, StoreError>;

    /// Remembers the log at first start; does nothing if one is remembered already.
    async fn record_log(&self, log: &RecordedLog) -> Result<(), StoreError>;

    /// Rows of one table of state that come after this one, in an order of the store's own, at most `limit`: for the
    /// audit, which reads everything.
    async fn state_page(
        &self,
        table: StateTable,
        after: Option<&Change>,
        limit: u32,
    ) -> Result<Vec<Change>, StoreError>;

    /// Requests that come after this one, in an order of the store's own, at most `limit`: for the audit.
    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>, StoreError>;

    /// Deletes at most `limit` requests (not PENDING) and dead letters decided before `before`; says how many.
    async fn forget_before(&self, before: LogTime, limit: u32) -> Result<u64, StoreError>;
}

impl LanePartition {
    pub fn at(self, offset: u64) -> Position {
        Position { lane: self.lane, partition: self.partition, offset }
    }
}

/// All partitions of all lanes of a log.
pub fn lane_partitions(counts: &PartitionCounts) -> impl Iterator<Item = LanePartition> + '_ {
    Lane::ALL
        .into_iter()
        .flat_map(move |lane| (0..counts.of(Topic::Lane(lane))).map(move |partition| LanePartition { lane, partition }))
}
