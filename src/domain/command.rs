//! The table of commands, and what travels with the request of one.

use super::ids::RequestId;
use super::names::UserId;
use super::position::Lane;
use super::refusal::Code;
use super::texts::texts;

/// Declares the commands, one each: kind, text on the log, lane, and the refusals it may meet besides
/// `idempotency_key_reused`.
macro_rules! commands {
    ($($kind:ident = $text:literal, $lane:ident, [$($code:ident),* $(,)?];)+) => {
        texts! {
            /// The `type` of a command on the log.
            pub enum CommandKind ("a command type") {
                $($kind = $text,)+
            }
        }

        impl CommandKind {
            pub fn lane(self) -> Lane {
                match self {
                    $(CommandKind::$kind => Lane::$lane,)+
                }
            }

            /// The refusals that whoever sends it may meet, besides `idempotency_key_reused`. None for what only the
            /// program itself sends: nobody reads those.
            pub fn refusals(self) -> &'static [Code] {
                match self {
                    $(CommandKind::$kind => &[$(Code::$code),*],)+
                }
            }
        }
    };
}

commands! {
    OpenBlock = "open_block", Seats, [BlockConflict];
    AmendBlock = "amend_block", Seats, [BlockNotFound, SectionNotFound, BlockConflict, ShowCancelled];
    HoldSeats = "hold_seats", Seats, [
        SeatTaken, SeatNotFound, SeatNotForSale, SectionNotFound, BlockNotFound, SalesClosed, ShowCancelled,
        TicketLimitExceeded, HoldCooldown, CompanionOnly, NotEnoughAdjacentSeats, NotAdmitted,
    ];
    CancelReservation = "cancel_reservation", Seats, [
        ReservationNotFound, NotReservationOwner, HoldExpired, PaymentInProgress, NotCancellable,
    ];
    PayReservation = "pay_reservation", Seats, [
        ReservationNotFound, NotReservationOwner, HoldExpired, ShowCancelled, PaymentInProgress, AlreadyPaid,
        AmountMismatch, InvalidAmount, InsufficientBalance,
    ];
    SettlePayment = "settle_payment", Seats, [];
    ExpireHolds = "expire_holds", Seats, [];
    CheckTicket = "check_ticket", Seats, [TicketUsed, TicketInvalid];
    ChargeWallet = "charge_wallet", Wallets, [InvalidAmount, BalanceLimitExceeded];
    DebitWallet = "debit_wallet", Wallets, [InvalidAmount, InsufficientBalance];
    CreditWallet = "credit_wallet", Wallets, [];
    AskPayment = "ask_payment", Wallets, [];
    OpenQueue = "open_queue", Queues, [];
    ConfigureQueue = "configure_queue", Queues, [QueueNotFound];
    JoinQueue = "join_queue", Queues, [QueueNotFound, SalesClosed, ShowCancelled, QueueFull];
    LeaveQueue = "leave_queue", Queues, [QueueNotFound, TokenNotFound];
    Seen = "seen", Queues, [];
    CompleteToken = "complete_token", Queues, [];
    NoteSale = "note_sale", Queues, [];
    Tick = "tick", Queues, [];
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
