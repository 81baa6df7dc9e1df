//! How the partitions of this worker stand, for operators: metric, health check, log. Nothing else writes these.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::domain::LanePartition;
use crate::runtime::health::{Health, Severity};
use crate::telemetry::metrics::{PARTITION_STALLED, PARTITION_STATE};

/// Work without progress for so long is shown; readiness and metric have it a second later at most.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(20);

/// An error of work under way is shown after so long without progress; in a second more at most.
const STRUGGLES_AFTER: Duration = Duration::from_secs(1);

/// A step of an owner. A batch is loaded and decided while the one before commits and older rows are published, so
/// several may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Acquire,
    Read,
    Load,
    Decide,
    Commit,
    Publish,
}

impl Step {
    const COUNT: usize = 6;

    fn doing(self) -> &'static str {
        match self {
            Step::Acquire => "taking the partition over",
            Step::Read => "reading the log",
            Step::Load => "loading from the store",
            Step::Decide => "deciding",
            Step::Commit => "committing",
            Step::Publish => "publishing",
        }
    }
}

/// The partitions that this worker owns or owned.
pub(super) struct Standings {
    health: Health,
    of: Mutex<BTreeMap<LanePartition, Arc<Standing>>>,
}

impl Standings {
    pub fn new(health: Health) -> Self {
        Standings { health, of: Mutex::default() }
    }

    pub fn of(&self, partition: LanePartition) -> Arc<Standing> {
        let mut known = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Standing::new(partition, self.health.clone()));
        Arc::clone(known.entry(partition).or_insert_with(new))
    }

    pub fn all(&self) -> Vec<Arc<Standing>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }
}

/// How one partition stands.
pub(super) struct Standing {
    partition: LanePartition,
    state: IntGauge,
    stalled: IntGauge,
    health: Health,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    owned: bool,
    /// Why it stands still, until it makes progress.
    halt: Option<Halt>,
    /// By step: the work under way.
    under_way: [Option<Work>; Step::COUNT],
    shown: Shown,
    /// It is owned, and shown with what it struggles with.
    struggles: bool,
    committed_at: Option<Instant>,
}

struct Halt {
    shown: Shown,
    /// It waits for its clock to reach a record's log time.
    for_time: bool,
    since: Instant,
    reason: String,
}

struct Work {
    /// Its begin, or its last progress.
    since: Instant,
    error: Option<String>,
}

/// The values of `turnstile_partition_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Shown {
    #[default]
    Nobody = 0,
    Owned = 1,
    Parked = 2,
    Waiting = 3,
}

impl Standing {
    fn new(partition: LanePartition, health: Health) -> Self {
        let number = partition.partition.to_string();
        let labels = [partition.lane.as_str(), &number];
        let (state, stalled) =
            (PARTITION_STATE.with_label_values(&labels), PARTITION_STALLED.with_label_values(&labels));
        Standing { partition, state, stalled, health, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn nobodys(&self) {
        self.change(|inner| *inner = Inner { shown: inner.shown, ..Inner::default() });
    }

    /// It is taken over, perhaps again. What stood still before is shown until it moves.
    pub fn owned(&self) {
        self.change(|inner| {
            inner.owned = true;
            inner.under_way = Default::default();
        });
    }

    /// Something was committed.
    pub fn progressed(&self) {
        self.change(|inner| {
            inner.halt = None;
            inner.committed_at = Some(Instant::now());
        });
    }

    /// There is nothing to read.
    pub fn idle(&self) {
        self.change(|inner| {
            inner.under_way[Step::Read as usize] = None;
            // Else what halts it may be under way.
            if inner.under_way[Step::Commit as usize].is_none() {
                inner.halt = None;
            }
        });
    }

    pub fn parked(&self, reason: &str, rest: Duration) {
        if self.halt(Shown::Parked, false, reason) {
            warn!(partition = %self.partition, reason, ?rest, "parked");
        }
    }

    /// One record alone takes too long for the store. Until its next progress.
    pub fn waiting(&self, reason: &str) {
        if self.halt(Shown::Waiting, false, reason) {
            warn!(partition = %self.partition, reason, "waiting");
        }
    }

    /// The next record has a log time that this machine's clock has not reached, or none.
    pub fn waits_for_time(&self, reason: &str) {
        if self.halt(Shown::Waiting, true, reason) {
            warn!(partition = %self.partition, reason, "waiting");
        }
    }

    /// `None`: not owned. Else when it last committed, and since when it has been waiting for its time.
    pub fn time(&self) -> Option<(Option<Instant>, Option<Instant>)> {
        let inner = self.lock();
        let waits_since = inner.halt.as_ref().filter(|halt| halt.for_time).map(|halt| halt.since);
        inner.owned.then_some((inner.committed_at, waits_since))
    }

    pub fn split(&self, reason: &str) {
        warn!(partition = %self.partition, reason, "the batch is decided again in parts");
    }

    /// Says whether this is news.
    fn halt(&self, shown: Shown, for_time: bool, reason: &str) -> bool {
        self.change(|inner| {
            let before = inner.halt.take();
            // The text of a wait for time says the time.
            let news = before.as_ref().is_none_or(|halt| !(halt.for_time && for_time) && halt.reason != reason);
            let since = before.map_or_else(Instant::now, |halt| halt.since);
            inner.halt = Some(Halt { shown, for_time, since, reason: reason.to_owned() });
            news
        })
    }

    pub fn begin(&self, step: Step) {
        let work = || Work { since: Instant::now(), error: None };
        self.lock().under_way[step as usize].get_or_insert_with(work);
    }

    /// The step is tried again after this error.
    pub fn failed(&self, step: Step, error: impl ToString) {
        self.begin(step);
        if let Some(work) = &mut self.lock().under_way[step as usize] {
            work.error = Some(error.to_string());
        }
    }

    /// Part of the step is done.
    pub fn moved(&self, step: Step) {
        self.lock().under_way[step as usize] = Some(Work { since: Instant::now(), error: None });
    }

    pub fn done(&self, step: Step) {
        self.change(|inner| inner.under_way[step as usize] = None);
    }

    /// Shows what has lasted too long.
    pub fn look(&self) {
        self.change(|_| ());
    }

    /// Whether this step has made no progress for [`STALLED_AFTER`].
    pub fn is_stalled(&self, step: Step) -> bool {
        self.lock().under_way[step as usize].as_ref().is_some_and(|work| work.since.elapsed() >= STALLED_AFTER)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let answer = change(&mut inner);
        self.show(&mut inner);
        answer
    }

    fn show(&self, inner: &mut Inner) {
        let before = inner.shown;
        let check = format!("partition {}", self.partition);
        let mut stalled = Duration::ZERO;
        inner.shown = match (inner.owned, inner.stands()) {
            (false, _) => {
                if before != Shown::Nobody {
                    self.health.forget(&check);
                }
                Shown::Nobody
            }
            (true, None) => {
                let trouble = inner.trouble();
                match &trouble {
                    Some(trouble) => self.health.failing(&check, Severity::Notice, trouble),
                    None if before != Shown::Owned || inner.struggles => self.health.ok(&check),
                    None => {}
                }
                inner.struggles = trouble.is_some();
                if matches!(before, Shown::Parked | Shown::Waiting) {
                    info!(partition = %self.partition, "goes on");
                }
                Shown::Owned
            }
            (true, Some((shown, reason, how_long))) => {
                if before == Shown::Owned && inner.halt.is_none() {
                    warn!(partition = %self.partition, reason, "stands still");
                }
                self.health.failing(&check, Severity::Degraded, reason);
                stalled = how_long;
                shown
            }
        };
        if before != inner.shown {
            self.state.set(inner.shown as i64);
        }
        self.stalled.set(i64::try_from(stalled.as_secs()).unwrap_or(i64::MAX));
    }
}

impl Inner {
    fn work(&self) -> impl Iterator<Item = (Step, &Work)> {
        let steps = [Step::Acquire, Step::Read, Step::Load, Step::Decide, Step::Commit, Step::Publish];
        steps.into_iter().filter_map(|step| Some((step, self.under_way[step as usize].as_ref()?)))
    }

    /// The error of the step that has been struggling longest.
    fn trouble(&self) -> Option<String> {
        let struggling = self.work().filter(|(_, work)| work.since.elapsed() >= STRUGGLES_AFTER);
        let failed = struggling.filter_map(|(step, work)| Some((step, work.since, work.error.as_ref()?)));
        let (step, _, error) = failed.min_by_key(|(_, since, _)| *since)?;
        Some(format!("{}: {error}", step.doing()))
    }

    /// How it stands still, if it does, why, and for how long.
    fn stands(&self) -> Option<(Shown, String, Duration)> {
        if let Some(Halt { shown, since, reason, .. }) = &self.halt {
            let how = if *shown == Shown::Parked { "parked" } else { "waiting" };
            let elapsed = since.elapsed();
            return Some((*shown, format!("{how}: {reason}; for {} s", elapsed.as_secs()), elapsed));
        }
        let (step, work) = self.work().min_by_key(|(_, work)| work.since)?;
        let elapsed = work.since.elapsed();
        if elapsed < STALLED_AFTER {
            return None;
        }
        let error = work.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let reason = format!("waiting: no progress for {} s while {}{error}", elapsed.as_secs(), step.doing());
        Some((Shown::Waiting, reason, elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    const HERE: LanePartition = LanePartition { lane: Lane::Queues, partition: 901 };

    fn owned() -> (Standing, Health) {
        let health = Health::default();
        let standing = Standing::new(HERE, health.clone());
        standing.owned();
        (standing, health)
    }

    /// State and reason.
    fn shown(standing: &Standing, health: &Health) -> (i64, String) {
        standing.look();
        let (_, failure) = health.snapshot().remove(0);
        (standing.lock().shown as i64, failure.map(|failure| failure.reason).unwrap_or_default())
    }

    #[tokio::test(start_paused = true)]
    async fn work_without_progress_is_shown_with_its_last_error_until_it_is_done() {
        let (standing, health) = owned();
        standing.begin(Step::Commit);
        tokio::time::advance(Duration::from_secs(15)).await;
        standing.failed(Step::Commit, "the first error");
        standing.failed(Step::Commit, "the store is away");
        assert_eq!(shown(&standing, &health), (1, "committing: the store is away".to_owned()));
        tokio::time::advance(Duration::from_secs(6)).await;
        let reason = "waiting: no progress for 21 s while committing: the store is away";
        assert_eq!(shown(&standing, &health), (3, reason.to_owned()));
        assert!(standing.is_stalled(Step::Commit) && !standing.is_stalled(Step::Read));
        standing.done(Step::Commit);
        assert_eq!(shown(&standing, &health), (1, String::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_struggles_with_is_shown_while_it_does() {
        let (standing, health) = owned();
        standing.failed(Step::Publish, "the log's queue is full");
        assert_eq!(shown(&standing, &health), (1, String::new()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(shown(&standing, &health), (1, "publishing: the log's queue is full".to_owned()));
        assert!(health.snapshot().iter().all(|(_, failure)| failure.as_ref().unwrap().severity == Severity::Notice));
        standing.moved(Step::Publish);
        assert_eq!(shown(&standing, &health), (1, String::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_moves_is_not_shown_and_one_that_stands_beside_it_is() {
        let (standing, health) = owned();
        standing.begin(Step::Publish);
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(15)).await;
            standing.moved(Step::Publish);
            assert_eq!(shown(&standing, &health).0, 1);
        }
        standing.begin(Step::Decide);
        tokio::time::advance(Duration::from_secs(20)).await;
        standing.moved(Step::Publish);
        assert_eq!(shown(&standing, &health).1, "waiting: no progress for 20 s while deciding");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_parked_stays_so_until_it_makes_progress() {
        let (standing, health) = owned();
        standing.parked("a corrupt row", Duration::ZERO);
        tokio::time::advance(Duration::from_secs(7)).await;
        standing.owned();
        assert_eq!(shown(&standing, &health), (2, "parked: a corrupt row; for 7 s".to_owned()));
        standing.waiting("another reason");
        assert_eq!(shown(&standing, &health), (3, "waiting: another reason; for 7 s".to_owned()));
        standing.progressed();
        assert_eq!(shown(&standing, &health), (1, String::new()));
        standing.nobodys();
        assert!(health.snapshot().is_empty());
    }
}
