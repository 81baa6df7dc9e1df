//! Blocks, sections, seats.

use crate::domain::block::{BlockRow, Remembered, Seat, SeatState, SeatStatus, SectionRow, Terms};
use crate::domain::{BlockKey, Lane, LogTime, ReservationId, SeatId};
use crate::store::StoreError;
use crate::store::sql::cells::{Cells, corrupt};
use crate::store::sql::names::Names;
use crate::store::sql::value::{
    Value, arrival, bits, optional_arrival, optional_text, optional_time, owned, signed, text, time, uuid,
};
use crate::store::sql::{json, layout};

type Result<T> = std::result::Result<T, StoreError>;

const CANCELLED: [&str; 3] = ["cancelled_partition", "cancelled_offset", "cancelled_at"];
const CHECKED: [&str; 3] = ["checked_partition", "checked_offset", "checked_at"];

/// A block's columns, in every table of its lane.
pub fn key(key: &BlockKey) -> [Value<'_>; 2] {
    [uuid(key.schedule_id.0), text(key.block.as_str())]
}

pub fn block_values(row: &BlockRow) -> Result<[Value<'_>; 26]> {
    let BlockRow {
        key: of,
        terms,
        queue,
        content,
        cancelled,
        swept,
        sweep_done,
        refunds_due,
        refunds_done,
        counts,
        pending,
        noted,
        due_at,
        changed,
    } = row;
    let Terms {
        hold_ttl_ms,
        rehold_after_ms,
        payment_timeout_ms,
        max_seats_per_user,
        sales_open_at,
        sales_close_at,
        starts_at,
        companions_free_at,
    } = terms;
    let [schedule_id, block] = key(of);
    let [cancelled_partition, cancelled_offset, cancelled_at] = optional_arrival(cancelled.as_ref())?;
    let [changed_partition, changed_offset, changed_at] = arrival(changed)?;
    Ok([
        schedule_id,
        block,
        signed(*hold_ttl_ms),
        signed(*rehold_after_ms),
        signed(*payment_timeout_ms),
        signed(*max_seats_per_user),
        optional_time(*sales_open_at),
        optional_time(*sales_close_at),
        time(*starts_at),
        optional_time(*companions_free_at),
        Value::Flag(*queue),
        bits(*content),
        cancelled_partition,
        cancelled_offset,
        cancelled_at,
        Value::Uuid(swept.map(|id| id.0)),
        Value::Flag(*sweep_done),
        signed(*refunds_due),
        signed(*refunds_done),
        owned(layout::counts(counts)),
        signed(*pending),
        noted.as_ref().map_or(Value::Text(None), |note| owned(json::note(note))),
        optional_time(*due_at),
        changed_partition,
        changed_offset,
        changed_at,
    ])
}

pub fn block(row: &impl Cells, names: &mut Names) -> Result<BlockRow> {
    let terms = Terms {
        hold_ttl_ms: row.signed("hold_ttl_ms")?,
        rehold_after_ms: row.signed("rehold_after_ms")?,
        payment_timeout_ms: row.signed("payment_timeout_ms")?,
        max_seats_per_user: row.int("max_seats_per_user")?,
        sales_open_at: row.optional_time("sales_open_at")?,
        sales_close_at: row.optional_time("sales_close_at")?,
        starts_at: row.time("starts_at")?,
        companions_free_at: row.optional_time("companions_free_at")?,
    };
    Ok(BlockRow {
        key: names.block(row)?,
        terms,
        queue: row.flag("queue")?,
        content: row.hash("content")?,
        cancelled: row.optional_arrival(Lane::Seats, CANCELLED)?,
        swept: row.optional_uuid("swept")?.map(ReservationId),
        sweep_done: row.flag("sweep_done")?,
        refunds_due: row.int("refunds_due")?,
        refunds_done: row.int("refunds_done")?,
        counts: layout::parse_counts(row.text("counts")?)?,
        pending: row.int("pending")?,
        noted: row.optional_text("noted")?.map(json::parse_note).transpose()?,
        due_at: row.optional_time("due_at")?,
        changed: row.changed(Lane::Seats)?,
    })
}

/// A block that is due, from its key and `due_at` alone.
pub fn due(row: &impl Cells) -> Result<(BlockKey, LogTime)> {
    Ok((Names::default().block(row)?, row.time("due_at")?))
}

pub fn section_values(row: &SectionRow) -> Result<[Value<'_>; 8]> {
    let SectionRow { key: of, name, rank, layout, changed } = row;
    let [schedule_id, block] = key(of);
    let [partition, offset, at] = arrival(changed)?;
    let layout = owned(layout::layout(layout));
    Ok([schedule_id, block, text(name.as_str()), signed(*rank), layout, partition, offset, at])
}

pub fn section(row: &impl Cells, names: &mut Names) -> Result<SectionRow> {
    Ok(SectionRow {
        key: names.block(row)?,
        name: names.section(row.text("name")?)?,
        rank: row.int("rank")?,
        layout: layout::parse_layout(row.text("layout")?)?,
        changed: row.changed(Lane::Seats)?,
    })
}

pub fn seat_values(row: &Seat) -> Result<[Value<'_>; 14]> {
    let Seat { key: of, id, state, remembered, checked, changed } = row;
    let [schedule_id, block] = key(of);
    let [checked_partition, checked_offset, checked_at] = optional_arrival(checked.as_ref())?;
    let [changed_partition, changed_offset, changed_at] = arrival(changed)?;
    Ok([
        schedule_id,
        block,
        text(id.section.as_str()),
        signed(id.number),
        text(state.status().as_str()),
        Value::Uuid(state.reservation().map(|id| id.0)),
        optional_text(remembered.as_ref().map(|of| of.user_id.as_str())),
        optional_time(remembered.as_ref().map(|of| of.first_end)),
        checked_partition,
        checked_offset,
        checked_at,
        changed_partition,
        changed_offset,
        changed_at,
    ])
}

fn seat_state(row: &impl Cells) -> Result<SeatState> {
    let reservation = row.optional_uuid("reservation_id")?.map(ReservationId);
    match (row.parsed("status")?, reservation) {
        (SeatStatus::Available, None) => Ok(SeatState::Available),
        (SeatStatus::Held, Some(id)) => Ok(SeatState::Held(id)),
        (SeatStatus::Paying, Some(id)) => Ok(SeatState::Paying(id)),
        (SeatStatus::Sold, Some(id)) => Ok(SeatState::Sold(id)),
        (status, _) => Err(corrupt("reservation_id", format!("it does not fit {status}"))),
    }
}

pub fn seat(row: &impl Cells, names: &mut Names) -> Result<Seat> {
    let remembered = match row.optional_parsed("remembered_user")? {
        None => None,
        Some(user_id) => Some(Remembered { user_id, first_end: row.time("remembered_end")? }),
    };
    Ok(Seat {
        key: names.block(row)?,
        id: SeatId { section: names.section(row.text("section")?)?, number: row.int("number")? },
        state: seat_state(row)?,
        remembered,
        checked: row.optional_arrival(Lane::Seats, CHECKED)?,
        changed: row.changed(Lane::Seats)?,
    })
}
