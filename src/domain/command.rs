//! What may be asked of the aggregates. `wire` turns these to and from bytes.

use super::ids::{RequestId, RoutingKey};
use super::names::UserId;
use super::position::Lane;
use super::texts::texts;
use super::{block, queue, wallet};

/// One command: an id that makes its repeats harmless, who acts, and what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub request_id: RequestId,
    /// Who acted, if not the user it is for: staff. A request belongs to both.
    pub by: Option<UserId>,
    pub body: Body,
}

/// What is asked; the variant is the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Seats(block::Command),
    Wallets(wallet::Command),
    Queues(queue::Command),
}

/// Hash of what a command asks (`by` included, the request id not): tells a repeat from another command under its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

/// The request a decision answers, as the rules see it: it travels with what they ask of other lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    pub request_id: RequestId,
    pub fingerprint: Fingerprint,
    pub by: Option<UserId>,
}

texts! {
    /// The `type` of a command on the log.
    pub enum CommandKind ("a command type") {
        OpenBlock = "open_block",
        AmendBlock = "amend_block",
        HoldSeats = "hold_seats",
        CancelReservation = "cancel_reservation",
        PayReservation = "pay_reservation",
        SettlePayment = "settle_payment",
        ExpireHolds = "expire_holds",
        CheckTicket = "check_ticket",
        ChargeWallet = "charge_wallet",
        DebitWallet = "debit_wallet",
        CreditWallet = "credit_wallet",
        AskPayment = "ask_payment",
        OpenQueue = "open_queue",
        ConfigureQueue = "configure_queue",
        JoinQueue = "join_queue",
        LeaveQueue = "leave_queue",
        Seen = "seen",
        CompleteToken = "complete_token",
        NoteSale = "note_sale",
        Tick = "tick",
    }
}

impl CommandKind {
    pub fn lane(self) -> Lane {
        use CommandKind::*;
        match self {
            OpenBlock | AmendBlock | HoldSeats | CancelReservation | PayReservation | SettlePayment | ExpireHolds
            | CheckTicket => Lane::Seats,
            ChargeWallet | DebitWallet | CreditWallet | AskPayment => Lane::Wallets,
            OpenQueue | ConfigureQueue | JoinQueue | LeaveQueue | Seen | CompleteToken | NoteSale | Tick => {
                Lane::Queues
            }
        }
    }
}

impl Body {
    pub fn kind(&self) -> CommandKind {
        match self {
            Body::Seats(command) => command.kind(),
            Body::Wallets(command) => command.kind(),
            Body::Queues(command) => command.kind(),
        }
    }

    /// What decides the partition, recomputed from the content: a record's own key is not to be trusted.
    pub fn routing_key(&self) -> RoutingKey {
        match self {
            Body::Seats(command) => RoutingKey::Block(command.key()),
            Body::Wallets(command) => RoutingKey::Wallet(command.user_id().clone()),
            Body::Queues(command) => RoutingKey::Queue(command.schedule_id()),
        }
    }

    /// Whose request it is; `None` for the program's own timers and notes.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Body::Seats(command) => command.user_id(),
            Body::Wallets(command) => Some(command.user_id()),
            Body::Queues(command) => command.user_id(),
        }
    }

    /// Whether the program itself asks, as a follow-up or a timer. Its request ids are derived, and kept apart from
    /// those of clients, so that nobody can claim one beforehand.
    pub fn is_internal(&self) -> bool {
        match self {
            Body::Seats(command) => command.is_internal(),
            Body::Wallets(command) => command.is_internal(),
            Body::Queues(command) => command.is_internal(),
        }
    }
}
