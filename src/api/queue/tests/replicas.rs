//! What replicas cost, how fresh they are, and what they report.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::api::cache::schedule_facts::ScheduleFacts;
use crate::api::http::rate_limit::RateLimiter;
use crate::api::queue::places::{self, Places};
use crate::api::queue::presence::Presence;
use crate::api::queue::replicas::Replicas;
use crate::api::queue::token::{QueueToken, Signer};
use crate::api::queue::upkeep::Sources;
use crate::domain::queue::TokenStatus;
use crate::domain::{Body, Changes};
use crate::log::{Log, PartitionCounts, Topic};
use crate::runtime::clock::Clock;
use crate::store::{CommitBatch, Ownership, Progress};
use crate::testing::{Call, Fault, FaultyStore, MemoryLog};
use crate::wire::command::decode;

async fn commit(store: &FaultyStore, owner: &mut Owner, command: Command) {
    let before = match store.progress(PLACE).await.unwrap() {
        Some(progress) => progress,
        None => store.acquire(PLACE, "test").await.unwrap(),
    };
    let changes = Changes::Queues(owner.run(command));
    let after = Progress { next_offset: owner.offset, last_time: LogTime(owner.now), ..before };
    let (requests, completions, outbox) = (Vec::new(), Vec::new(), Vec::new());
    let (dead_letters, interventions) = (Vec::new(), Vec::new());
    let batch = CommitBatch {
        partition: PLACE,
        before,
        after,
        changes,
        requests,
        completions,
        outbox,
        dead_letters,
        interventions,
    };
    store.commit(&batch).await.unwrap();
}

struct Kept {
    log: MemoryLog,
    store: FaultyStore,
    replicas: Replicas,
    reads: Arc<AtomicU64>,
    clock: Arc<AtomicI64>,
    shutdown: CancellationToken,
}

fn kept() -> Kept {
    let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
    let now = Arc::new(AtomicI64::new(1_000_000));
    let clock = Clock::Manual(now.clone());
    let (log, store) = (MemoryLog::new(counts, clock.clone()), FaultyStore::in_memory());
    let reads = Arc::new(AtomicU64::new(0));
    let counted = reads.clone();
    store.set_hook(Some(Arc::new(move |call| {
        if call == Call::Read {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async { Fault::None })
    })));
    let shutdown = CancellationToken::new();
    let sources =
        Sources { log: Arc::new(log.clone()), store: Arc::new(store.clone()), clock, shutdown: shutdown.clone() };
    let replicas = Replicas::new(sources);
    Kept { log, store, replicas, reads, clock: now, shutdown }
}

#[tokio::test(start_paused = true)]
async fn q9_polls_cost_no_reads_and_nobody_asking_costs_none_at_all() {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(limits(1))).await;
    for n in 0..20 {
        commit(&kept.store, &mut owner, join(n)).await;
    }
    for polls in [1, 1_000] {
        kept.reads.store(0, Ordering::SeqCst);
        for _ in 0..50 {
            for _ in 0..polls {
                let slot = kept.replicas.current(SCHEDULE).await.unwrap();
                let place = slot.look(|replica| replica.place_of(&user(10), LogTime(0))).flatten().unwrap();
                assert_eq!(place.ahead, 9);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let reads = kept.reads.load(Ordering::SeqCst);
        assert!((40..=120).contains(&reads), "{reads} reads in 10 s with {polls} polls every 200 ms");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    kept.reads.store(0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(kept.reads.load(Ordering::SeqCst), 0, "nobody asks");
    assert_eq!(kept.replicas.count(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(kept.replicas.count(), 0, "dropped");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_within_200_ms_and_signalled() {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(limits(1))).await;
    let slot = kept.replicas.current(SCHEDULE).await.unwrap();
    let _watching = slot.watch();
    let mut changes = slot.changes();
    changes.mark_unchanged();
    commit(&kept.store, &mut owner, join(1)).await;
    tokio::time::timeout(Duration::from_millis(201), changes.changed()).await.expect("in time").unwrap();
    assert!(slot.look(|replica| replica.place_of(&user(1), LogTime(0))).flatten().is_some());
    changes.mark_unchanged();
    assert!(tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.is_err(), "nothing new, no signal");
    kept.store.set_hook(Some(Arc::new(|_| Box::pin(async { Fault::Unavailable }))));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(kept.replicas.current(SCHEDULE).await.is_ok(), "better old than nothing");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(kept.replicas.current(SCHEDULE).await.err().unwrap().code.as_str(), "unavailable");
}

async fn seen_on_log(log: &MemoryLog) -> Vec<Vec<u64>> {
    let topic = Topic::Lane(Lane::Queues);
    let end = log.end_offset(topic, 0).await.unwrap() as usize;
    let mut reader = log.read(topic, 0, 0).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < end {
        for record in reader.next(100, usize::MAX).await.unwrap() {
            assert!(record.size() <= 64 * 1024);
            match decode(&record.value.unwrap()).unwrap().body {
                Body::Queues(Command::Seen(body)) => seen.push(body.sequences),
                other => panic!("{other:?}"),
            }
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn f08_who_polls_is_reported_once_a_third_of_the_time_it_matters() {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(limits(1))).await;
    for n in 1..=3 {
        commit(&kept.store, &mut owner, join(n)).await;
    }
    for second in 0..200 {
        kept.clock.store(1_000_000 + second * 1_000, Ordering::SeqCst);
        let slot = kept.replicas.current(SCHEDULE).await.unwrap();
        // The active one, one who waits, and one nobody knows.
        [1, 3, 77].into_iter().for_each(|sequence| slot.saw(sequence));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let reports = seen_on_log(&kept.log).await;
    assert!((2..=3).contains(&reports.len()), "every 60 s and a few more: {reports:?}");
    assert!(reports.iter().all(|sequences| *sequences == [3]));
    let slot = kept.replicas.current(SCHEDULE).await.unwrap();
    kept.clock.store(1_500_000, Ordering::SeqCst);
    slot.saw(2);
    kept.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(seen_on_log(&kept.log).await.last().unwrap(), &[2], "what is known is not lost at shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_does_not_take_a_report_does_not_make_places_old() {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(limits(1))).await;
    for n in 1..=2 {
        commit(&kept.store, &mut owner, join(n)).await;
    }
    kept.clock.store(1_100_000, Ordering::SeqCst);
    kept.log.hold_appends();
    for _ in 0..100 {
        let slot = kept.replicas.current(SCHEDULE).await.unwrap();
        assert!(slot.age() <= Duration::from_millis(400), "{:?}", slot.age());
        slot.saw(2);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    kept.log.release_appends();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!seen_on_log(&kept.log).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_place_just_given_is_not_denied_because_the_store_went_away() {
    let kept = kept();
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    commit(&kept.store, &mut owner, open(limits(1))).await;
    let catalog = Arc::new(kept.store.clone());
    let places = Places::new(places::Sources {
        facts: Arc::new(ScheduleFacts::new(catalog.clone())),
        replicas: kept.replicas,
        signer: Arc::new(Signer::for_dev()),
        store: catalog,
        limiter: Arc::new(RateLimiter::new(10, 10, 10)),
        clock: Clock::System,
    });
    let holder = places.holder(SCHEDULE, Some(&user(1)), &QueueToken(None)).unwrap();
    let slot = places.sources.replicas.current(SCHEDULE).await.unwrap();
    commit(&kept.store, &mut owner, join(1)).await;
    let reads = AtomicU64::new(0);
    kept.store.set_hook(Some(Arc::new(move |_| {
        let first = reads.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move { if first { Fault::None } else { Fault::Unavailable } })
    })));
    assert_eq!(places.place(&holder, &slot).await.unwrap_err().code.as_str(), "unavailable");
    kept.store.set_hook(None);
    assert_eq!(places.place(&holder, &slot).await.unwrap().status, TokenStatus::Active);
}

#[tokio::test]
async fn reports_of_many_are_split_below_the_record_limit() {
    let log = kept().log;
    let presence = Presence::default();
    let first = 1_000_000_000_000;
    (0..10_000).for_each(|n| presence.note(first + n));
    assert_eq!(presence.report(&log, SCHEDULE).await.len(), 10_000);
    let reports = seen_on_log(&log).await;
    assert_eq!(reports.len(), 3);
    assert_eq!(reports.concat(), (first..first + 10_000).collect::<Vec<u64>>());
    assert!(presence.is_empty() && presence.report(&log, SCHEDULE).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_replicas_kept_are_bounded() {
    let kept = kept();
    let schedule = |n: u128| ScheduleId(uuid::Uuid::from_u128(n));
    for n in 0..100 {
        assert_eq!(kept.replicas.current(schedule(n)).await.err().unwrap().code.as_str(), "queue_not_found");
    }
    assert!(kept.replicas.count() <= 64);
}
