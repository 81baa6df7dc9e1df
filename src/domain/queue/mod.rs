//! The waiting queue of one date. Key `{schedule_id}`, lane `queues`.
//!
//! This file has the rows; `command` what may be asked; `state` the queue in memory; `draft` a decision in the making;
//! `rules` decides.

mod admission;
pub mod command;
mod draft;
mod order;
mod rules;
mod state;
#[cfg(test)]
mod tests;

pub use command::*;
pub use order::WaitingOrder;
pub use state::QueueState;

use std::collections::BTreeMap;

use super::block::SaleNote;
use super::ids::ScheduleId;
use super::names::{BlockName, UserId};
use super::position::{Arrival, LogTime};
use super::texts::texts;

/// Highest `max_active` and `max_waiting`; higher limits count as this. What bounds a queue's memory, see [`QueueState`].
pub const TOKENS_MAX: u32 = 1_000_000;
/// Longest of the durations in [`Limits`]: one day. The shortest is 1 ms, so that no token is over the moment it is
/// admitted.
pub const DURATION_MS_MAX: i64 = 86_400_000;
/// Most bytes that one decision's effects take in its outcome, which so stays below 256 KiB. The rest is due at once.
/// A token of a user id of 36 characters takes 164 bytes of it: 1,245 of them.
pub const EFFECTS_BYTES_MAX: usize = 200 * 1024;
/// Most of these bytes that ending turns and dropping tokens may take: the rest admits those who come after.
pub const ENDINGS_BYTES_MAX: usize = EFFECTS_BYTES_MAX / 3 * 2;
/// What a token takes there besides its user id: `{"sequence":…,"user_id":"…","status":"…","active_until":"…"},` with
/// a sequence of 20 digits.
const TOKEN_BYTES: usize = 128;
/// What a token takes at most: a user id of 128 characters of 4 bytes. A character that is escaped takes 2.
const TOKEN_BYTES_MAX: usize = TOKEN_BYTES + 128 * 4;

texts! {
    /// What becomes of an active token whose time is over.
    pub enum OnTimeout ("requeue or expire") {
        /// To the tail, with a new sequence number.
        Requeue = "requeue",
        Expire = "expire",
    }

    pub enum TokenStatus ("a token status") {
        Waiting = "WAITING",
        Active = "ACTIVE",
        Completed = "COMPLETED",
        Expired = "EXPIRED",
        Left = "LEFT",
    }
}

/// The operator's settings of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Occupancy control: most tokens ACTIVE at once.
    pub max_active: u32,
    pub active_ttl_ms: i64,
    /// Most tokens WAITING, besides the active ones.
    pub max_waiting: u32,
    /// Rate control: most admissions in a minute; `None`: only occupancy counts.
    pub admit_per_minute: Option<u32>,
    pub on_timeout: OnTimeout,
    /// A waiting token whose holder was not seen for this long is dropped.
    pub abandon_after_ms: i64,
    /// How long the holder of a new turn may stay unseen.
    pub claim_after_ms: i64,
    /// How long an absent token is kept.
    pub absent_max_ms: i64,
}

impl Limits {
    /// The same with every figure inside its bounds. Any service can put limits on the log, and a refusal code for a bad
    /// one does not exist; the answer to the command shows what was taken.
    pub fn bounded(&self) -> Limits {
        Limits {
            max_active: self.max_active.min(TOKENS_MAX),
            active_ttl_ms: self.active_ttl_ms.clamp(1, DURATION_MS_MAX),
            max_waiting: self.max_waiting.min(TOKENS_MAX),
            admit_per_minute: self.admit_per_minute,
            on_timeout: self.on_timeout,
            abandon_after_ms: self.abandon_after_ms.clamp(1, DURATION_MS_MAX),
            claim_after_ms: self.claim_after_ms.clamp(1, DURATION_MS_MAX),
            absent_max_ms: self.absent_max_ms.clamp(1, DURATION_MS_MAX),
        }
    }

    /// These limits with a patch laid over them, bounded.
    pub fn patched(&self, patch: &LimitsPatch) -> Limits {
        Limits {
            max_active: patch.max_active.unwrap_or(self.max_active),
            active_ttl_ms: patch.active_ttl_ms.unwrap_or(self.active_ttl_ms),
            max_waiting: patch.max_waiting.unwrap_or(self.max_waiting),
            admit_per_minute: patch.admit_per_minute.unwrap_or(self.admit_per_minute),
            on_timeout: patch.on_timeout.unwrap_or(self.on_timeout),
            abandon_after_ms: patch.abandon_after_ms.unwrap_or(self.abandon_after_ms),
            claim_after_ms: patch.claim_after_ms.unwrap_or(self.claim_after_ms),
            absent_max_ms: patch.absent_max_ms.unwrap_or(self.absent_max_ms),
        }
        .bounded()
    }
}

/// The settings to change; `None` leaves one as it is. `admit_per_minute: Some(None)` takes the rate limit away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitsPatch {
    pub max_active: Option<u32>,
    pub active_ttl_ms: Option<i64>,
    pub max_waiting: Option<u32>,
    pub admit_per_minute: Option<Option<u32>>,
    pub on_timeout: Option<OnTimeout>,
    pub abandon_after_ms: Option<i64>,
    pub claim_after_ms: Option<i64>,
    pub absent_max_ms: Option<i64>,
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
    pub paused: bool,
    /// The sequence number the next token gets, from 1.
    pub next_sequence: u64,
    pub waiting: u64,
    pub active: u64,
    /// Admissions since the queue was opened.
    pub admitted: u64,
    pub completed: u64,
    /// Tokens that expired or were abandoned.
    pub expired: u64,
    pub left: u64,
    /// Rate control: no admission before this log time, in microseconds since 1970 UTC.
    pub rate_next_us: i64,
    /// The earliest of ends of turns, tokens to drop, and admissions; in the past: at once, more was due than one
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
    pub last_seen: LogTime,
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    Waiting,
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
            TokenState::Waiting => None,
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
