//! The workers and API servers of one run, over one log and one store.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use turnstile::assembly::retention::{self, Forgetting};
use turnstile::config;
use turnstile::domain::{Body, Command, ConcertId, LogTime, Position, RequestId, ScheduleId};
use turnstile::log::{Log, NewRecord, PartitionCounts, Topic};
use turnstile::processor::{self, Deps, RelayMode};
use turnstile::runtime::health::{Health, Severity};
use turnstile::store::{
    Catalog, Concert, OwnerStore, ProgressView, Reads, Remember, Schedule, StoreError, lane_partitions,
};
use turnstile::testing::{FaultyStore, Layered, MemoryStore};
use turnstile::wire;

use crate::api_servers::ApiServer;
use crate::archive::{Archive, Archived};
use crate::history::History;
use crate::interventions::Bad;
use crate::log::{DAMAGED, SimLog};
use crate::mutants::log::{Side, seen_by};
use crate::mutants::{self, Mutant};
use crate::run::Setup;
use crate::sim::{DAY_MS, START_MS, Sim};
use crate::store::{self, faulty};

/// Reasons for which a partition may stand still: a store that takes too long, another owner, a reader that could not be
/// opened, an outage of half a minute, and the bad records; a worker that owns but one partition then suspects its clock.
const HARMLESS: [&str; 8] = [
    "fenced by another owner",
    "cannot be read now",
    "no progress for",
    "has log time",
    "has its producer's time",
    DAMAGED,
    "ahead of this machine's clock",
    "commit: as the hook wants it",
];
/// Before the epoch.
const FENCED: &str = "parked: fenced by another owner: epoch ";

/// How long requests count as seen.
pub const REMEMBER: Remember = Remember::DEFAULT;

pub struct Worker {
    pub(crate) name: String,
    task: AbortHandle,
    shutdown: CancellationToken,
    health: Health,
    pub(crate) clock_ms: Arc<AtomicI64>,
}

pub struct Cluster {
    pub sim: Arc<Sim>,
    pub log: Arc<SimLog>,
    pub store: FaultyStore,
    /// The store under its faults, if it can be copied.
    in_memory: Option<MemoryStore>,
    pub archive: Arc<Archive>,
    /// The store as it was some time during the sale.
    copy: Mutex<Option<MemoryStore>>,
    /// Retention, if it runs.
    forgetting: Mutex<Option<AbortOnDropHandle<anyhow::Result<()>>>>,
    /// The log's time when the sale was long over.
    pub later: OnceLock<LogTime>,
    /// The store as the workers see it.
    owners: Arc<dyn OwnerStore>,
    pub mutant: Option<Mutant>,
    pub history: History,
    pub schedules: Vec<ScheduleId>,
    /// Records on which a partition stands still, until an operator acts.
    pub bad: Mutex<BTreeMap<Position, Bad>>,
    pub(crate) workers: Mutex<Vec<Worker>>,
    pub(crate) api_clocks: Mutex<Vec<Arc<AtomicI64>>>,
    pub(crate) api_servers: Mutex<Vec<Option<Arc<ApiServer>>>>,
    started: Mutex<u64>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    pub async fn new(sim: &Arc<Sim>, setup: Setup) -> Arc<Cluster> {
        let counts = PartitionCounts { seats: 2, wallets: 2, queues: 1, inbox: 1, outcomes: 2, dead_letters: 1 };
        let schedules = (0..2).map(|_| ScheduleId(uuid(sim))).collect();
        let log = SimLog::new(Arc::clone(sim), counts);
        let mutant = setup.mutant;
        let (store, in_memory) = store::open(setup.storage).await;
        let archive = Archive::new(sim, &log, mutants::store::itself(mutant, store));
        let store = faulty(sim, Arc::new(Layered(Archived(Arc::clone(&archive)))));
        let owners = mutants::store::of_owners(mutant, Arc::new(store.clone()), Arc::clone(&log) as Arc<dyn Log>);
        Arc::new(Cluster {
            sim: Arc::clone(sim),
            log,
            store,
            in_memory,
            archive,
            copy: Mutex::default(),
            forgetting: Mutex::default(),
            later: OnceLock::new(),
            owners,
            mutant,
            history: History::default(),
            schedules,
            bad: Mutex::default(),
            workers: Mutex::default(),
            api_clocks: Mutex::default(),
            api_servers: Mutex::default(),
            started: Mutex::default(),
        })
    }

    pub fn start_worker(&self) {
        let number = {
            let mut started = lock(&self.started);
            *started += 1;
            *started
        };
        let (sim, plan) = (&self.sim, &self.sim.plan);
        let (clock, clock_ms) = sim.skewed_clock();
        let health = Health::default();
        let name = format!("worker-{number}");
        let deps = Deps {
            log: seen_by(Side::Owner, self.mutant, Arc::clone(&self.log) as Arc<dyn Log>, clock.clone()),
            store: Arc::clone(&self.owners),
            clock,
            health: health.clone(),
        };
        let settings = processor::Settings {
            owner: name.clone(),
            batch_records_max: plan.batch_records,
            batch_bytes_max: 1 << 20,
            cache_rows_max: plan.cache_rows,
            relay_in_flight_max: plan.relay_in_flight,
            relay: RelayMode::Worker,
            rest: Duration::from_millis(1_000 + sim.below(3_000)),
            remember: REMEMBER,
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(processor::run(deps, settings, shutdown.clone()));
        sim.note("worker started", [number, 0, 0]);
        lock(&self.workers).push(Worker { name, task: task.abort_handle(), shutdown, health, clock_ms });
        let sim = Arc::clone(sim);
        tokio::spawn(async move {
            match task.await {
                Ok(Err(error)) => sim.broke(|| format!("a worker failed: {error:#}")),
                Err(error) if !error.is_cancelled() => sim.broke(|| format!("a worker panicked: {error}")),
                _ => {}
            }
        });
    }

    /// Like kill -9.
    pub fn kill_worker(&self) {
        if let Some(worker) = self.take_worker() {
            self.sim.note("worker killed", [0; 3]);
            worker.task.abort();
        }
    }

    /// Like kill -9 at some await, this many port calls from now.
    pub fn kill_worker_at_call(&self, calls: u64) {
        if let Some(worker) = self.take_worker() {
            self.sim.note("worker to be killed", [calls, 0, 0]);
            self.sim.kill_after(calls, worker.task);
        }
    }

    /// Like SIGTERM.
    pub fn stop_worker(&self) {
        if let Some(worker) = self.take_worker() {
            self.sim.note("worker stopped", [0; 3]);
            worker.shutdown.cancel();
        }
    }

    fn take_worker(&self) -> Option<Worker> {
        let mut workers = lock(&self.workers);
        let at = self.sim.below(workers.len() as u64) as usize;
        (at < workers.len()).then(|| workers.remove(at))
    }

    pub fn workers(&self) -> usize {
        lock(&self.workers).len()
    }

    /// Stops all workers and waits for their end.
    pub async fn stop_all(&self) {
        let workers = std::mem::take(&mut *lock(&self.workers));
        for worker in &workers {
            worker.shutdown.cancel();
        }
        for worker in workers {
            while !worker.task.is_finished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Keeps a copy of the store as it is now, if it can be copied.
    pub fn copy_store(&self) {
        *lock(&self.copy) = self.in_memory.as_ref().map(MemoryStore::copy);
    }

    /// Puts the copy in place of the store, which nobody may use meanwhile.
    pub fn restore_store(&self) {
        if let (Some(store), Some(copy)) = (&self.in_memory, lock(&self.copy).take()) {
            self.sim.note("store restored", [0; 3]);
            store.restore(&copy);
            self.archive.restored();
        }
    }

    /// Deletes what no longer counts as seen, in short rounds, like the process of a worker.
    pub fn start_forgetting(&self) {
        let what = Forgetting {
            store: Arc::new(self.store.clone()),
            log: Arc::clone(&self.log) as Arc<dyn Log>,
            embedded: None,
            settings: config::Retention {
                after: Duration::from_secs(60),
                batch_rows: 1 + self.sim.below(20) as u32,
                interval: Duration::from_millis(100 + self.sim.below(400)),
            },
            remember: REMEMBER,
        };
        let clock = self.sim.clock(&self.sim.broker_ms);
        let task = tokio::spawn(retention::run(what, clock, CancellationToken::new()));
        *lock(&self.forgetting) = Some(AbortOnDropHandle::new(task));
    }

    pub fn stop_forgetting(&self) {
        *lock(&self.forgetting) = None;
    }

    /// Reports partitions that are parked for a reason that no injected fault explains.
    pub fn check_health(&self) {
        for worker in lock(&self.workers).iter() {
            for (name, failure) in worker.health.snapshot() {
                // Trouble that it goes on with is what faults are for.
                let Some(failure) = failure.filter(|failure| failure.severity != Severity::Notice) else { continue };
                if !HARMLESS.iter().any(|reason| failure.reason.contains(reason)) {
                    self.sim.broke(|| format!("{} of {}: {}", name, worker.name, failure.reason));
                }
            }
        }
    }

    /// Reports partitions that were fenced though the store knows no newer owner: a lost answer, say, taken for a fence.
    pub async fn check_fences(&self) {
        let epoch = |reason: &str| reason.strip_prefix(FENCED)?.split_once(' ')?.0.parse::<u64>().ok();
        let fenced: Vec<(String, u64)> = {
            let workers = lock(&self.workers);
            let checks = workers.iter().flat_map(|worker| worker.health.snapshot());
            checks.filter_map(|(name, failure)| Some((name, epoch(&failure?.reason)?))).collect()
        };
        if fenced.is_empty() {
            return;
        }
        for view in self.store.progress_views().await.unwrap_or_default() {
            let name = format!("partition {}", view.partition);
            if fenced.contains(&(name, view.epoch)) {
                self.sim.broke(|| format!("{} was fenced in epoch {}, which is not over", view.partition, view.epoch));
            }
        }
    }

    /// Partitions that are parked now.
    pub fn parked(&self) -> Vec<String> {
        let workers = lock(&self.workers);
        let failing = |worker: &Worker| {
            let checks = worker.health.snapshot().into_iter();
            let failing = checks.filter_map(|(name, failure)| Some((name, failure?)));
            let parked = failing.filter(|(_, failure)| failure.severity != Severity::Notice);
            parked.map(|(name, failure)| format!("{name}: {}", failure.reason)).collect::<Vec<_>>()
        };
        workers.iter().flat_map(failing).collect()
    }

    /// Inserts the dates into the catalog. The first has a waiting queue.
    pub async fn insert_dates(&self) -> Result<(), String> {
        let error = |error: StoreError| error.to_string();
        let created_at = LogTime(START_MS);
        for (number, id) in self.schedules.iter().enumerate() {
            let concert_id = ConcertId(uuid(&self.sim));
            let concert = Concert {
                id: concert_id,
                title: "A concert".to_owned(),
                description: None,
                currency: None,
                time_zone: None,
                created_at,
            };
            self.store.insert_concert(&concert).await.map_err(error)?;
            let schedule = Schedule {
                id: *id,
                concert_id,
                starts_at: LogTime(START_MS + DAY_MS),
                duration_ms: None,
                hold_ttl_ms: 1_000,
                max_seats_per_user: 4,
                sales_open_at: None,
                sales_close_at: None,
                queue: number == 0,
                plan: None,
                larger_plan: None,
                created_at,
            };
            self.store.insert_schedule(&schedule).await.map_err(error)?;
        }
        Ok(())
    }

    pub fn queue_path(&self) -> String {
        format!("/v1/schedules/{}/queue", self.schedules[0])
    }

    /// The partition that owns a command.
    pub fn place(&self, body: &Body) -> (Topic, u32) {
        let key = body.routing_key();
        let topic = Topic::Lane(key.lane());
        (topic, wire::routing::partition_for(&key.to_string(), self.log.partitions().of(topic)))
    }

    pub async fn send(&self, command: &Command) {
        self.send_to(self.place(&command.body), command).await;
    }

    /// Appends a command as another service would: the same record again until the log has acknowledged it.
    pub async fn send_to(&self, place: (Topic, u32), command: &Command) {
        let record = NewRecord {
            key: command.body.routing_key().to_string().into(),
            value: wire::command::encode(command).into(),
            headers: Vec::new(),
        };
        while self.log.append(place.0, place.1, record.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.history.appended(command.request_id);
    }

    pub fn command(&self, body: Body) -> Command {
        Command { request_id: RequestId(uuid(&self.sim)), by: None, body }
    }

    /// Whether everything on the lanes is decided and published.
    pub async fn is_quiet(&self) -> Result<(), String> {
        let views: Vec<ProgressView> = self.store.progress_views().await.unwrap_or_default();
        for partition in lane_partitions(self.log.partitions()) {
            let end = self.log.end(Topic::Lane(partition.lane), partition.partition);
            let view = views.iter().find(|view| view.partition == partition);
            let (next, pending) = view.map_or((0, 0), |view| (view.next_offset, view.outbox_pending));
            if next < end || pending > 0 {
                return Err(format!("{partition} has decided {next} of {end}, {pending} outcomes are unpublished"));
            }
        }
        Ok(())
    }
}

/// A version 4 UUID of the seed.
pub fn uuid(sim: &Sim) -> uuid::Uuid {
    let mut prng = sim.prng();
    let bytes = (u128::from(prng.next()) << 64 | u128::from(prng.next())).to_be_bytes();
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
