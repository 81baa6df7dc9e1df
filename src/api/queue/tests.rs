//! Replicas against the owner's state, the foretold waiting time against the real one, and what a replica costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::presence::Presence;
use super::replica::{Found, Place, Replica};
use super::replicas::Replicas;
use crate::api::http::auth::Caller;
use crate::api::routes::queue_position::Holder;
use crate::api::{AppState, Settings};
use crate::domain::command::{CompleteToken, ConfigureQueue, JoinQueue, LeaveQueue, OpenQueue, Seen, Tick};
use crate::domain::queue::{Limits, LimitsPatch, OnTimeout, QueueState, Token, TokenStatus, apply, decide};
use crate::domain::{Arrival, Body, Change, Command, Lane, LogTime, RequestId, ScheduleId, UserId};
use crate::log::{LanePartition, Log, PartitionCounts, Topic};
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::store::{CommitBatch, Store};
use crate::testing::{Call, Fault, FaultyStore, MemoryLog};
use crate::wire;

const SCHEDULE: ScheduleId = ScheduleId(uuid::Uuid::from_u128(7));
const PLACE: LanePartition = LanePartition { lane: Lane::Queues, partition: 0 };

fn user(number: u32) -> UserId {
    format!("u{number}").parse().unwrap()
}

fn limits(max_active: u32) -> Limits {
    Limits {
        max_active,
        active_ttl_ms: 60_000,
        max_waiting: 1_000_000,
        admit_per_minute: None,
        on_timeout: OnTimeout::Requeue,
        abandon_after_ms: 180_000,
    }
}

fn open(limits: Limits) -> Body {
    Body::OpenQueue(OpenQueue { schedule_id: SCHEDULE, user_id: user(0), limits })
}

fn join(number: u32) -> Body {
    Body::JoinQueue(JoinQueue { schedule_id: SCHEDULE, user_id: user(number) })
}

fn complete(number: u32) -> Body {
    Body::CompleteToken(CompleteToken { schedule_id: SCHEDULE, user_id: user(number) })
}

fn tick() -> Body {
    Body::Tick(Tick { schedule_id: SCHEDULE })
}

/// The queue's owner: its state, and what each record changed.
#[derive(Default)]
struct Owner {
    state: Option<QueueState>,
    offset: u64,
    now: i64,
    /// Latest rows by change, as the store lists them.
    rows: std::collections::BTreeMap<u64, Token>,
}

impl Owner {
    fn run(&mut self, body: Body) -> Vec<Change> {
        let command = Command { request_id: RequestId(uuid::Uuid::from_u128(self.offset.into())), body };
        let position = PLACE.at(self.offset);
        let decision = decide(self.state.as_ref(), &command, &Arrival { position, time: LogTime(self.now) });
        for change in &decision.changes {
            apply(&mut self.state, change);
            if let Change::Token(token) = change {
                self.rows.insert(token.sequence, token.clone());
            }
        }
        self.offset += 1;
        decision.changes
    }

    fn state(&self) -> &QueueState {
        self.state.as_ref().unwrap()
    }

    fn changed_since(&self, from: u64) -> Vec<Token> {
        let mut tokens: Vec<Token> =
            self.rows.values().filter(|token| token.changed.position.offset >= from).cloned().collect();
        tokens.sort_by_key(|token| (token.changed.position.offset, token.sequence));
        tokens
    }

    fn refresh(&self, replica: &mut Replica) {
        replica.apply(self.changed_since(replica.next_offset()));
        replica.set_row(self.state().row.clone(), LogTime(self.now));
    }

    fn replica(&self) -> Replica {
        let mut replica = Replica::new(self.state().row.clone());
        replica.apply_loaded(self.state().tokens().cloned().collect());
        replica.set_row(self.state().row.clone(), LogTime(self.now));
        replica
    }
}

fn assert_same(owner: &Owner, replica: &Replica) {
    let state = owner.state();
    assert_eq!((replica.waiting(), replica.active()), (state.row.waiting, state.row.active));
    for row in owner.rows.values() {
        let found = replica.find(&row.user_id, row.sequence, LogTime(owner.now));
        match (state.token_of(&row.user_id), found) {
            (Some(live), Found::Here(place)) => {
                assert_eq!((place.position, place.status), (live.sequence, live.status));
                assert_eq!(place.ahead, state.ahead(live.sequence).unwrap_or(0));
                let until = live.active_until.filter(|_| live.status == TokenStatus::Active);
                assert_eq!(place.active_until, until);
            }
            (None, Found::Here(place)) => assert_eq!(place, Place::of_ended(row.sequence, row.status)),
            (None, Found::Forgotten) => {}
            (live, found) => panic!("{live:?} {found:?}"),
        }
    }
}

fn any_body() -> impl Strategy<Value = Body> {
    let users = 0u32..12;
    let leave = |n| Body::LeaveQueue(LeaveQueue { schedule_id: SCHEDULE, user_id: user(n) });
    let patch = |max_active| LimitsPatch { max_active: Some(max_active), ..LimitsPatch::default() };
    prop_oneof![
        8 => users.clone().prop_map(join),
        2 => users.clone().prop_map(leave),
        2 => users.prop_map(complete),
        3 => Just(tick()),
        1 => (0u32..6).prop_map(move |max| Body::ConfigureQueue(ConfigureQueue {
            schedule_id: SCHEDULE, user_id: user(0), patch: patch(max), paused: None, admit: None,
        })),
        1 => proptest::collection::vec(1u64..30, 1..5).prop_map(|mut sequences| {
            sequences.sort_unstable();
            Body::Seen(Seen { schedule_id: SCHEDULE, sequences })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f05_a_replica_says_what_the_owner_knows(
        steps in proptest::collection::vec((0i64..30_000, any_body(), any::<bool>()), 1..60),
    ) {
        let mut owner = Owner::default();
        owner.run(open(Limits { active_ttl_ms: 20_000, abandon_after_ms: 60_000, ..limits(2) }));
        let mut replica = owner.replica();
        for (wait, body, look) in steps {
            owner.now += wait;
            owner.run(body);
            if look {
                owner.refresh(&mut replica);
                assert_same(&owner, &replica);
                assert_same(&owner, &owner.replica());
            }
        }
    }
}

#[test]
fn a_token_that_ended_while_the_pages_were_read_is_found_by_the_changes_after_the_row() {
    let mut owner = Owner::default();
    owner.run(open(limits(1)));
    (1..=3).for_each(|n| drop(owner.run(join(n))));
    let mut replica = Replica::new(owner.state().row.clone());
    let first_page: Vec<Token> = owner.state().tokens().take(2).cloned().collect();
    owner.run(complete(1));
    replica.apply_loaded(first_page);
    replica.apply_loaded(owner.state().tokens().skip(1).cloned().collect());
    owner.refresh(&mut replica);
    assert_same(&owner, &replica);
}

#[test]
fn q5_a_requeued_users_old_token_shows_the_new_place() {
    let mut owner = Owner::default();
    owner.run(open(Limits { active_ttl_ms: 1_000, ..limits(1) }));
    (1..=3).for_each(|n| drop(owner.run(join(n))));
    owner.now += 1_000;
    owner.run(tick());
    let replica = owner.replica();
    let Found::Here(place) = replica.find(&user(1), 1, LogTime(owner.now)) else { panic!() };
    assert_eq!((place.status, place.position, place.ahead), (TokenStatus::Waiting, 4, 1));
    assert_eq!(replica.find(&user(9), 5, LogTime(owner.now)), Found::NotYet);
    assert_eq!(replica.find(&user(9), 2, LogTime(owner.now)), Found::Forgotten);
}

/// Runs the queue for so long with a refresh every 200 ms; `step` may send commands before each. Notes when each token
/// was let in, and what was foretold at `ask_at`.
fn foretold_and_actual(mut owner: Owner, ask_at: i64, until: i64, mut step: impl FnMut(&mut Owner)) -> Vec<(f64, f64)> {
    let mut replica = owner.replica();
    let begin = owner.now;
    let mut foretold: Vec<(u64, f64)> = Vec::new();
    while owner.now < begin + until {
        owner.now += 200;
        step(&mut owner);
        owner.run(tick());
        owner.refresh(&mut replica);
        if owner.now == begin + ask_at {
            for token in owner.state().tokens().filter(|token| token.status == TokenStatus::Waiting) {
                let place = replica.place_of(&token.user_id, LogTime(owner.now)).unwrap();
                foretold.push((token.sequence, place.eta_seconds.unwrap() as f64));
            }
        }
    }
    let waited = |sequence: u64| {
        let admitted = owner.rows[&sequence].admitted_at?;
        Some((admitted.0 - begin - ask_at) as f64 / 1_000.0)
    };
    foretold.into_iter().filter_map(|(sequence, eta)| Some((eta, waited(sequence)?))).collect()
}

fn assert_close(pairs: &[(f64, f64)], enough: usize) {
    assert!(pairs.len() >= enough, "{}", pairs.len());
    for (eta, actual) in pairs {
        // Whole seconds and a pace measured in steps: a second and a half either way.
        assert!((eta - actual).abs() <= 0.2 * actual + 1.5, "foretold {eta} s, waited {actual} s");
    }
}

#[test]
fn f02_eta_and_reality_agree_under_a_steady_rate() {
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    owner.run(open(Limits { admit_per_minute: Some(300), active_ttl_ms: 86_400_000, ..limits(100_000) }));
    (0..2_000).for_each(|n| drop(owner.run(join(n))));
    let pairs = foretold_and_actual(owner, 20_000, 170_000, |_| {});
    assert_close(&pairs, 700);
}

#[test]
fn f02_eta_and_reality_agree_under_occupancy_control() {
    let mut owner = Owner { now: 1_000_000, ..Owner::default() };
    owner.run(open(limits(50)));
    (0..1_500).for_each(|n| drop(owner.run(join(n))));
    // Two users pay in each 200 ms, first come first: ten a second.
    let mut paid = 0;
    let pairs = foretold_and_actual(owner, 30_000, 120_000, |owner| {
        for _ in 0..2 {
            owner.run(complete(paid));
            paid += 1;
        }
    });
    assert_close(&pairs, 800);
}

async fn commit(store: &FaultyStore, owner: &mut Owner, body: Body) {
    let epoch = match store.progress(PLACE).await.unwrap() {
        Some(progress) => progress.epoch,
        None => store.acquire(PLACE, "test").await.unwrap().epoch,
    };
    let from_offset = owner.offset;
    let changes = owner.run(body);
    let batch = CommitBatch {
        partition: PLACE,
        epoch,
        from_offset,
        next_offset: owner.offset,
        last_time: LogTime(owner.now),
        next_outbox_seq: 0,
        state_hash: 0,
        changes,
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
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
    let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, outcomes: 1, dead_letters: 1 };
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
    let replicas = Replicas::new(Arc::new(log.clone()), Arc::new(store.clone()), clock, shutdown.clone());
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
    assert_eq!(kept.replicas.current(SCHEDULE).await.err().unwrap().code, "unavailable");
}

async fn seen_on_log(log: &MemoryLog) -> Vec<Vec<u64>> {
    let topic = Topic::Lane(Lane::Queues);
    let end = log.end_offset(topic, 0).await.unwrap() as usize;
    let mut reader = log.read(topic, 0, 0).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < end {
        for record in reader.next(100, usize::MAX).await.unwrap() {
            assert!(record.size() <= 64 * 1024);
            match wire::decode(&record.value.unwrap()).unwrap().body {
                Body::Seen(body) => seen.push(body.sequences),
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
    let (log, store) = (Arc::new(kept.log.clone()), Arc::new(kept.store.clone()));
    let state = AppState::new(log, store, Clock::System, Health::default(), Settings::default()).unwrap();
    let slot = state.queues.current(SCHEDULE).await.unwrap();
    commit(&kept.store, &mut owner, join(1)).await;
    let reads = AtomicU64::new(0);
    kept.store.set_hook(Some(Arc::new(move |_| {
        let first = reads.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move { if first { Fault::None } else { Fault::Unavailable } })
    })));
    let holder = Holder::of(&state, SCHEDULE, Some(&Caller { user: user(1), admin: false }), None).unwrap();
    assert_eq!(holder.place(&state, &slot).await.unwrap_err().code, "unavailable");
    kept.store.set_hook(None);
    assert_eq!(holder.place(&state, &slot).await.unwrap().status, TokenStatus::Active);
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
        assert_eq!(kept.replicas.current(schedule(n)).await.err().unwrap().code, "queue_not_found");
    }
    assert!(kept.replicas.count() <= 64);
}
