//! Whether this process can serve: what log and store answered lately, and what the roles report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::log::{Log, ReadError, Topic};
use crate::runtime::health::{Health, Severity};
use crate::store::Reads;

/// Log and store must answer within this time to count as available.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// An answer counts for this long, so that probes cost next to nothing however many come.
const ANSWER_AGE_MAX: Duration = Duration::from_millis(500);

/// A starting process is not ready before it follows the outcomes, but at most for this long: a partition of them that
/// cannot be read must not keep every API server out.
const FEED_AWAITED: Duration = Duration::from_secs(10);

/// What the checks use.
pub struct Sources {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Reads>,
    /// Written by all roles of the process.
    pub health: Health,
    /// True while the feed brings outcomes; `None` in a process that has none.
    pub feed_running: Option<watch::Receiver<bool>>,
    pub shutdown: CancellationToken,
}

pub struct Probes {
    sources: Sources,
    made: Instant,
    /// The feed has run: clients that wait for outcomes get them.
    followed: AtomicBool,
    last: Mutex<Option<(Instant, Vec<Check>)>>,
    /// Held by the task that asks.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
pub struct Check {
    pub name: String,
    /// Why it fails, and whether that makes the process useless.
    pub failure: Option<(Severity, String)>,
}

impl Check {
    fn new(name: &str, failure: Option<String>) -> Self {
        Check { name: name.to_owned(), failure: failure.map(|reason| (Severity::Critical, reason)) }
    }

    pub fn is_critical(&self) -> bool {
        matches!(self.failure, Some((Severity::Critical, _)))
    }
}

impl Probes {
    pub fn new(sources: Sources) -> Self {
        let (made, followed) = (Instant::now(), AtomicBool::new(false));
        Probes { sources, made, followed, last: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// All checks, the ones of log and store at most 500 ms old.
    pub async fn checks(&self) -> Vec<Check> {
        let Sources { health, feed_running, shutdown, .. } = &self.sources;
        let draining = health.is_draining() || shutdown.is_cancelled();
        let mut checks = vec![Check::new("not draining", draining.then(|| "the process is shutting down".to_owned()))];
        if let Some(running) = feed_running {
            checks.push(self.feed(*running.borrow()));
        }
        checks.extend(self.probe().await);
        let reported = health.snapshot().into_iter();
        checks.extend(reported.map(|(name, failure)| Check { name, failure: failure.map(|f| (f.severity, f.reason)) }));
        checks
    }

    /// Without it commands are accepted and their outcomes found in the store; they only come later.
    fn feed(&self, running: bool) -> Check {
        if running {
            self.followed.store(true, Ordering::Relaxed);
        }
        let starting = !self.followed.load(Ordering::Relaxed) && self.made.elapsed() < FEED_AWAITED;
        let severity = if starting { Severity::Critical } else { Severity::Degraded };
        let reason = || (severity, "not all partitions of the outcomes are followed".to_owned());
        Check { name: "outcome feed".to_owned(), failure: (!running).then(reason) }
    }

    /// Whether the log answers: for any of these partitions, as each may be without a leader for a moment.
    async fn log_answers(&self) -> Result<(), ReadError> {
        let last = self.sources.log.partitions().of(Topic::Outcomes).saturating_sub(1);
        let mut asked: Vec<u32> = vec![0, last / 2, last];
        asked.dedup();
        let ends = asked.into_iter().map(|partition| self.sources.log.end_offset(Topic::Outcomes, partition));
        select_ok(ends).await.map(drop)
    }

    async fn probe(&self) -> Vec<Check> {
        let _asking = self.asking.lock().await;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, checks)) = last
            && at.elapsed() <= ANSWER_AGE_MAX
        {
            return checks;
        }
        let store = timeout(ANSWER_WITHIN, self.sources.store.ping());
        let log = timeout(ANSWER_WITHIN, self.log_answers());
        let (store, log) = tokio::join!(store, log);
        let silent = || format!("no answer within {} ms", ANSWER_WITHIN.as_millis());
        let store = store.map_or_else(|_| Some(silent()), |answer| answer.err().map(|error| error.to_string()));
        let log = log.map_or_else(|_| Some(silent()), |answer| answer.err().map(|error| error.to_string()));
        let checks = vec![Check::new("store", store), Check::new("log", log)];
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), checks.clone()));
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::PartitionCounts;
    use crate::runtime::clock::Clock;
    use crate::testing::{FaultyStore, MemoryLog};

    fn probes() -> (Probes, MemoryLog, watch::Sender<bool>) {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 3, dead_letters: 1 };
        let log = MemoryLog::new(counts, Clock::System);
        let (running, feed_running) = watch::channel(false);
        let sources = Sources {
            log: Arc::new(log.clone()),
            store: Arc::new(FaultyStore::in_memory()),
            health: Health::default(),
            feed_running: Some(feed_running),
            shutdown: CancellationToken::new(),
        };
        (Probes::new(sources), log, running)
    }

    /// What fails, and how much that matters.
    async fn failing(probes: &Probes) -> Vec<(String, Severity)> {
        let checks = probes.checks().await;
        checks.into_iter().filter_map(|check| Some((check.name, check.failure?.0))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_unreadable_partition_of_the_outcomes_degrades_and_takes_nothing_down() {
        let (probes, log, running) = probes();
        log.make_unreadable(Topic::Outcomes, 0);
        assert_eq!(failing(&probes).await, [("outcome feed".into(), Severity::Critical)], "it has not begun yet");
        tokio::time::advance(FEED_AWAITED).await;
        assert_eq!(failing(&probes).await, [("outcome feed".into(), Severity::Degraded)]);
        running.send_replace(true);
        assert_eq!(failing(&probes).await, []);
        for partition in [1, 2] {
            log.make_unreadable(Topic::Outcomes, partition);
        }
        tokio::time::advance(ANSWER_AGE_MAX * 2).await;
        assert_eq!(failing(&probes).await, [("log".into(), Severity::Critical)], "a log that never answers is away");
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_that_has_run_once_is_never_critical() {
        let (probes, _log, running) = probes();
        running.send_replace(true);
        assert_eq!(failing(&probes).await, []);
        running.send_replace(false);
        assert_eq!(failing(&probes).await, [("outcome feed".into(), Severity::Degraded)]);
    }
}
