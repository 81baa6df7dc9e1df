//! One run from a seed: a sale under faults, recovery, then the checks.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use turnstile::audit;

use crate::cluster::Cluster;
use crate::mutants::{self, Mutant};
use crate::sale::{self, HOLD_TTL_MS_MAX};
use crate::sim::Sim;
use crate::workload::{self, USERS};
use crate::{client, faults, foreign_producers, interventions, later, oracle, other_log, staff};

/// Upper bound on the sale, even if everything is down all the time.
const SALE_MAX: Duration = Duration::from_secs(240);
/// By then everything must be decided after the faults are over.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// Longest delay of duplicates, late commits and failures that were injected before the faults ended.
const IN_FLIGHT_MAX: Duration = Duration::from_secs(12);
/// All holds have ended by then.
const HOLDS_MAX: Duration = Duration::from_millis(HOLD_TTL_MS_MAX + 1_000);

/// What to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    pub mutant: Option<Mutant>,
    pub storage: Storage,
}

/// The store below the faults.
#[derive(Debug, Clone, Copy, Default)]
pub enum Storage {
    #[default]
    Memory,
    /// One file per run.
    Sqlite,
}

/// The result of a run.
pub struct Ran {
    pub seed: u64,
    pub trace_hash: u64,
    /// Records on the lanes.
    pub records: u64,
    pub calls: u64,
    /// The first violation, with the last events.
    pub violation: Option<String>,
    /// Something panicked: the violation may be an assertion's, not an invariant's.
    pub panicked: bool,
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic in the product is a violation, even if a supervisor catches it.
fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match RUNNING.get() {
            true => PANIC.with_borrow_mut(|first| {
                first.get_or_insert(panic.to_string());
            }),
            false => before(panic),
        }));
    });
    PANIC.with_borrow_mut(|first| *first = None);
    RUNNING.set(true);
}

pub fn run(seed: u64, setup: Setup) -> Ran {
    record_panics();
    mutants::set(setup.mutant);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O");
    let (sim, records, result) = runtime.block_on(async {
        let sim = Sim::new(seed);
        let cluster = Cluster::new(&sim, setup).await;
        let simulated = futures_util::FutureExt::catch_unwind(AssertUnwindSafe(simulate(&cluster))).await;
        let result = simulated.unwrap_or_else(|_| Err("a panic".to_owned()));
        let lanes = turnstile::store::lane_partitions(turnstile::log::Log::partitions(&*cluster.log));
        let records = lanes.map(|p| cluster.log.end(turnstile::log::Topic::Lane(p.lane), p.partition)).sum();
        (sim, records, result)
    });
    drop(runtime);
    mutants::set(None);
    RUNNING.set(false);
    let panic = PANIC.with_borrow_mut(Option::take).map(|text| format!("a panic: {text}"));
    let panicked = panic.is_some();
    let violation = sim.broken().or(panic).or(result.err());
    let violation = violation.map(|what| format!("seed {seed}: {what}\n{:?}\n{}", sim.plan, sim.trace_text(60)));
    Ran { seed, trace_hash: sim.trace_hash(), records, calls: sim.calls(), violation, panicked }
}

async fn simulate(cluster: &Arc<Cluster>) -> Result<(), String> {
    let sim = Arc::clone(&cluster.sim);
    let mut clients = JoinSet::new();
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&cluster.log.group).coordinate());
    background.spawn(faults::watch(Arc::clone(cluster)));
    background.spawn(interventions::operate(Arc::clone(cluster)));
    cluster.insert_dates().await?;
    sim.set_faults(true);
    for number in 0..2 {
        cluster.start_api(number);
    }
    for _ in 0..sim.plan.workers {
        cluster.start_worker();
    }
    background.spawn(faults::inject(Arc::clone(cluster)));
    if sim.plan.long_outage {
        background.spawn(faults::long_outage(Arc::clone(cluster)));
    }
    if sim.plan.later {
        cluster.start_forgetting();
        match sim.plan.other_ages {
            true => background.spawn(later::changes(Arc::clone(cluster))),
            false => background.spawn(later::copy(Arc::clone(cluster))),
        };
    }
    for body in sale::openings(cluster) {
        cluster.send(&cluster.command(body)).await;
    }
    let actions = 4 + sim.below(8);
    for user in 0..2 + sim.below(USERS.len() as u64 - 1) as usize {
        clients.spawn(workload::run_session(Arc::clone(cluster), user, actions));
    }
    clients.spawn(foreign_producers::produce(Arc::clone(cluster), sim.plan.foreign));
    clients.spawn(interventions::spoil(Arc::clone(cluster), sim.plan.bad_records));
    clients.spawn(staff::work(Arc::clone(cluster), sim.plan.staff));
    clients.spawn(workload::operate_queue(Arc::clone(cluster), sim.plan.operator));
    if sim.plan.show_cancelled {
        clients.spawn(staff::cancel_show(Arc::clone(cluster)));
    }
    if sim.plan.patient {
        clients.spawn(workload::wait_patiently(Arc::clone(cluster)));
    }
    let sale = async { while clients.join_next().await.is_some() {} };
    // The rest gives up.
    let _ = timeout(SALE_MAX, sale).await;
    clients.shutdown().await;

    recover(cluster).await?;
    if sim.plan.later {
        later::comes(cluster).await?;
    }
    stop_at_rest(cluster).await?;
    drop(background);
    if let Some(broken) = sim.broken() {
        return Err(broken);
    }
    let report = audit::run(&*cluster.log, &cluster.store, &mut |_| {}).await;
    let report = report.map_err(|error| format!("the audit: {error}"))?;
    if let Some(first) = report.first {
        return Err(format!("the audit: {first}"));
    }
    // Where log time runs alike on both lanes, and no hold came again when all turns were long over.
    if let (1.., Some(first)) = report.without_turn
        && sim.plan.has_steady_clocks()
        && !sim.plan.later
    {
        return Err(format!("the audit counts {} holds without a turn, the first at {first}", report.without_turn.0));
    }
    oracle::check(cluster).await?;
    other_log::is_refused(cluster).await
}

/// Ends the faults: everything accepted must be decided, and every client answered.
async fn recover(cluster: &Arc<Cluster>) -> Result<(), String> {
    let sim = &cluster.sim;
    sim.set_faults(false);
    let timers_late = cluster.set_clocks();
    cluster.start_worker();
    sleep(IN_FLIGHT_MAX).await;
    quiet(cluster).await?;
    for number in 0..cluster.history.operations().len() {
        let operation = cluster.history.get(number);
        let again = operation.accepted || (operation.key.is_some() && sim.below(2) == 0);
        if operation.refused || !again {
            continue;
        }
        let answer = timeout(RECOVERY_MAX, client::retry(cluster, number, 20)).await.ok().flatten();
        if answer.is_none() && !cluster.history.get(number).refused {
            return Err(format!("{operation:?} has no answer after the faults are over"));
        }
    }
    for user in 0..USERS.len() {
        client::poll_place(cluster, user, &cluster.queue_path(), None).await;
    }
    cluster.stop_apis();
    sleep(HOLDS_MAX + timers_late).await;
    quiet(cluster).await?;
    let parked = cluster.parked();
    if parked.is_empty() { Ok(()) } else { Err(format!("parked after the faults are over: {parked:?}")) }
}

pub async fn quiet(cluster: &Cluster) -> Result<(), String> {
    let by = Instant::now() + RECOVERY_MAX;
    loop {
        match cluster.is_quiet().await {
            Ok(()) => return Ok(()),
            Err(what) if Instant::now() > by => return Err(format!("no recovery in time: {what}")),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Stops all workers when nothing is left to decide. If a timer's record comes in between, tries again.
async fn stop_at_rest(cluster: &Arc<Cluster>) -> Result<(), String> {
    for _ in 0..20 {
        quiet(cluster).await?;
        cluster.stop_all().await;
        sleep(Duration::from_secs(1)).await;
        if cluster.is_quiet().await.is_ok() {
            return Ok(());
        }
        cluster.start_worker();
        sleep(Duration::from_secs(8)).await;
    }
    Err("never comes to rest".to_owned())
}
