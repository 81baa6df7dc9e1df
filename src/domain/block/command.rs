//! The commands of the seats lane.

use super::layout::{Layout, Span};
use super::rows::{Payment, Reservation, Terms};
use crate::domain::names::{BlockName, CategoryName, SectionName, UserId};
use crate::domain::{
    Amount, Asking, Balance, BlockKey, Code, CommandKind, LogTime, PaymentId, ReservationId, ScheduleId, SeatId,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    OpenBlock(OpenBlock),
    AmendBlock(AmendBlock),
    HoldSeats(HoldSeats),
    CancelReservation(CancelReservation),
    PayReservation(PayReservation),
    /// Internal.
    SettlePayment(SettlePayment),
    /// Internal.
    ExpireHolds(BlockKey),
    CheckTicket(CheckTicket),
}

/// Opens a block with its sections. A repeat with equal content succeeds, also after amendments; with other content it
/// is `block_conflict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBlock {
    pub key: BlockKey,
    /// The admin who opens it.
    pub user_id: UserId,
    /// Best first: the order in which seats are looked for. 1..=[`super::SECTIONS_MAX`].
    pub sections: Vec<NewSection>,
    pub terms: Terms,
    /// Whether the date has a waiting queue: holds need an admission, and a payment completes the token.
    pub queue: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSection {
    pub name: SectionName,
    pub layout: Layout,
}

/// Changes an open block. All values are absolute, so a repeat changes nothing; `None` leaves one as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmendBlock {
    pub key: BlockKey,
    pub user_id: UserId,
    pub sections: Vec<AmendSection>,
    /// Sections that are appended; one that exists with equal content is left alone.
    pub new_sections: Vec<NewSection>,
    pub sales_open_at: Option<Option<LogTime>>,
    pub sales_close_at: Option<Option<LogTime>>,
    /// After the time of the record.
    pub starts_at: Option<LogTime>,
    /// Final: everything held is cancelled, everything paid is paid back.
    pub cancelled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmendSection {
    pub name: SectionName,
    /// The section's layout from now on, whole: its seats so far keep their runs and categories; seats beyond them are
    /// new. Prices apply to later holds; the not-for-sale flags take effect while a seat is free.
    pub layout: Option<Layout>,
    /// Prices of later holds by category.
    pub prices: Vec<(CategoryName, Amount)>,
    /// The seats that are not for sale from now on, in place of those so far.
    pub not_for_sale: Option<Vec<Span>>,
}

/// Takes seats for a user, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldSeats {
    pub key: BlockKey,
    pub user_id: UserId,
    pub choice: Choice,
    /// The front door has checked the user's turn. Outside the fingerprint.
    pub admitted: bool,
}

/// Which seats a hold wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Ascending, each once, 1..=[`super::SEATS_PER_HOLD_MAX`] of them, also of several sections.
    Seats(Vec<SeatId>),
    BestAvailable(BestAvailable),
}

/// The best neighbors that are free: `count` of them, within one run and one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestAvailable {
    /// 1..=[`super::SEATS_PER_HOLD_MAX`]
    pub count: u32,
    pub section: Option<SectionName>,
    pub category: Option<CategoryName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelReservation {
    pub key: BlockKey,
    pub user_id: UserId,
    pub reservation_id: ReservationId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayReservation {
    pub key: BlockKey,
    pub user_id: UserId,
    pub reservation_id: ReservationId,
    /// If given it must equal the price: the client's check that it pays what it saw. Unchecked until decided.
    pub amount: Option<i64>,
}

/// What the wallet answered to a payment or a refund. Decides the request that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlePayment {
    pub origin: Origin,
    pub user_id: UserId,
    /// What the wallet was asked to move.
    pub amount: Amount,
    pub settlement: Settlement,
}

/// How the money part of a payment or refund ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    Debited { balance: Balance },
    DebitDeclined { code: Code },
    Refunded { balance: Balance },
    RefundDeclined { code: Code },
}

/// The reservation, payment and request for whose sake money moves between lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub key: BlockKey,
    pub reservation_id: ReservationId,
    pub payment_id: PaymentId,
    /// The request that the settlement decides; `None`: a refund that nobody asked for.
    pub asking: Option<Asking>,
}

/// Admits one seat of a sold reservation, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckTicket {
    pub key: BlockKey,
    /// Who scans it.
    pub user_id: UserId,
    pub reservation_id: ReservationId,
    pub seat: SeatId,
    /// Offset of the confirmation, as printed in the ticket.
    pub serial: u64,
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
        reservation: Reservation,
        expires_at: LogTime,
    },
    /// HELD → CANCELLED, or a free reservation: nothing to pay back.
    Cancelled(Reservation),
    /// Cancelled after payment, and the money is back in the wallet.
    Refunded {
        reservation: Reservation,
        balance: Balance,
    },
    /// `balance` is missing if nothing had to be paid.
    PaymentCompleted {
        payment: Payment,
        balance: Option<Balance>,
    },
    /// An amount of 0 needs no payment: the seats are sold.
    Confirmed(Reservation),
    /// Of `settle_payment` itself: where the reservation stands now.
    Settled(Reservation),
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
}

impl Command {
    pub fn kind(&self) -> CommandKind {
        match self {
            Command::OpenBlock(_) => CommandKind::OpenBlock,
            Command::AmendBlock(_) => CommandKind::AmendBlock,
            Command::HoldSeats(_) => CommandKind::HoldSeats,
            Command::CancelReservation(_) => CommandKind::CancelReservation,
            Command::PayReservation(_) => CommandKind::PayReservation,
            Command::SettlePayment(_) => CommandKind::SettlePayment,
            Command::ExpireHolds(_) => CommandKind::ExpireHolds,
            Command::CheckTicket(_) => CommandKind::CheckTicket,
        }
    }

    pub fn key(&self) -> BlockKey {
        match self {
            Command::OpenBlock(c) => &c.key,
            Command::AmendBlock(c) => &c.key,
            Command::HoldSeats(c) => &c.key,
            Command::CancelReservation(c) => &c.key,
            Command::PayReservation(c) => &c.key,
            Command::SettlePayment(c) => &c.origin.key,
            Command::ExpireHolds(key) => key,
            Command::CheckTicket(c) => &c.key,
        }
        .clone()
    }

    pub fn user_id(&self) -> Option<&UserId> {
        Some(match self {
            Command::OpenBlock(c) => &c.user_id,
            Command::AmendBlock(c) => &c.user_id,
            Command::HoldSeats(c) => &c.user_id,
            Command::CancelReservation(c) => &c.user_id,
            Command::PayReservation(c) => &c.user_id,
            Command::SettlePayment(c) => &c.user_id,
            Command::CheckTicket(c) => &c.user_id,
            Command::ExpireHolds(_) => return None,
        })
    }

    pub fn is_internal(&self) -> bool {
        matches!(self, Command::SettlePayment(_) | Command::ExpireHolds(_))
    }
}

impl BlockKey {
    /// The one block of a date that names none.
    pub fn main(schedule_id: ScheduleId) -> BlockKey {
        BlockKey { schedule_id, block: BlockName::main() }
    }
}
