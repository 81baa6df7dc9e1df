//! The commands of the seats lane.

use super::layout::Layout;
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
    pub not_for_sale: Option<Vec<super::layout::Span>>,
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
