//! When each aggregate's timer fires: what is due, and whether a record for it is on its way.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::domain::LogTime;

/// A record that was appended and not decided is appended again after this time, then after twice as long, and so on:
/// a partition that lags gets few records more.
const DECIDED_WITHIN_MS: i64 = 5_000;
/// After a failed append.
const RETRY_MS: i64 = 1_000;
/// Two timer records of one aggregate lie at least so far apart, however often something is due. It bounds the
/// records a rate-controlled queue writes; an admission waits at most this long.
const INTERVAL_MS: i64 = 100;

/// At most one entry an aggregate that has something due.
#[derive(Debug)]
pub(super) struct Schedule<K> {
    order: BTreeSet<(LogTime, K)>,
    timers: HashMap<K, Timer>,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    due: LogTime,
    record: Record,
}

#[derive(Debug, Clone, Copy)]
enum Record {
    /// None is on its way.
    Decided {
        not_before: LogTime,
    },
    Appended {
        at: LogTime,
        wait_ms: i64,
    },
}

impl Timer {
    fn fires_at(&self) -> LogTime {
        match self.record {
            Record::Decided { not_before } => self.due.max(not_before),
            Record::Appended { at, wait_ms } => self.due.max(at.plus_ms(wait_ms)),
        }
    }
}

impl<K: Clone + Eq + Ord + Hash> Schedule<K> {
    pub fn new() -> Self {
        Schedule { order: BTreeSet::new(), timers: HashMap::new() }
    }

    /// What is due of an aggregate by its latest state; `None`: nothing any more. `decided`: a timer's record was.
    pub fn set(&mut self, key: &K, due: Option<LogTime>, decided: bool) {
        let Some(due) = due else {
            if let Some(timer) = self.timers.remove(key) {
                self.order.remove(&(timer.fires_at(), key.clone()));
            }
            return;
        };
        let known = self.timers.get(key).map(|timer| timer.record);
        // A later state may have something due earlier.
        let mut record = known.unwrap_or(Record::Decided { not_before: LogTime(i64::MIN) });
        if let (Record::Appended { at, .. }, true) = (record, decided) {
            record = Record::Decided { not_before: at.plus_ms(INTERVAL_MS) };
        }
        self.put(key.clone(), Timer { due, record });
    }

    /// The append of the aggregate's last record failed.
    pub fn failed(&mut self, key: &K) {
        if let Some(Timer { due, record: Record::Appended { at, .. } }) = self.timers.get(key).copied() {
            let record = Record::Decided { not_before: at.plus_ms(RETRY_MS) };
            self.put(key.clone(), Timer { due, record });
        }
    }

    /// When the first timer fires.
    pub fn next(&self) -> Option<LogTime> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The aggregates to append a record for at `now`, at most `limit`.
    pub fn fire(&mut self, now: LogTime, limit: usize) -> Vec<K> {
        let mut fired = Vec::new();
        while fired.len() < limit {
            let Some((at, key)) = self.order.first().cloned() else { break };
            let Some(timer) = self.timers.get(&key).copied().filter(|_| at <= now) else { break };
            let wait_ms = match timer.record {
                Record::Decided { .. } => DECIDED_WITHIN_MS,
                Record::Appended { wait_ms, .. } => wait_ms.saturating_mul(2),
            };
            self.put(key.clone(), Timer { record: Record::Appended { at: now, wait_ms }, ..timer });
            fired.push(key);
        }
        fired
    }

    fn put(&mut self, key: K, timer: Timer) {
        if let Some(old) = self.timers.insert(key.clone(), timer) {
            self.order.remove(&(old.fires_at(), key.clone()));
        }
        self.order.insert((timer.fires_at(), key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_at(ms: i64) -> Schedule<u8> {
        let mut schedule = Schedule::new();
        schedule.set(&1, Some(LogTime(ms)), false);
        schedule
    }

    #[test]
    fn a_record_that_is_not_decided_is_appended_again_at_doubling_intervals() {
        let mut schedule = due_at(1_000);
        assert!(schedule.fire(LogTime(999), 10).is_empty());
        assert_eq!(schedule.fire(LogTime(1_000), 10), [1]);
        schedule.set(&1, Some(LogTime(1_000)), false);
        assert!(schedule.fire(LogTime(5_999), 10).is_empty(), "it is on its way, whatever else is decided");
        assert_eq!(schedule.fire(LogTime(6_000), 10), [1]);
        assert!(schedule.fire(LogTime(15_999), 10).is_empty());
        assert_eq!(schedule.fire(LogTime(16_000), 10), [1]);
        schedule.set(&1, None, true);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_record_whose_append_failed_is_appended_again_after_a_second() {
        let mut schedule = due_at(1_000);
        schedule.fire(LogTime(1_000), 10);
        schedule.failed(&1);
        assert_eq!(schedule.next(), Some(LogTime(2_000)));
        assert_eq!(schedule.fire(LogTime(2_000), 10), [1]);
        assert_eq!(schedule.next(), Some(LogTime(7_000)), "the wait begins anew");
    }

    #[test]
    fn what_is_due_again_at_once_keeps_its_distance() {
        let mut schedule = due_at(1_000);
        schedule.fire(LogTime(1_000), 10);
        schedule.set(&1, Some(LogTime(1_000)), true);
        assert_eq!(schedule.next(), Some(LogTime(1_100)));
        schedule.set(&1, Some(LogTime(9_000)), false);
        assert_eq!(schedule.next(), Some(LogTime(9_000)), "due later");
    }

    #[test]
    fn what_is_due_earlier_than_before_fires_earlier() {
        let mut schedule = due_at(9_000);
        schedule.set(&1, Some(LogTime(1_000)), false);
        assert_eq!(schedule.fire(LogTime(1_000), 10), [1]);
    }

    #[test]
    fn firing_is_bounded_and_in_order_of_time() {
        let mut schedule = Schedule::new();
        for n in 0..10 {
            schedule.set(&n, Some(LogTime(n)), false);
        }
        assert_eq!(schedule.fire(LogTime(100), 4), [0, 1, 2, 3]);
        assert_eq!(schedule.next(), Some(LogTime(4)));
    }
}
