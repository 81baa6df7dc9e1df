//! Which partitions this worker owns: follows the group's events, starts and stops their loops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::context::{Context, DRAIN};
use super::interventions;
use super::partition::{self, Ended};
use super::portion::{Portion, Then};
use crate::domain::LanePartition;
use crate::log::{GroupEvent, Membership};

pub(super) async fn run(context: Arc<Context>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let membership: Arc<dyn Membership> =
        context.deps.log.join(&context.settings.owner).await.context("joining the workers' group")?.into();
    let mut owned =
        Owned { context, membership: Arc::clone(&membership), stops: BTreeMap::new(), loops: JoinSet::new() };
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            event = membership.event() => match event {
                GroupEvent::Assigned(partitions) => partitions.into_iter().for_each(|p| owned.start(p)),
                GroupEvent::Revoked { partitions, deadline } => owned.revoke(partitions, deadline).await,
                GroupEvent::Lost(partitions) => partitions.iter().for_each(|p| owned.lose(*p)),
                GroupEvent::Closed(reason) => bail!("the membership of the workers' group ended: {reason}"),
            },
            Some(ended) = owned.loops.join_next() => match ended {
                Err(error) if !error.is_cancelled() => bail!("a partition's supervisor ended: {error}"),
                _ => {}
            },
        }
    }
    let all: Vec<LanePartition> = owned.stops.keys().copied().collect();
    owned.revoke(all, DRAIN).await;
    membership.leave().await;
    Ok(())
}

/// The partitions assigned to this worker, each with its loop.
struct Owned {
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    stops: BTreeMap<LanePartition, Stop>,
    loops: JoinSet<()>,
}

struct Stop {
    /// Finish the batch under way, then stop.
    finish: CancellationToken,
    /// Resolves when the loop has stopped.
    stopped: tokio::sync::oneshot::Receiver<()>,
    abort: tokio::task::AbortHandle,
}

impl Owned {
    fn start(&mut self, partition: LanePartition) {
        if self.stops.contains_key(&partition) {
            return;
        }
        let finish = CancellationToken::new();
        let (sender, stopped) = tokio::sync::oneshot::channel();
        let (context, membership, token) = (Arc::clone(&self.context), Arc::clone(&self.membership), finish.clone());
        let abort = self.loops.spawn(async move {
            keep_owning(context, membership, partition, token).await;
            let _ = sender.send(());
        });
        self.stops.insert(partition, Stop { finish, stopped, abort });
    }

    /// Lets the partitions finish together, within one deadline.
    async fn revoke(&mut self, partitions: Vec<LanePartition>, deadline: Duration) {
        let mut stopping = Vec::new();
        for partition in partitions {
            if let Some(stop) = self.stops.remove(&partition) {
                stop.finish.cancel();
                stopping.push((partition, stop));
            }
        }
        let until = tokio::time::Instant::now() + deadline;
        for (partition, stop) in stopping {
            if tokio::time::timeout_at(until, stop.stopped).await.is_err() {
                warn!(%partition, "did not stop in time; the fence covers what it still tries");
                stop.abort.abort();
            }
            self.forget(partition);
            self.membership.release(partition);
        }
    }

    fn lose(&mut self, partition: LanePartition) {
        if let Some(stop) = self.stops.remove(&partition) {
            warn!(%partition, "lost to another worker");
            stop.abort.abort();
            self.forget(partition);
        }
    }

    fn forget(&self, partition: LanePartition) {
        self.context.standings.of(partition).nobodys();
    }
}

/// Owns a partition for as long as it is assigned. Fenced or parked it rests and acquires it again: if another worker
/// has it by then, that one is fenced once and the group's events settle who stays.
async fn keep_owning(
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    partition: LanePartition,
    finish: CancellationToken,
) {
    let standing = context.standings.of(partition);
    let rest = context.settings.rest;
    let (mut portion, mut heard) = (Portion::whole(), BTreeSet::new());
    loop {
        standing.owned();
        // A panic in the rules parks this partition like any other failure; the others go on.
        let run =
            partition::run(Arc::clone(&context), Arc::clone(&membership), partition, finish.clone(), &mut portion);
        let ended = std::panic::AssertUnwindSafe(run).catch_unwind().await;
        let (reason, then) = match ended {
            Ok(Ended::Finished) => return,
            Ok(Ended::NotTaken(batch)) => {
                let then = portion.not_taken(&batch);
                (batch.reason, then)
            }
            Ok(Ended::Fenced { epoch }) => {
                membership.fenced(partition);
                (format!("fenced by another owner: epoch {epoch} is over"), Then::Park)
            }
            Ok(Ended::Failed(reason)) => (reason, Then::Park),
            Err(_) => match portion.panicked() {
                Some(batch) => {
                    let then = portion.not_taken(&batch);
                    (batch.reason, then)
                }
                None => ("panicked; see the log".to_owned(), Then::Park),
            },
        };
        let pause = match then {
            Then::Again => {
                standing.split(&reason);
                Duration::ZERO
            }
            Then::Wait(pause) => {
                standing.waiting(&reason);
                pause
            }
            Then::Park => {
                standing.parked(&reason, rest);
                rest
            }
        };
        tokio::select! {
            biased;
            () = finish.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = interventions::given(&context, partition, portion.stands_at(), &mut heard) => {}
        }
    }
}
