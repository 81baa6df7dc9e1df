//! Keeps one queue's replica up to date.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::presence::QueuePresence;
use super::replica::Replica;
use crate::domain::ScheduleId;
use crate::domain::queue::{TOKENS_PER_DECISION_MAX, Token};
use crate::log::Log;
use crate::runtime::clock::Clock;
use crate::store::{Reads, StoreError};
use crate::telemetry::metrics;

/// How often a replica is brought up to date.
const REFRESH_EVERY: Duration = Duration::from_millis(200);
/// A replica is kept up to date for this long after somebody asked.
const WANTED_FOR: Duration = Duration::from_millis(500);
/// A replica nobody asked for this long is dropped. Longer than the longest poll interval.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Tokens read at once. More than one record can change, so a page never ends where it began.
const PAGE_TOKENS: u32 = 16_384;
const _: () = assert!(PAGE_TOKENS as usize > TOKENS_PER_DECISION_MAX);

/// What replicas use.
#[derive(Clone)]
pub struct Sources {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Reads>,
    pub clock: Clock,
    pub shutdown: CancellationToken,
}

pub(super) struct Core {
    schedule: ScheduleId,
    pub(super) sources: Sources,
    state: RwLock<State>,
    /// Refreshes begun.
    pub(super) begun: AtomicU64,
    /// Refreshes that came to an end, good or bad.
    pub(super) ended: AtomicU64,
    /// Signals each end. Not a watch, which wakes in random order: a run in simulated time repeats itself exactly.
    pub(super) refreshed: Notify,
    /// Grows when something changed.
    pub(super) changed: watch::Sender<u64>,
    pub(super) wake: Notify,
    asked: Mutex<Instant>,
    pub(super) streams: AtomicUsize,
    pub(super) presence: Arc<QueuePresence>,
}

pub(super) struct State {
    /// `None` before the first load, and of a queue that was never opened.
    pub(super) replica: Option<Replica>,
    /// When a refresh last succeeded.
    pub(super) read_at: Option<Instant>,
}

impl Core {
    pub(super) fn new(schedule: ScheduleId, sources: Sources, presence: Arc<QueuePresence>) -> Self {
        Core {
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
            presence,
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody asks for the queue.
    pub(super) fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.wake.notify_one();
    }

    pub(super) fn asked_at(&self) -> Instant {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.has_streams() || self.asked_at().elapsed() <= WANTED_FOR
    }

    async fn refresh(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        match self.read_changes().await {
            Ok(changed) => {
                self.write().read_at = Some(Instant::now());
                let limits = self.read().replica.as_ref().map(|replica| replica.row.limits.abandon_after_ms);
                if let Some(abandon_after_ms) = limits {
                    self.presence.serve(abandon_after_ms);
                }
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
            let mut state = self.write();
            match &mut state.replica {
                None => None,
                // Every change of a token but a new sighting also changes the row.
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
                    let mut state = self.write();
                    if let Some(replica) = &mut state.replica {
                        replica.apply(tokens);
                    }
                })
                .await?;
            }
            None => {
                let mut replica = Replica::new(row.clone());
                self.read_pages(0, true, |tokens| replica.apply_loaded(tokens)).await?;
                self.write().replica = Some(replica);
            }
        }
        let mut state = self.write();
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
        gauge("absent", replica.absent());
        gauge("active", replica.active());
        let admitted = metrics::QUEUE_ADMITTED.with_label_values(&[schedule.as_str()]);
        admitted.inc_by(replica.row.admitted.saturating_sub(admitted.get()));
        metrics::QUEUE_PAUSED.with_label_values(&[schedule.as_str()]).set(replica.row.paused().into());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let schedule = self.schedule.to_string();
        for status in ["waiting", "absent", "active"] {
            // There may have been nothing to show.
            let _ = metrics::QUEUE_TOKENS.remove_label_values(&[schedule.as_str(), status]);
        }
        let _ = metrics::QUEUE_ADMITTED.remove_label_values(&[schedule.as_str()]);
        let _ = metrics::QUEUE_PAUSED.remove_label_values(&[schedule.as_str()]);
    }
}

/// Refreshes while somebody asks, and calls `retire` when nobody has asked for long, which may give the slot up; it ends
/// once `retire` returns false.
pub(super) async fn drive(core: Arc<Core>, retire: impl Fn() -> bool) {
    loop {
        let wanted = core.is_wanted();
        if wanted {
            core.refresh().await;
        }
        tokio::select! {
            // No branch starves another: each leads back to the top. And a run in simulated time repeats itself exactly.
            biased;
            () = core.sources.shutdown.cancelled() => return,
            () = sleep(REFRESH_EVERY), if wanted => {}
            () = core.wake.notified(), if !wanted => {}
            () = sleep_until(core.asked_at() + IDLE_MAX), if !wanted => {
                if !retire() {
                    return;
                }
            }
        }
    }
}
