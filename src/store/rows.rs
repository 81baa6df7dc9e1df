//! What the store holds besides the aggregates: progress, requests, outbox, dead letters, catalog.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use uuid::Uuid;

use super::dead_letter::{DeadLetter, UNSENT_OFFSET};
use super::intervention::Intervention;
use crate::domain::block::{BlockRow, Seat, SectionRow};
use crate::domain::texts::texts;
use crate::domain::{
    BlockName, Changes, CommandKind, ConcertId, Fingerprint, LanePartition, LogTime, Position, RequestId, ScheduleId,
    UserId,
};
use crate::log::{Headers, LogIdentity, PartitionCounts, Topic};

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
    /// By which the log is recognized; `None` until a record was decided.
    pub anchor: Option<Anchor>,
}

/// The last decided record that could be read. What was stepped over, markers and gaps leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    pub offset: u64,
    /// As the log says it.
    pub time: LogTime,
    /// Over key and value.
    pub hash: u64,
}

impl Progress {
    /// Of a partition that nobody has owned: nothing is decided.
    pub const NONE: Progress =
        Progress { epoch: 0, next_offset: 0, last_time: LogTime(0), next_outbox_seq: 0, state_hash: 0, anchor: None };
}

/// Everything one batch of records leads to. Commits whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBatch {
    pub partition: LanePartition,
    /// Epoch and next_offset must be the store's.
    pub before: Progress,
    /// The epoch is the same.
    pub after: Progress,
    /// At most one change a row key; to be written as upserts, but for entries and answers: one that is there already refuses
    /// the commit.
    pub changes: Changes,
    /// Decided requests, each id once. One that is there already no longer counts as seen and is replaced.
    pub requests: Vec<RequestRow>,
    /// Outcomes of requests stored PENDING by earlier batches. One that is not there refuses the commit.
    pub completions: Vec<RequestCompletion>,
    pub outbox: Vec<OutboxRow>,
    pub dead_letters: Vec<DeadLetter>,
    /// Rows that this batch applied, as they are from now on.
    pub interventions: Vec<Intervention>,
}

impl CommitBatch {
    /// Rows written, and about how many bytes they are.
    pub fn size(&self) -> (usize, usize) {
        const ROW_BYTES: usize = 100;
        let (requests, completions) = (self.requests.iter(), self.completions.iter());
        let outcomes =
            requests.filter_map(|row| row.state.outcome()).chain(completions.map(|row| &*row.decided.outcome));
        let payloads = self.outbox.iter().map(|row| row.payload.len());
        let letters = self.dead_letters.iter().map(|letter| letter.value.as_ref().map_or(0, Vec::len));
        let rows = self.changes.len() + self.requests.len() + self.completions.len();
        let rows = rows + self.outbox.len() + self.dead_letters.len();
        (rows, rows * ROW_BYTES + outcomes.map(str::len).chain(payloads).chain(letters).sum::<usize>())
    }
}

/// How far a partition's outbox is published, as its owner knows it from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub partition: LanePartition,
    /// Must be the store's; one batch of the same group more or less makes no difference.
    pub epoch: u64,
    /// The log has acknowledged everything before the end. Rows from the start on, of commits that are known to be done,
    /// are deleted; where the first one left is known, to begin there saves a walk over those deleted before.
    pub seqs: Range<u64>,
}

/// How far something that reads the database's own log has come. Positions in that log grow with each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// Everything that was committed so far lies before.
    pub end: u64,
    /// `None`: there is no such slot.
    pub slot: Option<Slot>,
}

/// A replication slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its reader has published everything before.
    pub confirmed: u64,
    /// Somebody reads it now.
    pub active: bool,
    /// The database no longer has what it has not read.
    pub lost: bool,
}

/// What commits together, whatever the number of partitions. Each batch is fenced by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitGroup {
    /// At most one a partition.
    pub batches: Vec<CommitBatch>,
    /// At most one a partition, with or without a batch.
    pub published: Vec<Published>,
}

impl From<CommitBatch> for CommitGroup {
    fn from(batch: CommitBatch) -> Self {
        CommitGroup { batches: vec![batch], published: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// Epoch or next_offset did not match: another owner is at work. Nothing of the batch was written.
    Fenced,
}

texts! {
    pub enum RequestStatus ("a request status") {
        Pending = "PENDING",
        Succeeded = "SUCCEEDED",
        Rejected = "REJECTED",
    }
}

/// The key of a request within its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    pub id: RequestId,
    /// The program's own: its ids are derived, and a client's equal one is another request.
    pub internal: bool,
}

/// A decided (or pending) request. Unique by (key, lane, partition): each partition knows its own repeats, so that a
/// replay of one partition needs no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    pub key: RequestKey,
    /// Where the command lies on the log.
    pub position: Position,
    pub fingerprint: Fingerprint,
    pub command: CommandKind,
    pub user_id: Option<UserId>,
    pub by: Option<UserId>,
    pub state: RequestState,
    /// Log time of the command.
    pub at: LogTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    Pending,
    Decided(Decided),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub succeeded: bool,
    /// The outcome record's value (JSON), without effects.
    pub outcome: String,
    /// Log time of the decision. Of a payment it is that of its settlement, so later than its command's.
    pub at: LogTime,
}

impl RequestState {
    pub fn status(&self) -> RequestStatus {
        match self {
            RequestState::Pending => RequestStatus::Pending,
            RequestState::Decided(Decided { succeeded: true, .. }) => RequestStatus::Succeeded,
            RequestState::Decided(Decided { succeeded: false, .. }) => RequestStatus::Rejected,
        }
    }

    pub fn decided_at(&self) -> Option<LogTime> {
        match self {
            RequestState::Pending => None,
            RequestState::Decided(decided) => Some(decided.at),
        }
    }

    pub fn outcome(&self) -> Option<&str> {
        match self {
            RequestState::Pending => None,
            RequestState::Decided(decided) => Some(&decided.outcome),
        }
    }
}

/// Decides a request that was stored PENDING. The requests of clients alone wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCompletion {
    pub request_id: RequestId,
    pub decided: Decided,
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
    pub kind: Cow<'static, str>,
    pub payload: Bytes,
    pub headers: Headers,
}

impl DeadLetter {
    /// An outbox row of this owner that the log refuses for good.
    pub fn unsent(of: LanePartition, row: &OutboxRow, reason: &str, at: LogTime) -> Self {
        DeadLetter {
            position: of.at(UNSENT_OFFSET + row.seq),
            unsent_to: Some(row.topic),
            reason: format!("the log refused it for {}: {reason}", row.topic),
            key: Some(row.key.clone().into_bytes()),
            value: Some(row.payload.to_vec()),
            headers: row.headers.clone(),
            at,
        }
    }
}

/// What the store remembers of the log it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedLog {
    /// How long requests count as seen, since the first start.
    pub remember_ms: i64,
    pub identity: LogIdentity,
    pub partitions: PartitionCounts,
}

texts! {
    /// The tables whose rows are state: what the state hash covers. Aggregates come before their parts.
    pub enum StateTable ("a table of state") {
        Block = "block",
        Section = "section",
        Seat = "seat",
        Reservation = "reservation",
        Payment = "payment",
        Wallet = "wallet",
        WalletEntry = "wallet_entry",
        PaymentAnswer = "payment_answer",
        Queue = "queue",
        Token = "queue_token",
    }
}

/// Descriptive row of the catalog, written by the front door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concert {
    pub id: ConcertId,
    pub title: String,
    pub description: Option<String>,
    /// ISO 4217, such as `EUR`. For people: amounts are counted in its smallest unit and never converted.
    pub currency: Option<String>,
    /// IANA, such as `Asia/Seoul`. For people: times are kept and compared in UTC.
    pub time_zone: Option<String>,
    pub created_at: LogTime,
}

/// Descriptive row of one date of a concert, written by the front door; its blocks and queue are the lanes'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub id: ScheduleId,
    pub concert_id: ConcertId,
    pub starts_at: LogTime,
    pub duration_ms: Option<i64>,
    pub hold_ttl_ms: i64,
    pub max_seats_per_user: u32,
    pub sales_open_at: Option<LogTime>,
    pub sales_close_at: Option<LogTime>,
    /// Whether it was created with a waiting queue.
    pub queue: bool,
    /// Id of the seating plan it was made of, if it was.
    pub plan: Option<String>,
    /// Id of the larger one that took its place, if one did.
    pub larger_plan: Option<String>,
    pub created_at: LogTime,
}

impl Schedule {
    /// Id of the seating plan that shows its seats now.
    pub fn drawn_by(&self) -> Option<&str> {
        self.larger_plan.as_deref().or(self.plan.as_deref())
    }
}

/// A seating plan: written once, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    pub summary: PlanSummary,
    /// The plan in its canonical form.
    pub content: Vec<u8>,
}

/// What a list says of a seating plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSummary {
    /// SHA-256 of the content, as 64 hexadecimal digits.
    pub id: String,
    pub name: String,
    pub sections: u32,
    pub seats: u32,
    pub created_at: LogTime,
}

/// A date with what its blocks say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleView {
    pub schedule: Schedule,
    /// In order of name.
    pub blocks: Vec<BlockView>,
}

impl ScheduleView {
    /// As amended.
    pub fn starts_at(&self) -> LogTime {
        self.blocks.first().map_or(self.schedule.starts_at, |block| block.row.terms.starts_at)
    }
}

/// A block with its sections in order of rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockView {
    pub row: BlockRow,
    pub sections: Vec<SectionRow>,
}

/// A block's sections in order of rank, with its touched seats in order of section name and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSeats {
    pub block: BlockName,
    pub sections: Vec<SectionRow>,
    pub seats: Vec<Seat>,
}

/// One partition's row for operators and the lag limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressView {
    pub partition: LanePartition,
    pub epoch: u64,
    pub owner: String,
    pub next_offset: u64,
    pub last_time: LogTime,
    /// Rows not yet published.
    pub outbox_pending: u64,
    /// XOR over the hashes of all rows of state it owns.
    pub state_hash: u64,
    /// It has passed the log's end of when it was last acquired, and published what its outbox held then.
    pub caught_up: bool,
}

/// What a date has sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleCounts {
    pub schedule: ScheduleId,
    pub held: u64,
    pub paying: u64,
    pub sold: u64,
    /// Of its confirmed reservations, in the smallest unit of its concert's currency.
    pub revenue: i64,
}

/// Which part of a list: at most `limit` rows after the one named by `after`, which is the last row's id of the page
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    pub after: Option<Id>,
    pub limit: u32,
}
