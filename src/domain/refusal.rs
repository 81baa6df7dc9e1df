//! Why a command was refused. A refusal is a result, never an `Err` of the program.

use super::ids::SeatId;
use super::position::{Arrival, LogTime};
use super::texts::texts;

/// A command that was understood and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// One sentence for a person, lower case, no full stop.
    pub detail: String,
    pub more: More,
}

/// What a refusal says besides its sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum More {
    #[default]
    Nothing,
    /// Who was first, without naming them: of `seat_taken`.
    Taken { seat: SeatId, by: Arrival },
    /// From when on the same hold is taken again: of `hold_cooldown`.
    AgainAt(LogTime),
    /// The first scan: of `ticket_used`.
    Used(Arrival),
}

impl Refusal {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal { code, detail: detail.into(), more: More::Nothing }
    }

    pub fn with(mut self, more: More) -> Self {
        self.more = more;
        self
    }
}

texts! {
    /// The codes of refusals; their texts are stable.
    pub enum Code ("a refusal code") {
        SeatTaken = "seat_taken",
        SeatNotFound = "seat_not_found",
        SeatNotForSale = "seat_not_for_sale",
        SectionNotFound = "section_not_found",
        BlockNotFound = "block_not_found",
        BlockConflict = "block_conflict",
        SalesClosed = "sales_closed",
        ShowCancelled = "show_cancelled",
        TicketLimitExceeded = "ticket_limit_exceeded",
        HoldCooldown = "hold_cooldown",
        CompanionOnly = "companion_only",
        NotEnoughAdjacentSeats = "not_enough_adjacent_seats",
        ReservationNotFound = "reservation_not_found",
        NotReservationOwner = "not_reservation_owner",
        HoldExpired = "hold_expired",
        PaymentInProgress = "payment_in_progress",
        AlreadyPaid = "already_paid",
        AmountMismatch = "amount_mismatch",
        InsufficientBalance = "insufficient_balance",
        InvalidAmount = "invalid_amount",
        BalanceLimitExceeded = "balance_limit_exceeded",
        QueueFull = "queue_full",
        QueueNotFound = "queue_not_found",
        TokenNotFound = "token_not_found",
        NotAdmitted = "not_admitted",
        IdempotencyKeyReused = "idempotency_key_reused",
        NotCancellable = "not_cancellable",
        TicketUsed = "ticket_used",
        TicketInvalid = "ticket_invalid",
        SkippedByOperator = "skipped_by_operator",
    }
}
