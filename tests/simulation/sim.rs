//! What all parts of one run share: randomness, the fault plan, virtual time, the trace.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use turnstile::runtime::clock::Clock;

use crate::rng::Rng;

/// Wall time at the beginning of every run, ms since 1970.
pub const BEGINNING_MS: i64 = 1_795_000_000_000;
pub const DAY_MS: i64 = 86_400_000;
/// More port calls than this is a loop that never ends.
const CALLS_MAX: u64 = 3_000_000;
const TRACE_KEPT: usize = 400;

/// How likely each fault is in this run, per thousand, and how large it gets. Drawn from the seed: most runs have few
/// kinds of faults, so that they go deep, some have all.
#[derive(Debug, Clone)]
pub struct Plan {
    pub delay_ms_max: u64,
    pub append_lost: u64,
    pub append_unacknowledged: u64,
    pub append_twice: u64,
    pub append_backlog: u64,
    pub read_failed: u64,
    pub store_away: u64,
    pub commit_unanswered: u64,
    pub commit_late: u64,
    pub store_slow: u64,
    /// An append that fails also fails those of its partition that come before the failure is known, as an idempotent
    /// producer's do; only then is the order of first appearances promised.
    pub gapless: bool,
    /// The log does not stamp records: their producers do, with clocks of their own.
    pub producers_stamp: bool,
    pub skew_ms_max: u64,
    pub workers: u64,
    pub cache_rows: usize,
    pub relay_in_flight: usize,
    pub batch_records: usize,
    /// Mean time between two blows to the workers, the log, the store.
    pub blow_every_ms: u64,
    pub kills: u64,
    pub kills_at_call: u64,
    pub expiries: u64,
    pub storms: u64,
    pub outages: u64,
    pub jumps: u64,
    pub door_crashes: u64,
    pub strangers: u64,
    pub operator: u64,
    /// Somebody waits in the queue and polls as they are told to, all the time.
    pub patient: bool,
    pub abandon_after_ms: i64,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Plan {
        let wild = rng.permille(250);
        let mut some = |often: u64, max: u64| if wild || rng.permille(often) { 1 + rng.below(max) } else { 0 };
        let plan = Plan {
            delay_ms_max: 1 + some(700, 60),
            append_lost: some(350, 60),
            append_unacknowledged: some(350, 80),
            append_twice: some(350, 80),
            append_backlog: some(200, 40),
            read_failed: some(250, 40),
            store_away: some(300, 60),
            commit_unanswered: some(350, 120),
            commit_late: some(300, 80),
            store_slow: some(400, 150),
            gapless: some(800, 1) > 0,
            producers_stamp: some(200, 1) > 0,
            skew_ms_max: some(400, 3_000),
            workers: 1 + some(700, 3),
            cache_rows: if some(400, 1) > 0 { 8 } else { 100_000 },
            relay_in_flight: 1 + some(800, 200) as usize,
            // Often one by one: then the next is decided while the one before commits.
            batch_records: 1 + some(600, 60) as usize,
            blow_every_ms: 500 + some(900, 4_000),
            kills: some(500, 10),
            kills_at_call: some(500, 10),
            expiries: some(500, 10),
            storms: some(400, 10),
            outages: some(300, 6),
            jumps: some(300, 6),
            door_crashes: some(300, 6),
            strangers: some(600, 12),
            operator: some(500, 6),
            patient: some(150, 1) > 0,
            abandon_after_ms: 5_000 + some(800, 60_000) as i64,
        };
        if plan.patient && rng.permille(600) { plan.made_calm() } else { plan }
    }

    /// Without what may keep a front door's reports from the log, and with clocks that can be relied on: then whoever
    /// polls as they are told to must not be taken for gone.
    fn made_calm(self) -> Plan {
        let (append_lost, append_backlog, outages, door_crashes, jumps) = (0, 0, 0, 0, 0);
        Plan { append_lost, append_backlog, outages, door_crashes, jumps, producers_stamp: false, operator: 0, ..self }
    }
}

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
    pub plan: Plan,
    rng: Mutex<Rng>,
    faults: AtomicBool,
    pub began: Instant,
    /// The log's clock, for [`Clock::Virtual`].
    pub broker_ms: Arc<AtomicI64>,
    store_away_until: Mutex<Option<Instant>>,
    log_away_until: Mutex<Option<Instant>>,
    calls: AtomicU64,
    /// At this call somebody is killed.
    kill: Mutex<Option<(u64, AbortHandle)>>,
    trace: Mutex<Trace>,
    broken: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    pub fn new(seed: u64) -> Arc<Sim> {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        Arc::new(Sim {
            seed,
            plan,
            rng: Mutex::new(rng),
            faults: AtomicBool::new(false),
            began: Instant::now(),
            broker_ms: Arc::new(AtomicI64::new(BEGINNING_MS)),
            store_away_until: Mutex::default(),
            log_away_until: Mutex::default(),
            calls: AtomicU64::new(0),
            kill: Mutex::default(),
            trace: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    pub fn rng(&self) -> MutexGuard<'_, Rng> {
        lock(&self.rng)
    }

    pub fn below(&self, n: u64) -> u64 {
        self.rng().below(n)
    }

    /// Whether a fault of this likelihood happens now.
    pub fn strikes(&self, permille: u64) -> bool {
        permille > 0 && self.faulty() && self.rng().permille(permille)
    }

    pub fn faulty(&self) -> bool {
        self.faults.load(Ordering::Relaxed)
    }

    pub fn set_faults(&self, on: bool) {
        self.faults.store(on, Ordering::Relaxed);
        if !on {
            *lock(&self.store_away_until) = None;
            *lock(&self.log_away_until) = None;
            // Who was to be killed is no longer counted among the workers.
            if let Some((_, task)) = lock(&self.kill).take() {
                task.abort();
            }
        }
        self.note(if on { "faults begin" } else { "faults end" }, [0; 3]);
    }

    /// Whether what front doors report is always taken, and by a clock that can be relied on.
    pub fn is_calm(&self) -> bool {
        let plan = &self.plan;
        let lost = plan.append_lost + plan.append_backlog + plan.outages + plan.door_crashes;
        lost + plan.jumps == 0 && !plan.producers_stamp
    }

    /// A random short time.
    pub fn delay(&self) -> Duration {
        let max = if self.faulty() { self.plan.delay_ms_max } else { 2 };
        let mut rng = self.rng();
        // Now and then ten times as long.
        let ms = rng.below(max + 1) * if rng.permille(30) { 10 } else { 1 };
        Duration::from_millis(ms)
    }

    pub fn clock(&self, ms: &Arc<AtomicI64>) -> Clock {
        Clock::Virtual { since: self.began, ms: Arc::clone(ms) }
    }

    /// A clock that is off by at most what the plan says.
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

    /// Until when the log is away, if it is.
    pub fn log_away(&self) -> Option<Instant> {
        lock(&self.log_away_until).filter(|until| *until > Instant::now())
    }

    /// Kills a task so many port calls from now.
    pub fn kill_after(&self, calls: u64, task: AbortHandle) {
        let at = self.calls.load(Ordering::Relaxed) + calls;
        // Whoever was to be killed and still lives is no longer counted among the workers.
        if let Some((_, before)) = lock(&self.kill).replace((at, task)) {
            before.abort();
        }
    }

    /// Counts a call of a port; says whether somebody is being killed right now, so that the call does not finish.
    pub fn called(&self) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls > CALLS_MAX {
            self.broke(|| "a loop that never ends".to_owned());
            panic!("seed {}: a loop that never ends", self.seed);
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

    /// Notes an event. Numbers only: ids differ between runs, the trace must not.
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

    /// Something does not hold. The first complaint counts.
    pub fn broke(&self, what: impl FnOnce() -> String) {
        lock(&self.broken).get_or_insert_with(what);
    }

    pub fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }
}
