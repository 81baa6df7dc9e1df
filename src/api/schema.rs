//! Shapes that exist for the documentation only: what is read field by field or passed through as text.
#![allow(dead_code, reason = "their fields are read by the derive alone")]

use serde_json::Value;
use utoipa::ToSchema;

/// What became of a command.
#[derive(ToSchema)]
pub struct RequestObject {
    #[schema(format = "uuid")]
    request_id: String,
    /// The command's type; absent while nobody has read it yet.
    #[schema(required = false, example = "hold_seats")]
    command: String,
    status: RequestStatus,
    /// When SUCCEEDED; its fields depend on the command.
    result: Option<Value>,
    /// When REJECTED.
    problem: Option<Problem>,
    /// When decided.
    decided: Option<Decided>,
    /// While PENDING, if the position was given: records of its partition before it.
    ahead: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
pub enum RequestStatus {
    Pending,
    Succeeded,
    Rejected,
}

/// The log has the command; what becomes of it is under `Location`.
#[derive(ToSchema)]
pub struct Accepted {
    #[schema(format = "uuid")]
    request_id: String,
    #[schema(example = "PENDING")]
    status: String,
}

/// The position that decided a request: the proof of its turn.
#[derive(ToSchema)]
pub struct Decided {
    #[schema(example = "seats")]
    lane: String,
    partition: u32,
    offset: u64,
    /// Log time.
    #[schema(format = "date-time")]
    at: String,
}

/// Who took a seat first, without naming them.
#[derive(ToSchema)]
pub struct Taken {
    #[schema(example = "A-12")]
    seat: String,
    position: LogPosition,
    #[schema(format = "date-time")]
    at: String,
}

/// Where the log has a command.
#[derive(ToSchema)]
pub struct LogPosition {
    #[schema(example = "seats")]
    lane: String,
    partition: u32,
    offset: u64,
}

/// An error, as RFC 9457 has it.
#[derive(ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[schema(example = "/docs#seat_taken")]
    r#type: String,
    #[schema(example = "Seat taken")]
    title: String,
    #[schema(example = 409)]
    status: u16,
    /// Stable; all codes are in the documentation.
    #[schema(example = "seat_taken")]
    code: String,
    #[schema(example = "seat A-12 is taken")]
    detail: String,
    /// Of a body with wrong fields: each of them.
    errors: Option<Vec<FieldError>>,
    /// Of a refusal, or when the outcome of a command is unknown.
    #[schema(format = "uuid")]
    request_id: Option<String>,
    /// Of a refusal.
    decided: Option<Decided>,
    /// Of `seat_taken`.
    taken: Option<Taken>,
}

/// One wrong field.
#[derive(ToSchema)]
pub struct FieldError {
    /// RFC 6901.
    #[schema(example = "/amount")]
    pointer: String,
    #[schema(example = "is missing")]
    detail: String,
}

/// Either named seats of one section, or a section and how many neighbours.
#[derive(ToSchema)]
pub struct HoldRequest {
    /// Seats of one section, 1 to 100.
    #[schema(example = json!(["A-12", "A-13"]), min_items = 1, max_items = 100)]
    seats: Option<Vec<String>>,
    #[schema(example = "A", max_length = 32)]
    section: Option<String>,
    /// So many neighbouring seats of `section`.
    #[schema(minimum = 1, maximum = 100)]
    best_available: Option<u32>,
}

/// A charge or a debit.
#[derive(ToSchema)]
pub struct MovementRequest {
    /// Smallest currency unit.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 5000)]
    amount: i64,
    /// Kept with the entry.
    #[schema(max_length = 200)]
    reason: Option<String>,
}

/// What the payer believes to pay.
#[derive(ToSchema)]
pub struct PaymentRequest {
    /// If given it must equal the reservation's amount.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    amount: Option<i64>,
}
