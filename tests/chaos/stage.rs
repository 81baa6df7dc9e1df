//! One test's course: services, processes and users, rounds of a fault, the checks, the row of the report.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use tokio::sync::Mutex;

use crate::crowd::{Crowd, Troubles};
use crate::dice::Dice;
use crate::fleet::Fleet;
use crate::harness::services::Services;
use crate::harness::{System, feed, invariants};
use crate::pair::Pair;
use crate::proxy::Proxy;
use crate::report::Row;

/// One test at a time.
static STAGE: Mutex<()> = Mutex::const_new(());

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

/// What is done, and to whom.
pub struct Fault {
    /// Where its row stands.
    pub order: u32,
    pub name: &'static str,
    pub workers: usize,
    /// Whether the first worker reaches PostgreSQL by way of a proxy.
    pub proxied: bool,
    /// Needs services that it may restart.
    pub restarts_services: bool,
    /// Whether every request must be served while it lasts.
    pub unnoticed: bool,
}

pub struct Stage {
    pub system: Arc<System>,
    pub pair: Pair,
    pub fleet: Fleet,
    pub crowd: Crowd,
    pub dice: Dice,
    proxy: Option<Proxy>,
    row: Row,
}

/// Runs a test: rounds, then the checks. `act` does the fault once, undoes it, and returns how many faults that were.
///
/// Only where `TURNSTILE_CHAOS_ROUNDS` says how many rounds: faults take minutes, and some start services of their own.
pub async fn run(fault: Fault, act: impl AsyncFnMut(&mut Stage, u64) -> u64) {
    let Some(rounds) = number("TURNSTILE_CHAOS_ROUNDS") else {
        println!("skipped: {} (`scripts/chaos` runs the faults)", fault.name);
        return;
    };
    let _alone = STAGE.lock().await;
    let chosen =
        if fault.restarts_services { Pair::restartable(fault.name).await } else { Pair::of_environment(fault.name) };
    let Some(pair) = chosen else { return };
    let services = Services::at(pair.brokers.clone(), pair.database_url.clone(), "chaos");
    let system = Arc::new(System::prepare_on(Some(services), fault.name, further_settings()));
    let seed = SEED.wrapping_add(u64::from(fault.order));
    let row = Row { order: fault.order, fault: fault.name.to_owned(), seed, ..Row::default() };
    println!("{}: seed {seed}", fault.name);
    let mut fleet = Fleet::of(&system);
    let began = Instant::now();
    let proxy = if fault.proxied { Some(Proxy::before(&pair.database_url).await) } else { None };
    let starting = start(&mut fleet, proxy.as_ref(), &system, &fault, seed);
    let started = AssertUnwindSafe(starting).catch_unwind().await;
    let (crowd, dice) = match started {
        Ok(started) => started,
        Err(panic) => {
            fleet.print_logs();
            resume_unwind(panic)
        }
    };
    let mut stage = Stage { system: Arc::clone(&system), pair, fleet, crowd, dice, proxy, row };
    let played = AssertUnwindSafe(stage.play(&fault, rounds, act)).catch_unwind().await;
    let Stage { pair, mut fleet, crowd, mut row, .. } = stage;
    let checked = match played {
        Ok(()) => AssertUnwindSafe(check(&system, &mut fleet, crowd, &mut row)).catch_unwind().await,
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
    pair.end().await;
    if let Err(panic) = checked {
        resume_unwind(panic);
    }
}

async fn start(fleet: &mut Fleet, proxy: Option<&Proxy>, system: &System, fault: &Fault, seed: u64) -> (Crowd, Dice) {
    if let Some(proxy) = proxy {
        fleet.start_worker_at_once(Some(&proxy.database_url)).await;
    }
    while fleet.workers.len() < fault.workers {
        fleet.start_worker().await;
    }
    for _ in 0..2 {
        fleet.start_door().await;
    }
    let mut dice = Dice::new(seed);
    let crowd = Crowd::start(&system.client, &mut dice).await;
    (crowd, dice)
}

impl Stage {
    async fn play(&mut self, fault: &Fault, rounds: u64, mut act: impl AsyncFnMut(&mut Stage, u64) -> u64) {
        self.crowd.flowing().await;
        for round in 0..rounds {
            self.crowd.busy(BETWEEN_ROUNDS).await;
            let since = Instant::now();
            let faults = act(self, round).await;
            self.crowd.flowing().await;
            let longest = self.crowd.longest_since(since);
            let (wait, sent, what) = (longest.wait(), longest.sent, &longest.what);
            let after = longest.begun.saturating_duration_since(since);
            println!(
                "{}: round {round}, {faults} faults; {wait:?} for {what:?}, begun {after:?} after, sent {sent}×",
                fault.name
            );
            self.row.add_round(faults, wait);
        }
        let troubles = self.crowd.troubles();
        println!("{}: {troubles:?}", fault.name);
        if fault.unnoticed {
            assert_eq!(troubles, Troubles::default(), "requests failed");
        }
        // Who lost the partition meanwhile may not have waited for the answer that the proxy has seen.
        let seen = self.proxy.as_ref().map_or(0, Proxy::fenced);
        self.row.fenced = self.fleet.fenced().await.max(seen);
    }

    /// Before the first worker.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the fault has one")
    }
}

/// Nothing lost, nothing doubled: by what the users were told, in the store, and on the feed of outcomes.
async fn check(system: &System, fleet: &mut Fleet, crowd: Crowd, row: &mut Row) {
    let troubles = crowd.troubles();
    let (hands, done) = crowd.stop().await;
    row.add_commands(&done, &troubles);
    row.succeeded = hands.iter().map(|hand| hand.succeeded()).sum();
    row.refused = hands.iter().map(|hand| hand.refused()).sum();
    futures_util::future::join_all(hands.iter().map(|hand| hand.repeat())).await;
    invariants::check(system).await;
    for hand in &hands {
        hand.check_wallet().await;
    }
    fleet.stop().await;
    feed::check(system).await;
}
