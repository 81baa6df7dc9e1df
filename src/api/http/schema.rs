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
    #[schema(min_length = 1, max_length = 200)]
    reason: Option<String>,
}

/// What the payer believes to pay.
#[derive(ToSchema)]
pub struct PaymentRequest {
    /// If given it must equal the reservation's amount.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    amount: Option<i64>,
}

/// A concert to add.
#[derive(ToSchema)]
pub struct ConcertRequest {
    #[schema(max_length = 200)]
    title: String,
    #[schema(max_length = 5000)]
    description: Option<String>,
}

/// A date to open.
#[derive(ToSchema)]
pub struct ScheduleRequest {
    #[schema(format = "date-time")]
    starts_at: String,
    /// In seconds.
    #[schema(minimum = 1, maximum = 2_592_000)]
    duration: Option<i64>,
    #[schema(min_items = 1, max_items = 200)]
    sections: Vec<SectionRequest>,
    #[schema(default = 300, minimum = 1, maximum = 86_400)]
    hold_ttl_seconds: Option<i64>,
    #[schema(default = 4, minimum = 1, maximum = 100)]
    max_seats_per_user: Option<u32>,
    /// Sales begin; at once if absent.
    #[schema(format = "date-time")]
    sales_open_at: Option<String>,
    /// A waiting queue in front of the holds.
    queue: Option<QueueRequest>,
}

/// A section with seats 1 to `seats`.
#[derive(ToSchema)]
pub struct SectionRequest {
    #[schema(max_length = 32, example = "A")]
    name: String,
    #[schema(minimum = 1, maximum = 10_000, example = 50)]
    seats: u32,
    /// Of one seat, smallest currency unit.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 1000)]
    price: i64,
}

/// How a waiting queue lets users in.
#[derive(ToSchema)]
pub struct QueueRequest {
    /// Most users choosing and paying at once.
    #[schema(minimum = 1)]
    max_active: u32,
    /// How long one may take.
    #[schema(minimum = 1)]
    active_ttl_seconds: i64,
    /// Most users waiting, besides the active ones.
    #[schema(minimum = 1)]
    max_waiting: u32,
    /// Most admissions in a minute; absent: only `max_active` counts.
    #[schema(minimum = 1)]
    admit_per_minute: Option<u32>,
    /// What becomes of who did not pay in time: `requeue` (the default) or `expire`.
    #[schema(pattern = "^(requeue|expire)$")]
    on_timeout: Option<String>,
    /// A waiting user not seen for so long is dropped.
    #[schema(default = 180, minimum = 60)]
    abandon_after_seconds: Option<i64>,
}

/// What to change about a waiting queue; what is absent stays.
#[derive(ToSchema)]
pub struct QueuePatch {
    /// Most users choosing and paying at once.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_active: Option<u32>,
    #[schema(minimum = 1, maximum = 86_400)]
    active_ttl_seconds: Option<i64>,
    #[schema(maximum = 1_000_000)]
    max_waiting: Option<u32>,
    /// Most admissions in a minute; null takes the limit away.
    #[schema(minimum = 1, maximum = 1_000_000)]
    admit_per_minute: Option<u32>,
    /// `requeue` or `expire`.
    #[schema(pattern = "^(requeue|expire)$")]
    on_timeout: Option<String>,
    #[schema(minimum = 60, maximum = 86_400)]
    abandon_after_seconds: Option<i64>,
    /// Nobody is let in while paused, but by `admit`.
    paused: Option<bool>,
    /// Let so many in now, whatever the pace, up to `max_active` and 1,000 at once.
    #[schema(minimum = 1, maximum = 1_000_000)]
    admit: Option<u32>,
}

/// The seats of a date.
#[derive(ToSchema)]
pub struct SeatList {
    #[schema(format = "uuid")]
    schedule_id: String,
    seats: Vec<SeatObject>,
}

/// One seat.
#[derive(ToSchema)]
pub struct SeatObject {
    #[schema(example = "A-12")]
    seat: String,
    section: String,
    number: u32,
    /// Smallest currency unit.
    price: i64,
    /// AVAILABLE, HELD or SOLD.
    status: String,
}
