//! The waiting queue of one schedule. Key `{schedule_id}`, lane `queues`.

use super::ids::{Arrival, LogTime, ScheduleId, UserId};

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
