//! Rate control: when the next waiting token may become ACTIVE.
//!
//! A generic cell rate algorithm on integer microseconds. The row keeps one figure, `rate_next_us`: the log time before
//! which nobody is admitted. Unused credit is kept for about a second's worth of admissions, so that a late tick catches
//! up and an idle night does not turn into a rush.

use super::{Limits, Queue};
use crate::domain::LogTime;

const MINUTE_US: i64 = 60_000_000;

/// The pace a limit of admissions per minute stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Free,
    /// A limit of 0: only the operator admits.
    Never,
    /// One admission per interval, and this much of the past may be made up for.
    Every {
        interval_us: i64,
        credit_us: i64,
    },
}

impl Pace {
    fn of(limits: &Limits) -> Pace {
        match limits.admit_per_minute {
            None => Pace::Free,
            Some(0) => Pace::Never,
            Some(per_minute) => {
                let per_minute = i64::from(per_minute);
                // Rounded up: the limit is the most that may be admitted.
                let interval_us = MINUTE_US / per_minute + i64::from(MINUTE_US % per_minute != 0);
                let burst = (per_minute / 60).max(1);
                Pace::Every { interval_us, credit_us: interval_us * (burst - 1) }
            }
        }
    }
}

fn micros(time: LogTime) -> i64 {
    time.0.saturating_mul(1000)
}

/// Whether rate control allows one more admission at this time.
pub(super) fn rate_allows(row: &Queue, time: LogTime) -> bool {
    match Pace::of(&row.limits) {
        Pace::Free => true,
        Pace::Never => false,
        Pace::Every { .. } => micros(time) >= row.rate_next_us,
    }
}

/// `rate_next_us` after an admission at this time.
pub(super) fn after_admission(row: &Queue, time: LogTime) -> i64 {
    match Pace::of(&row.limits) {
        Pace::Free | Pace::Never => row.rate_next_us,
        Pace::Every { interval_us, credit_us } => {
            row.rate_next_us.max(micros(time).saturating_sub(credit_us)).saturating_add(interval_us)
        }
    }
}

/// `rate_next_us` once the limit was changed at this time: nobody waits out the interval of a slower pace.
pub(super) fn after_new_rate(row: &Queue, time: LogTime) -> i64 {
    match Pace::of(&row.limits) {
        Pace::Free | Pace::Never => row.rate_next_us,
        Pace::Every { interval_us, .. } => row.rate_next_us.min(micros(time).saturating_add(interval_us)),
    }
}

/// The first log time at which rate control allows an admission, in the past if it does already; `None`: never.
pub(super) fn next_admission(row: &Queue) -> Option<LogTime> {
    match Pace::of(&row.limits) {
        Pace::Free => Some(LogTime(i64::MIN)),
        Pace::Never => None,
        Pace::Every { .. } => {
            let ms = row.rate_next_us.div_euclid(1000) + i64::from(row.rate_next_us.rem_euclid(1000) != 0);
            Some(LogTime(ms))
        }
    }
}
