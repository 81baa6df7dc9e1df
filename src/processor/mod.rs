//! The owner's side: takes a partition's commands one after another, decides them, commits, publishes.
//!
//! ```text
//! assignment ── who owns what ──> partition (the loop) ── decode, prefetch, decide ──> commit ──> relay
//!                                     ▲                   decider: aggregates,         (fence)
//!                                     │                   requests, batch
//!                                     └── timers: append what is due, never decide
//! ```
//!
//! A partition's lane is chosen once, when it is acquired: everything below is generic over the lane's aggregate, and
//! `lanes` is all that the three differ in.

mod acquire;
mod aggregates;
mod assignment;
mod batch;
mod commit;
mod context;
mod decider;
mod decode;
mod lanes;
mod outbox;
mod partition;
mod portion;
mod relay;
mod replay;
mod requests;
mod schedule;
mod standing;
mod timers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use context::{Deps, RelayMode, Settings};
pub use replay::Replay;

use crate::domain::Lane;
use crate::log::Topic;
use crate::telemetry::metrics::PARTITIONS;

/// Runs a worker until `shutdown`, then lets its partitions go and leaves the group.
///
/// # Errors
/// When the group cannot be joined or the membership ends for good.
pub async fn run(deps: Deps, settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    for lane in Lane::ALL {
        PARTITIONS.with_label_values(&[lane.as_str()]).set(deps.log.partitions().of(Topic::Lane(lane)).into());
    }
    assignment::run(Arc::new(context::Context { deps, settings }), shutdown).await
}
