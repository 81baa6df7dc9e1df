//! Where an endpoint begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::charged;
use crate::log::{Log, PartitionCounts, Topic};
use crate::notifier::start::offset_at;
use crate::notifier::start_of;
use crate::runtime::clock::Clock;
use crate::store::StartFrom;
use crate::testing::MemoryLog;

#[tokio::test]
async fn the_first_outcome_of_a_time_is_found_by_looking_at_few() {
    let now = Arc::new(AtomicI64::new(0));
    let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
    let log = MemoryLog::new(counts, Clock::Manual(Arc::clone(&now)));
    assert_eq!(offset_at(&log, 0, 5).await, Ok(0), "an empty partition");
    let times: Vec<i64> = [0, 10, 10, 10, 20, 30, 30, 40].into_iter().chain((5..40).map(|n| n * 10)).collect();
    for (number, time) in times.iter().enumerate() {
        now.store(*time, Ordering::SeqCst);
        log.append(Topic::Outcomes, 0, charged("alice", number as u64)).await.unwrap();
    }
    for first in [0, 3, 20] {
        log.trim((Topic::Outcomes, 0), first);
        for time in -1..400 {
            let expected = times.iter().position(|at| *at >= time).unwrap_or(times.len()) as u64;
            assert_eq!(offset_at(&log, 0, time).await, Ok(expected.max(first)), "time {time} from {first} on");
        }
    }
}

#[test]
fn a_start_is_the_first_outcome_a_time_or_a_position() {
    let from = |text: &str| start_of(text).map(|start| start.from);
    assert_eq!(from("first"), Ok(StartFrom::First));
    assert_eq!(from("2026-11-21T07:00:00.123Z"), Ok(StartFrom::TimeMs(1_795_244_400_123)));
    assert_eq!(from("outcomes.3.1234"), Ok(StartFrom::Position { partition: 3, offset: 1234 }));
    for bad in
        ["", "last", "outcomes.3", "outcomes.x.1", "outcomes.3.-1", "seats.3.1", "outcomes.0.18446744073709551615"]
    {
        assert!(from(bad).is_err(), "{bad}");
    }
}
