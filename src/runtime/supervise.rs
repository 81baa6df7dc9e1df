//! Named tasks that live as long as their role: one that ends early shuts the role down cleanly.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// The tasks of a process. Dropping it aborts them.
pub struct Supervisor {
    tasks: JoinSet<anyhow::Result<()>>,
    names: BTreeMap<Id, &'static str>,
    shutdown: CancellationToken,
}

impl Supervisor {
    /// Tasks must end after `shutdown` is cancelled, not before.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), names: BTreeMap::new(), shutdown }
    }

    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the shutdown, or for a task that ends early and thereby starts the shutdown; then for all tasks, at
    /// most `deadline`.
    ///
    /// # Errors
    /// The first failure of a task, or the names of the aborted tasks.
    pub async fn run(mut self, deadline: Duration) -> anyhow::Result<()> {
        let shutdown = self.shutdown.clone();
        let mut failure = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            ended = self.tasks.join_next_with_id() => ended.and_then(|ended| self.ended(ended, true)),
        };
        shutdown.cancel();
        let drained = tokio::time::timeout(deadline, async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                let later = self.ended(ended, false);
                failure = failure.take().or(later);
            }
        });
        if drained.await.is_err() {
            let names: Vec<_> = self.names.values().copied().collect();
            let names = names.join(", ");
            error!(tasks = names, deadline_seconds = deadline.as_secs(), "still running at the deadline, aborted");
            return Err(failure.unwrap_or_else(|| anyhow!("{names} did not end within {deadline:?}")));
        }
        failure.map_or(Ok(()), Err)
    }

    /// Logs the end of a task; returns its failure, if it is one.
    fn ended(&mut self, ended: Result<(Id, anyhow::Result<()>), JoinError>, unasked: bool) -> Option<anyhow::Error> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(panicked) => (panicked.id(), Err(anyhow!(panicked))),
        };
        let name = self.names.remove(&id).unwrap_or("task");
        match result {
            Ok(()) if !unasked => {
                info!(task = name, "ended");
                None
            }
            Ok(()) => {
                error!(task = name, "ended unasked, shutting down");
                Some(anyhow!("{name} ended unasked"))
            }
            Err(reason) => {
                error!(task = name, error = format!("{reason:#}"), "failed, shutting down");
                Some(Err::<(), _>(reason).context(name).unwrap_err())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(200);

    async fn until(shutdown: CancellationToken) -> anyhow::Result<()> {
        shutdown.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn tasks_that_end_after_the_shutdown_are_a_success() {
        let shutdown = CancellationToken::new();
        let mut tasks = Supervisor::new(shutdown.clone());
        tasks.spawn("a", until(shutdown.clone()));
        tasks.spawn("b", until(shutdown.clone()));
        shutdown.cancel();
        tasks.run(DEADLINE).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_ends_the_others_and_is_a_failure() {
        let shutdown = CancellationToken::new();
        let mut tasks = Supervisor::new(shutdown.clone());
        tasks.spawn("a", until(shutdown.clone()));
        tasks.spawn("b", async { Ok(()) });
        assert_eq!(tasks.run(DEADLINE).await.unwrap_err().to_string(), "b ended unasked");
        assert!(shutdown.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_with_the_name_of_its_task() {
        let mut tasks = Supervisor::new(CancellationToken::new());
        tasks.spawn("a", async { panic!("boom") });
        let error = tasks.run(DEADLINE).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("a: ") && format!("{error:#}").contains("boom"), "{error:#}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_shutdown_is_aborted_at_the_deadline() {
        let shutdown = CancellationToken::new();
        let mut tasks = Supervisor::new(shutdown.clone());
        tasks.spawn("deaf", std::future::pending());
        shutdown.cancel();
        assert_eq!(tasks.run(DEADLINE).await.unwrap_err().to_string(), "deaf did not end within 200ms");
    }
}
