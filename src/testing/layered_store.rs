//! A store around another one, for tests that make it fail or lie.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::domain::block::{self, Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{
    BlockKey, BlockName, ConcertId, LanePartition, LogTime, PaymentId, Position, RequestId, ReservationId, Row,
    ScheduleId, UserId,
};
use crate::store::{
    AggregateLoads, AuditReads, AuditRun, AuditedStore, BlockSeats, Captured, Catalog, CommitGroup, Committed, Concert,
    DeadLetter, DeadLetterView, DeadLetters, DoneBy, Intervention, Interventions, LogBinding, Operations, Outbox,
    OutboxRow, Ownership, Page, PlanRow, PlanSummary, Process, ProcessView, Progress, ProgressView, Reads, RecordedLog,
    RequestKey, RequestRow, Retention, SaleCounts, Schedule, ScheduleView, Snapshots, StateTable, Store, StoreError,
    Timers,
};

type Result<T> = std::result::Result<T, StoreError>;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Acquire(LanePartition),
    /// Of a group; the partition of its first batch.
    Commit(LanePartition),
    /// Any other change: outboxes published, catalog, retention, log identity.
    Write,
    Read,
}

impl Call {
    pub fn of(group: &CommitGroup) -> Call {
        group.batches.first().map_or(Call::Write, |batch| Call::Commit(batch.partition))
    }
}

/// What a layer does with the calls that go through it: passes them on, unless a method says otherwise.
#[async_trait]
pub trait Layer: Send + Sync + 'static {
    /// The store underneath.
    fn below(&self) -> &dyn Store;

    /// Every call comes through here, those of the methods below too unless they are overridden. Dropping `answer` is
    /// not making the call.
    async fn pass<'a, T: Send>(&'a self, _call: Call, answer: BoxFuture<'a, Result<T>>) -> Result<T> {
        answer.await
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>> {
        self.pass(Call::of(group), self.below().commit_group(group)).await
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>> {
        self.pass(Call::Read, self.below().load_wallets(users)).await
    }

    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>> {
        self.pass(Call::Read, self.below().load_answers(payments)).await
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>> {
        self.pass(Call::Read, self.below().load_queue(schedule)).await
    }

    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>> {
        self.pass(Call::Read, self.below().load_requests_of(keys)).await
    }

    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>> {
        self.pass(Call::Read, self.below().outbox(partition, from, limit)).await
    }

    async fn keep_unsent(&self, letter: &DeadLetter) -> Result<()> {
        self.pass(Call::Write, self.below().keep_unsent(letter)).await
    }

    async fn forget_requests(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64> {
        self.pass(Call::Write, self.below().forget_requests(of, before, limit)).await
    }
}

/// A [`Layer`] as a store.
#[derive(Clone)]
pub struct Layered<L>(pub L);

#[async_trait]
impl<L: Layer> Ownership for Layered<L> {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress> {
        self.0.pass(Call::Acquire(partition), self.0.below().acquire(partition, owner)).await
    }

    async fn note_end(&self, partition: LanePartition, epoch: u64, end: u64) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().note_end(partition, epoch, end)).await
    }

    async fn progress_of(&self, partitions: &[LanePartition]) -> Result<Vec<(LanePartition, Progress)>> {
        self.0.pass(Call::Read, self.0.below().progress_of(partitions)).await
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>> {
        self.0.commit_group(group).await
    }
}

#[async_trait]
impl<L: Layer> AggregateLoads for Layered<L> {
    async fn load_blocks(&self, keys: &[BlockKey]) -> Result<Vec<block::Rows>> {
        self.0.pass(Call::Read, self.0.below().load_blocks(keys)).await
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        self.0.pass(Call::Read, self.0.below().load_reservations(ids)).await
    }

    async fn load_payments(&self, ids: &[PaymentId]) -> Result<Vec<Payment>> {
        self.0.pass(Call::Read, self.0.below().load_payments(ids)).await
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>> {
        self.0.load_wallets(users).await
    }

    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>> {
        self.0.load_answers(payments).await
    }

    async fn load_entries(&self, causes: &[(EntryKind, Uuid)]) -> Result<Vec<Entry>> {
        self.0.pass(Call::Read, self.0.below().load_entries(causes)).await
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>> {
        self.0.load_queue(schedule).await
    }

    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>> {
        self.0.load_requests_of(keys).await
    }
}

#[async_trait]
impl<L: Layer> Timers for Layered<L> {
    async fn due_blocks(&self, partition: u32) -> Result<Vec<(BlockKey, LogTime)>> {
        self.0.pass(Call::Read, self.0.below().due_blocks(partition)).await
    }

    async fn due_queues(&self, partition: u32) -> Result<Vec<(ScheduleId, LogTime)>> {
        self.0.pass(Call::Read, self.0.below().due_queues(partition)).await
    }
}

#[async_trait]
impl<L: Layer> Outbox for Layered<L> {
    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>> {
        self.0.outbox(partition, from, limit).await
    }

    async fn captured(&self, slot: &str) -> Result<Option<Captured>> {
        self.0.pass(Call::Read, self.0.below().captured(slot)).await
    }

    async fn keep_unsent(&self, letter: &DeadLetter) -> Result<()> {
        self.0.keep_unsent(letter).await
    }
}

#[async_trait]
impl<L: Layer> Interventions for Layered<L> {
    async fn intervene(&self, row: &Intervention) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().intervene(row)).await
    }

    async fn interventions(&self, partition: LanePartition, from: u64) -> Result<Vec<Intervention>> {
        self.0.pass(Call::Read, self.0.below().interventions(partition, from)).await
    }
}

#[async_trait]
impl<L: Layer> Catalog for Layered<L> {
    async fn insert_concert(&self, concert: &Concert) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().insert_concert(concert)).await
    }

    async fn insert_schedule(&self, schedule: &Schedule) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().insert_schedule(schedule)).await
    }

    async fn concerts(&self, page: Page<ConcertId>) -> Result<Vec<Concert>> {
        self.0.pass(Call::Read, self.0.below().concerts(page)).await
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>> {
        self.0.pass(Call::Read, self.0.below().concert(id)).await
    }

    async fn schedules(
        &self,
        concert: ConcertId,
        from: Option<LogTime>,
        page: Page<ScheduleId>,
    ) -> Result<Vec<ScheduleView>> {
        self.0.pass(Call::Read, self.0.below().schedules(concert, from, page)).await
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Option<ScheduleView>> {
        self.0.pass(Call::Read, self.0.below().schedule(id)).await
    }

    async fn insert_plan(&self, plan: &PlanRow) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().insert_plan(plan)).await
    }

    async fn plan(&self, id: &str) -> Result<Option<PlanRow>> {
        self.0.pass(Call::Read, self.0.below().plan(id)).await
    }

    async fn replace_plan(&self, schedule: ScheduleId, from: &str, to: &str) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().replace_plan(schedule, from, to)).await
    }

    async fn plans(&self, page: Page<String>) -> Result<Vec<PlanSummary>> {
        self.0.pass(Call::Read, self.0.below().plans(page)).await
    }
}

#[async_trait]
impl<L: Layer> Reads for Layered<L> {
    async fn ping(&self) -> Result<()> {
        self.0.pass(Call::Read, self.0.below().ping()).await
    }

    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>> {
        self.0.pass(Call::Read, self.0.below().requests(ids)).await
    }

    async fn next_offsets(&self) -> Result<Vec<(LanePartition, u64)>> {
        self.0.pass(Call::Read, self.0.below().next_offsets()).await
    }

    async fn progress_views(&self) -> Result<Vec<ProgressView>> {
        self.0.pass(Call::Read, self.0.below().progress_views()).await
    }

    async fn seats(&self, schedule: ScheduleId) -> Result<Vec<BlockSeats>> {
        self.0.pass(Call::Read, self.0.below().seats(schedule)).await
    }

    async fn reservations_by_id(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        self.0.pass(Call::Read, self.0.below().reservations_by_id(ids)).await
    }

    async fn reservations(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>> {
        self.0.pass(Call::Read, self.0.below().reservations(user, page)).await
    }

    async fn unfinished_of(
        &self,
        user: &UserId,
        schedule: ScheduleId,
        blocks: &[BlockName],
    ) -> Result<Vec<Reservation>> {
        self.0.pass(Call::Read, self.0.below().unfinished_of(user, schedule, blocks)).await
    }

    async fn payments(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>> {
        self.0.pass(Call::Read, self.0.below().payments(user, page)).await
    }

    async fn wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>> {
        self.0.pass(Call::Read, self.0.below().wallets(users)).await
    }

    async fn wallet_entries(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>> {
        self.0.pass(Call::Read, self.0.below().wallet_entries(user, page)).await
    }

    async fn queue(&self, schedule: ScheduleId) -> Result<Option<Queue>> {
        self.0.pass(Call::Read, self.0.below().queue(schedule)).await
    }

    async fn tokens_changed(&self, schedule: ScheduleId, from: u64, live_only: bool, limit: u32) -> Result<Vec<Token>> {
        self.0.pass(Call::Read, self.0.below().tokens_changed(schedule, from, live_only, limit)).await
    }

    async fn tokens_of(&self, schedule: ScheduleId, user: &UserId) -> Result<Vec<Token>> {
        self.0.pass(Call::Read, self.0.below().tokens_of(schedule, user)).await
    }
}

#[async_trait]
impl<L: Layer> DeadLetters for Layered<L> {
    async fn dead_letters(&self, page: Page<Position>) -> Result<Vec<DeadLetterView>> {
        self.0.pass(Call::Read, self.0.below().dead_letters(page)).await
    }

    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetterView>> {
        self.0.pass(Call::Read, self.0.below().dead_letter(position)).await
    }

    async fn open_dead_letters(&self, limit: u32) -> Result<u32> {
        self.0.pass(Call::Read, self.0.below().open_dead_letters(limit)).await
    }

    async fn mark_replayed(&self, position: Position, done: &DoneBy) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().mark_replayed(position, done)).await
    }

    async fn dismiss(&self, position: Position, done: &DoneBy) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().dismiss(position, done)).await
    }
}

#[async_trait]
impl<L: Layer> Operations for Layered<L> {
    async fn heartbeat(&self, process: &Process) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().heartbeat(process)).await
    }

    async fn leave(&self, name: &str) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().leave(name)).await
    }

    async fn forget_processes(&self, silent_for: Duration) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().forget_processes(silent_for)).await
    }

    async fn processes(&self) -> Result<Vec<ProcessView>> {
        self.0.pass(Call::Read, self.0.below().processes()).await
    }

    async fn requests_under(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>> {
        self.0.pass(Call::Read, self.0.below().requests_under(ids)).await
    }

    async fn sale_counts(&self, schedules: &[ScheduleId]) -> Result<Vec<SaleCounts>> {
        self.0.pass(Call::Read, self.0.below().sale_counts(schedules)).await
    }

    async fn holds_since(&self, schedule: ScheduleId, times: [LogTime; 4]) -> Result<[u64; 4]> {
        self.0.pass(Call::Read, self.0.below().holds_since(schedule, times)).await
    }

    async fn note_audit(&self, run: &AuditRun) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().note_audit(run)).await
    }

    async fn last_audit(&self) -> Result<Option<AuditRun>> {
        self.0.pass(Call::Read, self.0.below().last_audit()).await
    }
}

#[async_trait]
impl<L: Layer> AuditReads for Layered<L> {
    async fn state_page(&self, table: StateTable, after: Option<&Row>, limit: u32) -> Result<Vec<Row>> {
        self.0.pass(Call::Read, self.0.below().state_page(table, after, limit)).await
    }

    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>> {
        self.0.pass(Call::Read, self.0.below().requests_page(after, limit)).await
    }
}

#[async_trait]
impl<L: Layer> Snapshots for Layered<L> {
    async fn snapshot(&self) -> Result<Box<dyn AuditedStore>> {
        self.0.pass(Call::Read, self.0.below().snapshot()).await
    }
}

#[async_trait]
impl<L: Layer> LogBinding for Layered<L> {
    async fn recorded_log(&self) -> Result<Option<RecordedLog>> {
        self.0.pass(Call::Read, self.0.below().recorded_log()).await
    }

    async fn record_log(&self, log: &RecordedLog) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().record_log(log)).await
    }
}

#[async_trait]
impl<L: Layer> Retention for Layered<L> {
    async fn forget_requests(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64> {
        self.0.forget_requests(of, before, limit).await
    }

    async fn forget_dead_letters(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64> {
        self.0.pass(Call::Write, self.0.below().forget_dead_letters(of, before, limit)).await
    }
}
