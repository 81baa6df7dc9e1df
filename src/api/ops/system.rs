//! What all processes say and how far every partition is, read once for all who look.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::lag::{Behind, Waits};
use super::sale_parts::Parts;
use super::sold::Sales;
use super::undelivered::Undelivered;
use crate::api::cache::snapshot_cache::SnapshotCache;
use crate::domain::texts::texts;
use crate::domain::{LanePartition, LogTime};
use crate::log::{Log, ReadError, Topic};
use crate::runtime::clock::Clock;
use crate::store::{
    AuditRun, OpsStore, OwnedState, PartitionStanding, ProcessView, ProgressView, StoreError, lane_partitions,
};

/// How old an answer may be.
const AGE_MAX: Duration = Duration::from_millis(400);
/// The log must say within this time where its partitions end, else lags are unknown.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
const ENDS_AT_ONCE: usize = 16;
const PASSED_EVERY: Duration = Duration::from_secs(5);
/// A process says about every second that it is alive.
pub const SILENT_AFTER: Duration = Duration::from_millis(2_500);
/// Dead letters are counted no further.
pub const LETTERS_MAX: u32 = 1_000;

texts! {
    pub enum State ("a state of a partition") {
        Owned = "owned",
        /// Something stops it; all others go on.
        Parked = "parked",
        /// It has work, and makes no progress.
        Waiting = "waiting",
        NoOwner = "no_owner",
    }
}

/// How one partition stands.
#[derive(Debug, Clone)]
pub struct Partition {
    pub partition: LanePartition,
    pub state: State,
    pub reason: Option<String>,
    /// As committed; `None`: nobody ever acquired it.
    pub progress: Option<ProgressView>,
    /// Offset of the next record; `None`: the log does not say. So with the lag.
    pub end: Option<u64>,
    pub lag: Option<u64>,
    /// When the oldest undecided record came.
    pub waiting_since: Option<LogTime>,
}

/// The whole system at a moment.
#[derive(Debug, Clone)]
pub struct Now {
    pub at: LogTime,
    /// In order of lane and number.
    pub partitions: Vec<Partition>,
    pub processes: Vec<ProcessView>,
    /// Neither replayed nor dismissed, up to [`LETTERS_MAX`].
    pub open_letters: u32,
    pub audit: Option<AuditRun>,
    /// Why ends and lags are unknown.
    pub log_error: Option<String>,
}

/// Reads it.
pub struct System {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn OpsStore>,
    pub clock: Clock,
    /// What endpoints of webhooks have not got yet.
    pub undelivered: Undelivered,
    pub sales: Sales,
    pub parts: Parts,
    waits: Waits,
    passed: Passed,
    now: SnapshotCache<(), Now>,
}

impl System {
    pub fn new(log: Arc<dyn Log>, store: Arc<dyn OpsStore>, clock: Clock) -> Self {
        System {
            waits: Waits::new(log.clone()),
            undelivered: Undelivered::new(log.clone()),
            sales: Sales::default(),
            parts: Parts::default(),
            passed: Passed::default(),
            log,
            store,
            clock,
            now: SnapshotCache::new(1, 1),
        }
    }

    /// At most 400 ms old.
    pub async fn now(&self) -> Result<Arc<Now>, StoreError> {
        self.now.get((), AGE_MAX, || async { Ok((self.read().await?, 1)) }).await
    }

    /// Who looks from now on finds what was just done.
    pub fn changed(&self) {
        self.now.changed(&());
    }

    async fn read(&self) -> Result<Now, StoreError> {
        let store = &self.store;
        // Before the progress: an end is never behind what is decided.
        let ((ends, log_error), processes) = tokio::join!(self.ends(), store.processes());
        let (progress, letters, audit) =
            tokio::join!(store.progress_views(), store.open_dead_letters(LETTERS_MAX), store.last_audit());
        let (processes, at) = (processes?, self.clock.now());
        let mut progress: HashMap<LanePartition, ProgressView> =
            progress?.into_iter().map(|view| (view.partition, view)).collect();
        let (standings, passed) = (Standings::of(&processes), self.passed.known());
        let of = |partition: LanePartition| {
            let progress = progress.remove(&partition);
            let (state, reason) = standings.state(partition, progress.as_ref());
            let end = ends.get(&partition).copied();
            let next = progress.as_ref().map_or(0, |view| view.next_offset);
            let passed = passed.get(&partition).copied().unwrap_or(0).max(next);
            let lag = end.map(|end| end.saturating_sub(passed));
            Partition { partition, state, reason, progress, end, lag, waiting_since: None }
        };
        let mut partitions: Vec<Partition> = lane_partitions(self.log.partitions()).map(of).collect();
        if partitions.iter().any(|of| of.lag.is_some_and(|lag| lag > 0)) {
            self.passed.ask(&self.log);
        }
        self.wait_times(&mut partitions).await;
        Ok(Now { at, partitions, processes, open_letters: letters?, audit: audit?, log_error })
    }

    async fn wait_times(&self, partitions: &mut [Partition]) {
        let next = |of: &Partition| of.progress.as_ref().map_or(0, |view| view.next_offset);
        let behind: Vec<Behind> = partitions
            .iter()
            .filter(|of| of.lag.is_some_and(|lag| lag > 0))
            .map(|of| Behind {
                partition: of.partition,
                next_offset: next(of),
                last_time: of.progress.as_ref().map_or(LogTime(0), |view| view.last_time),
            })
            .collect();
        let since = self.waits.since(&behind).await;
        self.waits.note(partitions.iter().map(|of| (of.partition, next(of))));
        for of in partitions {
            of.waiting_since = since.get(&of.partition).copied();
        }
    }

    async fn ends(&self) -> (BTreeMap<LanePartition, u64>, Option<String>) {
        match timeout(ENDS_WITHIN, ask_ends(&*self.log)).await {
            Ok(Ok(ends)) => (ends, None),
            Ok(Err(error)) => (BTreeMap::new(), Some(error.to_string())),
            Err(_) => (BTreeMap::new(), Some(format!("no answer within {} ms", ENDS_WITHIN.as_millis()))),
        }
    }
}

/// What owners have passed besides what they decided, as the log was told: markers and aborted records. Asked for seldom and
/// waited for never: a log may need a client of its own for the answer.
#[derive(Default)]
struct Passed {
    asked: Mutex<Option<Instant>>,
    known: Arc<Mutex<BTreeMap<LanePartition, u64>>>,
}

impl Passed {
    fn known(&self) -> BTreeMap<LanePartition, u64> {
        lock(&self.known).clone()
    }

    fn ask(&self, log: &Arc<dyn Log>) {
        let mut asked = lock(&self.asked);
        if asked.is_some_and(|at| at.elapsed() < PASSED_EVERY) {
            return;
        }
        *asked = Some(Instant::now());
        let (log, known) = (Arc::clone(log), Arc::clone(&self.known));
        tokio::spawn(async move {
            if let Ok(passed) = log.reported().await {
                *lock(&known) = passed;
            }
        });
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the partitions end.
async fn ask_ends(log: &dyn Log) -> Result<BTreeMap<LanePartition, u64>, ReadError> {
    let end = |of: LanePartition| async move { Ok((of, log.end_offset(Topic::Lane(of.lane), of.partition).await?)) };
    let all: Vec<LanePartition> = lane_partitions(log.partitions()).collect();
    let ends: Vec<_> = stream::iter(all).map(end).buffer_unordered(ENDS_AT_ONCE).collect().await;
    ends.into_iter().collect()
}

/// How partitions stand, as their owners say.
struct Standings<'p> {
    by_name: HashMap<&'p str, (&'p ProcessView, HashMap<LanePartition, PartitionStanding>)>,
}

impl<'p> Standings<'p> {
    fn of(processes: &'p [ProcessView]) -> Self {
        let standings = |view: &'p ProcessView| {
            let checks = view.process.status.checks.iter();
            checks.filter_map(|check| check.standing()).map(|standing| (standing.partition, standing)).collect()
        };
        let by_name = processes.iter().map(|view| (view.process.name.as_str(), (view, standings(view))));
        Standings { by_name: by_name.collect() }
    }

    fn state(&self, partition: LanePartition, progress: Option<&ProgressView>) -> (State, Option<String>) {
        let no_owner = |reason: String| (State::NoOwner, Some(reason));
        let Some(ProgressView { owner, .. }) = progress else {
            return no_owner("nobody has ever owned it".to_owned());
        };
        let Some((view, standings)) = self.by_name.get(owner.as_str()) else {
            return no_owner(format!("its owner {owner} has stopped"));
        };
        if view.silent_for > SILENT_AFTER {
            return no_owner(format!("its owner {owner} has been silent for {} s", view.silent_for.as_secs()));
        }
        match standings.get(&partition) {
            None => no_owner(format!("{owner} has let it go")),
            Some(PartitionStanding { state, reason, .. }) => {
                let state = match state {
                    OwnedState::Owned => State::Owned,
                    OwnedState::Parked => State::Parked,
                    OwnedState::Waiting => State::Waiting,
                };
                (state, reason.clone())
            }
        }
    }
}
