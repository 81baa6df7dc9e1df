//! How fast a queue moves, how long a user waits, and how often to poll.

use std::collections::VecDeque;

use crate::domain::LogTime;

/// What is older says little about now …
const WINDOW_MS: i64 = 60_000;
/// … unless admissions are so rare that there is nothing younger.
const EVENTS_MIN: usize = 4;
/// Admissions of one second are one event, so that a window has at most 62 of them.
const EVENT_MS: i64 = 1_000;
/// Largest ETA reported, in seconds: a day. Beyond it the ETA is unknown.
const ETA_SECONDS_MAX: f64 = 86_400.0;

const POLL_MS_MIN: u64 = 1_000;
const POLL_MS_MAX: u64 = 10_000;
/// From this many tokens ahead on the interval is the longest.
const POLL_FAR: u64 = 10_000;
/// When to ask for the first time after a join, whose outcome knows no limits of the queue: early enough for all of them.
pub const POLL_MS_FIRST: u64 = 2_000;
/// Poll interval of a user who does not wait.
pub const POLL_MS_SETTLED: u64 = 5_000;

/// When a waiting user should ask again: 1 s at the front to 10 s with 10,000 ahead and more, in a straight line. So
/// 100,000 waiting ask at most about 10,500 times a second.
pub fn poll_after_ms(ahead: u64) -> u64 {
    POLL_MS_MIN + (POLL_MS_MAX - POLL_MS_MIN) * ahead.min(POLL_FAR) / POLL_FAR
}

/// The measured admission rate: admissions between the first and the last event of a sliding minute, by the time
/// between them. Admissions while nobody waited do not count, nor do those before the first event: a
/// queue that fills its free places at the opening says nothing about how it moves afterwards.
#[derive(Debug, Default)]
pub struct Pace {
    /// The counter of admissions when it was last looked at.
    admitted: Option<u64>,
    /// When it had grown, and to what; oldest first.
    events: VecDeque<(LogTime, u64)>,
}

impl Pace {
    /// Notes the queue's counter of admissions as it stands now.
    pub fn observe(&mut self, now: LogTime, admitted: u64, waiting: u64, paused: bool) {
        let before = self.admitted.replace(admitted);
        if waiting == 0 || paused {
            self.events.clear();
            return;
        }
        if before.is_none_or(|before| admitted <= before) {
            return;
        }
        // The first event is what the others are measured from, so it stays.
        if self.events.len() > 1 && self.events.back().is_some_and(|(at, _)| at.0 / EVENT_MS == now.0 / EVENT_MS) {
            self.events.pop_back();
        }
        self.events.push_back((now, admitted));
        while self.events.len() > EVENTS_MIN && self.events.get(1).is_some_and(|(at, _)| now.0 - at.0 > WINDOW_MS) {
            self.events.pop_front();
        }
    }

    /// Admissions per second; `None` while unknown.
    pub fn per_second(&self, now: LogTime) -> Option<f64> {
        let ((first, from), (last, to)) = (self.events.front()?, self.events.back()?);
        let admissions = to.saturating_sub(*from) as f64;
        let measured_ms = (last.0 - first.0) as f64;
        if admissions <= 0.0 || measured_ms <= 0.0 {
            return None;
        }
        // A standstill longer than two events' distance is part of the pace.
        let distance_ms = measured_ms / (self.events.len() - 1) as f64;
        let silent_ms = (now.0 - last.0) as f64;
        let standstill_ms = if silent_ms > 2.0 * distance_ms { silent_ms } else { 0.0 };
        Some(admissions * 1_000.0 / (measured_ms + standstill_ms))
    }

    /// Seconds until a token with this many ahead is admitted, rounded up; `None` while unknown or paused.
    pub fn eta_seconds(&self, ahead: u64, now: LogTime) -> Option<u64> {
        let seconds = (ahead + 1) as f64 / self.per_second(now)?;
        (seconds <= ETA_SECONDS_MAX).then(|| seconds.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_a_user_far_back_polls_less_often() {
        assert_eq!(poll_after_ms(0), 1_000);
        assert_eq!(poll_after_ms(5_000), 5_500);
        assert_eq!(poll_after_ms(10_000), 10_000);
        assert_eq!(poll_after_ms(u64::MAX), 10_000);
    }

    fn steady(every_ms: i64, count: u64, until_ms: i64) -> Pace {
        let mut pace = Pace::default();
        for now in (0..=until_ms).step_by(200) {
            let admitted = 100 + (now / every_ms) as u64 * count;
            pace.observe(LogTime(now), admitted, 5, false);
        }
        pace
    }

    #[test]
    fn the_pace_is_measured_for_fast_slow_and_bursting_queues() {
        for (every_ms, count, until_ms, expected) in [
            (200, 20, 120_000, 100.0),
            (1_000, 3, 10_000, 3.0),
            (30_000, 1, 300_000, 1.0 / 30.0),
            (300_000, 100, 1_000_000, 1.0 / 3.0),
        ] {
            let pace = steady(every_ms, count, until_ms);
            let measured = pace.per_second(LogTime(until_ms)).unwrap();
            assert!((measured / expected - 1.0).abs() < 0.1, "{every_ms} ms: {measured}, not {expected}");
            assert!(pace.events.len() <= 62);
        }
    }

    #[test]
    fn the_first_rush_a_pause_and_an_empty_queue_say_nothing() {
        let mut pace = Pace::default();
        pace.observe(LogTime(0), 0, 0, false);
        pace.observe(LogTime(200), 500, 10, false);
        assert_eq!(pace.per_second(LogTime(300)), None, "places that were free");
        pace.observe(LogTime(10_200), 510, 10, false);
        assert_eq!(pace.per_second(LogTime(10_200)), Some(1.0));
        assert_eq!(pace.eta_seconds(9, LogTime(10_200)), Some(10));
        pace.observe(LogTime(10_400), 510, 10, true);
        assert_eq!(pace.eta_seconds(9, LogTime(10_400)), None, "paused");
    }

    #[test]
    fn a_standstill_slows_the_pace_down() {
        let pace = steady(1_000, 10, 20_000);
        assert!(pace.per_second(LogTime(21_000)).unwrap() > 9.0);
        assert!(pace.per_second(LogTime(120_000)).unwrap() < 2.0);
    }
}
