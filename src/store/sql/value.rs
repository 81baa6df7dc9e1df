//! Values of columns and parameters of queries.

use std::borrow::Cow;

use uuid::Uuid;

use crate::domain::{Arrival, LanePartition, LogTime, Position};
use crate::store::{RequestKey, StoreError};

/// One column's value, or one parameter of a query.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Value<'a> {
    Uuid(Option<Uuid>),
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Flag(bool),
    Bytes(Option<&'a [u8]>),
    /// A list for `Dialect::IN_UUIDS`.
    Uuids(Vec<Uuid>),
    /// A list for `Dialect::IN_TEXTS`.
    Texts(Vec<&'a str>),
    /// A list for `Dialect::IN_PAIRS`; takes two parameters.
    Pairs(Vec<(Uuid, &'a str)>),
    /// A list for `Dialect::IN_REQUESTS`; takes four parameters.
    Requests(Vec<(LanePartition, RequestKey)>),
    /// A list for `Dialect::IN_PARTITIONS`; takes two parameters.
    Partitions(Vec<LanePartition>),
}

pub(super) fn uuid(id: Uuid) -> Value<'static> {
    Value::Uuid(Some(id))
}

/// PostgreSQL cannot hold U+0000 in a text. Front door and wire refuse it; should one come this far nevertheless, a
/// partition must not stop for it: it is stored as U+FFFD.
pub(super) fn text(text: &str) -> Value<'_> {
    Value::Text(Some(if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }))
}

pub(super) fn optional_text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Text(None), text)
}

/// A text made for the column.
pub(super) fn owned(text: String) -> Value<'static> {
    Value::Text(Some(text.into()))
}

/// A number that both databases hold as a signed 64-bit one.
pub(in crate::store) fn int(number: u64) -> Result<Value<'static>, StoreError> {
    let number = i64::try_from(number).map_err(|_| StoreError::Failed(format!("{number} does not fit a column")))?;
    Ok(Value::Int(Some(number)))
}

pub(super) fn signed(number: impl Into<i64>) -> Value<'static> {
    Value::Int(Some(number.into()))
}

/// A hash: its bit pattern, so half of them look negative.
pub(super) fn bits(hash: u64) -> Value<'static> {
    signed(hash.cast_signed())
}

pub(super) fn time(time: LogTime) -> Value<'static> {
    signed(time.0)
}

pub(super) fn optional_time(time: Option<LogTime>) -> Value<'static> {
    Value::Int(time.map(|time| time.0))
}

/// Partition, offset and time. The lane is not stored: a table of state belongs to one.
pub(super) fn arrival(at: &Arrival) -> Result<[Value<'static>; 3], StoreError> {
    Ok([signed(at.position.partition.partition), int(at.position.offset)?, time(at.time)])
}

pub(super) fn optional_arrival(at: Option<&Arrival>) -> Result<[Value<'static>; 3], StoreError> {
    at.map_or(Ok([const { Value::Int(None) }; 3]), arrival)
}

/// Lane and partition.
pub(in crate::store) fn lane_partition(of: LanePartition) -> [Value<'static>; 2] {
    [text(of.lane.as_str()), signed(of.partition)]
}

/// Lane, partition and offset.
pub(super) fn position(at: Position) -> Result<[Value<'static>; 3], StoreError> {
    let [lane, partition] = lane_partition(at.partition);
    Ok([lane, partition, int(at.offset)?])
}
