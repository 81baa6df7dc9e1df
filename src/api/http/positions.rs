//! Positions and times of the log as JSON.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Arrival, Position, SeatId};
use crate::wire::time::rfc3339;

/// The position that decided a request: the proof of its turn.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    #[schema(example = "seats")]
    lane: &'static str,
    partition: u32,
    offset: u64,
    /// Log time.
    #[schema(format = "date-time")]
    at: String,
}

impl From<Arrival> for Decided {
    fn from(arrival: Arrival) -> Self {
        let LogPosition { lane, offset, partition } = arrival.position.into();
        Decided { lane, partition, offset, at: rfc3339(arrival.time) }
    }
}

/// Where the log has a command.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPosition {
    #[schema(example = "seats")]
    lane: &'static str,
    offset: u64,
    partition: u32,
}

impl From<Position> for LogPosition {
    fn from(position: Position) -> Self {
        let Position { partition, offset } = position;
        LogPosition { lane: partition.lane.as_str(), offset, partition: partition.partition }
    }
}

/// Where and when a command came.
#[derive(Debug, Serialize, ToSchema)]
pub struct AtPosition {
    #[schema(format = "date-time")]
    at: String,
    position: LogPosition,
}

impl From<Arrival> for AtPosition {
    fn from(arrival: Arrival) -> Self {
        AtPosition { at: rfc3339(arrival.time), position: arrival.position.into() }
    }
}

/// Who took a seat first, without naming them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    #[schema(format = "date-time")]
    at: String,
    /// The seat as printed in the hall, if the date has a seating plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Parkett, row C, seat 12")]
    label: Option<String>,
    position: LogPosition,
    #[schema(example = "A-12")]
    seat: String,
}

impl Taken {
    pub fn new(seat: &SeatId, label: Option<String>, by: Arrival) -> Self {
        Taken { at: rfc3339(by.time), label, position: by.position.into(), seat: seat.to_string() }
    }
}
