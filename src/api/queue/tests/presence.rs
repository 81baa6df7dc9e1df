//! What is reported of whom this process saw, and when.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::replicas::{Kept, commit, kept};
use super::*;
use crate::api::queue::sightings::records;
use crate::domain::Body;
use crate::log::{Log, Topic};
use crate::testing::MemoryLog;
use crate::wire::command::decode;

/// Every report on the log.
async fn reports(log: &MemoryLog) -> Vec<Vec<Sighting>> {
    let topic = Topic::Lane(Lane::Queues);
    let end = log.end_offset(topic, 0).await.unwrap() as usize;
    let mut reader = log.read(topic, 0, 0).await.unwrap();
    let mut reports = Vec::new();
    while reports.len() < end {
        for record in reader.next(100, usize::MAX).await.unwrap() {
            assert!(record.size() <= 64 * 1024);
            match decode(&record.value.unwrap()).unwrap().body {
                Body::Queues(Command::Seen(body)) => reports.push(body.sightings),
                other => panic!("{other:?}"),
            }
        }
    }
    reports
}

fn named(reports: &[Vec<Sighting>]) -> Vec<u64> {
    reports.concat().iter().flat_map(|sighting| sighting.first..=sighting.last).collect()
}

/// A queue with an ACTIVE place and two that wait.
async fn three(abandon_after_ms: i64) -> Kept {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(Limits { abandon_after_ms, ..limits(1) })).await;
    for n in 1..=3 {
        commit(&kept.store, &mut owner, join(n)).await;
    }
    commit(&kept.store, &mut owner, seen(&[1])).await;
    kept
}

#[tokio::test(start_paused = true)]
async fn f08_a_served_queue_is_reported_each_round_and_each_token_once_a_third_of_the_time_it_matters() {
    let kept = three(180_000).await;
    for _ in 0..200 {
        let slot = kept.replicas.current(SCHEDULE).await.unwrap();
        // The active one has used the turn, and may be requeued any time; the other one waits.
        [1, 3].into_iter().for_each(|sequence| slot.saw(sequence));
        sleep(Duration::from_secs(1)).await;
    }
    let reported = reports(&kept.log).await;
    assert!((13..=16).contains(&reported.len()), "one each 15 s: {reported:?}");
    let named = named(&reported);
    for sequence in [1, 3] {
        assert!((3..=5).contains(&named.iter().filter(|named| **named == sequence).count()), "{named:?}");
    }
    assert!(named.iter().all(|sequence| [1, 3].contains(sequence)), "{named:?}");
    sleep(Duration::from_secs(100)).await;
    let idle = reports(&kept.log).await.len();
    assert!(idle <= reported.len() + 6, "{idle}: for a minute after the last poll");
    assert_eq!(kept.replicas.reported(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_must_know_at_once_is_on_the_log_within_a_second() {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(limits(1))).await;
    for n in 1..=2 {
        commit(&kept.store, &mut owner, join(n)).await;
    }
    let slot = kept.replicas.current(SCHEDULE).await.unwrap();
    // The first one's turn is not used yet.
    for _ in 0..3 {
        slot.saw(1);
        slot.saw(2);
        sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(named(&reports(&kept.log).await), [1], "once, and the other one has time");
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_take_is_kept_and_its_age_counts_from_the_sighting() {
    let kept = three(12_000).await;
    let slot = kept.replicas.current(SCHEDULE).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    kept.log.hold_appends();
    slot.saw(2);
    for _ in 0..100 {
        let slot = kept.replicas.current(SCHEDULE).await.unwrap();
        assert!(slot.age() <= Duration::from_millis(400), "places do not grow old: {:?}", slot.age());
        sleep(Duration::from_millis(200)).await;
    }
    assert!(slot.is_stuck(), "another process may do better");
    kept.log.release_appends();
    sleep(Duration::from_secs(7)).await;
    assert!(!slot.is_stuck());
    let reported = reports(&kept.log).await.concat();
    let latest = reported.iter().filter(|sighting| sighting.first == 2).map(|sighting| sighting.age_ms).max();
    assert!(latest.is_some_and(|age_ms| (15_000..28_000).contains(&age_ms)), "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn q13_a_queue_whose_replica_is_forgotten_is_reported_all_the_same() {
    let kept = three(180_000).await;
    kept.replicas.presence(SCHEDULE).note(2, false);
    assert!(kept.replicas.known(SCHEDULE).is_none(), "nothing was read for it");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(named(&reports(&kept.log).await), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_not_lost_at_shutdown() {
    let kept = three(180_000).await;
    let slot = kept.replicas.current(SCHEDULE).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    [2, 3].into_iter().for_each(|sequence| slot.saw(sequence));
    kept.shutdown.cancel();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(named(&reports(&kept.log).await), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn neighbors_share_an_entry_and_many_are_split_below_the_record_limit() {
    let now = Instant::now() + Duration::from_secs(100);
    let ago = |ms: u64| now - Duration::from_millis(ms);
    let tolerance = Duration::from_millis(500);
    let named = [(1, ago(100)), (2, ago(600)), (3, ago(601)), (5, ago(601)), (6, ago(400))];
    let (tokens, entries) = records(&named, now, tolerance).remove(0);
    let entries: Vec<[i64; 3]> =
        entries.iter().map(|entry| [entry.first as i64, entry.last as i64, entry.age_ms]).collect();
    assert_eq!((tokens, entries), (5, vec![[1, 2, 600], [3, 3, 601], [5, 6, 601]]));

    let first = 1_000_000_000_000;
    let dense: Vec<(u64, Instant)> = (0..10_000).map(|n| (first + n, now)).collect();
    let tokens: Vec<usize> = records(&dense, now, tolerance).iter().map(|(tokens, _)| *tokens).collect();
    assert_eq!(tokens, [4_000, 4_000, 2_000]);
    let sparse: Vec<(u64, Instant)> = (0..3_000).map(|n| (first + 2 * n, now)).collect();
    let entries: Vec<usize> = records(&sparse, now, tolerance).iter().map(|(_, entries)| entries.len()).collect();
    assert_eq!(entries, [1_400, 1_400, 200]);
    assert_eq!(records(&[], now, tolerance), [(0, vec![])], "a report of nobody");
}
