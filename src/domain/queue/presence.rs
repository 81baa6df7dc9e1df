//! The presence clock: time during which front doors reported whom they saw.

use super::Limits;
use crate::domain::LogTime;

/// A time on a queue's presence clock, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PresenceMs(pub i64);

impl PresenceMs {
    pub fn plus_ms(self, ms: i64) -> PresenceMs {
        PresenceMs(self.0.saturating_add(ms))
    }
}

/// Advances with each `seen` by the log time since the one before, at most two rounds. So it stands while the log, the
/// store or all front doors are away, and nobody is absent because of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceClock {
    /// After the last `seen`.
    pub now: PresenceMs,
    /// Log time of the last `seen`.
    pub at: LogTime,
    /// A turn that began before this log time had the clock stand for more than two rounds.
    pub stood_until: LogTime,
}

impl PresenceClock {
    /// Of a queue that is opened.
    pub(super) fn new(time: LogTime) -> Self {
        PresenceClock { now: PresenceMs(0), at: time, stood_until: time }
    }

    /// What it would say after a `seen` at this time.
    pub(super) fn read(&self, limits: &Limits, time: LogTime) -> PresenceMs {
        self.now.plus_ms((time.0 - self.at.0).min(2 * limits.round_ms()))
    }

    /// A `seen` at this time.
    pub(super) fn advance(&mut self, limits: &Limits, time: LogTime) {
        self.stood_until = self.standing_until(limits, time);
        self.now = self.read(limits, time);
        self.at = time;
    }

    /// Whether it stood for more than two rounds between these times.
    pub(super) fn stood_since(&self, admitted_at: LogTime, limits: &Limits, time: LogTime) -> bool {
        admitted_at < self.standing_until(limits, time)
    }

    fn standing_until(&self, limits: &Limits, time: LogTime) -> LogTime {
        let two_rounds = 2 * limits.round_ms();
        let stands = time.0 - self.at.0 > two_rounds;
        if stands { self.stood_until.max(time.plus_ms(-two_rounds)) } else { self.stood_until }
    }
}
