//! The seats of one section of one schedule. Key `{schedule_id}/{section}`, lane `seats`.
//!
//! This file has the rows and the aggregate; `open`, `hold`, `pay`, `cancel` and `expire` are the rules by command,
//! `memory` keeps the aggregate and its indexes in step with the changes.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{Arrival, LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SectionName, UserId};
use super::{Body, Code, Command, Decision, Refusal};

mod best_available;
mod cancel;
mod edit;
mod expire;
mod hold;
mod memory;
mod open;
mod pay;
mod settle;
#[cfg(test)]
mod tests;

pub use memory::apply;

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
/// Bounded by the seats: a live reservation has at least one. Ended reservations are loaded when a command names them,
/// see [`Section::remember`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub row: SectionRow,
    /// Index = number - 1.
    pub seats: Vec<Seat>,
    /// HELD, PAYING and CONFIRMED ones, and ended ones while they are remembered.
    pub reservations: BTreeMap<ReservationId, Reservation>,
    /// Payments that may still change: PENDING and COMPLETED ones, also while a cancelled reservation is being
    /// refunded. FAILED and REFUNDED never change again.
    pub payments: BTreeMap<PaymentId, Payment>,
    /// HELD reservations by the time they run out.
    pub expiries: BTreeSet<(LogTime, ReservationId)>,
    /// Live seats by user, for the ticket limit. Holds that ran out count until their end is recorded.
    pub seats_by_user: BTreeMap<UserId, u32>,
    /// Those of `reservations` that have ended.
    pub ended: BTreeSet<ReservationId>,
}

/// What the rules say of a command of the seats lane. `None`: the section was never opened.
pub fn decide(section: Option<&Section>, command: &Command, at: &Arrival) -> Decision {
    if let Body::OpenSection(body) = &command.body {
        return open::decide(section, body, at);
    }
    let Some(section) = section else {
        return Decision::rejected(Refusal::new(Code::SectionNotFound, "there is no such section"));
    };
    match &command.body {
        Body::HoldSeats(body) => hold::decide(section, body, at),
        Body::CancelReservation(body) => cancel::decide(section, body, command.request_id, at),
        Body::PayReservation(body) => pay::decide(section, body, command.request_id, at),
        Body::SettlePayment(body) => settle::decide(section, body, at),
        Body::ExpireHolds(_) => expire::decide(section, at),
        other => {
            debug_assert!(false, "{} is not of the seats lane", other.name());
            Decision::rejected(Refusal::new(Code::SectionNotFound, "not a command of the seats lane"))
        }
    }
}

impl Reservation {
    /// Its hold is over by `time`: at exactly `expires_at` it is.
    pub fn has_run_out(&self, time: LogTime) -> bool {
        self.status == ReservationStatus::Held && self.expires_at <= time
    }

    /// It has seats, or its money is on the way back. These are loaded with their section, and with their payments.
    pub fn is_unfinished(&self) -> bool {
        self.status.is_live() || (self.status == ReservationStatus::Cancelled && self.payment.is_some())
    }
}

impl Section {
    /// The reservation, if it is there and this user's.
    fn owned(&self, id: ReservationId, user: &UserId) -> Result<&Reservation, Refusal> {
        match self.reservations.get(&id) {
            None => Err(Refusal::new(Code::ReservationNotFound, "this section has no such reservation")),
            Some(reservation) if reservation.user_id != *user => {
                Err(Refusal::new(Code::NotReservationOwner, "the reservation is another user's"))
            }
            Some(reservation) => Ok(reservation),
        }
    }
}
