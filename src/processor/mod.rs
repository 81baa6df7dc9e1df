//! The owner's side: takes a partition's commands one after another, decides them, commits, publishes.
//!
//! ```text
//! assignment ── who owns what ──> partition (the loop) ── decode, prefetch, decide ──> committer ──> relay
//!                                     ▲                   decider: aggregates,         of all        │
//!                                     │                   requests, batch              partitions <──┘ published
//!                                     └── timers: append what is due, never decide
//! ```
//!
//! A partition's lane is chosen once, when it is acquired: everything below is generic over the lane's aggregate, and
//! `lanes` is all that the three differ in. The `inbox` has none: its owner forwards what it takes.

mod acquire;
mod aggregates;
mod anchor;
mod assignment;
mod batch;
mod capture;
mod commit;
mod committer;
mod confirmed;
mod context;
mod decider;
mod decode;
mod inbox;
mod intake;
mod interventions;
mod lanes;
mod log_time;
mod outbox;
mod partition;
mod portion;
mod published;
mod reads;
mod relay;
mod replay;
mod requests;
mod retry;
mod schedule;
mod standing;
mod timers;
mod traces;
mod unpublished;
mod unsent;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use context::{Deps, RelayMode, Settings};
pub use replay::Replay;

use self::standing::Standings;

/// Runs a worker until `shutdown`, then lets its partitions go and leaves the group.
///
/// # Errors
/// When the group cannot be joined or the membership ends for good.
pub async fn run(deps: Deps, settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let standings = Arc::new(Standings::new(deps.health.clone()));
    let (committer, task) = committer::Committer::start(deps.store.clone(), Arc::clone(&standings));
    let reads = reads::Reads::new(deps.store.clone());
    let capture = capture::Capture::default();
    let context = Arc::new(context::Context { deps, settings, standings, committer, reads, capture });
    let _watching = AbortOnDropHandle::new(tokio::spawn(watch::run(Arc::clone(&context))));
    let _capturing = match &context.settings.relay {
        RelayMode::Worker => None,
        RelayMode::External { slot } => {
            let capturing = confirmed::run(Arc::clone(&context), Arc::clone(slot));
            Some(AbortOnDropHandle::new(tokio::spawn(capturing)))
        }
    };
    tokio::select! {
        biased;
        ended = assignment::run(context, shutdown) => ended,
        ended = task => anyhow::bail!("the committer ended: {ended:?}"),
    }
}
