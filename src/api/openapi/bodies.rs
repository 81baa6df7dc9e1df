//! Bodies of requests. Handlers read them field by field, so that one answer can name every wrong field.
#![allow(dead_code, reason = "their fields are read by the derive alone")]

use utoipa::ToSchema;

/// Either named seats, or how many neighbors, of which section and category.
#[derive(ToSchema)]
pub struct HoldRequest {
    /// Seats of one block, also of several of its sections.
    #[schema(example = json!(["A-12", "A-13"]), min_items = 1, max_items = 100)]
    seats: Option<Vec<String>>,
    /// Needed with `best_available` where the date has several blocks.
    #[schema(example = "A", max_length = 64)]
    section: Option<String>,
    #[schema(example = "R", max_length = 64)]
    category: Option<String>,
    /// This many neighboring seats of one row and one category.
    #[schema(minimum = 1, maximum = 100)]
    best_available: Option<u32>,
    /// For whom, if not for the caller: needs the role `box_office`.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user_id: Option<String>,
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
    /// Whose wallet; left out: the caller's. Another's needs the role `cashier`.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user_id: Option<String>,
}

/// What the payer expects to pay.
#[derive(ToSchema)]
pub struct PaymentRequest {
    /// If given it must equal the reservation's amount.
    #[schema(minimum = 0, maximum = 100_000_000_000_000_i64)]
    amount: Option<i64>,
    /// Whose reservation, if not the caller's: needs the role `box_office`. It is paid from that user's wallet.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user_id: Option<String>,
}

/// A ticket to check.
#[derive(ToSchema)]
pub struct CheckRequest {
    /// As scanned.
    #[schema(max_length = 1000, example = "TS1.AUl0...")]
    code: String,
}

/// A concert to add.
#[derive(ToSchema)]
pub struct ConcertRequest {
    #[schema(max_length = 200)]
    title: String,
    #[schema(max_length = 5000)]
    description: Option<String>,
    /// ISO 4217. For people: amounts are integers of its smallest unit, and nothing is converted.
    #[schema(pattern = "^[A-Z]{3}$", example = "KRW")]
    currency: Option<String>,
    /// IANA. For people: all times are UTC.
    #[schema(max_length = 64, example = "Asia/Seoul")]
    time_zone: Option<String>,
}

/// A date to open.
#[derive(ToSchema)]
pub struct ScheduleRequest {
    #[schema(format = "date-time")]
    starts_at: String,
    /// In seconds.
    #[schema(minimum = 1, maximum = 2_592_000)]
    duration: Option<i64>,
    /// Best first: the order in which `best_available` looks for seats. Needed unless there is a `plan`.
    #[schema(min_items = 1, max_items = 500)]
    sections: Option<Vec<SectionRequest>>,
    /// Id of a seating plan, in place of `sections`.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    plan: Option<String>,
    /// With `plan`: of one seat of each of its categories, `{"R": 110000, "S": 90000}`, smallest currency unit.
    #[schema(value_type = Option<Object>)]
    prices: Option<()>,
    /// With `plan`: guids of seats that are not for sale.
    #[schema(max_items = 100_000)]
    blocked: Option<Vec<String>>,
    /// With `plan`: the block of each section that is not in `main`, `{"North": "north"}`.
    #[schema(value_type = Option<Object>)]
    blocks: Option<()>,
    #[schema(default = 300, minimum = 1, maximum = 86_400)]
    hold_ttl_seconds: Option<i64>,
    /// How long after a user's hold ended unpaid the same seat is closed to them.
    #[schema(default = 60, maximum = 86_400)]
    rehold_after_seconds: Option<i64>,
    /// Counts within each block.
    #[schema(default = 4, minimum = 1, maximum = 100)]
    max_seats_per_user: Option<u32>,
    /// Sales begin; at once if absent.
    #[schema(format = "date-time")]
    sales_open_at: Option<String>,
    /// Sales end; when the show starts if absent.
    #[schema(format = "date-time")]
    sales_close_at: Option<String>,
    /// Companion seats become ordinary seats; never if absent.
    #[schema(format = "date-time")]
    companions_free_at: Option<String>,
    /// A waiting queue in front of the holds.
    queue: Option<QueueRequest>,
}

/// What to change about a date; what is absent stays.
#[derive(ToSchema)]
pub struct SchedulePatch {
    /// It must lie ahead. Holds end when the show starts, whatever they were promised.
    #[schema(format = "date-time")]
    starts_at: Option<String>,
    /// Null: sales are open.
    #[schema(format = "date-time")]
    sales_open_at: Option<String>,
    /// Null: sales end when the show starts.
    #[schema(format = "date-time")]
    sales_close_at: Option<String>,
    #[schema(min_items = 1, max_items = 500)]
    sections: Option<Vec<SectionPatch>>,
    /// Appended to their blocks, which the date must have.
    #[schema(min_items = 1, max_items = 500)]
    new_sections: Option<Vec<SectionRequest>>,
    /// Id of a plan that has all seats of the date's plan, and further ones.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    plan: Option<String>,
    /// With `plan`: by category, for further seats whose section does not have the category yet.
    #[schema(value_type = Option<Object>)]
    prices: Option<()>,
    /// With `plan`: guids of further seats that are not for sale.
    blocked: Option<Vec<String>>,
    /// With `plan`: the block of a new section, if it is not `main`.
    #[schema(value_type = Option<Object>)]
    blocks: Option<()>,
}

/// What to change about a section; what is absent stays.
#[derive(ToSchema)]
pub struct SectionPatch {
    #[schema(max_length = 64, example = "A")]
    name: String,
    /// By category, for later holds: `{"R": 12000}`. Without categories of its own a section is one of its name.
    #[schema(value_type = Option<Object>)]
    prices: Option<()>,
    /// `[first seat, count]` of the seats that are not for sale from now on, in place of those so far. What is held or
    /// sold stays so.
    not_for_sale: Option<Vec<Vec<u32>>>,
    /// All of the section's seats: those so far as they are, further ones in new runs.
    layout: Option<LayoutRequest>,
}

/// How the seats of a section lie. Without `categories` all seats cost `price`.
#[derive(ToSchema)]
pub struct LayoutRequest {
    #[schema(minimum = 1, maximum = 100_000, example = 50)]
    seats: u32,
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64, example = 1000)]
    price: Option<i64>,
    runs: Option<Vec<Vec<u32>>>,
    #[schema(min_items = 1, max_items = 100)]
    categories: Option<Vec<CategoryRequest>>,
    category_runs: Option<Vec<Vec<u32>>>,
    not_for_sale: Option<Vec<Vec<u32>>>,
    wheelchair: Option<Vec<Vec<u32>>>,
    companions: Option<Vec<Vec<u32>>>,
}

/// A section with seats 1 to `seats`. Without `categories` all seats cost `price`.
#[derive(ToSchema)]
pub struct SectionRequest {
    /// Unique within the date.
    #[schema(max_length = 64, example = "A")]
    name: String,
    #[schema(minimum = 1, maximum = 100_000, example = 50)]
    seats: u32,
    /// Of one seat, smallest currency unit; 0 is free. Needed unless there are `categories`.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64, example = 1000)]
    price: Option<i64>,
    /// The group of sections that is decided together. A hold lies in one block. Very large dates name several, to
    /// spread over partitions.
    #[schema(default = "main", pattern = "^[A-Za-z0-9._-]{1,32}$")]
    block: Option<String>,
    /// `[first seat, count]` of each row or part of a row whose seats are neighbors, ascending, covering every seat.
    /// One row if absent.
    runs: Option<Vec<Vec<u32>>>,
    #[schema(min_items = 1, max_items = 100)]
    categories: Option<Vec<CategoryRequest>>,
    /// `[first seat, count, index into categories]`, ascending, covering every seat. All seats are of the first category
    /// if absent.
    category_runs: Option<Vec<Vec<u32>>>,
    /// `[first seat, count]` of seats that are not for sale, ascending.
    not_for_sale: Option<Vec<Vec<u32>>>,
    /// `[first seat, count]` of wheelchair places, ascending.
    wheelchair: Option<Vec<Vec<u32>>>,
    /// `[companion seat, its wheelchair place]`, ascending.
    companions: Option<Vec<Vec<u32>>>,
}

/// What a group of a section's seats costs.
#[derive(ToSchema)]
pub struct CategoryRequest {
    #[schema(max_length = 64, example = "R")]
    name: String,
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64, example = 12_000)]
    price: i64,
}

/// How a waiting queue admits users.
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
    /// What becomes of a user who did not pay in time: `requeue` (the default) or `expire`.
    #[schema(pattern = "^(requeue|expire)$")]
    on_timeout: Option<String>,
    /// A waiting user not seen for this long is absent.
    #[schema(default = 180, minimum = 12, maximum = 86_400)]
    abandon_after_seconds: Option<i64>,
    /// How long an admitted user may stay unseen.
    #[schema(default = 60, minimum = 1, maximum = 86_400)]
    claim_after_seconds: Option<i64>,
    /// How long an absent user's place is kept.
    #[schema(default = 3600, minimum = 1, maximum = 86_400)]
    absent_max_seconds: Option<i64>,
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
    #[schema(minimum = 12, maximum = 86_400)]
    abandon_after_seconds: Option<i64>,
    #[schema(minimum = 1, maximum = 86_400)]
    claim_after_seconds: Option<i64>,
    #[schema(minimum = 1, maximum = 86_400)]
    absent_max_seconds: Option<i64>,
    /// Nobody is admitted while paused, but by `admit`.
    paused: Option<bool>,
    /// Admit this many now, whatever the pace, up to `max_active` and about 1,200 at once.
    #[schema(minimum = 1, maximum = 1_000_000)]
    admit: Option<u32>,
}

/// Records that a partition is to step over.
#[derive(ToSchema)]
pub struct SkipBody {
    /// The record on which it stands still: its `next_offset`.
    #[schema(minimum = 0)]
    offset: i64,
    /// The last of several records, 10,000 at most; left out: that one alone.
    #[schema(minimum = 0)]
    through: Option<i64>,
    /// Why; the audit lists it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// A parked partition that is to be acquired again.
#[derive(ToSchema)]
pub struct AcquireBody {
    /// Why; the audit lists it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Records that get another log time.
#[derive(ToSchema)]
pub struct SetTimeBody {
    /// The record on which the partition stands still: its `next_offset`.
    #[schema(minimum = 0)]
    offset: i64,
    /// The last of several records, 10,000 at most; left out: that one alone.
    #[schema(minimum = 0)]
    through: Option<i64>,
    /// Never before that of the record before, and at most 60 s ahead; left out: now.
    #[schema(format = "date-time")]
    time: Option<String>,
    /// Why; the audit lists it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}
