use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use turnstile::log::{AppendError, GroupEvent, Log, Timestamp};
use turnstile::runtime::clock::Clock;
use turnstile::testing::MemoryLog;

use super::suite::{record, settle};
use super::{SEATS, Subject, conforms, counts};

async fn open() -> Subject {
    Subject { log: Arc::new(MemoryLog::new(counts(), Clock::System)), _keep: Box::new(()) }
}

conforms!(open());

#[tokio::test]
async fn a_held_log_fills_up_and_then_refuses() {
    let log = MemoryLog::with_limits(counts(), Clock::System, 3, Duration::from_secs(1));
    log.hold_appends();
    super::suite::a_full_queue_refuses_at_once(&log, 4, || log.release_appends()).await;
}

#[tokio::test]
async fn a_lost_acknowledgement_may_leave_the_record() {
    let log = MemoryLog::new(counts(), Clock::System);
    for (stored, end) in [(false, 0), (true, 1)] {
        log.hold_appends();
        let append = log.append(SEATS, 0, record("a"));
        log.fail_appends(stored);
        assert!(matches!(append.await, Err(AppendError::Unacknowledged(_))));
        assert_eq!(log.end_offset(SEATS, 0).await.unwrap(), end);
    }
}

#[tokio::test]
async fn log_time_holds_still_while_the_clock_runs_back() {
    let now_ms = Arc::new(AtomicI64::new(1000));
    let log = MemoryLog::new(counts(), Clock::Manual(Arc::clone(&now_ms)));
    for ms in [1000, 500, 1200] {
        now_ms.store(ms, Ordering::SeqCst);
        log.append(SEATS, 0, record("x")).await.unwrap();
    }
    let read = log.read(SEATS, 0, 0).await.unwrap().next(10, usize::MAX).await.unwrap();
    let times: Vec<_> = read.iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [1000, 1000, 1200].map(Timestamp::LogAppend));
}

#[tokio::test]
async fn a_foreign_record_may_lack_key_and_value() {
    let log = MemoryLog::new(counts(), Clock::System);
    log.put((SEATS, 1), None, None, Vec::new(), Timestamp::Create(7)).unwrap();
    log.put((SEATS, 1), Some(Bytes::new()), Some(Bytes::new()), Vec::new(), Timestamp::Create(8)).unwrap();
    let read = log.read(SEATS, 1, 0).await.unwrap().next(10, usize::MAX).await.unwrap();
    assert_eq!((&read[0].key, &read[0].value), (&None, &None));
    assert_eq!((&read[1].key, &read[1].value), (&Some(Bytes::new()), &Some(Bytes::new())));
}

#[tokio::test]
async fn an_expired_member_learns_of_its_loss_and_joins_again() {
    let log = MemoryLog::new(counts(), Clock::System);
    let (first, second) = (log.join("first").await.unwrap(), log.join("second").await.unwrap());
    let members = [&*first, &*second];
    let before = settle(&members, 11).await;
    log.expire("first");
    let GroupEvent::Lost(lost) = first.event().await else { panic!("not told of the loss") };
    assert_eq!(lost, before[0].iter().copied().collect::<Vec<_>>());
    assert!(matches!(first.event().await, GroupEvent::Assigned(now) if now.is_empty()));
    // Everything went to the second member, which now gives half of it back.
    let again = super::suite::settle_from(&members, vec![Default::default(), before[1].clone()], 11).await;
    assert!(again.iter().all(|owned| owned.len() >= 4), "unequal shares: {again:?}");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_release_loses_the_partition() {
    let log = MemoryLog::with_limits(counts(), Clock::System, 10, Duration::from_secs(2));
    let first = log.join("first").await.unwrap();
    assert!(matches!(first.event().await, GroupEvent::Assigned(all) if all.len() == 11));
    let second = log.join("second").await.unwrap();
    assert!(matches!(second.event().await, GroupEvent::Assigned(none) if none.is_empty()));
    let GroupEvent::Revoked { partitions, deadline } = first.event().await else { panic!("nothing revoked") };
    assert_eq!(deadline, Duration::from_secs(2));
    let GroupEvent::Assigned(taken) = second.event().await else { panic!("nothing handed over") };
    assert_eq!(taken, partitions);
    assert!(matches!(first.event().await, GroupEvent::Lost(lost) if lost == partitions));
}
