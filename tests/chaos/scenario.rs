//! The course of one test: services, processes and clients; rounds of a fault; checks; the row of the report.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tokio::sync::Mutex;

use crate::backends::Backends;
use crate::fleet::Fleet;
use crate::harness::server::run_to_end;
use crate::harness::services::Services;
use crate::harness::{System, feed, invariants};
use crate::prng::Prng;
use crate::proxy::Proxy;
use crate::report::Row;
use crate::workload::{Failures, Workload};

/// One test at a time.
static RUNNING: Mutex<()> = Mutex::const_new(());

/// Commands decided before the next round.
const BETWEEN_ROUNDS: usize = 200;

static SEED: LazyLock<u64> = LazyLock::new(|| number("TURNSTILE_CHAOS_SEED").unwrap_or_else(from_the_clock));

pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn from_the_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_micros()))
}

/// Settings that an operator's services need, e.g. `TURNSTILE_CHAOS__LOG__KAFKA__SASL_USERNAME`.
fn further_settings() -> Vec<(String, String)> {
    let given = std::env::vars();
    given
        .filter_map(|(name, value)| Some((format!("TURNSTILE__{}", name.strip_prefix("TURNSTILE_CHAOS__")?), value)))
        .collect()
}

/// A fault and what it needs.
pub struct Fault {
    /// Position of its row in the report.
    pub order: u32,
    pub name: &'static str,
    pub workers: usize,
    /// The first worker reaches PostgreSQL through a proxy.
    pub proxied: bool,
    /// It restarts services.
    pub restarts_services: bool,
    /// It has three brokers.
    pub cluster: bool,
    /// One of them has a clock that is ahead.
    pub clocks_differ: bool,
    /// No client request may fail while it lasts.
    pub unnoticed: bool,
}

pub struct Scenario {
    pub system: Arc<System>,
    pub backends: Backends,
    pub fleet: Fleet,
    pub workload: Workload,
    pub prng: Prng,
    proxy: Option<Proxy>,
    row: Row,
}

/// Runs a test: rounds, then the checks. `act` injects the fault once, undoes it, and returns the number of faults.
///
/// Only if `TURNSTILE_CHAOS_ROUNDS` gives the number of rounds: faults take minutes, and some start services.
pub async fn run(fault: Fault, act: impl AsyncFnMut(&mut Scenario, u64) -> u64) {
    let Some(rounds) = rounds(&fault) else { return };
    let _alone = RUNNING.lock().await;
    let chosen = if fault.cluster {
        Backends::cluster(fault.name, fault.clocks_differ).await
    } else if fault.restarts_services {
        Backends::restartable(fault.name).await
    } else {
        Backends::of_environment(fault.name)
    };
    let Some(backends) = chosen else { return };
    play_on(fault, rounds, backends, act).await;
}

/// The same on services that the test has chosen.
pub async fn run_on(fault: Fault, rounds: u64, backends: Backends, act: impl AsyncFnMut(&mut Scenario, u64) -> u64) {
    let _alone = RUNNING.lock().await;
    play_on(fault, rounds, backends, act).await;
}

/// How many rounds are asked for, if any are.
pub fn rounds(fault: &Fault) -> Option<u64> {
    let rounds = number("TURNSTILE_CHAOS_ROUNDS");
    if rounds.is_none() {
        println!("skipped: {} (`scripts/chaos` runs the faults)", fault.name);
    }
    rounds
}

async fn play_on(fault: Fault, rounds: u64, backends: Backends, act: impl AsyncFnMut(&mut Scenario, u64) -> u64) {
    let services = Services::at(backends.brokers.clone(), backends.database_url.clone(), "chaos");
    let system = Arc::new(System::prepare_on(Some(services), fault.name, further_settings()));
    let seed = SEED.wrapping_add(u64::from(fault.order));
    let row = Row { order: fault.order, fault: fault.name.to_owned(), seed, ..Row::default() };
    println!("{}: seed {seed}", fault.name);
    let mut fleet = Fleet::of(&system);
    let began = Instant::now();
    let proxy = if fault.proxied { Some(Proxy::before(&backends.database_url).await) } else { None };
    let starting = start(&mut fleet, proxy.as_ref(), &system, &fault, seed);
    let started = AssertUnwindSafe(starting).catch_unwind().await;
    let (workload, prng) = match started {
        Ok(started) => started,
        Err(panic) => {
            fleet.print_logs();
            resume_unwind(panic)
        }
    };
    let mut scenario = Scenario { system: Arc::clone(&system), backends, fleet, workload, prng, proxy, row };
    let played = AssertUnwindSafe(scenario.play(&fault, rounds, act)).catch_unwind().await;
    let Scenario { backends, mut fleet, workload, mut row, .. } = scenario;
    let checked = match played {
        Ok(()) => AssertUnwindSafe(check(&system, &mut fleet, workload, &mut row)).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    row.seconds = began.elapsed().as_secs();
    if std::env::var_os("TURNSTILE_CHAOS_LOGS").is_some() {
        fleet.print_logs();
    }
    if let Err(panic) = &checked {
        fleet.print_logs();
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        row.failure = Some(text.unwrap_or_else(|| "see the test's output".to_owned()));
    }
    row.publish();
    drop(fleet);
    system.remove().await;
    backends.end().await;
    if let Err(panic) = checked {
        resume_unwind(panic);
    }
}

async fn start(
    fleet: &mut Fleet,
    proxy: Option<&Proxy>,
    system: &System,
    fault: &Fault,
    seed: u64,
) -> (Workload, Prng) {
    if let Some(proxy) = proxy {
        fleet.start_worker_at_once(Some(&proxy.database_url)).await;
    }
    while fleet.workers.len() < fault.workers {
        fleet.start_worker().await;
    }
    for _ in 0..2 {
        fleet.start_api().await;
    }
    let mut prng = Prng::new(seed);
    let workload = Workload::start(&system.client, &mut prng).await;
    (workload, prng)
}

impl Scenario {
    async fn play(&mut self, fault: &Fault, rounds: u64, mut act: impl AsyncFnMut(&mut Scenario, u64) -> u64) {
        self.workload.progress().await;
        for round in 0..rounds {
            self.workload.commands(BETWEEN_ROUNDS).await;
            let since = Instant::now();
            let faults = act(self, round).await;
            self.workload.progress().await;
            let longest = self.workload.longest_since(since);
            let (latency, attempts, action) = (longest.latency(), longest.attempts, &longest.action);
            let after = longest.begun.saturating_duration_since(since);
            println!(
                "{}: round {round}, {faults} faults; {latency:?} for {action:?}, begun {after:?} after, {attempts} attempts",
                fault.name
            );
            self.row.add_round(faults, latency);
        }
        let failures = self.workload.failures();
        println!("{}: {failures:?}", fault.name);
        if fault.unnoticed {
            assert_eq!(failures, Failures::default(), "requests failed");
        }
        // A worker that lost its partition may have stopped before it read the answer that the proxy saw.
        let seen = self.proxy.as_ref().map_or(0, Proxy::fenced);
        self.row.fenced = self.fleet.fenced().await.max(seen);
    }

    /// In front of the first worker.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the fault has one")
    }
}

/// Nothing is lost or duplicated: in the clients' answers, in the store, and on the outcomes topic.
async fn check(system: &System, fleet: &mut Fleet, workload: Workload, row: &mut Row) {
    let failures = workload.failures();
    let (actors, completed) = workload.stop().await;
    row.add_commands(&completed, &failures);
    row.succeeded = actors.iter().map(|actor| actor.succeeded()).sum();
    row.refused = actors.iter().map(|actor| actor.refused()).sum();
    futures_util::future::join_all(actors.iter().map(|actor| actor.retry_last())).await;
    invariants::check(system).await;
    for actor in &actors {
        actor.check_wallet().await;
    }
    fleet.stop().await;
    feed::check(system).await;
    let audit = run_to_end(&["audit"], system.env());
    assert!(audit.contains("the store is what the log says"), "{audit}");
}
