//! Timers never decide: when something is due they append a record to the partition, and the record decides.

use std::collections::{BTreeSet, HashMap};

use crate::domain::command::{ExpireHolds, Tick};
use crate::domain::{Body, Command, LogTime, RequestId, RoutingKey};

/// A record that was appended and has decided nothing yet is not repeated sooner.
const RETRY_MS: i64 = 1_000;
/// Two timer records of one aggregate lie at least so far apart, however often something is due. It bounds the
/// records a rate-controlled queue writes; an admission waits at most this long.
const INTERVAL_MS: i64 = 100;

/// What is due when, for the aggregates of one partition. At most one entry an aggregate that has something due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(LogTime, RoutingKey)>,
    timers: HashMap<RoutingKey, Timer>,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    fires_at: LogTime,
    last_fired: Option<LogTime>,
}

impl Timers {
    /// The aggregate's next due time as its latest state has it; `None`: nothing is due any more.
    pub fn set(&mut self, key: &RoutingKey, due: Option<LogTime>) {
        let old = self.timers.get(key).copied();
        if let Some(old) = old {
            self.order.remove(&(old.fires_at, key.clone()));
        }
        let Some(due) = due else {
            self.timers.remove(key);
            return;
        };
        let last_fired = old.and_then(|timer| timer.last_fired);
        let fires_at = last_fired.map_or(due, |fired| due.max(fired.plus_ms(INTERVAL_MS)));
        self.order.insert((fires_at, key.clone()));
        self.timers.insert(key.clone(), Timer { fires_at, last_fired });
    }

    /// When the first timer fires.
    pub fn next(&self) -> Option<LogTime> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The commands to append at `now`, at most `limit`. Each is offered again later unless [`Timers::set`] says that
    /// the record has done its work.
    pub fn fire(&mut self, now: LogTime, limit: usize) -> Vec<Command> {
        let mut commands = Vec::new();
        while commands.len() < limit {
            let Some((at, key)) = self.order.first().cloned() else { break };
            if at > now {
                break;
            }
            self.order.remove(&(at, key.clone()));
            let fires_at = now.plus_ms(RETRY_MS);
            self.order.insert((fires_at, key.clone()));
            self.timers.insert(key.clone(), Timer { fires_at, last_fired: Some(now) });
            commands.extend(command(&key, now));
        }
        commands
    }
}

fn command(key: &RoutingKey, now: LogTime) -> Option<Command> {
    let body = match key {
        RoutingKey::Section(schedule_id, section) => {
            Body::ExpireHolds(ExpireHolds { schedule_id: *schedule_id, section: section.clone() })
        }
        RoutingKey::Queue(schedule_id) => Body::Tick(Tick { schedule_id: *schedule_id }),
        RoutingKey::Wallet(_) => return None,
    };
    let seed = xxhash_rust::xxh3::xxh3_128(format!("{key} {}", now.0).as_bytes()).to_be_bytes();
    let mut random = [0u8; 10];
    random.copy_from_slice(&seed[..10]);
    let millis = u64::try_from(now.0).unwrap_or(0);
    let request_id = RequestId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid());
    Some(Command { request_id, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ScheduleId;

    fn key(n: u128) -> RoutingKey {
        RoutingKey::Queue(ScheduleId(uuid::Uuid::from_u128(n)))
    }

    #[test]
    fn what_is_due_fires_once_until_its_record_is_decided() {
        let mut timers = Timers::default();
        timers.set(&key(1), Some(LogTime(1_000)));
        assert!(timers.fire(LogTime(999), 10).is_empty());
        assert_eq!(timers.fire(LogTime(1_000), 10).len(), 1);
        assert!(timers.fire(LogTime(1_500), 10).is_empty(), "the record is on its way");
        assert_eq!(timers.fire(LogTime(2_000), 10).len(), 1, "the record was lost: again");
        timers.set(&key(1), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_timer_that_is_due_again_at_once_keeps_its_distance() {
        let mut timers = Timers::default();
        timers.set(&key(1), Some(LogTime(1_000)));
        timers.fire(LogTime(1_000), 10);
        timers.set(&key(1), Some(LogTime(1_000)));
        assert_eq!(timers.next(), Some(LogTime(1_100)));
    }

    #[test]
    fn firing_is_bounded_and_in_order_of_time() {
        let mut timers = Timers::default();
        for n in 0..10 {
            timers.set(&key(n), Some(LogTime(n as i64)));
        }
        assert_eq!(timers.fire(LogTime(100), 4).len(), 4);
        assert_eq!(timers.next(), Some(LogTime(4)));
    }
}
