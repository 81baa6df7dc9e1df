//! How a partition becomes this worker's: progress from the store, the log at that offset, what is due.

use tracing::{info, warn};

use super::commit::Backoff;
use super::context::Context;
use super::lanes::LaneAggregate;
use super::timers::Timers;
use crate::domain::LanePartition;
use crate::log::{Membership, PartitionReader, ReadError, Topic};
use crate::store::{Progress, StoreError};

/// A partition at the offset where its owner goes on.
pub(super) struct Acquired<A: LaneAggregate> {
    pub progress: Progress,
    pub reader: Box<dyn PartitionReader>,
    pub timers: Timers<A>,
}

/// # Errors
/// Why the partition is to be parked.
pub(super) async fn acquire<A: LaneAggregate>(
    context: &Context,
    membership: &dyn Membership,
    partition: LanePartition,
) -> Result<Acquired<A>, String> {
    let deps = &context.deps;
    let progress = retried("acquire", partition, || deps.store.acquire(partition, &context.settings.owner)).await?;
    let topic = Topic::Lane(partition.lane);
    let end = readable(partition, || deps.log.end_offset(topic, partition.partition)).await?;
    if progress.next_offset > end {
        return Err(format!(
            "the store is ahead of the log: it has decided everything before offset {}, the log ends at {end}. \
             The topic was wiped or this is another cluster; restore the log or start with an empty store",
            progress.next_offset
        ));
    }
    let reader = readable(partition, || membership.open(partition, progress.next_offset)).await?;
    let due = retried("reading what is due", partition, || A::due(&*deps.store, partition.partition)).await?;
    let timers = Timers::new(partition, deps.log.clone(), deps.clock.clone(), due);
    info!(%partition, epoch = progress.epoch, next_offset = progress.next_offset, "acquired");
    Ok(Acquired { progress, reader, timers })
}

/// Asks the log until it answers: a broker that is away for a moment is no reason to park the partition.
async fn readable<T, F>(partition: LanePartition, ask: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(ReadError::Unavailable(reason)) => {
                warn!(%partition, reason, "the log cannot be read");
                backoff.wait().await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Repeats a read until the store answers.
async fn retried<T, F>(what: &str, partition: LanePartition, attempt: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(StoreError::Failed(reason)) => return Err(format!("{what}: {reason}")),
            Err(error) => {
                warn!(%partition, %error, what, "repeated until the store answers");
                backoff.wait().await;
            }
        }
    }
}
