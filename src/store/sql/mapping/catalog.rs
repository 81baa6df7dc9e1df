//! Concerts, dates and seating plans.

use crate::domain::{ConcertId, ScheduleId};
use crate::store::sql::cells::Cells;
use crate::store::sql::value::{Value, optional_text, optional_time, signed, text, time, uuid};
use crate::store::{Concert, PlanRow, PlanSummary, Schedule, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

pub fn concert_values(row: &Concert) -> Vec<Value<'_>> {
    let Concert { id, title, description, currency, time_zone, created_at } = row;
    let [description, currency, time_zone] = [description, currency, time_zone].map(|value| value.as_deref());
    let (description, currency, time_zone) =
        (optional_text(description), optional_text(currency), optional_text(time_zone));
    vec![uuid(id.0), text(title), description, currency, time_zone, time(*created_at)]
}

pub fn concert(row: &impl Cells) -> Result<Concert> {
    Ok(Concert {
        id: ConcertId(row.uuid("id")?),
        title: row.string("title")?,
        description: row.optional_text("description")?.map(str::to_owned),
        currency: row.optional_text("currency")?.map(str::to_owned),
        time_zone: row.optional_text("time_zone")?.map(str::to_owned),
        created_at: row.time("created_at")?,
    })
}

pub fn schedule_values(row: &Schedule) -> Vec<Value<'_>> {
    let Schedule {
        id,
        concert_id,
        starts_at,
        duration_ms,
        hold_ttl_ms,
        max_seats_per_user,
        sales_open_at,
        sales_close_at,
        queue,
        plan,
        larger_plan,
        created_at,
    } = row;
    vec![
        uuid(id.0),
        uuid(concert_id.0),
        time(*starts_at),
        Value::Int(*duration_ms),
        signed(*hold_ttl_ms),
        signed(*max_seats_per_user),
        optional_time(*sales_open_at),
        optional_time(*sales_close_at),
        Value::Flag(*queue),
        optional_text(plan.as_deref()),
        optional_text(larger_plan.as_deref()),
        time(*created_at),
    ]
}

pub fn schedule(row: &impl Cells) -> Result<Schedule> {
    Ok(Schedule {
        id: ScheduleId(row.uuid("id")?),
        concert_id: ConcertId(row.uuid("concert_id")?),
        starts_at: row.time("starts_at")?,
        duration_ms: row.optional_int("duration_ms")?,
        hold_ttl_ms: row.signed("hold_ttl_ms")?,
        max_seats_per_user: row.int("max_seats_per_user")?,
        sales_open_at: row.optional_time("sales_open_at")?,
        sales_close_at: row.optional_time("sales_close_at")?,
        queue: row.flag("queue")?,
        plan: row.optional_text("plan")?.map(str::to_owned),
        larger_plan: row.optional_text("larger_plan")?.map(str::to_owned),
        created_at: row.time("created_at")?,
    })
}

pub fn plan_values(row: &PlanRow) -> Vec<Value<'_>> {
    let PlanRow { summary: PlanSummary { id, name, sections, seats, created_at }, content } = row;
    let (sections, seats) = (signed(*sections), signed(*seats));
    vec![text(id), text(name), sections, seats, time(*created_at), Value::Bytes(Some(content))]
}

pub fn plan_summary(row: &impl Cells) -> Result<PlanSummary> {
    Ok(PlanSummary {
        id: row.string("id")?,
        name: row.string("name")?,
        sections: row.int("sections")?,
        seats: row.int("seats")?,
        created_at: row.time("created_at")?,
    })
}

pub fn plan(row: &impl Cells) -> Result<PlanRow> {
    Ok(PlanRow { summary: plan_summary(row)?, content: row.bytes("content")?.unwrap_or_default() })
}
