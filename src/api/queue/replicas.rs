//! Keeps replicas of the queues somebody asks for. One reader each, however many ask; none while nobody does.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::presence::{Presence, QueuePresence};
use super::replica::{Matters, Replica};
use super::upkeep::{Core, Sources, drive};
use crate::api::http::problem::{Kind, Problem};
use crate::domain::{Code, ScheduleId};
use crate::telemetry::metrics;

/// An older replica is not answered from while the store answers: the refresh time and some for the refresh itself.
const AGE_MAX: Duration = Duration::from_millis(400);
/// While the store does not answer, a replica up to this old is better than none.
const AGE_MAX_WITHOUT_STORE: Duration = Duration::from_secs(10);
/// A first load of 1,000,000 tokens fits in.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Tokens that the replicas of one process hold together: one queue at its highest limits, and half of it again. At 180
/// bytes each, 540 MB.
const TOKENS_MAX: usize = 3_000_000;
/// What a replica counts for besides its tokens.
const TOKENS_EACH: usize = 100;
/// A replica asked for within this time is in use, by somebody who polls at the longest interval; another one makes way.
const IN_USE: Duration = Duration::from_secs(15);

/// All replicas of this process.
pub struct Replicas(Arc<Shared>);

struct Shared {
    sources: Sources,
    presence: Presence,
    tokens_max: usize,
    slots: Mutex<HashMap<ScheduleId, Arc<Slot>>>,
}

/// One queue's replica, with the task that keeps it up to date.
pub struct Slot {
    core: Arc<Core>,
    _driver: AbortOnDropHandle<()>,
}

impl Replicas {
    pub fn new(sources: Sources) -> Self {
        Replicas::bounded(sources, TOKENS_MAX)
    }

    pub(super) fn bounded(sources: Sources, tokens_max: usize) -> Self {
        let presence = Presence::new(sources.log.clone(), sources.shutdown.clone());
        Replicas(Arc::new(Shared { sources, presence, tokens_max, slots: Mutex::default() }))
    }

    /// Whom this process saw of the queue.
    pub fn presence(&self, schedule: ScheduleId) -> Arc<QueuePresence> {
        self.0.presence.of(schedule)
    }

    /// The queue's replica, whatever its age, if there is one.
    pub fn known(&self, schedule: ScheduleId) -> Option<Arc<Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&schedule).cloned()
    }

    /// The queue's replica, at most 400 ms old; while the store is away up to 10 s.
    pub async fn current(&self, schedule: ScheduleId) -> Result<Arc<Slot>, Problem> {
        let slot = self.slot(schedule)?;
        slot.make_fresh().await?;
        if slot.core.read().replica.is_none() {
            return Err(Problem::refusal(Code::QueueNotFound, "this schedule has no waiting queue"));
        }
        Ok(slot)
    }

    fn slot(&self, schedule: ScheduleId) -> Result<Arc<Slot>, Problem> {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&schedule) {
            return Ok(slot.clone());
        }
        let mut tokens: usize = slots.values().map(|slot| slot.size()).sum();
        while tokens + TOKENS_EACH > self.0.tokens_max {
            let idle = slots.iter().filter(|(_, slot)| !slot.is_in_use());
            let Some(oldest) = idle.min_by_key(|(_, slot)| slot.core.asked_at()).map(|(id, _)| *id) else {
                return Err(Problem::new(Kind::Overloaded, "too many queues are being watched here"));
            };
            tokens -= slots.remove(&oldest).map_or(0, |slot| slot.size());
            metrics::QUEUE_EVICTIONS.with_label_values::<&str>(&[]).inc();
        }
        let (sources, presence) = (self.0.sources.clone(), self.0.presence.of(schedule));
        let slot = Slot::start(schedule, sources, presence, Arc::downgrade(&self.0));
        slots.insert(schedule, slot.clone());
        Ok(slot)
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Queues whose holders are reported.
    #[cfg(test)]
    pub fn reported(&self) -> usize {
        self.0.presence.count()
    }
}

/// Keeps a replica up to date while a stream is open.
pub struct Watching(Arc<Slot>);

impl Slot {
    fn start(schedule: ScheduleId, sources: Sources, presence: Arc<QueuePresence>, shared: Weak<Shared>) -> Arc<Slot> {
        let core = Arc::new(Core::new(schedule, sources, presence));
        // Gives the slot up if nobody has come meanwhile; false once all replicas are gone.
        let idle = core.clone();
        let retire = move || {
            let Some(shared) = shared.upgrade() else { return false };
            if !idle.is_wanted() {
                shared.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&schedule);
            }
            true
        };
        let driver = AbortOnDropHandle::new(tokio::spawn(drive(core.clone(), retire)));
        Arc::new(Slot { core, _driver: driver })
    }

    fn size(&self) -> usize {
        TOKENS_EACH + self.look(Replica::size).unwrap_or(0)
    }

    fn is_in_use(&self) -> bool {
        self.core.has_streams() || self.core.asked_at().elapsed() < IN_USE
    }

    /// Looks at the replica; `None` if there is no such queue.
    pub fn look<T>(&self, how: impl FnOnce(&Replica) -> T) -> Option<T> {
        self.core.read().replica.as_ref().map(how)
    }

    pub fn change(&self, how: impl FnOnce(&mut Replica)) {
        if let Some(replica) = &mut self.core.write().replica {
            how(replica);
        }
    }

    /// Time since the replica was last brought up to date.
    pub fn age(&self) -> Duration {
        self.core.read().read_at.map_or(Duration::MAX, |at| at.elapsed())
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
        Err(Problem::new(Kind::Unavailable, "the queue cannot be read now"))
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

    /// The holder of this token was seen.
    pub fn saw(&self, sequence: u64) {
        match self.look(|replica| replica.matters(sequence)) {
            Some(Matters::No) => {}
            matters => self.core.presence.note(sequence, matters == Some(Matters::AtOnce)),
        }
    }

    /// The log has not taken a report for too long.
    pub fn is_stuck(&self) -> bool {
        self.core.presence.is_stuck()
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
