//! For how long the oldest outcome that an endpoint has not got has been waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use crate::domain::LogTime;
use crate::log::{Log, ReadError, Topic};
use crate::store::ProgressState;

/// Questions to the log at once, how long one record may take, and all together.
const AT_ONCE: usize = 8;
const READ_WITHIN: Duration = Duration::from_millis(500);
const ALL_WITHIN: Duration = Duration::from_secs(3);

/// A partition of the outcomes, and an offset there.
type Place = (u32, u64);

/// See the module.
pub struct Undelivered {
    log: Arc<dyn Log>,
    /// When the records at the places of the last look were appended.
    times: Mutex<HashMap<Place, LogTime>>,
}

impl Undelivered {
    pub fn new(log: Arc<dyn Log>) -> Self {
        Undelivered { log, times: Mutex::default() }
    }

    /// Of each of them, in their order; `None`: nothing waits, or the log does not say.
    pub async fn since(&self, states: &[Option<&ProgressState>]) -> Vec<Option<LogTime>> {
        let ends = timeout(ALL_WITHIN, self.ends()).await.ok().and_then(Result::ok).unwrap_or_default();
        let waits = |(partition, offset): &Place| ends.get(partition).is_some_and(|end| offset < end);
        let places_of = |state: &ProgressState| -> Vec<Place> {
            let places = state.cursors.iter().map(|(partition, cursor)| (*partition, cursor.next_offset));
            places.filter(waits).collect()
        };
        let places: BTreeSet<Place> = states.iter().flatten().flat_map(|state| places_of(state)).collect();
        let times = self.times_of(places).await;
        let oldest =
            |state: &ProgressState| places_of(state).iter().filter_map(|place| times.get(place)).min().copied();
        states.iter().map(|state| oldest((*state)?)).collect()
    }

    async fn ends(&self) -> Result<BTreeMap<u32, u64>, ReadError> {
        let end = |of: u32| async move { Ok((of, self.log.end_offset(Topic::Outcomes, of).await?)) };
        let all = 0..self.log.partitions().of(Topic::Outcomes);
        let ends: Vec<_> = stream::iter(all).map(end).buffer_unordered(AT_ONCE).collect().await;
        ends.into_iter().collect()
    }

    /// Each record is read once, as long as a cursor stands there.
    async fn times_of(&self, places: BTreeSet<Place>) -> HashMap<Place, LogTime> {
        let mut known = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.retain(|place, _| places.contains(place));
        let unknown: Vec<Place> = places.into_iter().filter(|place| !known.contains_key(place)).collect();
        let read = |place: Place| async move { Some((place, timeout(READ_WITHIN, self.time_of(place)).await.ok()??)) };
        let mut reads = stream::iter(unknown).map(read).buffer_unordered(AT_ONCE);
        let _ = timeout(ALL_WITHIN, async {
            while let Some(read) = reads.next().await {
                known.extend(read);
            }
        })
        .await;
        drop(reads);
        self.times.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&known);
        known
    }

    /// Of the record there, or of the first one if those before it are deleted.
    async fn time_of(&self, (partition, offset): Place) -> Option<LogTime> {
        let first = self.log.first_offset(Topic::Outcomes, partition).await.ok()?;
        let mut reader = self.log.read(Topic::Outcomes, partition, offset.max(first)).await.ok()?;
        let record = reader.next(1, 1).await.ok()?.into_iter().next()?;
        Some(LogTime(record.timestamp.millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{NewRecord, PartitionCounts};
    use crate::runtime::clock::Clock;
    use crate::store::Cursor;
    use crate::testing::MemoryLog;

    fn at(offsets: [u64; 2]) -> ProgressState {
        let cursor = |next_offset| Cursor { next_offset, ..Cursor::default() };
        let cursors = (0..).zip(offsets.map(cursor)).collect();
        ProgressState { cursors, ..ProgressState::default() }
    }

    #[tokio::test]
    async fn an_endpoint_waits_since_the_oldest_outcome_that_it_has_not_got() {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 2, dead_letters: 1 };
        let clock = Arc::new(std::sync::atomic::AtomicI64::new(0));
        let log = MemoryLog::new(counts, Clock::Manual(clock.clone()));
        for (partition, at) in [(0, 1_000), (1, 2_000), (0, 3_000)] {
            clock.store(at, std::sync::atomic::Ordering::SeqCst);
            let record = NewRecord { key: "k".into(), value: "v".into(), headers: vec![] };
            log.append(Topic::Outcomes, partition, record).await.unwrap();
        }
        let undelivered = Undelivered::new(Arc::new(log));
        let states = [at([0, 0]), at([1, 0]), at([1, 1]), at([2, 1])];
        let asked: Vec<_> = states.iter().map(Some).chain([None]).collect();
        let since = [Some(1_000), Some(2_000), Some(3_000), None, None].map(|ms| ms.map(LogTime));
        for _ in 0..2 {
            assert_eq!(undelivered.since(&asked).await, since);
        }
    }
}
