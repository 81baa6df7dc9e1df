//! What the rules say of one command: changes, an outcome, and what must be asked of other aggregates.

use super::aggregate::Aggregate;
use super::command::{Asking, Body, CommandKind};
use super::ids::{BlockKey, ReservationId, ScheduleId, SeatId};
use super::money::Balance;
use super::position::LogTime;
use super::refusal::Refusal;
use super::{block, queue, wallet};

/// The rules' answer to one command. Applying `changes` to the aggregate gives its next state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<A: Aggregate> {
    pub verdict: Verdict,
    /// What the command changed for others than the one who asked; part of the outcome of this command.
    pub effects: Effects,
    pub changes: Vec<A::Row>,
    /// Commands for other aggregates; their request ids are derived from this command's position.
    pub follow_ups: Vec<Body>,
    /// A request of an earlier command that this one decides.
    pub completes: Option<Completion>,
}

impl<A: Aggregate> Decision<A> {
    fn of(verdict: Verdict, changes: Vec<A::Row>) -> Self {
        Decision { verdict, effects: Effects::default(), changes, follow_ups: Vec::new(), completes: None }
    }

    pub fn rejected(refusal: Refusal) -> Self {
        Decision::of(Verdict::Decided(Err(refusal)), Vec::new())
    }

    pub fn succeeded(reply: Reply, changes: Vec<A::Row>) -> Self {
        Decision::of(Verdict::Decided(Ok(reply)), changes)
    }

    /// The command waits for the settlement of what it asks of another lane.
    pub fn pending(changes: Vec<A::Row>, follow_up: Body) -> Self {
        Decision { follow_ups: vec![follow_up], ..Decision::of(Verdict::Pending, changes) }
    }

    /// A timer's record that found nothing to do: no outcome is stored or published. `changes` may correct when
    /// something is due.
    pub fn nothing(changes: Vec<A::Row>) -> Self {
        Decision::of(Verdict::Nothing, changes)
    }
}

/// How a request ended: a reply for the one who asked, or a refusal.
pub type Outcome = Result<Reply, Refusal>;

/// What becomes of a command's request.
// Almost every decision is `Decided`: a box would cost each of them an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Decided(Outcome),
    /// A settlement decides it.
    Pending,
    /// Of a timer's record: nothing was due.
    Nothing,
}

/// The outcome of an earlier, pending request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub asking: Asking,
    /// The pending command's type: `pay_reservation` or `cancel_reservation`.
    pub command: CommandKind,
    pub outcome: Outcome,
}

/// What a decision changed for others than the one who asked: for the feed, never for the asker's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Reservations that this decision ended because their time had run out.
    pub expired: Vec<ReservationId>,
    /// Tokens that became ACTIVE.
    pub admitted: Vec<queue::Token>,
    /// Tokens that ended.
    pub ended: Vec<queue::Token>,
    /// New WAITING tokens of users whose turn was over.
    pub requeued: Vec<queue::Token>,
}

impl Effects {
    pub fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.admitted.is_empty() && self.ended.is_empty() && self.requeued.is_empty()
    }
}

/// What a success hands back to the one who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    BlockOpened {
        key: BlockKey,
        sections: u32,
        seats: u32,
    },
    BlockAmended {
        key: BlockKey,
        sections: u32,
        seats: u32,
        cancelled: bool,
    },
    /// `expires_at`: when the hold ends, by the reservation or the start of the show.
    Held {
        reservation: block::Reservation,
        expires_at: LogTime,
    },
    /// HELD → CANCELLED, or a free reservation: nothing to pay back.
    Cancelled(block::Reservation),
    /// Cancelled after payment, and the money is back in the wallet.
    Refunded {
        reservation: block::Reservation,
        balance: Balance,
    },
    /// `balance` is missing if nothing had to be paid.
    PaymentCompleted {
        payment: block::Payment,
        balance: Option<Balance>,
    },
    /// An amount of 0 needs no payment: the seats are sold.
    Confirmed(block::Reservation),
    /// Of `settle_payment` itself: where the reservation stands now.
    Settled(block::Reservation),
    HoldsExpired {
        key: BlockKey,
        reservations: Vec<ReservationId>,
        seats: Vec<SeatId>,
        refunds: u32,
        asked: u32,
    },
    TicketChecked {
        key: BlockKey,
        reservation_id: ReservationId,
        seat: SeatId,
        admitted_at: LogTime,
    },
    /// Charge, debit, credit: the entry with the balance after it.
    WalletChanged(wallet::Entry),
    /// Of `ask_payment` and of a repeated debit or credit: the answer that was given before.
    Answered(wallet::PaymentAnswer),
    QueueOpened(queue::Queue),
    QueueConfigured(queue::Queue),
    /// `ahead`: waiting tokens before this one.
    Joined {
        token: queue::Token,
        ahead: u64,
    },
    Left(queue::Token),
    SeenNoted {
        schedule_id: ScheduleId,
        tokens: u64,
    },
    TokenCompleted(queue::Token),
    SaleNoted {
        schedule_id: ScheduleId,
    },
    Ticked {
        schedule_id: ScheduleId,
    },
}
