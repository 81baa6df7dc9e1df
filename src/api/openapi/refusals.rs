//! Which refusals a command may meet.

use crate::domain::{Code, CommandKind};

/// The commands that clients send by HTTP, in the order of the documentation.
pub const COMMANDS: [CommandKind; 10] = [
    CommandKind::HoldSeats,
    CommandKind::CancelReservation,
    CommandKind::PayReservation,
    CommandKind::ChargeWallet,
    CommandKind::DebitWallet,
    CommandKind::JoinQueue,
    CommandKind::LeaveQueue,
    CommandKind::ConfigureQueue,
    CommandKind::OpenBlock,
    CommandKind::OpenQueue,
];

/// The refusals of a command, besides `idempotency_key_reused`; none for what no client sends.
pub fn refusals_of(command: CommandKind) -> &'static [Code] {
    use Code::*;
    match command {
        CommandKind::HoldSeats => &[
            SeatTaken,
            SeatNotFound,
            SeatNotForSale,
            SectionNotFound,
            BlockNotFound,
            SalesClosed,
            ShowCancelled,
            TicketLimitExceeded,
            HoldCooldown,
            CompanionOnly,
            NotEnoughAdjacentSeats,
            NotAdmitted,
        ],
        CommandKind::CancelReservation => {
            &[ReservationNotFound, NotReservationOwner, HoldExpired, PaymentInProgress, NotCancellable]
        }
        CommandKind::PayReservation => &[
            ReservationNotFound,
            NotReservationOwner,
            HoldExpired,
            ShowCancelled,
            PaymentInProgress,
            AlreadyPaid,
            AmountMismatch,
            InvalidAmount,
            InsufficientBalance,
        ],
        CommandKind::ChargeWallet => &[InvalidAmount, BalanceLimitExceeded],
        CommandKind::DebitWallet => &[InvalidAmount, InsufficientBalance],
        CommandKind::JoinQueue => &[QueueNotFound, QueueFull],
        CommandKind::LeaveQueue => &[QueueNotFound, TokenNotFound],
        CommandKind::ConfigureQueue => &[QueueNotFound],
        CommandKind::OpenBlock => &[BlockConflict],
        CommandKind::CheckTicket => &[TicketUsed, TicketInvalid],
        CommandKind::AmendBlock => &[BlockNotFound, BlockConflict],
        CommandKind::OpenQueue
        | CommandKind::SettlePayment
        | CommandKind::ExpireHolds
        | CommandKind::CreditWallet
        | CommandKind::AskPayment
        | CommandKind::Seen
        | CommandKind::CompleteToken
        | CommandKind::NoteSale
        | CommandKind::Tick => &[],
    }
}
