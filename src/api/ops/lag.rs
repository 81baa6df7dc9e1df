//! For how long the oldest undecided command of a partition has been waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use crate::domain::{LanePartition, LogTime};
use crate::log::{Log, Topic};

/// Records asked for at once, and how long one may take.
const READS_AT_ONCE: usize = 8;
const READ_WITHIN: Duration = Duration::from_millis(500);

/// A partition with something to decide.
#[derive(Debug, Clone, Copy)]
pub struct Behind {
    pub partition: LanePartition,
    pub next_offset: u64,
    /// Log time of the last decided record.
    pub last_time: LogTime,
}

/// What was seen of each partition before.
pub struct Waits {
    log: Arc<dyn Log>,
    seen: Mutex<HashMap<LanePartition, Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    next_offset: u64,
    /// Of the record there, once it was read.
    time: Option<LogTime>,
}

impl Waits {
    pub fn new(log: Arc<dyn Log>) -> Self {
        Waits { log, seen: Mutex::default() }
    }

    /// Since when each has been waiting. One that has moved since the last look waits about as long as what it decided
    /// last did; of one that has not, the record itself is read, once. Missing: the log does not say.
    pub async fn since(&self, behind: &[Behind]) -> HashMap<LanePartition, LogTime> {
        let (moving, standing): (Vec<Behind>, Vec<Behind>) = behind.iter().partition(|of| self.has_moved(of));
        let mut since: HashMap<_, _> = moving.iter().map(|of| (of.partition, of.last_time)).collect();
        let read = stream::iter(standing).map(|of| async move { Some((of.partition, self.time_of(&of).await?)) });
        let read: Vec<_> = read.buffer_unordered(READS_AT_ONCE).collect().await;
        since.extend(read.into_iter().flatten());
        since
    }

    /// Notes how far all partitions are, those that have nothing to decide too.
    pub fn note(&self, partitions: impl Iterator<Item = (LanePartition, u64)>) {
        let mut seen = self.lock();
        for (partition, next_offset) in partitions {
            let before = seen.get(&partition).filter(|seen| seen.next_offset == next_offset);
            let time = before.and_then(|seen| seen.time);
            seen.insert(partition, Seen { next_offset, time });
        }
    }

    fn has_moved(&self, of: &Behind) -> bool {
        self.lock().get(&of.partition).is_some_and(|seen| seen.next_offset < of.next_offset)
    }

    async fn time_of(&self, of: &Behind) -> Option<LogTime> {
        let known = self.lock().get(&of.partition).filter(|seen| seen.next_offset == of.next_offset).copied();
        if let Some(time) = known.and_then(|seen| seen.time) {
            return Some(time);
        }
        let read = async {
            let mut reader =
                self.log.read(Topic::Lane(of.partition.lane), of.partition.partition, of.next_offset).await.ok()?;
            let record = reader.next(1, 1).await.ok()?.pop()?;
            Some(LogTime(record.timestamp.millis()))
        };
        let time = timeout(READ_WITHIN, read).await.ok().flatten()?;
        self.lock().insert(of.partition, Seen { next_offset: of.next_offset, time: Some(time) });
        Some(time)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LanePartition, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;
    use crate::log::{NewRecord, PartitionCounts};
    use crate::runtime::clock::Clock;
    use crate::testing::MemoryLog;

    const SEATS: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };

    #[tokio::test]
    async fn a_standing_partition_waits_since_its_record_came_and_a_moving_one_since_its_last() {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
        let clock = Arc::new(std::sync::atomic::AtomicI64::new(5_000));
        let log = MemoryLog::new(counts, Clock::Manual(clock));
        let record = NewRecord { key: "k".into(), value: "v".into(), headers: vec![] };
        log.append(Topic::Lane(Lane::Seats), 0, record).await.unwrap();
        let waits = Waits::new(Arc::new(log));
        let at = |next_offset| Behind { partition: SEATS, next_offset, last_time: LogTime(7) };
        assert_eq!(waits.since(&[at(0)]).await[&SEATS], LogTime(5_000), "never seen before");
        waits.note([(SEATS, 0)].into_iter());
        assert_eq!(waits.since(&[at(0)]).await[&SEATS], LogTime(5_000), "as read before");
        assert_eq!(waits.since(&[at(1)]).await[&SEATS], LogTime(7), "it has moved");
        waits.note([(SEATS, 1)].into_iter());
        assert_eq!(waits.since(&[at(1)]).await.get(&SEATS), None, "there is no such record");
    }
}
