//! The store by capability: who takes one of these traits says in its type what it touches.

use std::time::Duration;

use async_trait::async_trait;

use super::dead_letter::{DeadLetter, DeadLetterView, DoneBy};
use super::error::StoreError;
use super::intervention::Intervention;
use super::partition_event::PartitionEvent;
use super::process::{AuditRun, Process, ProcessView};
use super::rows::{
    BlockSeats, Captured, CommitBatch, CommitGroup, Committed, Concert, OutboxRow, Page, PlanRow, PlanSummary,
    Progress, ProgressView, RecordedLog, RequestKey, RequestRow, SaleCounts, Schedule, ScheduleView, StateTable,
};
use super::webhook::{FailedEvent, Lease, Webhook, WebhookNote, WebhookProgress};
use crate::domain::block::{self, Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{
    BlockKey, BlockName, ConcertId, LanePartition, LogTime, PaymentId, Position, RequestId, ReservationId, Row,
    ScheduleId, UserId,
};

type Result<T> = std::result::Result<T, StoreError>;

/// Who owns a partition and how far it has come.
#[async_trait]
pub trait Ownership: Send + Sync {
    /// Makes `owner` the partition's owner: epoch + 1. Older owners' commits are fenced from now on.
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress>;

    /// Notes where the log ended when the owner with this epoch acquired the partition; does nothing for another epoch.
    async fn note_end(&self, partition: LanePartition, epoch: u64, end: u64) -> Result<()>;

    /// The progress of these partitions as committed, after every commit of them that is under way; one that nobody
    /// ever acquired is absent.
    async fn progress_of(&self, partitions: &[LanePartition]) -> Result<Vec<(LanePartition, Progress)>>;

    /// Commits all batches but those that are fenced, whose owner learns it from the result: one a batch, in their
    /// order, then one for each of what is published without a batch. After an error nothing of the group was changed, unless it is [`StoreError::Unknown`].
    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>>;

    /// [`Ownership::progress_of`] one partition.
    async fn progress(&self, partition: LanePartition) -> Result<Option<Progress>> {
        Ok(self.progress_of(&[partition]).await?.pop().map(|(_, progress)| progress))
    }

    /// [`Ownership::commit_group`] of one batch.
    async fn commit(&self, batch: &CommitBatch) -> Result<Committed> {
        let committed = self.commit_group(&batch.clone().into()).await?.pop();
        committed.ok_or_else(|| StoreError::Failed("a commit without a result".into()))
    }
}

/// What a batch needs before it is decided, each as one round trip for the whole batch.
#[async_trait]
pub trait AggregateLoads: Send + Sync {
    /// Blocks with their sections, touched seats, unfinished reservations and the unfinished payments these name;
    /// blocks that were never opened are absent.
    async fn load_blocks(&self, keys: &[BlockKey]) -> Result<Vec<block::Rows>>;

    /// Reservations by id, in whatever state; unknown ones are absent. So with all loads below.
    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>>;

    async fn load_payments(&self, ids: &[PaymentId]) -> Result<Vec<Payment>>;

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>>;

    /// The answers to the debits and refunds of these payments, of whatever wallet: one is unique within its wallet.
    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>>;

    /// The entries with these causes, of whatever wallet: a cause is unique within one.
    async fn load_entries(&self, causes: &[(EntryKind, uuid::Uuid)]) -> Result<Vec<Entry>>;

    /// A queue with its live tokens in order of sequence; `None` if it was never opened.
    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>>;

    /// Those of these requests that were stored, each by the partition named with it.
    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>>;

    /// [`AggregateLoads::load_requests_of`] one partition.
    async fn load_requests(&self, partition: LanePartition, keys: &[RequestKey]) -> Result<Vec<RequestRow>> {
        let keys: Vec<(LanePartition, RequestKey)> = keys.iter().map(|key| (partition, *key)).collect();
        self.load_requests_of(&keys).await
    }
}

/// What is due when, for timers at takeover. Of the rows that this partition wrote last.
#[async_trait]
pub trait Timers: Send + Sync {
    async fn due_blocks(&self, partition: u32) -> Result<Vec<(BlockKey, LogTime)>>;

    async fn due_queues(&self, partition: u32) -> Result<Vec<(ScheduleId, LogTime)>>;
}

/// Records on their way to the log.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The next rows to publish of a partition's outbox, `seq >= from` and not [`Published`], in order of seq.
    ///
    /// [`Published`]: super::Published
    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>>;

    /// How far the replication slot of this name has published what was committed; `None` where the database has no such
    /// slots.
    async fn captured(&self, slot: &str) -> Result<Option<Captured>>;

    /// Keeps a row that the log refuses for good as a dead letter; does nothing if it is kept already. The row stays in
    /// the outbox until it counts as published.
    async fn keep_unsent(&self, letter: &DeadLetter) -> Result<()>;
}

/// Descriptions of concerts and dates.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Does nothing if the id is there already.
    async fn insert_concert(&self, concert: &Concert) -> Result<()>;

    /// Does nothing if the id is there already.
    async fn insert_schedule(&self, schedule: &Schedule) -> Result<()>;

    /// Newest first.
    async fn concerts(&self, page: Page<ConcertId>) -> Result<Vec<Concert>>;

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>>;

    /// Those that start at `from` or later, as amended; all if there is none. In order of start time as opened, then id;
    /// after the page's last one.
    async fn schedules(
        &self,
        concert: ConcertId,
        from: Option<LogTime>,
        page: Page<ScheduleId>,
    ) -> Result<Vec<ScheduleView>>;

    async fn schedule(&self, id: ScheduleId) -> Result<Option<ScheduleView>>;

    /// The same for a command that must know of its date. It does not wait for those who only look.
    async fn schedule_for_command(&self, id: ScheduleId) -> Result<Option<ScheduleView>> {
        self.schedule(id).await
    }

    /// Does nothing if the id is there already.
    async fn insert_plan(&self, plan: &PlanRow) -> Result<()>;

    async fn plan(&self, id: &str) -> Result<Option<PlanRow>>;

    /// Has a date drawn by the plan `to` from now on, if `from` is the one that draws it; false if it is not.
    async fn replace_plan(&self, schedule: ScheduleId, from: &str, to: &str) -> Result<bool>;

    /// Newest first; an unknown `after` gives none.
    async fn plans(&self, page: Page<String>) -> Result<Vec<PlanSummary>>;
}

/// Reads for the front door. Nothing here locks or waits for a writer.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Can the store answer at all.
    async fn ping(&self) -> Result<()>;

    /// Clients' requests under these ids, in any order; of several partitions' rows of one id the first by log time.
    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>>;

    /// [`Reads::requests`] under one id.
    async fn request(&self, id: RequestId) -> Result<Option<RequestRow>> {
        Ok(self.requests(&[id]).await?.pop())
    }

    /// The first undecided offset of every partition that was ever acquired.
    async fn next_offsets(&self) -> Result<Vec<(LanePartition, u64)>>;

    /// The progress of every partition that was ever acquired.
    async fn progress_views(&self) -> Result<Vec<ProgressView>>;

    /// All sections and touched seats of a date, by block in order of name.
    async fn seats(&self, schedule: ScheduleId) -> Result<Vec<BlockSeats>>;

    /// Reservations by id, in any order; unknown ones are absent.
    async fn reservations_by_id(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>>;

    /// [`Reads::reservations_by_id`] of one id.
    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>> {
        Ok(self.reservations_by_id(&[id]).await?.pop())
    }

    /// A user's reservations, newest (by id) first.
    async fn reservations(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>>;

    /// A user's unfinished reservations in these blocks of a date, newest (by id) first.
    async fn unfinished_of(
        &self,
        user: &UserId,
        schedule: ScheduleId,
        blocks: &[BlockName],
    ) -> Result<Vec<Reservation>>;

    /// A user's payments, newest (by id) first.
    async fn payments(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>>;

    /// Users' wallets, in any order; those who never had money have none.
    async fn wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>>;

    /// [`Reads::wallets`] of one user.
    async fn wallet(&self, user: &UserId) -> Result<Option<Wallet>> {
        Ok(self.wallets(std::slice::from_ref(user)).await?.pop())
    }

    /// A user's wallet entries, newest first; `after` is an entry number.
    async fn wallet_entries(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>>;

    async fn queue(&self, schedule: ScheduleId) -> Result<Option<Queue>>;

    /// Tokens of a queue that changed at an offset `>= from` of its partition, ended ones included, in order of
    /// (changed offset, sequence), at most `limit`; `from: 0` with `live_only` loads the queue.
    async fn tokens_changed(&self, schedule: ScheduleId, from: u64, live_only: bool, limit: u32) -> Result<Vec<Token>>;

    /// A user's tokens of a schedule, newest sequence first, at most 10.
    async fn tokens_of(&self, schedule: ScheduleId, user: &UserId) -> Result<Vec<Token>>;
}

/// Records that could not be applied, for operators.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Newest position-time first.
    async fn dead_letters(&self, page: Page<Position>) -> Result<Vec<DeadLetterView>>;

    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetterView>>;

    /// How many were neither replayed nor dismissed; counts no further than `limit`.
    async fn open_dead_letters(&self, limit: u32) -> Result<u32>;

    /// Notes that an operator replayed it.
    async fn mark_replayed(&self, position: Position, done: &DoneBy) -> Result<()>;

    /// Notes that an operator needs it no longer; says whether it is there.
    async fn dismiss(&self, position: Position, done: &DoneBy) -> Result<bool>;
}

/// What runs, and how it goes: for operators, and part of no state.
#[async_trait]
pub trait Operations: Send + Sync {
    /// The process is alive: its row is written, new or again.
    async fn heartbeat(&self, process: &Process) -> Result<()>;

    /// The process ends: its row goes.
    async fn leave(&self, name: &str) -> Result<()>;

    /// Deletes the rows of processes that were last heard of so long ago or longer.
    async fn forget_processes(&self, silent_for: Duration) -> Result<()>;

    /// In order of name.
    async fn processes(&self) -> Result<Vec<ProcessView>>;

    /// Requests under these ids, the program's own too, of whatever partition.
    async fn requests_under(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>>;

    /// What these dates have sold, in order of id; those that never had a seat taken are left out.
    async fn sale_counts(&self, schedules: &[ScheduleId]) -> Result<Vec<SaleCounts>>;

    /// How many holds of a date, not paid yet, began at these times or later.
    async fn holds_since(&self, schedule: ScheduleId, times: [LogTime; 4]) -> Result<[u64; 4]>;

    /// An audit has ended; the one before is forgotten.
    async fn note_audit(&self, run: &AuditRun) -> Result<()>;

    async fn last_audit(&self) -> Result<Option<AuditRun>>;
}

/// What operators did about partitions. An owner applies a row by a commit that has it: [`CommitBatch::interventions`].
#[async_trait]
pub trait Interventions: Send + Sync {
    /// Gives a row to the owners; refused if its id is there already.
    async fn intervene(&self, row: &Intervention) -> Result<()>;

    /// The rows that concern records from this offset on, or none in particular, in the order in which they were given.
    async fn interventions(&self, partition: LanePartition, from: u64) -> Result<Vec<Intervention>>;
}

/// Everything, page by page, for the audit.
#[async_trait]
pub trait AuditReads: Send + Sync {
    /// Rows of one table of state that come after this one, in an order of the store's own, at most `limit`.
    async fn state_page(&self, table: StateTable, after: Option<&Row>, limit: u32) -> Result<Vec<Row>>;

    /// Requests that come after this one, in an order of the store's own, at most `limit`.
    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>>;
}

/// The store as it is at one moment, for whoever compares all of it while others write.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// What is read from the result is of one moment, that of the first read. It is only read: other calls fail. While
    /// it is kept the store keeps what was deleted since.
    async fn snapshot(&self) -> Result<Box<dyn AuditedStore>>;
}

/// The log that the store belongs to.
#[async_trait]
pub trait LogBinding: Send + Sync {
    /// What the store remembers of its log, if anything.
    async fn recorded_log(&self) -> Result<Option<RecordedLog>>;

    /// Remembers the log at first start; does nothing if one is remembered already.
    async fn record_log(&self, log: &RecordedLog) -> Result<()>;
}

/// Endpoints, and how far each is served: only the notifier that leads writes it, and its epoch fences an older one.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// In order of name.
    async fn webhooks(&self) -> Result<Vec<Webhook>>;

    /// Makes an endpoint; false: its name is taken.
    async fn insert_webhook(&self, webhook: &Webhook) -> Result<bool>;

    /// Replaces an endpoint's content and counts its version up, if it still has the version of `webhook`.
    async fn change_webhook(&self, webhook: &Webhook) -> Result<bool>;

    /// Deletes an endpoint with its progress and failed events; says whether it was there.
    async fn remove_webhook(&self, id: uuid::Uuid) -> Result<bool>;

    async fn webhook_progress(&self) -> Result<Vec<WebhookProgress>>;

    /// The newest first, at most `limit`.
    async fn failed_events(&self, webhook: uuid::Uuid, limit: u32) -> Result<Vec<FailedEvent>>;

    async fn notifier_lease(&self) -> Result<Option<Lease>>;

    /// Leads from now on, if nobody has done so since `seen` was read; gives the epoch.
    async fn take_notifier_lease(&self, owner: &str, seen: Option<&Lease>) -> Result<Option<u64>>;

    /// Says that the leader lives; false: another one leads.
    async fn keep_notifier_lease(&self, epoch: u64) -> Result<bool>;

    /// Leaves, so that another one takes over at once.
    async fn leave_notifier_lease(&self, epoch: u64) -> Result<()>;

    /// Makes all progress this epoch's, after every write that is under way, and gives it. What is newer stays.
    async fn claim_webhook_progress(&self, epoch: u64) -> Result<Vec<WebhookProgress>>;

    /// Writes an endpoint's progress; false: another epoch has it, or the endpoint is gone.
    async fn save_webhook_progress(&self, epoch: u64, progress: &WebhookProgress) -> Result<bool>;

    /// Lists an event as failed, unless it is already.
    async fn keep_failed_event(&self, event: &FailedEvent) -> Result<()>;

    /// Notes what somebody wants of an endpoint; the newest `WEBHOOK_NOTES_KEPT` stay.
    async fn note_webhook(&self, note: &WebhookNote) -> Result<()>;

    /// The newest first, at most `limit`.
    async fn webhook_notes(&self, limit: u32) -> Result<Vec<WebhookNote>>;

    /// Keeps a change of a partition behind all others; false: that number is there, or one came at the same time.
    async fn keep_partition_event(&self, event: &PartitionEvent) -> Result<bool>;

    /// Changes of partitions from this sequence on, in order, each with its sequence; at most `limit`.
    async fn partition_events(&self, from: u64, limit: u32) -> Result<Vec<(u64, PartitionEvent)>>;

    /// The newest change of each partition that ever had one, in order of sequence.
    async fn last_partition_events(&self) -> Result<Vec<(u64, PartitionEvent)>>;
}

#[async_trait]
pub trait Retention: Send + Sync {
    /// Deletes at most `limit` requests of a partition, those decided before this log time; returns how many.
    async fn forget_requests(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64>;

    /// The same with dead letters that were replayed or dismissed before this time. Others stay.
    async fn forget_dead_letters(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64>;
}

/// What the audit reads.
pub trait AuditedStore: Ownership + Interventions + DeadLetters + AuditReads + LogBinding + Outbox {}
impl<S: Ownership + Interventions + DeadLetters + AuditReads + LogBinding + Outbox + ?Sized> AuditedStore for S {}
