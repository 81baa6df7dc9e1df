//! Shared by all parts of one run: random numbers, the fault plan, virtual time, the trace.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use turnstile::runtime::clock::Clock;

use crate::fault_plan::FaultPlan;
use crate::prng::Prng;

/// Wall time at the start of every run, ms since 1970.
pub const START_MS: i64 = 1_795_000_000_000;
pub const DAY_MS: i64 = 86_400_000;
/// More port calls than this means an endless loop.
const CALLS_MAX: u64 = 3_000_000;
const TRACE_KEPT: usize = 400;

#[derive(Clone, Copy)]
struct Entry {
    ms: u64,
    what: &'static str,
    numbers: [u64; 3],
}

#[derive(Default)]
struct Trace {
    hash: u64,
    count: u64,
    last: VecDeque<Entry>,
}

pub struct Sim {
    pub seed: u64,
    pub plan: FaultPlan,
    prng: Mutex<Prng>,
    faults: AtomicBool,
    pub began: Instant,
    /// The log's clock, for [`Clock::Virtual`].
    pub broker_ms: Arc<AtomicI64>,
    store_away_until: Mutex<Option<Instant>>,
    log_away_until: Mutex<Option<Instant>>,
    calls: AtomicU64,
    /// The worker to abort, and at which call.
    kill: Mutex<Option<(u64, AbortHandle)>>,
    trace: Mutex<Trace>,
    broken: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    pub fn new(seed: u64) -> Arc<Sim> {
        let mut prng = Prng::new(seed);
        let plan = FaultPlan::draw(&mut prng);
        Arc::new(Sim {
            seed,
            plan,
            prng: Mutex::new(prng),
            faults: AtomicBool::new(false),
            began: Instant::now(),
            broker_ms: Arc::new(AtomicI64::new(START_MS)),
            store_away_until: Mutex::default(),
            log_away_until: Mutex::default(),
            calls: AtomicU64::new(0),
            kill: Mutex::default(),
            trace: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    pub fn prng(&self) -> MutexGuard<'_, Prng> {
        lock(&self.prng)
    }

    pub fn below(&self, n: u64) -> u64 {
        self.prng().below(n)
    }

    /// Whether a fault of this probability happens now.
    pub fn strikes(&self, permille: u64) -> bool {
        permille > 0 && self.faulty() && self.prng().permille(permille)
    }

    pub fn faulty(&self) -> bool {
        self.faults.load(Ordering::Relaxed)
    }

    pub fn set_faults(&self, on: bool) {
        self.faults.store(on, Ordering::Relaxed);
        if !on {
            *lock(&self.store_away_until) = None;
            *lock(&self.log_away_until) = None;
            // A worker to be killed is no longer in the cluster's list.
            if let Some((_, task)) = lock(&self.kill).take() {
                task.abort();
            }
        }
        self.note(if on { "faults begin" } else { "faults end" }, [0; 3]);
    }

    /// A random short time.
    pub fn delay(&self) -> Duration {
        let max = if self.faulty() { self.plan.delay_ms_max } else { 2 };
        let mut prng = self.prng();
        // 3 % are ten times as long.
        let ms = prng.below(max + 1) * if prng.permille(30) { 10 } else { 1 };
        Duration::from_millis(ms)
    }

    pub fn clock(&self, ms: &Arc<AtomicI64>) -> Clock {
        Clock::Virtual { since: self.began, ms: Arc::clone(ms) }
    }

    /// A clock with a skew within the plan's bound.
    pub fn skewed_clock(&self) -> (Clock, Arc<AtomicI64>) {
        let max = if self.faulty() { self.plan.skew_ms_max } else { 0 };
        let skew = self.below(2 * max + 1) as i64 - max as i64;
        let ms = Arc::new(AtomicI64::new(self.broker_ms.load(Ordering::SeqCst) + skew));
        (self.clock(&ms), ms)
    }

    pub fn store_goes_away(&self, how_long: Duration) {
        *lock(&self.store_away_until) = Some(Instant::now() + how_long);
    }

    pub fn log_goes_away(&self, how_long: Duration) {
        *lock(&self.log_away_until) = Some(Instant::now() + how_long);
    }

    pub fn store_away(&self) -> bool {
        lock(&self.store_away_until).is_some_and(|until| until > Instant::now())
    }

    /// The end of the log's outage, if it has one.
    pub fn log_away(&self) -> Option<Instant> {
        lock(&self.log_away_until).filter(|until| *until > Instant::now())
    }

    /// Aborts a task this many port calls from now.
    pub fn kill_after(&self, calls: u64, task: AbortHandle) {
        let at = self.calls.load(Ordering::Relaxed) + calls;
        // The worker that waited to be killed is no longer in the cluster's list.
        if let Some((_, before)) = lock(&self.kill).replace((at, task)) {
            before.abort();
        }
    }

    /// Counts a call of a port; true if a worker is aborted at this call, so that it does not return.
    pub fn called(&self) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls > CALLS_MAX {
            self.broke(|| "an endless loop".to_owned());
            panic!("seed {}: an endless loop", self.seed);
        }
        let mut kill = lock(&self.kill);
        if kill.as_ref().is_some_and(|(at, _)| calls >= *at)
            && let Some((_, task)) = kill.take()
        {
            task.abort();
            self.note("killed at a call", [calls, 0, 0]);
            return true;
        }
        false
    }

    /// Time since the run began.
    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Adds an event to the trace. Numbers only: ids differ between runs, the trace must not.
    pub fn note(&self, what: &'static str, numbers: [u64; 3]) {
        let entry = Entry { ms: self.now_ms(), what, numbers };
        let mut trace = lock(&self.trace);
        let mut hash = trace.hash ^ entry.ms.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for part in what.bytes().map(u64::from).chain(numbers) {
            hash = (hash ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        (trace.hash, trace.count) = (hash, trace.count + 1);
        if trace.last.len() == TRACE_KEPT {
            trace.last.pop_front();
        }
        trace.last.push_back(entry);
    }

    pub fn trace_hash(&self) -> u64 {
        lock(&self.trace).hash
    }

    /// The last events, a line each.
    pub fn trace_text(&self, lines: usize) -> String {
        let trace = lock(&self.trace);
        let skip = trace.last.len().saturating_sub(lines);
        let mut text = format!("{} events, the last:\n", trace.count);
        for Entry { ms, what, numbers: [a, b, c] } in trace.last.iter().skip(skip) {
            let _ = writeln!(text, "  {ms:>8} ms  {what} {a} {b} {c}");
        }
        text
    }

    /// Reports a violation; the first one counts.
    pub fn broke(&self, what: impl FnOnce() -> String) {
        lock(&self.broken).get_or_insert_with(what);
    }

    pub fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }
}
