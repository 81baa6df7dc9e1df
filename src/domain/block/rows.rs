//! The rows of a block, as the store has them.

use super::counts::CountTable;
use super::layout::Layout;
use crate::domain::texts::texts;
use crate::domain::{
    Amount, Arrival, Asking, BlockKey, Code, LogTime, PaymentId, ReservationId, SeatId, SectionName, UserId,
};

/// The block's row: its terms as amended, and what readers would have to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    pub key: BlockKey,
    pub terms: Terms,
    pub queue: bool,
    /// Hash of what it was opened with, to tell a repeat.
    pub content: u64,
    /// The command that cancelled the show.
    pub cancelled: Option<Arrival>,
    /// Under a cancellation: reservations up to this id are worked through. `None`: none yet.
    pub swept: Option<ReservationId>,
    /// The sweep of a cancellation has come to the end.
    pub sweep_done: bool,
    /// Reservations that the cancellation pays back, and how many of them are paid back.
    pub refunds_due: u32,
    pub refunds_done: u32,
    pub counts: CountTable,
    /// Seats HELD or PAYING.
    pub pending: u32,
    /// What the queue was last sent, and the offset it was decided at; `None` without a queue.
    pub noted: Option<SaleNote>,
    /// The earliest of hold ends, payments to ask for again, a sweep under way and `companions_free_at`.
    pub due_at: Option<LogTime>,
    pub changed: Arrival,
}

/// Every number and time a rule of a block uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// 1..=[`super::HOLD_TTL_MS_MAX`]
    pub hold_ttl_ms: i64,
    /// How long after a user's hold ended unpaid the same seat is closed to them, 0..=[`super::HOLD_TTL_MS_MAX`].
    pub rehold_after_ms: i64,
    /// A payment or refund that waits longer is asked for again, then at doubling intervals up to an hour. 1..=1 h.
    pub payment_timeout_ms: i64,
    /// 1..=[`super::SEATS_PER_HOLD_MAX`]
    pub max_seats_per_user: u32,
    /// Sales begin; `None`: at once.
    pub sales_open_at: Option<LogTime>,
    /// Sales end; `None`: when the show starts.
    pub sales_close_at: Option<LogTime>,
    /// The show starts: sales and holds end, and so does cancelling what is paid.
    pub starts_at: LogTime,
    /// Companion seats become ordinary seats; `None`: never.
    pub companions_free_at: Option<LogTime>,
}

texts! {
    /// Whether seats of a block can be bought, as the queue is told.
    pub enum SaleState ("a sale state: open, all_held, sold_out or cancelled") {
        /// A seat anyone may buy is free.
        Open = "open",
        /// None is free, but some are HELD or PAYING.
        AllHeld = "all_held",
        SoldOut = "sold_out",
        Cancelled = "cancelled",
    }

    pub enum SeatStatus ("a seat status") {
        Available = "AVAILABLE",
        Held = "HELD",
        Paying = "PAYING",
        Sold = "SOLD",
    }

    pub enum ReservationStatus ("a reservation status") {
        Held = "HELD",
        Paying = "PAYING",
        Confirmed = "CONFIRMED",
        Expired = "EXPIRED",
        /// By its owner or with the show: before payment, or after it while the refund is under way.
        Cancelled = "CANCELLED",
        Refunded = "REFUNDED",
    }

    pub enum PaymentStatus ("a payment status") {
        Pending = "PENDING",
        Completed = "COMPLETED",
        Failed = "FAILED",
        Refunded = "REFUNDED",
    }
}

/// What a block tells the queue of its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleNote {
    /// Offset of the decision that changed it: the queue keeps the newest.
    pub version: u64,
    pub state: SaleState,
    pub sales_open_at: Option<LogTime>,
    pub starts_at: LogTime,
}

/// A section's row: written when the block is opened or amended, never by a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionRow {
    pub key: BlockKey,
    pub name: SectionName,
    /// Its place in the order of sections, from 0.
    pub rank: u32,
    pub layout: Layout,
    pub changed: Arrival,
}

/// A seat that was touched; one that never was has no row and is AVAILABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub key: BlockKey,
    pub id: SeatId,
    pub state: SeatState,
    /// The last user who held it unpaid, until it is sold or another user holds it.
    pub remembered: Option<Remembered>,
    /// The scan that admitted its holder; only while SOLD.
    pub checked: Option<Arrival>,
    /// The command that last changed it.
    pub changed: Arrival,
}

/// What a seat knows of the last unpaid hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    pub user_id: UserId,
    /// End of the first of that user's unbroken holds.
    pub first_end: LogTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatState {
    Available,
    Held(ReservationId),
    Paying(ReservationId),
    Sold(ReservationId),
}

impl SeatState {
    pub fn status(self) -> SeatStatus {
        match self {
            SeatState::Available => SeatStatus::Available,
            SeatState::Held(_) => SeatStatus::Held,
            SeatState::Paying(_) => SeatStatus::Paying,
            SeatState::Sold(_) => SeatStatus::Sold,
        }
    }

    pub fn reservation(self) -> Option<ReservationId> {
        match self {
            SeatState::Available => None,
            SeatState::Held(id) | SeatState::Paying(id) | SeatState::Sold(id) => Some(id),
        }
    }
}

/// The seats one user took in one hold, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub id: ReservationId,
    pub key: BlockKey,
    pub user_id: UserId,
    /// Who held them for the user, if staff did.
    pub by: Option<UserId>,
    /// Ascending.
    pub seats: Vec<SeatId>,
    /// For all seats, fixed when they were held.
    pub amount: Amount,
    pub state: ReservationState,
    /// The hold ends at this time or when the show starts, whichever is earlier as it is judged.
    pub expires_at: LogTime,
    /// The hold: the position later refusals name as first.
    pub held: Arrival,
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    Held,
    Paying(PaymentId),
    /// `payment` is missing if nothing had to be paid; `serial`: offset of the confirmation, printed in tickets.
    Confirmed {
        payment: Option<PaymentId>,
        serial: u64,
    },
    Expired,
    /// `refund`: the payment that is being paid back.
    Cancelled {
        refund: Option<PaymentId>,
    },
    /// `payment` is missing if nothing had been paid.
    Refunded {
        payment: Option<PaymentId>,
    },
}

impl ReservationState {
    pub fn status(self) -> ReservationStatus {
        match self {
            ReservationState::Held => ReservationStatus::Held,
            ReservationState::Paying(_) => ReservationStatus::Paying,
            ReservationState::Confirmed { .. } => ReservationStatus::Confirmed,
            ReservationState::Expired => ReservationStatus::Expired,
            ReservationState::Cancelled { .. } => ReservationStatus::Cancelled,
            ReservationState::Refunded { .. } => ReservationStatus::Refunded,
        }
    }

    /// The payment under way, done, or being paid back.
    pub fn payment(self) -> Option<PaymentId> {
        match self {
            ReservationState::Held | ReservationState::Expired => None,
            ReservationState::Paying(id) => Some(id),
            ReservationState::Confirmed { payment, .. } | ReservationState::Refunded { payment } => payment,
            ReservationState::Cancelled { refund } => refund,
        }
    }

    /// It has seats.
    pub fn is_live(self) -> bool {
        matches!(self, ReservationState::Held | ReservationState::Paying(_) | ReservationState::Confirmed { .. })
    }

    /// It has seats, or its money is on the way back: loaded with its block.
    pub fn is_unfinished(self) -> bool {
        self.is_live() || matches!(self, ReservationState::Cancelled { refund: Some(_) })
    }
}

/// One attempt to pay a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub key: BlockKey,
    pub reservation_id: ReservationId,
    pub user_id: UserId,
    pub amount: Amount,
    pub state: PaymentState,
    /// The pay request that it answers.
    pub asking: Asking,
    pub created_at: LogTime,
    pub changed: Arrival,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentState {
    /// The wallet has been asked for the money.
    Pending(Waiting),
    Completed,
    Failed(Code),
    /// The wallet has been asked to take the money back. Shown as COMPLETED until it has. `asking`: the cancel request
    /// that waits for it; `None`: the show was cancelled.
    Refunding {
        asking: Option<Asking>,
        waiting: Waiting,
    },
    Refunded,
}

/// When the wallet is asked again, and how long the wait after that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub ask_at: LogTime,
    pub interval_ms: i64,
}

impl PaymentState {
    pub fn status(&self) -> PaymentStatus {
        match self {
            PaymentState::Pending(_) => PaymentStatus::Pending,
            PaymentState::Completed | PaymentState::Refunding { .. } => PaymentStatus::Completed,
            PaymentState::Failed(_) => PaymentStatus::Failed,
            PaymentState::Refunded => PaymentStatus::Refunded,
        }
    }

    /// It may still change: loaded with its block.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self, PaymentState::Failed(_) | PaymentState::Refunded)
    }

    /// The same, waiting anew.
    pub(super) fn wait(self, waiting: Waiting) -> PaymentState {
        match self {
            PaymentState::Pending(_) => PaymentState::Pending(waiting),
            PaymentState::Refunding { asking, .. } => PaymentState::Refunding { asking, waiting },
            ended => ended,
        }
    }

    pub fn waiting(&self) -> Option<Waiting> {
        match self {
            PaymentState::Pending(waiting) | PaymentState::Refunding { waiting, .. } => Some(*waiting),
            PaymentState::Completed | PaymentState::Failed(_) | PaymentState::Refunded => None,
        }
    }
}

/// One changed row of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Block(BlockRow),
    Section(SectionRow),
    Seat(Seat),
    Reservation(Reservation),
    Payment(Payment),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    Block(BlockKey),
    Section(BlockKey, SectionName),
    Seat(BlockKey, SeatId),
    Reservation(ReservationId),
    Payment(PaymentId),
}

/// All rows that a block is loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    pub block: BlockRow,
    /// In order of rank.
    pub sections: Vec<SectionRow>,
    /// The touched ones.
    pub seats: Vec<Seat>,
    /// Unfinished ones, see [`ReservationState::is_unfinished`].
    pub reservations: Vec<Reservation>,
    /// The unfinished ones of these reservations, see [`PaymentState::is_unfinished`].
    pub payments: Vec<Payment>,
}

/// What a command of this lane names besides its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recall {
    Reservation(ReservationId),
    Payment(PaymentId),
}
