//! The operator's settings of a queue.

use crate::domain::texts::texts;

/// Highest `max_active` and `max_waiting`; higher limits count as this. What bounds a queue's memory, see
/// [`super::QueueState`].
pub const TOKENS_MAX: u32 = 1_000_000;
/// Longest of the durations in [`Limits`]: one day. The shortest is 1 ms, so that no token is over the moment it is
/// admitted.
pub const DURATION_MS_MAX: i64 = 86_400_000;
/// Longest round of reports.
const ROUND_MS_MAX: i64 = 15_000;

texts! {
    /// What becomes of an active token whose time is over.
    pub enum OnTimeout ("requeue or expire") {
        /// To the tail, with a new sequence number.
        Requeue = "requeue",
        Expire = "expire",
    }
}

/// The operator's settings of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Occupancy control: most tokens ACTIVE at once.
    pub max_active: u32,
    pub active_ttl_ms: i64,
    /// Most tokens WAITING or ABSENT, besides the active ones.
    pub max_waiting: u32,
    /// Rate control: most admissions in a minute; `None`: only occupancy counts.
    pub admit_per_minute: Option<u32>,
    pub on_timeout: OnTimeout,
    /// A WAITING token whose holder was not seen for this long is ABSENT. Presence time.
    pub abandon_after_ms: i64,
    /// How long the holder of a new turn may stay unseen; only where a turn is longer. Presence time.
    pub claim_after_ms: i64,
    /// How long an ABSENT token is kept. Time on sale.
    pub absent_max_ms: i64,
}

impl Limits {
    /// How often each front door reports, in milliseconds.
    pub fn round_ms(&self) -> i64 {
        ROUND_MS_MAX.min(self.abandon_after_ms / 6).max(1)
    }

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
