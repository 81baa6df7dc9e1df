//! Whether this process can serve: what log and store answered lately, and what the roles report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::log::{Log, Topic};
use crate::runtime::health::{Health, Severity};
use crate::store::Reads;

/// Log and store must answer within this time to count as available.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// An answer counts for this long, so that probes cost next to nothing however many come.
const ANSWER_AGE_MAX: Duration = Duration::from_millis(500);

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
        Probes { sources, last: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// All checks, the ones of log and store at most 500 ms old.
    pub async fn checks(&self) -> Vec<Check> {
        let Sources { health, feed_running, shutdown, .. } = &self.sources;
        let draining = health.is_draining() || shutdown.is_cancelled();
        let mut checks = vec![Check::new("not draining", draining.then(|| "the process is shutting down".to_owned()))];
        if let Some(running) = feed_running {
            let failure = (!*running.borrow()).then(|| "not all partitions of the outcomes are followed".to_owned());
            checks.push(Check::new("outcome feed", failure));
        }
        checks.extend(self.probe().await);
        let reported = health.snapshot().into_iter();
        checks.extend(reported.map(|(name, failure)| Check { name, failure: failure.map(|f| (f.severity, f.reason)) }));
        checks
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
        let log = timeout(ANSWER_WITHIN, self.sources.log.end_offset(Topic::Outcomes, 0));
        let (store, log) = tokio::join!(store, log);
        let silent = || format!("no answer within {} ms", ANSWER_WITHIN.as_millis());
        let store = store.map_or_else(|_| Some(silent()), |answer| answer.err().map(|error| error.to_string()));
        let log = log.map_or_else(|_| Some(silent()), |answer| answer.err().map(|error| error.to_string()));
        let checks = vec![Check::new("store", store), Check::new("log", log)];
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), checks.clone()));
        checks
    }
}
