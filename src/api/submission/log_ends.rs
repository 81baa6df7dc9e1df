//! How far the lanes reach, asked of the log seldom however often clients ask for positions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::domain::{LanePartition, Position};
use crate::log::{Log, ReadError, Topic};

/// A partition's end is asked for once in this time. A broker is asked on a thread that waits for it.
const ASKED_EVERY: Duration = Duration::from_millis(250);

/// The ends of partitions, as the log said them last.
pub struct LogEnds {
    log: Arc<dyn Log>,
    /// As many as there are partitions.
    ends: Mutex<HashMap<LanePartition, Arc<End>>>,
}

#[derive(Default)]
struct End {
    /// When it was asked for, and what it was.
    known: Mutex<Option<(Instant, u64)>>,
    /// Held by the task that asks.
    asking: tokio::sync::Mutex<()>,
}

impl LogEnds {
    pub fn new(log: Arc<dyn Log>) -> Self {
        LogEnds { log, ends: Mutex::default() }
    }

    /// Whether the log has this position. An end that was asked for before the call proves only that it has: another
    /// process may have appended since.
    pub async fn reach(&self, position: Position) -> Result<bool, ReadError> {
        let (place, called) = (position.partition, Instant::now());
        let of_place = self.ends.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default().clone();
        let answer = |known: Option<(Instant, u64)>| {
            let (asked, end) = known?;
            (position.offset < end || asked > called).then_some(position.offset < end)
        };
        if let Some(reached) = answer(of_place.known()) {
            return Ok(reached);
        }
        let _one_asks = of_place.asking.lock().await;
        let known = of_place.known();
        if let Some(reached) = answer(known) {
            return Ok(reached);
        }
        if let Some((asked, _)) = known {
            sleep_until(asked + ASKED_EVERY).await;
        }
        let asked = Instant::now();
        let end = self.log.end_offset(Topic::Lane(place.lane), place.partition).await?;
        *of_place.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, end));
        Ok(position.offset < end)
    }
}

impl End {
    fn known(&self) -> Option<(Instant, u64)> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::domain::Lane;
    use crate::log::{NewRecord, PartitionCounts};
    use crate::runtime::clock::Clock;
    use crate::testing::MemoryLog;

    fn position(offset: u64) -> Position {
        Position::new(Lane::Seats, 0, offset)
    }

    #[tokio::test(start_paused = true)]
    async fn positions_beyond_the_end_share_one_question_and_an_appended_one_is_found() {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
        let log = MemoryLog::new(counts, Clock::System);
        let ends = LogEnds::new(Arc::new(log.clone()));
        assert!(!ends.reach(position(0)).await.unwrap());
        let record = NewRecord { key: "k".into(), value: "v".into(), headers: Vec::new() };
        log.append(Topic::Lane(Lane::Seats), 0, record).await.unwrap();
        let began = Instant::now();
        let found = join_all((0..100).map(|offset| ends.reach(position(offset)))).await;
        assert_eq!(found.into_iter().filter(|found| *found.as_ref().unwrap()).count(), 1);
        assert_eq!(began.elapsed(), ASKED_EVERY, "one question for all, a while after the last");
        assert!(ends.reach(position(0)).await.unwrap());
        assert_eq!(began.elapsed(), ASKED_EVERY, "what the log has once it keeps");
    }
}
