//! One run from a seed: a sale under faults, then healing, then judgement.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use turnstile::audit;
use turnstile::domain::LogTime;

use crate::mutants::{self, Mutant};
use crate::sim::Sim;
use crate::users::{self, USERS};
use crate::world::World;
use crate::{asking, chaos, referee, strangers};

/// A sale takes no longer, even if everything is away all the time.
const SALE_MAX: Duration = Duration::from_secs(240);
/// After the faults are over everything must be decided by then.
const HEALING_MAX: Duration = Duration::from_secs(120);
/// Copies, late commits and failures that are still on their way when the faults end.
const AFTERMATH: Duration = Duration::from_secs(12);
/// No hold lasts longer.
const HOLDS_MAX: Duration = Duration::from_secs(22);

/// What runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    pub mutant: Option<Mutant>,
    pub storage: Storage,
}

/// What is under the store's faults.
#[derive(Debug, Clone, Copy, Default)]
pub enum Storage {
    #[default]
    Memory,
    /// A file of its own for each run.
    Sqlite,
}

/// What a run came to.
pub struct Ran {
    pub seed: u64,
    pub trace_hash: u64,
    /// Records on the lanes.
    pub records: u64,
    pub calls: u64,
    /// What does not hold, with the last events.
    pub violation: Option<String>,
    /// Something panicked: an assertion or an overflow, not an invariant, may be what was noticed.
    pub panicked: bool,
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic in the product is a violation, also one that its supervisors survive.
fn listen_for_panics() {
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
    listen_for_panics();
    mutants::set(setup.mutant);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O");
    let (sim, records, result) = runtime.block_on(async {
        let sim = Sim::new(seed);
        let world = World::new(&sim, setup).await;
        let simulated = futures_util::FutureExt::catch_unwind(AssertUnwindSafe(simulate(&world))).await;
        let result = simulated.unwrap_or_else(|_| Err("a panic".to_owned()));
        let lanes = turnstile::store::lane_partitions(turnstile::log::Log::partitions(&*world.log));
        let records = lanes.map(|p| world.log.end(turnstile::log::Topic::Lane(p.lane), p.partition)).sum();
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

async fn simulate(world: &Arc<World>) -> Result<(), String> {
    let sim = Arc::clone(&world.sim);
    let mut crowd = JoinSet::new();
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&world.log.group).coordinate());
    background.spawn(chaos::watch(Arc::clone(world)));
    world.announce().await?;
    sim.set_faults(true);
    for door in 0..2 {
        world.open_door(door);
    }
    for _ in 0..sim.plan.workers {
        world.start_worker();
    }
    background.spawn(chaos::reign(Arc::clone(world)));
    for body in strangers::openings(world) {
        let command = world.command(body);
        world.send(world.place(&command.body), &command).await;
    }
    let deeds = 4 + sim.below(8);
    for user in 0..2 + sim.below(USERS.len() as u64 - 1) as usize {
        crowd.spawn(users::live(Arc::clone(world), user, deeds));
    }
    crowd.spawn(strangers::meddle(Arc::clone(world), sim.plan.strangers));
    crowd.spawn(users::operate(Arc::clone(world), sim.plan.operator));
    if sim.plan.patient {
        crowd.spawn(users::wait_patiently(Arc::clone(world)));
    }
    let sale = async { while crowd.join_next().await.is_some() {} };
    // Whoever is still there then has given up.
    let _ = timeout(SALE_MAX, sale).await;
    crowd.shutdown().await;

    heal(world).await?;
    settle(world).await?;
    drop(background);
    if let Some(broken) = sim.broken() {
        return Err(broken);
    }
    let report = audit::run(&*world.log, &world.store, LogTime(0), &mut |_| {}).await;
    let report = report.map_err(|error| format!("the audit: {error}"))?;
    if let Some(first) = report.first {
        return Err(format!("the audit: {first}"));
    }
    referee::judge(world).await
}

/// The faults are over: what was accepted is decided, and who asks is answered.
async fn heal(world: &Arc<World>) -> Result<(), String> {
    let sim = &world.sim;
    sim.set_faults(false);
    world.set_clocks();
    world.start_worker();
    sleep(AFTERMATH).await;
    quiet(world).await?;
    for at in 0..world.history.all().len() {
        let asked = world.history.get(at);
        let again = asked.accepted || (asked.key.is_some() && sim.below(2) == 0);
        if asked.refused || !again {
            continue;
        }
        let answer = timeout(HEALING_MAX, asking::insist(world, at, 20)).await.ok().flatten();
        if answer.is_none() && !world.history.get(at).refused {
            return Err(format!("{asked:?} has no answer after the faults are over"));
        }
    }
    for user in 0..USERS.len() {
        asking::poll(world, user, &world.queue_path(), None).await;
    }
    world.close_doors();
    sleep(HOLDS_MAX).await;
    quiet(world).await?;
    let parked = world.parked();
    if parked.is_empty() { Ok(()) } else { Err(format!("parked after the faults are over: {parked:?}")) }
}

async fn quiet(world: &World) -> Result<(), String> {
    let by = Instant::now() + HEALING_MAX;
    loop {
        match world.is_quiet().await {
            Ok(()) => return Ok(()),
            Err(what) if Instant::now() > by => return Err(format!("not healed in time: {what}")),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Stops all workers at a moment when nothing is left to decide. A timer's record may come between: then once more.
async fn settle(world: &Arc<World>) -> Result<(), String> {
    for _ in 0..20 {
        quiet(world).await?;
        world.stop_all().await;
        sleep(Duration::from_secs(1)).await;
        if world.is_quiet().await.is_ok() {
            return Ok(());
        }
        world.start_worker();
        sleep(Duration::from_secs(8)).await;
    }
    Err("never comes to rest".to_owned())
}
