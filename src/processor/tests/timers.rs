//! A timer's record on its way to the log.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::block::{Block, Command as OfBlock};
use crate::domain::{BlockKey, Body, Lane, LanePartition, LogTime, ScheduleId};
use crate::log::{Log, PartitionCounts, Topic};
use crate::processor::decider::Touched;
use crate::processor::schedule::Found;
use crate::processor::timers::Timers;
use crate::runtime::clock::Clock;
use crate::testing::MemoryLog;
use crate::wire;

const HERE: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };

/// The timers of a block that is due, in paused time.
fn due() -> (MemoryLog, BlockKey, Timers<Block>) {
    let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
    let clock = Clock::Virtual { since: Instant::now(), ms: Arc::new(AtomicI64::new(10_000)) };
    let log = MemoryLog::new(counts, clock.clone());
    let key = BlockKey::main(ScheduleId(Uuid::now_v7()));
    let timers = Timers::new(HERE, Arc::new(log.clone()), clock, vec![(key.clone(), LogTime(1))], LogTime(0));
    (log, key, timers)
}

/// Runs the timers for so long; how many records are on the log then.
async fn after(timers: &mut Timers<Block>, log: &MemoryLog, ms: u64) -> u64 {
    let ended = tokio::time::timeout(Duration::from_millis(ms), timers.run()).await;
    assert!(ended.is_err(), "timers run for ever");
    log.end_offset(Topic::Lane(Lane::Seats), 0).await.expect("readable")
}

#[tokio::test(start_paused = true)]
async fn a_record_is_appended_once_until_it_is_decided() {
    let (log, key, mut timers) = due();
    assert_eq!(after(&mut timers, &log, 4_900).await, 1);
    assert_eq!(after(&mut timers, &log, 200).await, 2, "not decided after 5 s");
    assert_eq!(after(&mut timers, &log, 9_700).await, 2);
    assert_eq!(after(&mut timers, &log, 200).await, 3, "nor after 10 s more");
    timers.set(
        &[Touched { key: key.clone(), due: None, timer: Some((LogTime(10_000), Found::Something)) }],
        LogTime(10_000),
    );
    assert_eq!(after(&mut timers, &log, 60_000).await, 3);
    let mut reader = log.read(Topic::Lane(Lane::Seats), 0, 0).await.expect("readable");
    let records = reader.next(10, usize::MAX).await.expect("readable");
    let commands: Vec<_> =
        records.iter().map(|r| wire::command::decode(r.value.as_ref().expect("a value")).expect("a command")).collect();
    assert!(commands.iter().all(|command| command.body == Body::Seats(OfBlock::ExpireHolds(key.clone()))));
    assert!(commands[0].request_id != commands[1].request_id, "each is a request of its own");
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_append_failed_is_appended_again_after_a_second() {
    let (log, _, mut timers) = due();
    log.hold_appends();
    assert_eq!(after(&mut timers, &log, 100).await, 0);
    log.fail_appends(false);
    assert_eq!(after(&mut timers, &log, 800).await, 0);
    assert_eq!(after(&mut timers, &log, 200).await, 1);
}
