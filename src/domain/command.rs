//! What may be asked of the aggregates. `wire` turns these to and from bytes.

use super::Code;
use super::ids::{LogTime, PaymentId, RequestId, ReservationId, RoutingKey, ScheduleId, SectionName, UserId};
use super::queue::{Limits, LimitsPatch};

/// One command: an id that makes its repeats harmless, and what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub request_id: RequestId,
    pub body: Body,
}

/// The commands of all lanes. Amounts are integers in the currency's smallest unit, unchecked until decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    OpenSection(OpenSection),
    HoldSeats(HoldSeats),
    CancelReservation(CancelReservation),
    PayReservation(PayReservation),
    SettlePayment(SettlePayment),
    ExpireHolds(ExpireHolds),
    ChargeWallet(ChargeWallet),
    DebitWallet(DebitWallet),
    CreditWallet(CreditWallet),
    OpenQueue(OpenQueue),
    ConfigureQueue(ConfigureQueue),
    JoinQueue(JoinQueue),
    LeaveQueue(LeaveQueue),
    Seen(Seen),
    CompleteToken(CompleteToken),
    Tick(Tick),
}

/// Creates the seats 1..=seats of a section. Equal repeats succeed, others are `section_conflict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSection {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    /// The admin who opens it.
    pub user_id: UserId,
    /// 1..=[`super::section::SEATS_MAX`]
    pub seats: u32,
    /// Price of one seat, 1..=[`super::wallet::AMOUNT_MAX`].
    pub price: i64,
    pub hold_ttl_ms: i64,
    pub max_seats_per_user: u32,
    /// Sales begin; `None`: at once.
    pub sales_open_at: Option<LogTime>,
    /// The show starts: sales end, and so does cancelling what is paid.
    pub starts_at: LogTime,
    /// Whether the schedule has a waiting queue, whose token a payment completes.
    pub queue: bool,
}

/// Takes seats for a user, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldSeats {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    pub user_id: UserId,
    pub choice: Choice,
}

/// Which seats a hold wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// These seat numbers: ascending, no repeats, 1..=[`super::section::SEATS_PER_HOLD_MAX`] of them.
    Seats(Vec<u32>),
    /// So many neighbours, 1..=[`super::section::SEATS_PER_HOLD_MAX`].
    BestAvailable(u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelReservation {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    pub user_id: UserId,
    pub reservation_id: ReservationId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayReservation {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    pub user_id: UserId,
    pub reservation_id: ReservationId,
    /// If given it must equal the price: the client's check that it pays what it saw.
    pub amount: Option<i64>,
}

/// Internal: what the wallet answered to a payment or a refund. Decides the request that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlePayment {
    pub origin: Origin,
    pub user_id: UserId,
    pub settlement: Settlement,
}

/// How the money part of a payment or refund ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    Debited { balance: i64 },
    Declined { code: Code },
    Refunded { balance: i64 },
}

/// The reservation, payment and request for whose sake money moves between lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
    pub reservation_id: ReservationId,
    pub payment_id: PaymentId,
    /// The user's request that the settlement decides.
    pub request_id: RequestId,
}

/// Internal: holds due at this record's time end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpireHolds {
    pub schedule_id: ScheduleId,
    pub section: SectionName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeWallet {
    pub user_id: UserId,
    pub amount: i64,
    pub reason: Option<String>,
}

/// Spends from a wallet: directly, or for a payment (`origin`), which is then settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebitWallet {
    pub user_id: UserId,
    pub amount: i64,
    pub reason: Option<String>,
    pub origin: Option<Origin>,
}

/// Internal: gives a payment back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditWallet {
    pub user_id: UserId,
    pub amount: i64,
    pub reason: Option<String>,
    pub origin: Origin,
}

/// Creates a waiting queue. Repeating it with equal limits succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQueue {
    pub schedule_id: ScheduleId,
    /// The admin who opens it.
    pub user_id: UserId,
    pub limits: Limits,
}

/// An operator's change: limits, pause or resume, admit so many now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigureQueue {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
    pub patch: LimitsPatch,
    pub paused: Option<bool>,
    /// Admit so many now, beyond both release controls' pace but never beyond `max_active`.
    pub admit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinQueue {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveQueue {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
}

/// Internal: the front door saw the holders of these waiting tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub schedule_id: ScheduleId,
    /// Token sequence numbers, ascending.
    pub sequences: Vec<u64>,
}

/// Internal: the user paid; their token is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteToken {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
}

/// Internal: something in the queue is due at this record's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    pub schedule_id: ScheduleId,
}

impl Body {
    /// The `type` of the command on the log.
    pub fn name(&self) -> &'static str {
        match self {
            Body::OpenSection(_) => "open_section",
            Body::HoldSeats(_) => "hold_seats",
            Body::CancelReservation(_) => "cancel_reservation",
            Body::PayReservation(_) => "pay_reservation",
            Body::SettlePayment(_) => "settle_payment",
            Body::ExpireHolds(_) => "expire_holds",
            Body::ChargeWallet(_) => "charge_wallet",
            Body::DebitWallet(_) => "debit_wallet",
            Body::CreditWallet(_) => "credit_wallet",
            Body::OpenQueue(_) => "open_queue",
            Body::ConfigureQueue(_) => "configure_queue",
            Body::JoinQueue(_) => "join_queue",
            Body::LeaveQueue(_) => "leave_queue",
            Body::Seen(_) => "seen",
            Body::CompleteToken(_) => "complete_token",
            Body::Tick(_) => "tick",
        }
    }

    /// What decides the partition, recomputed from the content: a record's own key is not to be trusted.
    pub fn routing_key(&self) -> RoutingKey {
        let section = |schedule: &ScheduleId, name: &SectionName| RoutingKey::Section(*schedule, name.clone());
        match self {
            Body::OpenSection(c) => section(&c.schedule_id, &c.section),
            Body::HoldSeats(c) => section(&c.schedule_id, &c.section),
            Body::CancelReservation(c) => section(&c.schedule_id, &c.section),
            Body::PayReservation(c) => section(&c.schedule_id, &c.section),
            Body::SettlePayment(c) => section(&c.origin.schedule_id, &c.origin.section),
            Body::ExpireHolds(c) => section(&c.schedule_id, &c.section),
            Body::ChargeWallet(c) => RoutingKey::Wallet(c.user_id.clone()),
            Body::DebitWallet(c) => RoutingKey::Wallet(c.user_id.clone()),
            Body::CreditWallet(c) => RoutingKey::Wallet(c.user_id.clone()),
            Body::OpenQueue(c) => RoutingKey::Queue(c.schedule_id),
            Body::ConfigureQueue(c) => RoutingKey::Queue(c.schedule_id),
            Body::JoinQueue(c) => RoutingKey::Queue(c.schedule_id),
            Body::LeaveQueue(c) => RoutingKey::Queue(c.schedule_id),
            Body::Seen(c) => RoutingKey::Queue(c.schedule_id),
            Body::CompleteToken(c) => RoutingKey::Queue(c.schedule_id),
            Body::Tick(c) => RoutingKey::Queue(c.schedule_id),
        }
    }

    /// Whose request it is; none for the program's own timers.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Body::OpenSection(c) => Some(&c.user_id),
            Body::HoldSeats(c) => Some(&c.user_id),
            Body::CancelReservation(c) => Some(&c.user_id),
            Body::PayReservation(c) => Some(&c.user_id),
            Body::SettlePayment(c) => Some(&c.user_id),
            Body::ChargeWallet(c) => Some(&c.user_id),
            Body::DebitWallet(c) => Some(&c.user_id),
            Body::CreditWallet(c) => Some(&c.user_id),
            Body::OpenQueue(c) => Some(&c.user_id),
            Body::ConfigureQueue(c) => Some(&c.user_id),
            Body::JoinQueue(c) => Some(&c.user_id),
            Body::LeaveQueue(c) => Some(&c.user_id),
            Body::CompleteToken(c) => Some(&c.user_id),
            Body::ExpireHolds(_) | Body::Seen(_) | Body::Tick(_) => None,
        }
    }
}
