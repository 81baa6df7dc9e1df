//! What the front door and the operator read. Nothing here locks or waits for a writer.

use async_trait::async_trait;

use super::{DeadLetter, RequestRow, StoreError};
use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Payment, Reservation, Seat, SectionRow};
use crate::domain::wallet::{Entry, Wallet};
use crate::domain::{ConcertId, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId, UserId};
use crate::log::LanePartition;

/// Descriptive row of the catalog, written by the front door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concert {
    pub id: ConcertId,
    pub title: String,
    pub description: Option<String>,
    pub created_at: LogTime,
}

/// Descriptive row of one date of a concert, written by the front door; its sections and queue are the lanes'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub id: ScheduleId,
    pub concert_id: ConcertId,
    pub starts_at: LogTime,
    pub duration_ms: Option<i64>,
    pub hold_ttl_ms: i64,
    pub max_seats_per_user: u32,
    pub sales_open_at: Option<LogTime>,
    /// Whether it was created with a waiting queue.
    pub queue: bool,
    pub created_at: LogTime,
}

/// A schedule with what its sections say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleView {
    pub schedule: Schedule,
    /// In order of name.
    pub sections: Vec<SectionRow>,
}

/// One partition's row for operators and the backlog guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressView {
    pub partition: LanePartition,
    pub epoch: u64,
    pub owner: String,
    pub next_offset: u64,
    pub last_time: LogTime,
    /// Rows not yet published.
    pub outbox_pending: u64,
}

/// A dead letter as listed, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterView {
    pub letter: DeadLetter,
    /// Last replay by an operator, if any.
    pub replayed_at: Option<LogTime>,
}

/// Which part of a list: at most `limit` rows after the one named by `after`, which is the last row's id of the page
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    pub after: Option<Id>,
    pub limit: u32,
}

/// Reads for the front door and operators, and the two descriptive writes of the catalog.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Can the store answer at all.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The request under this id; of several partitions' rows the one decided first by log time.
    async fn request(&self, id: RequestId) -> Result<Option<RequestRow>, StoreError>;

    /// The progress of every partition that was ever acquired.
    async fn progress_views(&self) -> Result<Vec<ProgressView>, StoreError>;

    /// Does nothing if the id is there already.
    async fn insert_concert(&self, concert: &Concert) -> Result<(), StoreError>;

    /// Does nothing if the id is there already.
    async fn insert_schedule(&self, schedule: &Schedule) -> Result<(), StoreError>;

    /// Newest first.
    async fn concerts(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError>;

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError>;

    /// In order of start time, then id. A concert has at most a few hundred dates, so this is not paged.
    async fn schedules(&self, concert: ConcertId) -> Result<Vec<ScheduleView>, StoreError>;

    async fn schedule(&self, id: ScheduleId) -> Result<Option<ScheduleView>, StoreError>;

    /// All seats of a schedule in order of section and number.
    async fn seats(&self, schedule: ScheduleId) -> Result<Vec<Seat>, StoreError>;

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError>;

    /// A user's reservations, newest (by id) first.
    async fn reservations(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError>;

    /// A user's payments, newest (by id) first.
    async fn payments(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError>;

    async fn wallet(&self, user: &UserId) -> Result<Option<Wallet>, StoreError>;

    /// A user's wallet entries, newest first; `after` is an entry number.
    async fn wallet_entries(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError>;

    async fn queue(&self, schedule: ScheduleId) -> Result<Option<Queue>, StoreError>;

    /// Tokens of a queue that changed at an offset `>= from` of its partition, ended ones included, in order of
    /// (changed offset, sequence), at most `limit`; `from: 0` with `live_only` loads the queue.
    async fn tokens_changed(
        &self,
        schedule: ScheduleId,
        from: u64,
        live_only: bool,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError>;

    /// A user's tokens of a schedule, newest sequence first, at most 10.
    async fn tokens_of(&self, schedule: ScheduleId, user: &UserId) -> Result<Vec<Token>, StoreError>;

    /// Newest position-time first.
    async fn dead_letters(&self, page: Page<Position>) -> Result<Vec<DeadLetterView>, StoreError>;

    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetterView>, StoreError>;

    /// Notes that an operator replayed it.
    async fn mark_replayed(&self, position: Position, at: LogTime) -> Result<(), StoreError>;
}
