//! The seats of one section of one schedule. Key `{schedule_id}/{section}`, lane `seats`.

use std::collections::{BTreeMap, BTreeSet};

use super::Code;
use super::ids::{Arrival, LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SectionName, UserId};

/// Most seats a section can have.
pub const SEATS_MAX: u32 = 10_000;
/// Most seats one hold can name, and the highest `max_seats_per_user`.
pub const SEATS_PER_HOLD_MAX: u32 = 100;
/// Longest hold: one day.
pub const HOLD_TTL_MS_MAX: i64 = 86_400_000;

/// The section's row: what it was opened with, and how many seats are free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionRow {
    pub schedule_id: ScheduleId,
    pub name: SectionName,
    /// Seats are numbered 1..=seats.
    pub seats: u32,
    /// Of one seat, smallest currency unit.
    pub price: i64,
    pub hold_ttl_ms: i64,
    pub max_seats_per_user: u32,
    pub sales_open_at: Option<LogTime>,
    pub starts_at: LogTime,
    pub queue: bool,
    /// Seats that are AVAILABLE, so that no reader has to count.
    pub available: u32,
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStatus {
    Available,
    Held,
    Paying,
    Sold,
}

impl SeatStatus {
    pub const ALL: [SeatStatus; 4] = [SeatStatus::Available, SeatStatus::Held, SeatStatus::Paying, SeatStatus::Sold];

    pub fn as_str(self) -> &'static str {
        match self {
            SeatStatus::Available => "AVAILABLE",
            SeatStatus::Held => "HELD",
            SeatStatus::Paying => "PAYING",
            SeatStatus::Sold => "SOLD",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        SeatStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One seat. `reservation` is there exactly when the seat is not AVAILABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    pub number: u32,
    pub status: SeatStatus,
    pub reservation: Option<ReservationId>,
    /// The command that last changed it; readers resume after its offset.
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationStatus {
    Held,
    Paying,
    Confirmed,
    Expired,
    /// By its owner: before payment, or after it while the refund is under way.
    Cancelled,
    Refunded,
}

impl ReservationStatus {
    pub const ALL: [ReservationStatus; 6] = [
        ReservationStatus::Held,
        ReservationStatus::Paying,
        ReservationStatus::Confirmed,
        ReservationStatus::Expired,
        ReservationStatus::Cancelled,
        ReservationStatus::Refunded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ReservationStatus::Held => "HELD",
            ReservationStatus::Paying => "PAYING",
            ReservationStatus::Confirmed => "CONFIRMED",
            ReservationStatus::Expired => "EXPIRED",
            ReservationStatus::Cancelled => "CANCELLED",
            ReservationStatus::Refunded => "REFUNDED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        ReservationStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// It has seats.
    pub fn is_live(self) -> bool {
        matches!(self, ReservationStatus::Held | ReservationStatus::Paying | ReservationStatus::Confirmed)
    }
}

/// The seats one user took in one hold, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub id: ReservationId,
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    pub user_id: UserId,
    /// Ascending.
    pub seats: Vec<u32>,
    /// For all seats, fixed when they were held.
    pub amount: i64,
    pub status: ReservationStatus,
    pub expires_at: LogTime,
    /// The payment under way, done, or being refunded.
    pub payment: Option<PaymentId>,
    /// The hold: the position later refusals name as first.
    pub held: Arrival,
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    Pending,
    Completed,
    Failed,
    Refunded,
}

impl PaymentStatus {
    pub const ALL: [PaymentStatus; 4] =
        [PaymentStatus::Pending, PaymentStatus::Completed, PaymentStatus::Failed, PaymentStatus::Refunded];

    pub fn as_str(self) -> &'static str {
        match self {
            PaymentStatus::Pending => "PENDING",
            PaymentStatus::Completed => "COMPLETED",
            PaymentStatus::Failed => "FAILED",
            PaymentStatus::Refunded => "REFUNDED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        PaymentStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One attempt to pay a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub reservation_id: ReservationId,
    pub user_id: UserId,
    pub amount: i64,
    pub status: PaymentStatus,
    /// Why it FAILED.
    pub failure: Option<Code>,
    /// The pay request it answers.
    pub request_id: RequestId,
    pub created_at: LogTime,
    pub changed: Arrival,
}

/// A section in memory: its row, its seats and all reservations that matter to a decision.
///
/// Bounded by the seats: a live reservation has at least one. Ended reservations and the payments named by live ones
/// are loaded when a command names them, see [`Section::remember`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub row: SectionRow,
    /// Index = number - 1.
    pub seats: Vec<Seat>,
    /// HELD, PAYING and CONFIRMED ones, and ended ones while they are remembered.
    pub reservations: BTreeMap<ReservationId, Reservation>,
    /// Payments that are not over: PENDING, or COMPLETED of a live reservation.
    pub payments: BTreeMap<PaymentId, Payment>,
    /// HELD reservations by the time they run out.
    pub expiries: BTreeSet<(LogTime, ReservationId)>,
    /// Live seats by user, for the ticket limit.
    pub seats_by_user: BTreeMap<UserId, u32>,
}
