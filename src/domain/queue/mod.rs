//! The waiting queue of one schedule. Key `{schedule_id}`, lane `queues`.
//!
//! [`decide`] is the rules, [`apply`] turns what they decided into the next [`QueueState`].

mod admission;
mod draft;
mod order;
mod rules;
mod state;
#[cfg(test)]
mod tests;

pub use order::WaitingOrder;
pub use rules::{ADMISSIONS_PER_DECISION_MAX, ENDINGS_PER_DECISION_MAX, decide};
pub use state::{QueueState, apply};

use super::ids::{Arrival, LogTime, ScheduleId, UserId};

/// Highest `max_active` and `max_waiting`; higher limits count as this. What bounds a queue's memory, see [`QueueState`].
pub const TOKENS_MAX: u32 = 1_000_000;
/// Longest `active_ttl_ms` and `abandon_after_ms`: one day. The shortest is 1 ms, so that no token is over the moment it
/// is admitted.
pub const DURATION_MS_MAX: i64 = 86_400_000;

/// What becomes of an active token whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// To the tail, with a new sequence number.
    Requeue,
    Expire,
}

impl OnTimeout {
    pub fn as_str(self) -> &'static str {
        match self {
            OnTimeout::Requeue => "requeue",
            OnTimeout::Expire => "expire",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [OnTimeout::Requeue, OnTimeout::Expire].into_iter().find(|choice| choice.as_str() == text)
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
    /// A waiting token not seen for so long is dropped.
    pub abandon_after_ms: i64,
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
}

/// The queue's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub schedule_id: ScheduleId,
    pub limits: Limits,
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
    pub changed: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    Waiting,
    Active,
    Completed,
    Expired,
    Left,
}

impl TokenStatus {
    pub const ALL: [TokenStatus; 5] =
        [TokenStatus::Waiting, TokenStatus::Active, TokenStatus::Completed, TokenStatus::Expired, TokenStatus::Left];

    pub fn as_str(self) -> &'static str {
        match self {
            TokenStatus::Waiting => "WAITING",
            TokenStatus::Active => "ACTIVE",
            TokenStatus::Completed => "COMPLETED",
            TokenStatus::Expired => "EXPIRED",
            TokenStatus::Left => "LEFT",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        TokenStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub fn is_live(self) -> bool {
        matches!(self, TokenStatus::Waiting | TokenStatus::Active)
    }
}

/// A user's place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub schedule_id: ScheduleId,
    /// Place in the order of arrival, never given twice.
    pub sequence: u64,
    pub user_id: UserId,
    pub status: TokenStatus,
    pub joined_at: LogTime,
    pub admitted_at: Option<LogTime>,
    /// ACTIVE until then.
    pub active_until: Option<LogTime>,
    pub last_seen: LogTime,
    pub changed: Arrival,
}
