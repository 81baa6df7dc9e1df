//! When each aggregate's timer fires: what is due, and whether a record for it is on its way. Distances are of the
//! monotonic clock: setting the wall clock moves none of them.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::LogTime;

/// A record that was appended and not decided is appended again after this time, then after twice as long, and so on:
/// a partition that lags gets few records more.
const DECIDED_WITHIN: Duration = Duration::from_secs(5);
/// After a failed append.
const RETRY: Duration = Duration::from_secs(1);
/// Two timer records of one aggregate lie at least so far apart, however often something is due. It bounds the
/// records a rate-controlled queue writes; an admission waits at most this long.
const INTERVAL: Duration = Duration::from_millis(100);
/// Records that find nothing due double the distance, up to this: log time may stand still.
const DOUBLED_MAX: u32 = 6;

/// What is due of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// By log time.
    pub time: LogTime,
    /// When that is here.
    pub at: Instant,
}

/// What a timer's record found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// There may be more of it: then it is due since the same time as before.
    Something,
}

/// At most one entry an aggregate that has something due.
#[derive(Debug)]
pub(super) struct Schedule<K> {
    order: BTreeSet<(Instant, K)>,
    timers: HashMap<K, Timer>,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    due: Due,
    record: Record,
    /// How many records in a row found nothing due.
    in_vain: u32,
}

#[derive(Debug, Clone, Copy)]
enum Record {
    /// None was appended yet.
    None,
    /// The last one, appended then, is decided.
    Decided {
        at: Instant,
    },
    /// The append of the last one failed.
    Failed {
        at: Instant,
    },
    Appended {
        at: Instant,
        wait: Duration,
    },
}

impl Timer {
    fn fires_at(&self) -> Instant {
        match self.record {
            Record::None => self.due.at,
            Record::Decided { at } => self.due.at.max(at + INTERVAL * (1 << self.in_vain)),
            Record::Failed { at } => self.due.at.max(at + RETRY),
            Record::Appended { at, wait } => self.due.at.max(at + wait),
        }
    }
}

impl<K: Clone + Eq + Ord + Hash> Schedule<K> {
    pub fn new() -> Self {
        Schedule { order: BTreeSet::new(), timers: HashMap::new() }
    }

    /// When the aggregate's last record was appended, if it is not decided yet.
    pub fn appended_at(&self, key: &K) -> Option<Instant> {
        match self.timers.get(key)?.record {
            Record::Appended { at, .. } => Some(at),
            Record::None | Record::Decided { .. } | Record::Failed { .. } => None,
        }
    }

    /// What is due of an aggregate by its latest state; `None`: nothing any more. `decided`: what a timer's record
    /// found, if one was decided.
    pub fn set(&mut self, key: &K, due: Option<Due>, decided: Option<Found>) {
        let known = self.timers.get(key).copied();
        let Some(due) = due else {
            if let Some(timer) = self.timers.remove(key) {
                self.order.remove(&(timer.fires_at(), key.clone()));
            }
            return;
        };
        let known = known.unwrap_or(Timer { due, record: Record::None, in_vain: 0 });
        // A later state may have something due earlier.
        let mut timer = Timer { due, ..known };
        if known.due.time != due.time {
            timer.in_vain = 0;
        }
        if let (Record::Appended { at, .. }, Some(found)) = (timer.record, decided) {
            timer.in_vain = match found {
                Found::Something => 0,
                Found::Nothing if known.due.time == due.time => (timer.in_vain + 1).min(DOUBLED_MAX),
                Found::Nothing => timer.in_vain,
            };
            timer.record = Record::Decided { at };
        }
        self.put(key.clone(), timer);
    }

    /// The append of the aggregate's last record failed.
    pub fn failed(&mut self, key: &K) {
        if let Some(timer) = self.timers.get(key).copied()
            && let Record::Appended { at, .. } = timer.record
        {
            self.put(key.clone(), Timer { record: Record::Failed { at }, ..timer });
        }
    }

    /// When the first timer fires.
    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The aggregates to append a record for at `now`, at most `limit`.
    pub fn fire(&mut self, now: Instant, limit: usize) -> Vec<K> {
        let mut fired = Vec::new();
        while fired.len() < limit {
            let Some((at, key)) = self.order.first().cloned() else { break };
            let Some(timer) = self.timers.get(&key).copied().filter(|_| at <= now) else { break };
            let wait = match timer.record {
                Record::None | Record::Decided { .. } | Record::Failed { .. } => DECIDED_WITHIN,
                Record::Appended { wait, .. } => wait.saturating_mul(2).min(DECIDED_WITHIN * 1_000),
            };
            self.put(key.clone(), Timer { record: Record::Appended { at: now, wait }, ..timer });
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
    use std::sync::LazyLock;

    use super::*;

    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// So many ms after the test began.
    fn at(ms: u64) -> Instant {
        *BEGAN + Duration::from_millis(ms)
    }

    fn due(ms: u64) -> Option<Due> {
        Some(Due { time: LogTime(ms as i64), at: at(ms) })
    }

    fn due_at(ms: u64) -> Schedule<u8> {
        let mut schedule = Schedule::new();
        schedule.set(&1, due(ms), None);
        schedule
    }

    #[test]
    fn a_record_that_is_not_decided_is_appended_again_at_doubling_intervals() {
        let mut schedule = due_at(1_000);
        assert!(schedule.fire(at(999), 10).is_empty());
        assert_eq!(schedule.fire(at(1_000), 10), [1]);
        schedule.set(&1, due(1_000), None);
        assert!(schedule.fire(at(5_999), 10).is_empty(), "it is on its way, whatever else is decided");
        assert_eq!(schedule.fire(at(6_000), 10), [1]);
        assert!(schedule.fire(at(15_999), 10).is_empty());
        assert_eq!(schedule.fire(at(16_000), 10), [1]);
        schedule.set(&1, None, Some(Found::Something));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_record_whose_append_failed_is_appended_again_after_a_second() {
        let mut schedule = due_at(1_000);
        schedule.fire(at(1_000), 10);
        schedule.failed(&1);
        assert_eq!(schedule.next(), Some(at(2_000)));
        assert_eq!(schedule.fire(at(2_000), 10), [1]);
        assert_eq!(schedule.next(), Some(at(7_000)), "the wait begins anew");
    }

    #[test]
    fn what_is_due_again_at_once_keeps_its_distance() {
        let mut schedule = due_at(1_000);
        schedule.fire(at(1_000), 10);
        schedule.set(&1, due(1_001), Some(Found::Something));
        assert_eq!(schedule.next(), Some(at(1_100)));
        schedule.set(&1, due(9_000), None);
        assert_eq!(schedule.next(), Some(at(9_000)), "due later");
    }

    #[test]
    fn what_one_record_left_undone_follows_at_once() {
        let mut schedule = due_at(1_000);
        for n in 0..30 {
            assert_eq!(schedule.fire(at(1_000 + n * 100), 10), [1]);
            schedule.set(&1, due(1_000), Some(Found::Something));
            assert_eq!(schedule.next(), Some(at(1_100 + n * 100)));
        }
    }

    #[test]
    fn records_that_find_nothing_due_become_rare() {
        let mut schedule = due_at(1_000);
        let mut fired = Vec::new();
        for now in 1_000..61_000 {
            if !schedule.fire(at(now), 10).is_empty() {
                fired.push(now);
                schedule.set(&1, due(1_000), Some(Found::Nothing));
            }
        }
        assert_eq!(fired[..4], [1_000, 1_200, 1_600, 2_400]);
        assert!(fired.len() < 20, "{fired:?}");
        let last = fired[fired.len() - 1];
        schedule.set(&1, due(61_000), None);
        assert_eq!(schedule.fire(at(61_000), 10), [1], "the last one was appended at {last}");
        schedule.set(&1, due(61_001), Some(Found::Something));
        assert_eq!(schedule.next(), Some(at(61_100)), "it found something");
    }

    #[test]
    fn what_is_due_earlier_than_before_fires_earlier() {
        let mut schedule = due_at(9_000);
        schedule.set(&1, due(1_000), None);
        assert_eq!(schedule.fire(at(1_000), 10), [1]);
    }

    #[test]
    fn firing_is_bounded_and_in_order_of_time() {
        let mut schedule = Schedule::new();
        for n in 0..10 {
            schedule.set(&n, due(n), None);
        }
        assert_eq!(schedule.fire(at(100), 4), [0, 1, 2, 3]);
        assert_eq!(schedule.next(), Some(at(4)));
    }
}
