//! The presence clock, from the times of all reports.

use turnstile::domain::LogTime;
use turnstile::domain::queue::Limits;

#[derive(Default)]
pub struct PresenceModel {
    /// Milliseconds.
    pub now: i64,
    /// Log times of the opening and of all reports.
    reports: Vec<i64>,
}

fn two_rounds(limits: &Limits) -> i64 {
    2 * (limits.abandon_after_ms / 6).clamp(1, 15_000)
}

impl PresenceModel {
    pub fn opened(&mut self, time: LogTime) {
        self.reports.push(time.0);
    }

    /// What the clock says after a report at this time.
    pub fn read(&self, limits: &Limits, time: LogTime) -> i64 {
        let last = self.reports.last().copied().unwrap_or(time.0);
        self.now + (time.0 - last).min(two_rounds(limits))
    }

    pub fn report(&mut self, limits: &Limits, time: LogTime) {
        self.now = self.read(limits, time);
        self.reports.push(time.0);
    }

    /// Whether the clock stood for more than two rounds between these times.
    pub fn stood(&self, limits: &Limits, from: LogTime, to: LogTime) -> bool {
        let ends = self.reports.iter().copied().skip(1).chain([to.0]);
        let gaps = self.reports.iter().copied().zip(ends);
        let rounds = two_rounds(limits);
        gaps.into_iter().any(|(begin, end)| end - begin.max(from.0) > rounds)
    }
}
