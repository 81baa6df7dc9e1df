//! What replicas cost, and how fresh they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::api::cache::schedule_facts::ScheduleFacts;
use crate::api::http::rate_limit::RateLimiter;
use crate::api::queue::places::{self, Places};
use crate::api::queue::replicas::Replicas;
use crate::api::queue::token::{QueueToken, Signer};
use crate::api::queue::upkeep::Sources;
use crate::domain::Changes;
use crate::domain::queue::TokenStatus;
use crate::log::PartitionCounts;
use crate::runtime::clock::Clock;
use crate::store::{CommitBatch, Ownership, Progress};
use crate::testing::{Call, Fault, FaultyStore, MemoryLog};

pub(super) async fn commit(store: &FaultyStore, owner: &mut Owner, command: Command) {
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

pub(super) struct Kept {
    pub log: MemoryLog,
    pub store: FaultyStore,
    pub replicas: Replicas,
    reads: Arc<AtomicU64>,
    pub shutdown: CancellationToken,
}

pub(super) fn kept() -> Kept {
    kept_within(1_000_000)
}

fn kept_within(tokens_max: usize) -> Kept {
    let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
    let now = Arc::new(AtomicI64::new(1_000_000));
    let clock = Clock::Manual(now);
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
    let replicas = Replicas::bounded(sources, tokens_max);
    Kept { log, store, replicas, reads, shutdown }
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

#[tokio::test(start_paused = true)]
async fn q13_replicas_are_bounded_by_tokens_and_one_in_use_never_makes_way() {
    let kept = kept_within(1_000);
    let schedule = |n: u128| ScheduleId(uuid::Uuid::from_u128(n));
    let ask = |n: u128| kept.replicas.current(schedule(n));
    for n in 0..10 {
        assert_eq!(ask(n).await.err().unwrap().code.as_str(), "queue_not_found");
    }
    assert_eq!(ask(10).await.err().unwrap().code.as_str(), "overloaded", "all are in use");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(ask(1).await.err().unwrap().code.as_str(), "queue_not_found");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(ask(10).await.err().unwrap().code.as_str(), "queue_not_found", "another one makes way");
    assert!(kept.replicas.count() == 10 && kept.replicas.known(schedule(1)).is_some());
}
