//! Where the log has a command, and when: all the rules know of "when" and "who was first".

use std::fmt;
use std::str::FromStr;

use super::texts::{InvalidText, texts};

texts! {
    /// One of the command topics: three whose aggregates decide, and the inbox, whose owner forwards to them.
    pub enum Lane ("a lane: seats, wallets, queues or inbox") {
        Seats = "seats",
        Wallets = "wallets",
        Queues = "queues",
        Inbox = "inbox",
    }
}

impl Lane {
    /// Those that have aggregates.
    pub const DECIDING: [Lane; 3] = [Lane::Seats, Lane::Wallets, Lane::Queues];
}

/// One partition of a lane: what has one owner at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LanePartition {
    pub lane: Lane,
    pub partition: u32,
}

impl LanePartition {
    pub fn at(self, offset: u64) -> Position {
        Position { partition: self, offset }
    }
}

impl fmt::Display for LanePartition {
    /// `{lane}.{partition}`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.lane, self.partition)
    }
}

impl FromStr for LanePartition {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        const ERROR: InvalidText = InvalidText("not a partition: {lane}.{partition}");
        let (lane, partition) = text.split_once('.').ok_or(ERROR)?;
        let partition = digits(partition).and_then(|number| number.try_into().ok()).ok_or(ERROR)?;
        Ok(LanePartition { lane: lane.parse()?, partition })
    }
}

/// A number as it is printed: no sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Where the log has a command. Within a partition the order of positions is the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub partition: LanePartition,
    pub offset: u64,
}

impl Position {
    pub fn new(lane: Lane, partition: u32, offset: u64) -> Self {
        LanePartition { lane, partition }.at(offset)
    }

    pub fn lane(&self) -> Lane {
        self.partition.lane
    }
}

impl fmt::Display for Position {
    /// `{lane}.{partition}.{offset}`, as in `Location: …?position=seats.3.1234`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        const ERROR: InvalidText = InvalidText("not a position: {lane}.{partition}.{offset}");
        let (partition, offset) = text.rsplit_once('.').ok_or(ERROR)?;
        let offset = digits(offset).filter(|offset| *offset <= i64::MAX as u64).ok_or(ERROR)?;
        Ok(partition.parse::<LanePartition>().map_err(|_| ERROR)?.at(offset))
    }
}

/// Milliseconds since 1970-01-01 UTC, as the log says them; never runs back within a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LogTime(pub i64);

impl LogTime {
    /// This time plus a duration in milliseconds; stays at the end of time instead of overflowing.
    pub fn plus_ms(self, ms: i64) -> LogTime {
        LogTime(self.0.saturating_add(ms))
    }
}

/// Position and log time of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub position: Position,
    pub time: LogTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_what_it_prints() {
        let position = Position::new(Lane::Seats, 3, 1234);
        assert_eq!(position.to_string(), "seats.3.1234");
        assert_eq!("seats.3.1234".parse(), Ok(position));
        let signed = ["seats.-1.1", "seats.+1.1", "seats.1.+1"];
        let large = ["seats.4294967296.1", "seats.1.18446744073709551615", "seats.1.9223372036854775808"];
        for bad in ["", "seats", "seats.3", "seats.3.", "seats.3.1.2", "rows.3.1"].iter().chain(&signed).chain(&large) {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
