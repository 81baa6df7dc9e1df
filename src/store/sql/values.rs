//! From the domain's types to columns, in the order `tables` names them.

use std::borrow::Cow;

use uuid::Uuid;

use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Payment, Reservation, Seat, SectionRow};
use crate::domain::wallet::{Entry, Wallet};
use crate::domain::{Arrival, LogTime};
use crate::log::{Headers, LanePartition};
use crate::store::reads::{Concert, Schedule};
use crate::store::{DeadLetter, OutboxRow, RequestCompletion, RequestRow, StoreError};

/// One column's value, or one parameter of a query.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Value<'a> {
    Uuid(Option<Uuid>),
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Flag(bool),
    Bytes(Option<&'a [u8]>),
    /// A list for `in`: see `Dialect::UUIDS` and its neighbours.
    Uuids(Vec<Uuid>),
    Texts(Vec<&'a str>),
    /// A list of pairs; takes two parameters.
    Pairs(Vec<(Uuid, &'a str)>),
}

pub(super) fn uuid(id: Uuid) -> Value<'static> {
    Value::Uuid(Some(id))
}

/// PostgreSQL cannot hold U+0000 in a text. Front door and wire refuse it; should one come this far nevertheless, a
/// partition must not stop for it: it is stored as U+FFFD.
pub(super) fn text(text: &str) -> Value<'_> {
    Value::Text(Some(if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }))
}

fn optional_text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Text(None), text)
}

/// A number that both databases hold as a signed 64-bit one.
pub(super) fn int(number: u64) -> Result<Value<'static>, StoreError> {
    let number = i64::try_from(number).map_err(|_| StoreError::Failed(format!("{number} does not fit a column")))?;
    Ok(Value::Int(Some(number)))
}

pub(super) fn signed(number: i64) -> Value<'static> {
    Value::Int(Some(number))
}

/// A hash: its bit pattern, so half of them look negative.
pub(in crate::store) fn bits(hash: u64) -> Value<'static> {
    signed(hash.cast_signed())
}

fn time(time: LogTime) -> Value<'static> {
    signed(time.0)
}

fn optional_time(time: Option<LogTime>) -> Value<'static> {
    Value::Int(time.map(|time| time.0))
}

/// Partition, offset and time. The lane is not stored: a table of state belongs to one.
fn arrival(at: &Arrival) -> Result<[Value<'static>; 3], StoreError> {
    Ok([int(at.position.partition.into())?, int(at.position.offset)?, time(at.time)])
}

pub(super) fn concert(row: &Concert) -> Vec<Value<'_>> {
    vec![uuid(row.id.0), text(&row.title), optional_text(row.description.as_deref()), time(row.created_at)]
}

pub(super) fn schedule(row: &Schedule) -> Vec<Value<'_>> {
    vec![
        uuid(row.id.0),
        uuid(row.concert_id.0),
        time(row.starts_at),
        Value::Int(row.duration_ms),
        signed(row.hold_ttl_ms),
        signed(row.max_seats_per_user.into()),
        optional_time(row.sales_open_at),
        Value::Flag(row.queue),
        time(row.created_at),
    ]
}

pub(in crate::store) fn section(row: &SectionRow) -> Result<[Value<'_>; 13], StoreError> {
    let [partition, offset, at] = arrival(&row.changed)?;
    Ok([
        uuid(row.schedule_id.0),
        text(row.name.as_str()),
        signed(row.seats.into()),
        signed(row.price),
        signed(row.hold_ttl_ms),
        signed(row.max_seats_per_user.into()),
        optional_time(row.sales_open_at),
        time(row.starts_at),
        Value::Flag(row.queue),
        signed(row.available.into()),
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn seat(row: &Seat) -> Result<[Value<'_>; 8], StoreError> {
    let [partition, offset, at] = arrival(&row.changed)?;
    Ok([
        uuid(row.schedule_id.0),
        text(row.section.as_str()),
        signed(row.number.into()),
        text(row.status.as_str()),
        Value::Uuid(row.reservation.map(|id| id.0)),
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn reservation(row: &Reservation) -> Result<[Value<'_>; 15], StoreError> {
    let [held_partition, held_offset, held_at] = arrival(&row.held)?;
    let [partition, offset, at] = arrival(&row.changed)?;
    let seats: Vec<String> = row.seats.iter().map(u32::to_string).collect();
    Ok([
        uuid(row.id.0),
        uuid(row.schedule_id.0),
        text(row.section.as_str()),
        text(row.user_id.as_str()),
        Value::Text(Some(seats.join(",").into())),
        signed(row.amount),
        text(row.status.as_str()),
        time(row.expires_at),
        Value::Uuid(row.payment.map(|id| id.0)),
        held_partition,
        held_offset,
        held_at,
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn payment(row: &Payment) -> Result<[Value<'_>; 11], StoreError> {
    let [partition, offset, at] = arrival(&row.changed)?;
    Ok([
        uuid(row.id.0),
        uuid(row.reservation_id.0),
        text(row.user_id.as_str()),
        signed(row.amount),
        text(row.status.as_str()),
        optional_text(row.failure.map(|code| code.as_str())),
        uuid(row.request_id.0),
        time(row.created_at),
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn wallet(row: &Wallet) -> Result<[Value<'_>; 6], StoreError> {
    let [partition, offset, at] = arrival(&row.changed)?;
    Ok([text(row.user_id.as_str()), signed(row.balance), int(row.entries)?, partition, offset, at])
}

pub(in crate::store) fn wallet_entry(row: &Entry) -> Result<[Value<'_>; 11], StoreError> {
    let [partition, offset, at] = arrival(&row.at)?;
    Ok([
        text(row.user_id.as_str()),
        int(row.number)?,
        uuid(row.id.0),
        text(row.kind.as_str()),
        signed(row.amount),
        signed(row.balance_after),
        optional_text(row.reason.as_deref()),
        uuid(row.request_id.0),
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn queue(row: &Queue) -> Result<[Value<'_>; 19], StoreError> {
    let [partition, offset, at] = arrival(&row.changed)?;
    Ok([
        uuid(row.schedule_id.0),
        signed(row.limits.max_active.into()),
        signed(row.limits.active_ttl_ms),
        signed(row.limits.max_waiting.into()),
        Value::Int(row.limits.admit_per_minute.map(i64::from)),
        text(row.limits.on_timeout.as_str()),
        signed(row.limits.abandon_after_ms),
        Value::Flag(row.paused),
        int(row.next_sequence)?,
        int(row.waiting)?,
        int(row.active)?,
        int(row.admitted)?,
        int(row.completed)?,
        int(row.expired)?,
        int(row.left)?,
        signed(row.rate_next_us),
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn token(row: &Token) -> Result<[Value<'_>; 11], StoreError> {
    let [partition, offset, at] = arrival(&row.changed)?;
    Ok([
        uuid(row.schedule_id.0),
        int(row.sequence)?,
        text(row.user_id.as_str()),
        text(row.status.as_str()),
        time(row.joined_at),
        optional_time(row.admitted_at),
        optional_time(row.active_until),
        time(row.last_seen),
        partition,
        offset,
        at,
    ])
}

pub(in crate::store) fn request(row: &RequestRow) -> Result<[Value<'_>; 10], StoreError> {
    Ok([
        uuid(row.request_id.0),
        text(row.position.lane.as_str()),
        signed(row.position.partition.into()),
        int(row.position.offset)?,
        bits(row.fingerprint),
        text(&row.command),
        optional_text(row.user_id.as_ref().map(|user| user.as_str())),
        text(row.status.as_str()),
        optional_text(row.outcome.as_deref()),
        time(row.at),
    ])
}

pub(in crate::store) fn completion(row: &RequestCompletion) -> [Value<'_>; 3] {
    [uuid(row.request_id.0), text(row.status.as_str()), text(&row.outcome)]
}

pub(in crate::store) fn outbox(of: LanePartition, row: &OutboxRow) -> Result<[Value<'_>; 9], StoreError> {
    Ok([
        text(of.lane.as_str()),
        signed(of.partition.into()),
        int(row.seq)?,
        uuid(row.id),
        text(row.topic.as_str()),
        text(&row.key),
        text(&row.kind),
        Value::Bytes(Some(&row.payload)),
        headers(&row.headers),
    ])
}

pub(in crate::store) fn dead_letter(row: &DeadLetter) -> Result<[Value<'_>; 8], StoreError> {
    Ok([
        text(row.position.lane.as_str()),
        signed(row.position.partition.into()),
        int(row.position.offset)?,
        text(&row.reason),
        Value::Bytes(row.key.as_deref()),
        Value::Bytes(row.value.as_deref()),
        headers(&row.headers),
        time(row.at),
    ])
}

fn headers(headers: &Headers) -> Value<'static> {
    Value::Text(Some(super::json::headers(headers).into()))
}
