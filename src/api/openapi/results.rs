//! What each command hands back, and the seat map: shapes that are written elsewhere as text. Owners write the results;
//! the API passes them on unchanged, but for the token of a join.
#![allow(dead_code, reason = "the fields of most are read by the derive alone")]

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::CommandKind;

/// The result of a command, by its type.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum CommandResult {
    Hold(HoldResult),
    Cancel(CancelResult),
    Payment(PaymentResult),
    Movement(MovementResult),
    Join(JoinResult),
    Leave(LeaveResult),
    Configure(ConfigureResult),
    Check(CheckResult),
}

/// The commands that clients send by HTTP, in the order of the documentation.
pub const COMMANDS: [CommandKind; 12] = [
    CommandKind::HoldSeats,
    CommandKind::CancelReservation,
    CommandKind::PayReservation,
    CommandKind::CheckTicket,
    CommandKind::ChargeWallet,
    CommandKind::DebitWallet,
    CommandKind::JoinQueue,
    CommandKind::LeaveQueue,
    CommandKind::ConfigureQueue,
    CommandKind::OpenBlock,
    CommandKind::AmendBlock,
    CommandKind::OpenQueue,
];

/// The name of the schema of a command's result; `None` for what no client sends by itself.
pub fn schema_of(command: CommandKind) -> Option<&'static str> {
    match command {
        CommandKind::HoldSeats => Some("HoldResult"),
        CommandKind::CancelReservation => Some("CancelResult"),
        CommandKind::PayReservation => Some("PaymentResult"),
        CommandKind::ChargeWallet | CommandKind::DebitWallet => Some("MovementResult"),
        CommandKind::JoinQueue => Some("JoinResult"),
        CommandKind::LeaveQueue => Some("LeaveResult"),
        CommandKind::ConfigureQueue => Some("ConfigureResult"),
        CommandKind::CheckTicket => Some("CheckResult"),
        // No HTTP route answers with their results: an opening has a page of its own, the rest is sent by services.
        _ => None,
    }
}

/// Seats that are held.
#[derive(Serialize, ToSchema)]
pub struct HoldResult {
    #[schema(format = "uuid")]
    reservation_id: String,
    #[schema(format = "uuid")]
    schedule_id: String,
    #[schema(example = "main")]
    block: String,
    /// Ascending.
    #[schema(example = json!(["A-12", "A-13"]))]
    seats: Vec<String>,
    /// The same as printed in the hall, if the date has a seating plan.
    #[schema(example = json!(["Parkett, row C, seat 12", "Parkett, row C, seat 13"]))]
    labels: Option<Vec<String>>,
    /// For all seats, smallest currency unit.
    amount: i64,
    #[schema(example = "HELD")]
    status: String,
    /// The hold ends.
    #[schema(format = "date-time")]
    expires_at: String,
}

/// Seats that were given back.
#[derive(Serialize, ToSchema)]
pub struct CancelResult {
    #[schema(format = "uuid")]
    reservation_id: String,
    #[schema(format = "uuid")]
    schedule_id: String,
    #[schema(example = "main")]
    block: String,
    seats: Vec<String>,
    /// The same as printed in the hall, if the date has a seating plan.
    labels: Option<Vec<String>>,
    amount: i64,
    /// CANCELLED, or REFUNDED if it was paid.
    status: String,
    /// After the refund.
    balance: Option<i64>,
}

/// A payment that succeeded.
#[derive(Serialize, ToSchema)]
pub struct PaymentResult {
    /// Absent if nothing had to be paid.
    #[schema(format = "uuid")]
    payment_id: Option<String>,
    #[schema(format = "uuid")]
    reservation_id: String,
    amount: i64,
    #[schema(example = "COMPLETED")]
    status: String,
    /// After the payment; absent if nothing had to be paid.
    balance: Option<i64>,
}

/// A charge or a debit.
#[derive(Serialize, ToSchema)]
pub struct MovementResult {
    #[schema(format = "uuid")]
    entry_id: String,
    /// After it.
    balance: i64,
    amount: i64,
    /// CHARGE or DEBIT.
    kind: String,
}

/// A place in the queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct JoinResult {
    #[schema(format = "uuid")]
    pub schedule_id: String,
    /// Shown with every poll and every hold; opaque.
    pub token: String,
    /// Place in the order of arrival, from 1.
    pub position: u64,
    /// WAITING or ACTIVE, as decided.
    pub status: String,
    /// Waiting users before this one.
    pub ahead: u64,
    /// When to ask for the position.
    pub poll_after_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub active_until: Option<String>,
}

/// A place that was given up.
#[derive(Serialize, ToSchema)]
pub struct LeaveResult {
    #[schema(format = "uuid")]
    schedule_id: String,
    sequence: u64,
    #[schema(example = "LEFT")]
    status: String,
}

/// The queue's settings in effect.
#[derive(Serialize, ToSchema)]
pub struct ConfigureResult {
    #[schema(format = "uuid")]
    schedule_id: String,
    max_active: u32,
    active_ttl_ms: i64,
    max_waiting: u32,
    admit_per_minute: Option<u32>,
    on_timeout: String,
    abandon_after_ms: i64,
    claim_after_ms: i64,
    absent_max_ms: i64,
    paused: bool,
    /// Absent while admission goes on.
    #[schema(format = "date-time")]
    paused_since: Option<String>,
    waiting: u64,
    absent: u64,
    active: u64,
}

/// A ticket that was admitted.
#[derive(Serialize, ToSchema)]
pub struct CheckResult {
    #[schema(format = "uuid")]
    schedule_id: String,
    #[schema(example = "main")]
    block: String,
    #[schema(format = "uuid")]
    reservation_id: String,
    #[schema(example = "A-12")]
    seat: String,
    /// As printed in the hall, if the date has a seating plan.
    #[schema(example = "Parkett, row C, seat 12")]
    label: Option<String>,
    #[schema(format = "date-time")]
    admitted_at: String,
}

/// The seats of a date.
#[derive(ToSchema)]
pub struct SeatList {
    #[schema(format = "uuid")]
    schedule_id: String,
    seats: Vec<SeatObject>,
}

/// The seats of a date in the compact form: a letter a seat, by section.
#[derive(ToSchema)]
#[schema(example = json!({"A": "AAHSX", "B": "AA"}))]
pub struct CompactSeats(BTreeMap<String, String>);

/// One seat.
#[derive(ToSchema)]
pub struct SeatObject {
    #[schema(example = "A-12")]
    seat: String,
    section: String,
    number: u32,
    /// As printed in the hall, if the date has a seating plan.
    #[schema(example = "Parkett, row C, seat 12")]
    label: Option<String>,
    /// Of its category, smallest currency unit.
    price: i64,
    /// AVAILABLE, HELD, SOLD or NOT_FOR_SALE.
    status: String,
}
