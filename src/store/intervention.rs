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
}

/// From where on requests are remembered otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// The first it holds for.
    pub offset: u64,
    /// What was decided before does not count any more.
    pub floor: LogTime,
}

/// Offsets of one partition, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    pub first: u64,
    pub last: u64,
}

impl Offsets {
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
        }
    }

    /// Extends it to this offset: from where it was given on there was no other record.
    pub fn reach(&mut self, offset: u64) {
        if let Act::Skip(offsets) | Act::Time { offsets, .. } = self {
            offsets.last = offsets.last.max(offset);
        }
    }

    /// The records it concerns; `None`: all from some offset on.
    pub fn offsets(&self) -> Option<Offsets> {
        match self {
            Act::Skip(offsets) | Act::Time { offsets, .. } => Some(*offsets),
            Act::Remember { .. } => None,
        }
    }
}
