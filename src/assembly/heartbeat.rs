//! A process says about once a second that it is alive, and how it goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::runtime::health::{Failure, Health, Severity};
use crate::store::{Operations, Process, ProcessCheck, ProcessFigures, ProcessStatus, StoreError};
use crate::telemetry::metrics;
use crate::telemetry::process::Usage;

/// Readers take a process for silent after 2.5 s.
const BEAT: Duration = Duration::from_secs(1);
/// What changes in between is said at once.
const LOOK: Duration = Duration::from_millis(200);
/// A store that takes longer is away.
const BEAT_WITHIN: Duration = Duration::from_secs(2);
/// A process that was killed is listed for so long.
const FORGET_AFTER: Duration = Duration::from_secs(600);
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What is said, and where.
pub struct Heart {
    pub store: Arc<dyn Operations>,
    pub health: Health,
    /// All but its status.
    pub process: Process,
    /// No other process uses the store: rows of others are of the dead.
    pub alone: bool,
}

type Checks = Vec<(String, Option<Failure>)>;

/// Beats until `shutdown`, then takes the row away. A store that is away is tried again.
pub async fn run(heart: Heart, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = heart.beat_on() => {}
    }
    if let Err(error) = within(heart.store.leave(&heart.process.name)).await {
        debug!(%error, "this process stays listed until it is forgotten");
    }
    Ok(())
}

async fn within(answer: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    timeout(BEAT_WITHIN, answer).await.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned())))
}

impl Heart {
    async fn beat_on(&self) {
        let (mut said, mut used) = (None::<(Instant, Checks)>, (Instant::now(), Usage::now()));
        let mut forgot = None::<Instant>;
        loop {
            let checks = self.health.snapshot();
            let due = said.as_ref().is_none_or(|(at, before)| at.elapsed() >= BEAT || *before != checks);
            if due {
                let now = (Instant::now(), Usage::now());
                let status = ProcessStatus { checks: listed(&checks), figures: figures(used, now) };
                let process = Process { status, ..self.process.clone() };
                match within(self.store.heartbeat(&process)).await {
                    Ok(()) => (said, used) = (Some((now.0, checks)), now),
                    Err(error) => debug!(%error, "a heartbeat failed"),
                }
            }
            if forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                let silent_for = if self.alone && forgot.is_none() { Duration::ZERO } else { FORGET_AFTER };
                match within(self.store.forget_processes(silent_for)).await {
                    Ok(()) => forgot = Some(Instant::now()),
                    Err(error) => debug!(%error, "silent processes stay listed"),
                }
                // Its own row may be gone with them.
                said = said.filter(|_| silent_for > Duration::ZERO);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn listed(checks: &Checks) -> Vec<ProcessCheck> {
    let check = |(name, failure): &(String, Option<Failure>)| ProcessCheck {
        name: name.clone(),
        reason: failure.as_ref().map(|failure| failure.reason.clone()),
        critical: failure.as_ref().is_some_and(|failure| failure.severity == Severity::Critical),
    };
    checks.iter().map(check).collect()
}

fn figures((then, before): (Instant, Usage), (now, usage): (Instant, Usage)) -> ProcessFigures {
    let elapsed_ms = u64::try_from((now - then).as_millis()).unwrap_or(u64::MAX).max(1);
    ProcessFigures {
        connections: metrics::HTTP_CONNECTIONS.get(),
        requests: metrics::HTTP_IN_FLIGHT.get(),
        waiters: metrics::WAITERS.get(),
        streams: metrics::QUEUE_STREAMS.with_label_values::<&str>(&[]).get()
            + metrics::SEAT_STREAMS.with_label_values::<&str>(&[]).get(),
        memory_bytes: usage.memory_bytes,
        cpu_permille: usage.cpu_ms.saturating_sub(before.cpu_ms) * 1_000 / elapsed_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LogTime;
    use crate::testing::MemoryStore;

    fn heart(store: &MemoryStore, health: &Health) -> Heart {
        let process = Process {
            name: "a".to_owned(),
            role: "worker".to_owned(),
            host: "h".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            started_at: LogTime(0),
            status: ProcessStatus::default(),
        };
        Heart { store: Arc::new(store.clone()), health: health.clone(), process, alone: true }
    }

    async fn reasons(store: &MemoryStore) -> Vec<Option<String>> {
        let views = store.processes().await.unwrap();
        views.into_iter().flat_map(|view| view.process.status.checks).map(|check| check.reason).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_is_listed_while_it_runs_and_says_at_once_what_changes() {
        let (store, health, shutdown) = (MemoryStore::new(), Health::default(), CancellationToken::new());
        let dead = Process { name: "dead".to_owned(), ..heart(&store, &health).process };
        store.heartbeat(&dead).await.unwrap();
        health.ok("partition seats.0");
        let beating = tokio::spawn(run(heart(&store, &health), shutdown.clone()));
        tokio::time::sleep(LOOK * 3).await;
        let names: Vec<_> = store.processes().await.unwrap().into_iter().map(|view| view.process.name).collect();
        assert_eq!(names, ["a"], "nobody else can be alive");
        assert_eq!(reasons(&store).await, [None]);
        health.failing("partition seats.0", Severity::Degraded, "parked: why");
        tokio::time::sleep(LOOK * 2).await;
        assert_eq!(reasons(&store).await, [Some("parked: why".to_owned())]);
        for _ in 0..20 {
            tokio::time::sleep(LOOK).await;
            assert!(store.processes().await.unwrap()[0].silent_for <= BEAT + LOOK);
        }
        shutdown.cancel();
        beating.await.unwrap().unwrap();
        assert_eq!(store.processes().await.unwrap(), []);
    }
}
