//! Keeps replicas of the queues somebody asks for. One reader each, however many ask; none while nobody does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::presence::{Presence, REPORT_EVERY};
use super::replica::Replica;
use crate::api::http::problem::{OVERLOADED, Problem, UNAVAILABLE};
use crate::domain::queue::Token;
use crate::domain::{Code, ScheduleId};
use crate::log::Log;
use crate::runtime::clock::Clock;
use crate::store::StoreError;
use crate::store::reads::Reads;
use crate::telemetry::metrics;
use crate::wire::command::SEEN_MAX;

/// How often a replica is brought up to date.
const REFRESH_EVERY: Duration = Duration::from_millis(200);
/// An older replica is not answered from while the store answers: the refresh time and some for the refresh itself.
const AGE_MAX: Duration = Duration::from_millis(400);
/// While the store does not answer, an older replica is better than none, for so long.
const AGE_MAX_WITHOUT_STORE: Duration = Duration::from_secs(10);
/// A replica is kept up to date for so long after somebody asked.
const WANTED_FOR: Duration = Duration::from_millis(500);
/// A replica nobody asked for that long is dropped. Longer than the longest poll interval.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// A first load of 1,000,000 tokens fits in.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Tokens read at once. More than one record can change, so a page never ends where it began.
const PAGE_TOKENS: u32 = 16_384;
const _: () = assert!(PAGE_TOKENS as usize > SEEN_MAX);
/// Queues that can be open at once in one process; the one not asked for longest makes room.
const REPLICAS_MAX: usize = 64;

/// All replicas of this process.
pub struct Replicas(Arc<Shared>);

struct Shared {
    sources: Sources,
    slots: Mutex<HashMap<ScheduleId, Arc<Slot>>>,
}

#[derive(Clone)]
struct Sources {
    log: Arc<dyn Log>,
    store: Arc<dyn Reads>,
    clock: Clock,
    shutdown: CancellationToken,
}

/// One queue's replica, with the task that keeps it up to date.
pub struct Slot {
    core: Arc<Core>,
    _driver: AbortOnDropHandle<()>,
}

struct Core {
    schedule: ScheduleId,
    sources: Sources,
    state: RwLock<State>,
    /// Refreshes begun.
    begun: AtomicU64,
    /// Refreshes that came to an end, good or bad.
    ended: AtomicU64,
    /// Signals each end. Not a watch, which wakes in random order: a run in simulated time repeats itself exactly.
    refreshed: Notify,
    /// Grows when something changed.
    changed: watch::Sender<u64>,
    wake: Notify,
    asked: Mutex<Instant>,
    streams: AtomicUsize,
    presence: Presence,
}

struct State {
    /// `None` before the first load, and of a queue that was never opened.
    replica: Option<Replica>,
    /// When a refresh last succeeded.
    read_at: Option<Instant>,
}

impl Replicas {
    pub fn new(log: Arc<dyn Log>, store: Arc<dyn Reads>, clock: Clock, shutdown: CancellationToken) -> Self {
        Replicas(Arc::new(Shared { sources: Sources { log, store, clock, shutdown }, slots: Mutex::default() }))
    }

    /// The queue's replica, at most 400 ms old; while the store is away up to 10 s.
    pub async fn current(&self, schedule: ScheduleId) -> Result<Arc<Slot>, Problem> {
        let slot = self.slot(schedule)?;
        slot.make_fresh().await?;
        if slot.read().replica.is_none() {
            return Err(Problem::refusal(Code::QueueNotFound, "this schedule has no waiting queue"));
        }
        Ok(slot)
    }

    fn slot(&self, schedule: ScheduleId) -> Result<Arc<Slot>, Problem> {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&schedule) {
            return Ok(slot.clone());
        }
        if slots.len() >= REPLICAS_MAX {
            let idle = slots.iter().filter(|(_, slot)| !slot.core.has_streams());
            let Some(oldest) = idle.min_by_key(|(_, slot)| slot.core.asked_at()).map(|(id, _)| *id) else {
                return Err(Problem::new(OVERLOADED, "too many queues are being watched here"));
            };
            slots.remove(&oldest);
        }
        let slot = Slot::start(schedule, self.0.sources.clone(), Arc::downgrade(&self.0));
        slots.insert(schedule, slot.clone());
        Ok(slot)
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Keeps a replica up to date while a stream is open.
pub struct Watching(Arc<Slot>);

impl Slot {
    fn start(schedule: ScheduleId, sources: Sources, shared: Weak<Shared>) -> Arc<Slot> {
        let core = Arc::new(Core {
            schedule,
            sources,
            state: RwLock::new(State { replica: None, read_at: None }),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            refreshed: Notify::new(),
            changed: watch::Sender::new(0),
            wake: Notify::new(),
            asked: Mutex::new(Instant::now()),
            streams: AtomicUsize::new(0),
            presence: Presence::default(),
        });
        let driver = AbortOnDropHandle::new(tokio::spawn(drive(core.clone(), shared)));
        Arc::new(Slot { core, _driver: driver })
    }

    /// Looks at the replica; `None` if there is no such queue.
    pub fn look<T>(&self, how: impl FnOnce(&Replica) -> T) -> Option<T> {
        self.read().replica.as_ref().map(how)
    }

    pub fn change(&self, how: impl FnOnce(&mut Replica)) {
        let mut state = self.core.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(replica) = &mut state.replica {
            how(replica);
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.core.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the replica was last brought up to date.
    pub fn age(&self) -> Duration {
        self.read().read_at.map_or(Duration::MAX, |at| at.elapsed())
    }

    async fn make_fresh(&self) -> Result<(), Problem> {
        self.core.ask();
        if self.age() <= AGE_MAX {
            return Ok(());
        }
        let ended = self.core.ended.load(Ordering::SeqCst);
        self.wait_for(ended + 1).await;
        if self.age() <= AGE_MAX_WITHOUT_STORE {
            return Ok(());
        }
        Err(Problem::new(UNAVAILABLE, "the queue cannot be read now"))
    }

    /// Waits until what was committed before this call is in the replica, or for 5 s.
    pub async fn next_refresh(&self) {
        // One that is under way may have read before.
        let begun = self.core.begun.load(Ordering::SeqCst);
        self.core.ask();
        self.wait_for(begun + 1).await;
    }

    async fn wait_for(&self, refreshes: u64) {
        let refreshed = async {
            loop {
                let ended = self.core.refreshed.notified();
                if self.core.ended.load(Ordering::SeqCst) >= refreshes {
                    return;
                }
                ended.await;
            }
        };
        let _ = timeout(WAIT_MAX, refreshed).await;
    }

    /// The holder of this token is there.
    pub fn saw(&self, sequence: u64) {
        let now = self.core.sources.clock.now();
        if self.look(|replica| replica.is_worth_reporting(sequence, now)) == Some(true) {
            self.core.presence.note(sequence);
        }
    }

    /// For a stream: the replica stays up to date while the result lives.
    pub fn watch(self: &Arc<Self>) -> Watching {
        self.core.streams.fetch_add(1, Ordering::Relaxed);
        self.core.wake.notify_one();
        Watching(self.clone())
    }

    /// Signals each change of the replica.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.core.changed.subscribe()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.core.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Core {
    fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.wake.notify_one();
    }

    fn asked_at(&self) -> Instant {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    fn is_wanted(&self) -> bool {
        self.has_streams() || self.asked_at().elapsed() <= WANTED_FOR
    }

    async fn refresh(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        match self.read_changes().await {
            Ok(changed) => {
                self.state.write().unwrap_or_else(PoisonError::into_inner).read_at = Some(Instant::now());
                if changed {
                    self.changed.send_modify(|count| *count += 1);
                }
            }
            Err(error) => tracing::warn!(schedule_id = %self.schedule, %error, "a queue could not be read"),
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.refreshed.notify_waiters();
        metrics::QUEUE_REFRESHES.with_label_values::<&str>(&[]).inc();
    }

    /// Two statements at most; says whether anything changed.
    async fn read_changes(&self) -> Result<bool, StoreError> {
        let Sources { store, clock, .. } = &self.sources;
        let Some(row) = store.queue(self.schedule).await? else { return Ok(false) };
        let known = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            match &mut state.replica {
                None => None,
                // Every change of a token but a new time of being seen also changes the row.
                Some(replica) if row == replica.row => {
                    replica.set_row(row, clock.now());
                    return Ok(false);
                }
                Some(replica) => Some(replica.next_offset()),
            }
        };
        match known {
            Some(from) => {
                self.read_pages(from, false, |tokens| {
                    let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(replica) = &mut state.replica {
                        replica.apply(tokens);
                    }
                })
                .await?;
            }
            None => {
                let mut replica = Replica::new(row.clone());
                self.read_pages(0, true, |tokens| replica.apply_loaded(tokens)).await?;
                self.state.write().unwrap_or_else(PoisonError::into_inner).replica = Some(replica);
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(replica) = &mut state.replica {
            replica.set_row(row, clock.now());
            self.show(replica);
        }
        Ok(true)
    }

    async fn read_pages(
        &self,
        mut from: u64,
        live_only: bool,
        mut take: impl FnMut(Vec<Token>),
    ) -> Result<(), StoreError> {
        loop {
            let tokens = self.sources.store.tokens_changed(self.schedule, from, live_only, PAGE_TOKENS).await?;
            let full = tokens.len() >= PAGE_TOKENS as usize;
            let last = tokens.last().map(|token| token.changed.position.offset);
            take(tokens);
            match last {
                // The page may have cut a record's changes in two: that record once more.
                Some(last) if full => from = last.max(from),
                _ => return Ok(()),
            }
        }
    }

    fn show(&self, replica: &Replica) {
        let schedule = self.schedule.to_string();
        let gauge = |status: &str, count: u64| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics::QUEUE_TOKENS.with_label_values(&[schedule.as_str(), status]).set(count);
        };
        gauge("waiting", replica.waiting());
        gauge("active", replica.active());
    }

    async fn report(&self) {
        let now = self.sources.clock.now();
        let told = self.presence.report(self.sources.log.as_ref(), self.schedule).await;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(replica) = &mut state.replica {
            told.into_iter().for_each(|sequence| replica.reported(sequence, now));
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let schedule = self.schedule.to_string();
        for status in ["waiting", "active"] {
            // There may have been nothing to show.
            let _ = metrics::QUEUE_TOKENS.remove_label_values(&[schedule.as_str(), status]);
        }
    }
}

/// Refreshes while somebody wants it, reports who was seen, and gives the slot up when nobody came for long.
async fn drive(core: Arc<Core>, shared: Weak<Shared>) {
    let mut report_at = Instant::now() + REPORT_EVERY;
    // Beside the refreshes: places must not grow old because the log is slow to take a report.
    let mut reporting: Option<AbortOnDropHandle<()>> = None;
    loop {
        let wanted = core.is_wanted();
        if wanted {
            core.refresh().await;
        }
        if Instant::now() >= report_at {
            if reporting.as_ref().is_none_or(|report| report.is_finished()) {
                let core = core.clone();
                reporting = Some(AbortOnDropHandle::new(tokio::spawn(async move { core.report().await })));
            }
            report_at = Instant::now() + REPORT_EVERY;
        }
        tokio::select! {
            // No branch starves another: each leads back to the top. And a run in simulated time repeats itself exactly.
            biased;
            () = core.sources.shutdown.cancelled() => break,
            () = sleep(REFRESH_EVERY), if wanted => {}
            () = core.wake.notified(), if !wanted => {}
            () = sleep_until(report_at), if !core.presence.is_empty() => {}
            () = sleep_until(core.asked_at() + IDLE_MAX), if !wanted && core.presence.is_empty() => {
                let Some(shared) = shared.upgrade() else { return };
                if !core.is_wanted() {
                    shared.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&core.schedule);
                }
            }
        }
    }
    if let Some(report) = reporting {
        // What it has not told is lost, as a report that the log does not take.
        let _ = report.await;
    }
    core.report().await;
}
