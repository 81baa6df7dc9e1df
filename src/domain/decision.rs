//! What the rules say of one command: changes, an outcome, and what must be asked of other aggregates.

use super::command::Body;
use super::ids::{Arrival, RequestId, ReservationId, RoutingKey, ScheduleId, SectionName};
use super::{queue, section, wallet};

/// The rules' answer to one command. Applying `changes` to the aggregate gives its next state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub changes: Vec<Change>,
    /// Commands for other aggregates; their request ids are derived from this command's position.
    pub follow_ups: Vec<Body>,
    /// A request of an earlier command that this one decides.
    pub completes: Option<Completion>,
}

impl Decision {
    pub fn rejected(refusal: Refusal) -> Self {
        Decision { verdict: Verdict::Rejected(refusal), changes: Vec::new(), follow_ups: Vec::new(), completes: None }
    }

    pub fn succeeded(success: Success, changes: Vec<Change>) -> Self {
        Decision { verdict: Verdict::Succeeded(success), changes, follow_ups: Vec::new(), completes: None }
    }

    /// The command waits for the settlement of what it asks of another lane.
    pub fn pending(changes: Vec<Change>, follow_up: Body) -> Self {
        Decision { verdict: Verdict::Pending, changes, follow_ups: vec![follow_up], completes: None }
    }
}

/// How a command ended, or that its settlement decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Succeeded(Success),
    Rejected(Refusal),
    Pending,
}

/// The outcome of an earlier, pending request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub request_id: RequestId,
    /// The pending command's type, e.g. `pay_reservation`.
    pub command: &'static str,
    /// Never [`Verdict::Pending`].
    pub verdict: Verdict,
}

/// What a success hands back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    SectionOpened {
        schedule_id: ScheduleId,
        section: SectionName,
        seats: u32,
        price: i64,
    },
    /// `expired`: reservations whose holds had run out and whose seats this hold took over; recorded EXPIRED with it.
    Held {
        reservation: section::Reservation,
        expired: Vec<ReservationId>,
    },
    /// HELD → CANCELLED, nothing to give back.
    Cancelled(section::Reservation),
    /// Cancelled after payment, and the money is back in the wallet.
    Refunded {
        reservation: section::Reservation,
        balance: i64,
    },
    PaymentCompleted {
        payment: section::Payment,
        balance: i64,
    },
    /// Of `settle_payment` itself: where the reservation stands now.
    Settled(section::Reservation),
    HoldsExpired {
        schedule_id: ScheduleId,
        section: SectionName,
        reservations: Vec<ReservationId>,
        seats: Vec<u32>,
    },
    /// Charge, debit, credit: the entry with the balance after it.
    WalletChanged(wallet::Entry),
    QueueOpened(queue::Queue),
    QueueConfigured {
        queue: queue::Queue,
        admitted: Vec<queue::Token>,
    },
    /// `ahead`: waiting tokens before this one. `admitted`: others let in by the same decision; the user's own token
    /// says by its status whether it was. `ended`: the user's token before this one, if its time was over.
    Joined {
        token: queue::Token,
        ahead: u64,
        admitted: Vec<queue::Token>,
        ended: Vec<queue::Token>,
    },
    Left {
        token: queue::Token,
        admitted: Vec<queue::Token>,
    },
    SeenNoted {
        schedule_id: ScheduleId,
        tokens: u64,
    },
    TokenCompleted {
        token: queue::Token,
        admitted: Vec<queue::Token>,
    },
    /// `requeued`: new WAITING tokens of users whose time was over; who was let in again at once is among `admitted`.
    Ticked {
        schedule_id: ScheduleId,
        admitted: Vec<queue::Token>,
        ended: Vec<queue::Token>,
        requeued: Vec<queue::Token>,
    },
}

/// A command that was understood and refused. A result, never an `Err`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// One sentence for a person.
    pub detail: String,
    /// Who was first, without naming them.
    pub taken: Option<Taken>,
}

impl Refusal {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal { code, detail: detail.into(), taken: None }
    }
}

/// The command that took a seat before this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub section: SectionName,
    pub seat: u32,
    pub by: Arrival,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why a command was refused. The texts are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    SeatTaken = "seat_taken",
    SeatNotFound = "seat_not_found",
    SectionNotFound = "section_not_found",
    SectionConflict = "section_conflict",
    SalesClosed = "sales_closed",
    TicketLimitExceeded = "ticket_limit_exceeded",
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
}

impl std::str::FromStr for Code {
    type Err = super::ids::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(super::ids::InvalidId("unknown refusal code"))
    }
}

/// One changed row of state, whole: the last write of a key within a batch wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Section(section::SectionRow),
    Seat(section::Seat),
    Reservation(section::Reservation),
    Payment(section::Payment),
    Wallet(wallet::Wallet),
    WalletEntry(wallet::Entry),
    Queue(queue::Queue),
    Token(queue::Token),
}

/// The key of a changed row, to keep only the last write of each within a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    Section(RoutingKey),
    Seat(ScheduleId, SectionName, u32),
    Reservation(ReservationId),
    Payment(super::PaymentId),
    Wallet(super::UserId),
    WalletEntry(super::EntryId),
    Queue(ScheduleId),
    Token(ScheduleId, u64),
}

impl Change {
    pub fn key(&self) -> RowKey {
        match self {
            Change::Section(row) => RowKey::Section(RoutingKey::Section(row.schedule_id, row.name.clone())),
            Change::Seat(seat) => RowKey::Seat(seat.schedule_id, seat.section.clone(), seat.number),
            Change::Reservation(reservation) => RowKey::Reservation(reservation.id),
            Change::Payment(payment) => RowKey::Payment(payment.id),
            Change::Wallet(wallet) => RowKey::Wallet(wallet.user_id.clone()),
            Change::WalletEntry(entry) => RowKey::WalletEntry(entry.id),
            Change::Queue(queue) => RowKey::Queue(queue.schedule_id),
            Change::Token(token) => RowKey::Token(token.schedule_id, token.sequence),
        }
    }
}
