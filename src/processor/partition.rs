//! The owner of one partition: acquires it, then takes, decides, commits and publishes until told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::batch::{self, Decided, TimeBounds};
use super::commit::{self, Backoff, Stopped};
use super::memory::Memory;
use super::timers::Timers;
use super::{Context, RelayMode, Settings, relay};
use crate::domain::{Lane, LogTime, RoutingKey};
use crate::log::{LanePartition, Membership, NewRecord, PartitionReader, ReadError, Record, Topic};
use crate::runtime::clock::Clock;
use crate::store::{CommitBatch, OutboxRow, Progress, StoreError};
use crate::telemetry::metrics::NEXT_OFFSET;
use crate::wire;

/// Batches of outbox rows between the loop and the relay; a relay that falls further behind stops the loop.
const RELAY_BATCHES: usize = 8;
/// Timer records appended at once.
const TIMERS_AT_ONCE: usize = 256;

/// Why an owner stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to; the last batch is committed.
    Finished,
    Fenced,
    Failed(String),
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Fenced => Ended::Fenced,
            Stopped::Failed(reason) => Ended::Failed(reason),
        }
    }
}

pub(super) async fn run(
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    partition: LanePartition,
    finish: CancellationToken,
) -> Ended {
    let mut owner = tokio::select! {
        biased;
        () = finish.cancelled() => return Ended::Finished,
        acquired = Owner::acquire(context, membership, partition) => match acquired {
            Ok(owner) => owner,
            Err(reason) => return Ended::Failed(reason),
        },
    };
    let ended = match owner.own(&finish).await {
        Ok(()) => owner.finish_commit().await.map_or_else(Ended::from, |()| Ended::Finished),
        Err(ended) => ended,
    };
    owner.let_go(ended == Ended::Finished).await;
    ended
}

struct Owner {
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    partition: LanePartition,
    reader: Box<dyn PartitionReader>,
    /// As decided: ahead of the store by the batch that commits.
    progress: Progress,
    memory: Memory,
    timers: Timers,
    /// The batch under way to the store. The next one is decided meanwhile; a failure discards both.
    committing: Option<Committing>,
    /// To the relay; `None` where something else publishes the outbox.
    publish: Option<mpsc::Sender<Vec<OutboxRow>>>,
    relay: Option<AbortOnDropHandle<()>>,
}

struct Committing {
    number: u64,
    result: AbortOnDropHandle<Result<CommitBatch, Stopped>>,
}

impl Owner {
    /// The loop. Everything else in this room is one of its steps.
    async fn own(&mut self, finish: &CancellationToken) -> Result<(), Ended> {
        loop {
            let records = tokio::select! {
                biased;
                () = finish.cancelled() => return Ok(()),
                committed = committed(&mut self.committing) => {
                    self.publish(committed?).await;
                    continue;
                }
                () = timer(&self.timers, &self.context.deps.clock) => {
                    self.append_due();
                    continue;
                }
                records = take(&mut *self.reader, &self.context.settings) => records?,
            };
            let here = self.partition;
            let decoded = batch::decode(records, here, self.context.deps.log.partitions());
            let number = self.memory.begin();
            self.prefetch(&decoded, finish).await?;
            let bounds = self.time_bounds();
            let decided = batch::decide(decoded, &mut self.memory, &mut self.progress, here, bounds, number);
            self.set_timers(&decided);
            self.finish_commit().await?;
            self.commit(decided);
        }
    }
}

/// The end of the commit under way, if there is one. Cancel-safe: the slot is emptied when the result is there.
async fn committed(slot: &mut Option<Committing>) -> Result<(u64, CommitBatch), Stopped> {
    let Some(committing) = slot else { return std::future::pending().await };
    let number = committing.number;
    let result = (&mut committing.result).await;
    *slot = None;
    match result {
        Ok(result) => result.map(|batch| (number, batch)),
        Err(error) => Err(Stopped::Failed(format!("the commit's task ended: {error}"))),
    }
}

/// Waits for the first record, then takes what else has arrived. Cancel-safe.
async fn take(reader: &mut dyn PartitionReader, settings: &Settings) -> Result<Vec<Record>, Ended> {
    loop {
        match reader.next(settings.batch_records_max, settings.batch_bytes_max).await {
            Ok(records) => return Ok(records),
            Err(error @ ReadError::OutOfRange { .. }) => return Err(Ended::Failed(error.to_string())),
            Err(ReadError::Unavailable(reason)) => {
                debug!(reason, "reading again");
                Backoff::new().wait().await;
            }
        }
    }
}

/// Resolves when a timer fires.
async fn timer(timers: &Timers, clock: &Clock) {
    let Some(due) = timers.next() else { return std::future::pending().await };
    let wait_ms = due.0.saturating_sub(clock.now().0).max(0);
    tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
}

/// Acquiring.
impl Owner {
    async fn acquire(
        context: Arc<Context>,
        membership: Arc<dyn Membership>,
        partition: LanePartition,
    ) -> Result<Self, String> {
        let progress =
            retried("acquire", partition, || context.deps.store.acquire(partition, &context.settings.owner)).await?;
        let topic = Topic::Lane(partition.lane);
        let log = &context.deps.log;
        let end = readable(partition, || log.end_offset(topic, partition.partition)).await?;
        if progress.next_offset > end {
            return Err(format!(
                "the store is ahead of the log: it has decided everything before offset {}, the log ends at {end}. \
                 The topic was wiped or this is another cluster; restore the log or start with an empty store",
                progress.next_offset
            ));
        }
        let reader = readable(partition, || membership.open(partition, progress.next_offset)).await?;
        let timers = due_timers(&context, partition).await?;
        let (publish, relay) = match context.settings.relay {
            RelayMode::External => (None, None),
            RelayMode::Worker => {
                let (sender, receiver) = mpsc::channel(RELAY_BATCHES);
                let relay = relay::run(Arc::clone(&context), partition, progress.next_outbox_seq, receiver);
                (Some(sender), Some(AbortOnDropHandle::new(tokio::spawn(relay))))
            }
        };
        info!(%partition, epoch = progress.epoch, next_offset = progress.next_offset, "acquired");
        let memory = Memory::new(partition, context.settings.cache_rows_max);
        Ok(Owner { context, membership, partition, reader, progress, memory, timers, committing: None, publish, relay })
    }
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

/// What is due in aggregates that are not in memory yet.
async fn due_timers(context: &Context, partition: LanePartition) -> Result<Timers, String> {
    let store = &context.deps.store;
    let due: Vec<(RoutingKey, LogTime)> = match partition.lane {
        Lane::Wallets => Vec::new(),
        Lane::Seats => retried("reading due holds", partition, || store.held_sections())
            .await?
            .into_iter()
            .map(|(schedule, section, due)| (RoutingKey::Section(schedule, section), due))
            .collect(),
        Lane::Queues => retried("reading live queues", partition, || store.live_queues())
            .await?
            .into_iter()
            .map(|schedule| (RoutingKey::Queue(schedule), context.deps.clock.now()))
            .collect(),
    };
    let partitions = context.deps.log.partitions().of(Topic::Lane(partition.lane));
    let mut timers = Timers::default();
    for (key, at) in due {
        if wire::routing::partition_for(&key.to_string(), partitions) == partition.partition {
            timers.set(&key, Some(at));
        }
    }
    Ok(timers)
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

/// The steps of the loop.
impl Owner {
    async fn prefetch(&mut self, decoded: &batch::Decoded, finish: &CancellationToken) -> Result<(), Ended> {
        let commands = decoded.commands();
        let mut backoff = Backoff::new();
        loop {
            match self.memory.prefetch(&*self.context.deps.store, &commands).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Failed(reason)) => return Err(Ended::Failed(format!("prefetch: {reason}"))),
                // What was taken is not decided: the next owner takes it again.
                Err(_) if finish.is_cancelled() => return Err(Ended::Finished),
                Err(error) => {
                    warn!(partition = %self.partition, %error, "prefetch is repeated until the store answers");
                    backoff.wait().await;
                }
            }
        }
    }

    fn time_bounds(&self) -> TimeBounds {
        TimeBounds { now: self.context.deps.clock.now(), tolerance_ms: self.context.settings.timestamp_tolerance_ms }
    }

    fn set_timers(&mut self, decided: &Decided) {
        for key in &decided.touched {
            self.timers.set(key, self.memory.next_due(key));
        }
    }

    fn commit(&mut self, decided: Decided) {
        let commit = commit::commit(self.context.deps.clone(), decided.commit);
        let result = AbortOnDropHandle::new(tokio::spawn(commit));
        self.committing = Some(Committing { number: decided.number, result });
    }

    /// Waits for the commit under way, if any, and publishes what it committed.
    async fn finish_commit(&mut self) -> Result<(), Stopped> {
        if self.committing.is_some() {
            let committed = committed(&mut self.committing).await?;
            self.publish(committed).await;
        }
        Ok(())
    }

    /// After the commit: hands the outbox rows to the relay and forgets what only uncommitted batches needed.
    async fn publish(&mut self, (number, batch): (u64, CommitBatch)) {
        self.memory.committed(number, batch.next_offset);
        self.membership.report(self.partition, batch.next_offset);
        let partition = self.partition.partition.to_string();
        let next_offset = i64::try_from(batch.next_offset).unwrap_or(i64::MAX);
        NEXT_OFFSET.with_label_values(&[self.partition.lane.as_str(), &partition]).set(next_offset);
        self.hand_over(batch.outbox).await;
    }

    /// Gives committed rows to the relay.
    async fn hand_over(&mut self, rows: Vec<OutboxRow>) {
        if let Some(publish) = &self.publish
            && !rows.is_empty()
            && publish.send(rows).await.is_err()
        {
            warn!(partition = %self.partition, "the relay has stopped; its rows wait in the outbox");
        }
    }

    /// Appends what is due to this very partition; the records decide. A lost one is appended again.
    fn append_due(&mut self) {
        for command in self.timers.fire(self.context.deps.clock.now(), TIMERS_AT_ONCE) {
            let record = NewRecord {
                key: command.body.routing_key().to_string().into(),
                value: wire::command::encode(&command).into(),
                headers: Vec::new(),
            };
            drop(self.context.deps.log.append(Topic::Lane(self.partition.lane), self.partition.partition, record));
        }
    }

    /// Stops the relay: at once, or after what it has under way.
    async fn let_go(mut self, gently: bool) {
        drop(self.publish.take());
        if let Some(relay) = self.relay.take()
            && gently
            && relay.await.is_err()
        {
            warn!(partition = %self.partition, "the relay failed; its rows wait in the outbox");
        }
    }
}
