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
    position: LogPosition,
    #[schema(example = "A-12")]
    seat: String,
}

impl Taken {
    pub fn new(seat: &SeatId, by: Arrival) -> Self {
        Taken { at: rfc3339(by.time), position: by.position.into(), seat: seat.to_string() }
    }
}
