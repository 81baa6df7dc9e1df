//! How a partition becomes this worker's: progress from the store, the log at that offset, what is due.

use tracing::{info, warn};

use super::anchor;
use super::batch::Batch;
use super::context::Context;
use super::lanes::LaneAggregate;
use super::retry::{readable, retried};
use super::standing::Step;
use super::timers::Timers;
use crate::domain::LanePartition;
use crate::log::{Membership, PartitionReader, Topic};
use crate::store::{Act, Intervention, Progress, Remember};

/// A partition at the offset where its owner goes on.
pub(super) struct Acquired<A: LaneAggregate> {
    pub progress: Progress,
    pub reader: Box<dyn PartitionReader>,
    pub timers: Timers<A>,
    /// Where the log ended.
    pub end: u64,
    /// What operators did about records from here on.
    pub interventions: Vec<Intervention>,
    /// How long requests count as seen.
    pub remember: Remember,
}

/// # Errors
/// Why the partition is to be parked.
pub(super) async fn acquire<A: LaneAggregate>(
    context: &Context,
    membership: &dyn Membership,
    partition: LanePartition,
) -> Result<Acquired<A>, String> {
    let (deps, standing) = (&context.deps, &*context.standings.of(partition));
    standing.begin(Step::Acquire);
    let progress =
        retried("acquire", partition, standing, || deps.store.acquire(partition, &context.settings.owner)).await?;
    let topic = Topic::Lane(partition.lane);
    let end = readable(partition, standing, || deps.log.end_offset(topic, partition.partition)).await?;
    let reader = anchor::open(&*deps.log, membership, partition, &progress, end, standing).await?;
    let note_end = || deps.store.note_end(partition, progress.epoch, end);
    retried("noting the end", partition, standing, note_end).await?;
    let due = retried("reading what is due", partition, standing, || A::due(&*deps.store, partition.partition)).await?;
    let read = || deps.store.interventions(partition, progress.next_offset);
    let interventions = retried("reading interventions", partition, standing, read).await?;
    let remember = begun::<A>(context, partition, &progress, &interventions).await?;
    let timers = Timers::new(partition, deps.log.clone(), deps.clock.clone(), due, progress.last_time);
    deps.log.resume_at(partition, progress.next_offset, progress.last_time);
    standing.done(Step::Acquire);
    info!(%partition, epoch = progress.epoch, next_offset = progress.next_offset, "acquired");
    Ok(Acquired { progress, reader, timers, end, interventions, remember })
}

/// How long requests count as seen from here on, as operators have changed it. What they have changed since the owner
/// before begins here, and the store is told so before anything is decided; so with the wish that the partition be
/// acquired again.
async fn begun<A: LaneAggregate>(
    context: &Context,
    partition: LanePartition,
    progress: &Progress,
    interventions: &[Intervention],
) -> Result<Remember, String> {
    let (deps, standing) = (&context.deps, &*context.standings.of(partition));
    let before = context.settings.remember.after(interventions);
    let (offset, now) = (progress.next_offset, deps.clock.now());
    let (remember, mut begun) = before.begin(interventions, progress, now);
    let changes = !begun.is_empty();
    let asked = interventions.iter().filter(|row| row.act == Act::Acquire && row.applied_at.is_none());
    begun.extend(asked.map(|row| Intervention { applied_at: Some(now), ..row.clone() }));
    if begun.is_empty() {
        return Ok(before);
    }
    let mut batch = Batch::<A>::new(partition, *progress);
    batch.apply(begun);
    let (batch, _) = batch.finish();
    // Whoever is fenced here commits nothing later on either.
    retried("applying interventions", partition, standing, || deps.store.commit(&batch)).await?;
    if !changes {
        return Ok(before);
    }
    warn!(%partition, offset, ms = remember.ms, "requests count as seen for another time");
    Ok(remember)
}
