//! The waiting queue of one date. Key `{schedule_id}`, lane `queues`.
//!
//! This file has the rows; `command` what may be asked; `offer` and `presence` what a row says of a moment; `state` the
//! queue in memory; `draft` a decision in the making; `rules` decides.

mod admission;
pub mod command;
mod draft;
mod limits;
mod offer;
mod order;
mod presence;
mod rules;
mod sale;
mod state;
#[cfg(test)]
mod tests;

pub use command::*;
pub use limits::{DURATION_MS_MAX, Limits, LimitsPatch, OnTimeout, TOKENS_MAX};
pub use order::WaitingOrder;
pub use presence::{PresenceClock, PresenceMs};
pub use sale::{Sale, SaleClock, SaleMs};
pub use state::QueueState;

use std::collections::BTreeMap;

use super::block::SaleNote;
use super::ids::ScheduleId;
use super::names::{BlockName, UserId};
use super::position::{Arrival, LogTime};
use super::texts::texts;

/// Most bytes that one decision's effects take in its outcome, which so stays below 256 KiB. The rest is due at once.
/// A token of a user id of 36 characters takes 164 bytes of it: 1,245 of them.
pub const EFFECTS_BYTES_MAX: usize = 200 * 1024;
/// Most of these bytes that ending turns and dropping tokens may take: the rest admits those who come after.
pub const ENDINGS_BYTES_MAX: usize = EFFECTS_BYTES_MAX / 3 * 2;
/// Most tokens that one decision changes, sightings included. The rest is due at once.
pub const TOKENS_PER_DECISION_MAX: usize = 4_000;
/// What a token takes there besides its user id: `{"sequence":…,"user_id":"…","status":"…","active_until":"…"},` with
/// a sequence of 20 digits.
const TOKEN_BYTES: usize = 128;
/// What a token takes at most: a user id of 128 characters of 4 bytes. A character that is escaped takes 2.
const TOKEN_BYTES_MAX: usize = TOKEN_BYTES + 128 * 4;

texts! {
    pub enum TokenStatus ("a token status") {
        Waiting = "WAITING",
        /// Waits, but its holder was not seen for long: it keeps its sequence and is passed over.
        Absent = "ABSENT",
        Active = "ACTIVE",
        Completed = "COMPLETED",
        Expired = "EXPIRED",
        Left = "LEFT",
    }
}

/// The queue's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub schedule_id: ScheduleId,
    pub limits: Limits,
    pub sales_open_at: Option<LogTime>,
    pub starts_at: LogTime,
    /// The newest note of each block of the date; `None`: the block has sent none yet.
    pub sale: BTreeMap<BlockName, Option<SaleNote>>,
    /// Log time of the command that paused admission; `None`: it goes on.
    pub paused_since: Option<LogTime>,
    pub presence: PresenceClock,
    pub on_sale: SaleClock,
    /// The sequence number the next token gets, from 1.
    pub next_sequence: u64,
    pub waiting: u64,
    pub absent: u64,
    pub active: u64,
    /// Admissions since the queue was opened.
    pub admitted: u64,
    pub completed: u64,
    /// Tokens that expired: turns that were over, and absent ones.
    pub expired: u64,
    pub left: u64,
    /// Rate control: no admission before this log time, in microseconds since 1970 UTC.
    pub rate_next_us: i64,
    /// The earliest of ends of turns, absent tokens to drop, and admissions; in the past: at once, more was due than one
    /// decision may do.
    pub due_at: Option<LogTime>,
    pub changed: Arrival,
}

/// A user's place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub schedule_id: ScheduleId,
    /// Place in the order of arrival, never given twice.
    pub sequence: u64,
    pub user_id: UserId,
    pub state: TokenState,
    pub joined_at: LogTime,
    /// When its holder was last seen. Up to date while it is WAITING.
    pub last_seen: PresenceMs,
    /// Its holder was seen since it joined.
    pub sighted: bool,
    /// The token of the same user whose turn ended and which this one was requeued for: a front door that has not seen
    /// this one yet still reports that one.
    pub follows: Option<u64>,
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    Waiting,
    /// `since`: for the bound on how long it is kept.
    Absent {
        since: SaleMs,
    },
    Active(Turn),
    /// `turn`: the one it had, if it was ever admitted.
    Ended {
        how: Ending,
        turn: Option<Turn>,
    },
}

/// The time a token is ACTIVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub admitted_at: LogTime,
    pub until: LogTime,
    /// The presence clock at the admission.
    pub from: PresenceMs,
    /// Its holder was seen after the admission.
    pub used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Completed,
    Expired,
    Left,
}

impl TokenState {
    pub fn status(self) -> TokenStatus {
        match self {
            TokenState::Waiting => TokenStatus::Waiting,
            TokenState::Absent { .. } => TokenStatus::Absent,
            TokenState::Active(_) => TokenStatus::Active,
            TokenState::Ended { how: Ending::Completed, .. } => TokenStatus::Completed,
            TokenState::Ended { how: Ending::Expired, .. } => TokenStatus::Expired,
            TokenState::Ended { how: Ending::Left, .. } => TokenStatus::Left,
        }
    }

    pub fn is_live(self) -> bool {
        !matches!(self, TokenState::Ended { .. })
    }

    /// The turn it has or had.
    pub fn turn(self) -> Option<Turn> {
        match self {
            TokenState::Waiting | TokenState::Absent { .. } => None,
            TokenState::Active(turn) => Some(turn),
            TokenState::Ended { turn, .. } => turn,
        }
    }
}

/// One changed row of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Queue(Queue),
    Token(Token),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    Queue(ScheduleId),
    Token(ScheduleId, u64),
}
