//! Records that could not be applied. They stay until an operator has replayed or dismissed them.

use crate::domain::{LogTime, Position, UserId};
use crate::log::{Headers, Topic};

/// A record that cannot be applied, or an outbox row that the log refuses for good, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Of an outbox row: its owner's partition and [`UNSENT_OFFSET`] + seq, and where it was to go.
    pub position: Position,
    pub unsent_to: Option<Topic>,
    pub reason: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub at: LogTime,
}

/// Outbox rows that became dead letters have positions from here on: no partition has so many records.
pub const UNSENT_OFFSET: u64 = 1_000_000_000_000_000_000;

/// A dead letter as listed, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterView {
    pub letter: DeadLetter,
    /// The last replay by an operator, if any.
    pub replayed: Option<DoneBy>,
    /// When an operator said that it is not needed, if one did.
    pub dismissed: Option<DoneBy>,
}

/// What an operator did, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneBy {
    pub by: UserId,
    pub at: LogTime,
}
