//! What operators did about records that stop a partition. Rows are inserted by whoever acts and applied by the owner;
//! none is ever deleted: the audit takes those applied as input.

use std::fmt;

use uuid::Uuid;

use crate::domain::texts::texts;
use crate::domain::{LanePartition, LogTime, UserId};

texts! {
    pub enum InterventionKind ("a kind of intervention") {
        Skip = "skip",
        Time = "time",
        Remember = "remember",
        Acquire = "acquire",
    }
}

/// One act on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervention {
    /// Of version 7: in the order in which they were given.
    pub id: Uuid,
    pub partition: LanePartition,
    pub act: Act,
    pub reason: String,
    /// Who gave it.
    pub by: UserId,
    /// When it was given, by the clock of the one who gave it.
    pub at: LogTime,
    /// When an owner applied it, by that owner's clock.
    pub applied_at: Option<LogTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// None of these records is decided.
    Skip(Offsets),
    /// The log time of these records, where the one before is not later.
    Time { offsets: Offsets, time: LogTime },
    /// Requests count as seen for so long by log time, in ms.
    Remember {
        ms: i64,
        /// Set by the owner that applies it.
        began: Option<Began>,
    },
    /// A parked partition is acquired again at once.
    Acquire,
}

/// Why records cannot have a log time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeRefused {
    #[error("log time never runs back, and the record before has a later one")]
    RunsBack,
    #[error("the time lies ahead of this machine's clock")]
    Ahead,
}

/// From where on requests are remembered otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// The first it holds for.
    pub offset: u64,
    /// What was decided before does not count any more.
    pub floor: LogTime,
    /// Of the owner that applied it: several may have come to one offset.
    pub epoch: u64,
}

/// Offsets of one partition, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    pub first: u64,
    pub last: u64,
}

/// One act covers at most so many records.
pub const OFFSETS_MAX: u64 = 10_000;
/// A time further ahead of the clock would have to wait as well.
const AHEAD_MAX_MS: i64 = 60_000;

impl Offsets {
    /// From a record to another, or that one alone.
    ///
    /// # Errors
    /// They are in the wrong order, or too many.
    pub fn new(first: u64, through: Option<u64>) -> Result<Self, String> {
        let last = through.unwrap_or(first);
        match last.checked_sub(first) {
            Some(more) if more < OFFSETS_MAX => Ok(Offsets { first, last }),
            _ => Err(format!("the last record is the first or a later one, and they are at most {OFFSETS_MAX}")),
        }
    }

    pub fn contains(&self, offset: u64) -> bool {
        (self.first..=self.last).contains(&offset)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offsets { first, last } = self;
        if first == last { write!(f, "offset {first}") } else { write!(f, "offsets {first} to {last}") }
    }
}

impl Act {
    pub fn kind(&self) -> InterventionKind {
        match self {
            Act::Skip(_) => InterventionKind::Skip,
            Act::Time { .. } => InterventionKind::Time,
            Act::Remember { .. } => InterventionKind::Remember,
            Act::Acquire => InterventionKind::Acquire,
        }
    }

    /// Another log time for these records, now unless `time` says otherwise. `before`: that of the record before them.
    ///
    /// # Errors
    /// The time would run back, or lies ahead.
    pub fn time(offsets: Offsets, time: Option<LogTime>, before: LogTime, now: LogTime) -> Result<Self, TimeRefused> {
        // The log time of the record before, if that is later, would count.
        let time = time.unwrap_or(now.max(before));
        if time < before {
            return Err(TimeRefused::RunsBack);
        }
        if time > now.plus_ms(AHEAD_MAX_MS).max(before) {
            return Err(TimeRefused::Ahead);
        }
        Ok(Act::Time { offsets, time })
    }

    /// Extends it to this offset: from where it was given on there was no other record.
    pub fn reach(&mut self, offset: u64) {
        if let Act::Skip(offsets) | Act::Time { offsets, .. } = self {
            offsets.last = offsets.last.max(offset);
        }
    }

    /// The records it concerns; `None`: all from some offset on, or none.
    pub fn offsets(&self) -> Option<Offsets> {
        match self {
            Act::Skip(offsets) | Act::Time { offsets, .. } => Some(*offsets),
            Act::Remember { .. } | Act::Acquire => None,
        }
    }
}
