//! The workers and front doors of one run, over one log and one store.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use turnstile::api::submission::feed;
use turnstile::api::{self, AppState};
use turnstile::domain::{Body as CommandBody, Command, ConcertId, LogTime, RequestId, ScheduleId};
use turnstile::log::{Log, NewRecord, PartitionCounts, Topic};
use turnstile::processor::{self, Deps, RelayMode};
use turnstile::runtime::health::Health;
use turnstile::store::reads::{Concert, Reads, Schedule};
use turnstile::store::{Store, StoreError};
use turnstile::testing::FaultyStore;
use turnstile::wire;

use crate::history::History;
use crate::log::SimLog;
use crate::mutants::log::{Side, seen_by};
use crate::mutants::{self, Mutant};
use crate::run::Setup;
use crate::sim::{BEGINNING_MS, DAY_MS, Sim};
use crate::store::{self, faulty};

/// Why a partition may rest: another owner, or a reader that could not be opened.
const HARMLESS: [&str; 2] = ["fenced by another owner", "cannot be read now"];

pub struct Worker {
    name: String,
    task: AbortHandle,
    shutdown: CancellationToken,
    health: Health,
    clock_ms: Arc<AtomicI64>,
}

/// One process of the front door.
pub struct Door {
    service: TowerToHyperService<Router>,
    crashed: CancellationToken,
    _feeds: JoinSet<()>,
}

pub struct World {
    pub sim: Arc<Sim>,
    pub log: Arc<SimLog>,
    pub store: FaultyStore,
    /// As the workers see it.
    owners: Arc<dyn Store>,
    mutant: Option<Mutant>,
    pub history: History,
    pub schedules: Vec<ScheduleId>,
    workers: Mutex<Vec<Worker>>,
    doors: Mutex<Vec<Option<Arc<Door>>>>,
    started: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub async fn new(sim: &Arc<Sim>, setup: Setup) -> Arc<World> {
        let counts = PartitionCounts { seats: 2, wallets: 2, queues: 1, outcomes: 2, dead_letters: 1 };
        let schedules = (0..2).map(|_| ScheduleId(uuid(sim))).collect();
        let log = SimLog::new(Arc::clone(sim), counts);
        let mutant = setup.mutant;
        let store = faulty(sim, mutants::store::itself(mutant, store::open(setup.storage).await));
        let owners = mutants::store::of_owners(mutant, Arc::new(store.clone()), Arc::clone(&log) as Arc<dyn Log>);
        Arc::new(World {
            sim: Arc::clone(sim),
            log,
            store,
            owners,
            mutant,
            history: History::default(),
            schedules,
            workers: Mutex::default(),
            doors: Mutex::default(),
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
            timestamp_tolerance_ms: 60_000,
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

    /// As kill -9 would.
    pub fn kill_worker(&self) {
        if let Some(worker) = self.take_worker() {
            self.sim.note("worker killed", [0; 3]);
            worker.task.abort();
        }
    }

    /// At some await of its own, so many port calls from now.
    pub fn kill_worker_at_call(&self, calls: u64) {
        if let Some(worker) = self.take_worker() {
            self.sim.note("worker to be killed", [calls, 0, 0]);
            self.sim.kill_after(calls, worker.task);
        }
    }

    /// As SIGTERM would.
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

    /// Stops all workers and waits until they have let go.
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

    /// Moves a worker's clock, or the log's.
    pub fn jump_clock(&self) {
        let by = self.sim.below(20_001) as i64 - 10_000;
        let workers = lock(&self.workers);
        let clocks: Vec<_> = workers.iter().map(|worker| &worker.clock_ms).chain([&self.sim.broker_ms]).collect();
        if let Some(clock) = self.sim.rng().pick(&clocks) {
            clock.fetch_add(by, std::sync::atomic::Ordering::SeqCst);
        }
    }

    /// Sets all workers' clocks by the log's.
    pub fn set_clocks(&self) {
        let log_ms = self.sim.broker_ms.load(std::sync::atomic::Ordering::SeqCst);
        lock(&self.workers)
            .iter()
            .for_each(|worker| worker.clock_ms.store(log_ms, std::sync::atomic::Ordering::SeqCst));
    }

    /// What is parked for a reason that no fault of ours explains.
    pub fn look_at_health(&self) {
        for worker in lock(&self.workers).iter() {
            for (name, failure) in worker.health.snapshot() {
                let Some(failure) = failure else { continue };
                if !HARMLESS.iter().any(|reason| failure.reason.contains(reason)) {
                    self.sim.broke(|| format!("{} of {}: {}", name, worker.name, failure.reason));
                }
            }
        }
    }

    /// Partitions that are parked now.
    pub fn parked(&self) -> Vec<String> {
        let workers = lock(&self.workers);
        let failing = |worker: &Worker| {
            let checks = worker.health.snapshot().into_iter();
            checks.filter_map(|(name, failure)| Some(format!("{name}: {}", failure?.reason))).collect::<Vec<_>>()
        };
        workers.iter().flat_map(failing).collect()
    }

    pub fn open_door(&self, at: usize) {
        let (clock, _) = self.sim.skewed_clock();
        let log = seen_by(Side::Door, self.mutant, Arc::clone(&self.log) as Arc<dyn Log>, clock.clone());
        let settings = api::Settings { append_timeout: Duration::from_secs(5), ..api::Settings::default() };
        let state = AppState::new(log, Arc::new(self.store.clone()), clock, Health::default(), settings)
            .expect("dev mode needs no keys");
        let mut feeds = JoinSet::new();
        for partition in 0..self.log.partitions().of(Topic::Outcomes) {
            feeds.spawn(feed::follow(Arc::clone(&state), partition));
        }
        let service = TowerToHyperService::new(api::router(state));
        let door = Door { service, crashed: CancellationToken::new(), _feeds: feeds };
        let mut doors = lock(&self.doors);
        while doors.len() <= at {
            doors.push(None);
        }
        doors[at] = Some(Arc::new(door));
    }

    /// Nobody asks any more.
    pub fn close_doors(&self) {
        lock(&self.doors).clear();
    }

    /// One process of the front door dies, with all it has under way, and is started again.
    pub fn crash_door(&self) {
        let count = lock(&self.doors).len();
        let at = self.sim.below(count as u64) as usize;
        self.sim.note("front door crashed", [at as u64, 0, 0]);
        if let Some(door) = lock(&self.doors)[at].take() {
            door.crashed.cancel();
        }
        self.open_door(at);
    }

    /// Sends a request through some door. `None`: the connection broke, or the client lost patience.
    pub async fn call(&self, request: Request<Body>) -> Option<(u16, Value)> {
        let door = {
            let doors = lock(&self.doors);
            let at = self.sim.below(doors.len() as u64) as usize;
            doors.get(at)?.clone()?
        };
        let patience = match self.sim.strikes(30) {
            true => Duration::from_millis(1 + self.sim.below(1_000)),
            false => Duration::from_secs(40),
        };
        let answer = async {
            let response = door.service.call(request).await.ok()?;
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.ok()?;
            Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        };
        tokio::select! {
            biased;
            () = door.crashed.cancelled() => None,
            answer = tokio::time::timeout(patience, answer) => answer.ok()?,
        }
    }

    /// Puts the dates where the front door looks them up. The first has a waiting queue.
    pub async fn announce(&self) -> Result<(), String> {
        let error = |error: StoreError| error.to_string();
        let created_at = LogTime(BEGINNING_MS);
        for (at, id) in self.schedules.iter().enumerate() {
            let concert_id = ConcertId(uuid(&self.sim));
            let concert = Concert { id: concert_id, title: "A concert".to_owned(), description: None, created_at };
            self.store.insert_concert(&concert).await.map_err(error)?;
            let schedule = Schedule {
                id: *id,
                concert_id,
                starts_at: LogTime(BEGINNING_MS + DAY_MS),
                duration_ms: None,
                hold_ttl_ms: 1_000,
                max_seats_per_user: 4,
                sales_open_at: None,
                queue: at == 0,
                created_at,
            };
            self.store.insert_schedule(&schedule).await.map_err(error)?;
        }
        Ok(())
    }

    pub fn queue_path(&self) -> String {
        format!("/v1/schedules/{}/queue", self.schedules[0])
    }

    pub fn place(&self, body: &CommandBody) -> (Topic, u32) {
        let key = body.routing_key();
        let topic = Topic::Lane(key.lane());
        (topic, wire::partition_for(&key.to_string(), self.log.partitions().of(topic)))
    }

    /// Appends a command as another service would: the same record again until the log has acknowledged it.
    pub async fn send(&self, place: (Topic, u32), command: &Command) {
        let record = NewRecord {
            key: command.body.routing_key().to_string().into(),
            value: wire::command::encode(command).into(),
            headers: Vec::new(),
        };
        while self.log.append(place.0, place.1, record.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.history.sent(command.request_id);
    }

    pub fn command(&self, body: CommandBody) -> Command {
        Command { request_id: RequestId(uuid(&self.sim)), body }
    }

    /// Everything on the lanes is decided and published.
    pub async fn is_quiet(&self) -> Result<(), String> {
        let views = self.store_progress().await;
        for partition in turnstile::store::lane_partitions(self.log.partitions()) {
            let end = self.log.end(Topic::Lane(partition.lane), partition.partition);
            let view = views.iter().find(|view| view.partition == partition);
            let (next, pending) = view.map_or((0, 0), |view| (view.next_offset, view.outbox_pending));
            if next < end || pending > 0 {
                return Err(format!("{partition} has decided {next} of {end}, {pending} outcomes are unpublished"));
            }
        }
        Ok(())
    }

    async fn store_progress(&self) -> Vec<turnstile::store::reads::ProgressView> {
        let store: &dyn Store = &self.store;
        store.progress_views().await.unwrap_or_default()
    }
}

/// A version 4 UUID of the seed.
pub fn uuid(sim: &Sim) -> uuid::Uuid {
    let mut rng = sim.rng();
    uuid::Builder::from_random_bytes((u128::from(rng.next()) << 64 | u128::from(rng.next())).to_be_bytes()).into_uuid()
}
