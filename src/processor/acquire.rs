//! How a partition becomes this worker's: progress from the store, the log at that offset, what is due.

use tracing::info;

use super::anchor;
use super::context::Context;
use super::lanes::LaneAggregate;
use super::retry::{readable, retried};
use super::timers::Timers;
use crate::domain::LanePartition;
use crate::log::{Membership, PartitionReader, Topic};
use crate::store::Progress;

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
    let reader = anchor::open(&*deps.log, membership, partition, &progress, end).await?;
    retried("noting the end", partition, || deps.store.note_end(partition, progress.epoch, end)).await?;
    let due = retried("reading what is due", partition, || A::due(&*deps.store, partition.partition)).await?;
    let timers = Timers::new(partition, deps.log.clone(), deps.clock.clone(), due);
    info!(%partition, epoch = progress.epoch, next_offset = progress.next_offset, "acquired");
    Ok(Acquired { progress, reader, timers })
}
