//! The owner of one partition: acquires it, then takes, decides, commits and publishes until told to stop.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::acquire::{Acquired, acquire};
use super::commit::{Backoff, Stopped};
use super::context::{Context, DRAIN, RelayMode};
use super::decider::{DecidedBatch, Decider, Limits};
use super::decode::Decoded;
use super::inbox::Inbox;
use super::intake::Intake;
use super::interventions::Interventions;
use super::lanes::LaneAggregate;
use super::portion::{NotTaken, Portion};
use super::relay;
use super::standing::{Standing, Step};
use super::timers::Timers;
use super::unpublished::Unpublished;
use crate::domain::block::Block;
use crate::domain::queue::QueueState;
use crate::domain::wallet::WalletState;
use crate::domain::{Lane, LanePartition};
use crate::log::Membership;
use crate::store::{CommitBatch, OutboxRow, Progress, StoreError};
use crate::telemetry::metrics::NEXT_OFFSET;

/// Batches of outbox rows between the loop and the relay; a relay that falls further behind stops the loop.
const RELAY_BATCHES: usize = 8;
/// A batch takes no further record once so many rows have changed: 50 holds of 100 seats. What it leaves is decided
/// while it commits.
const CHANGED_ROWS_MAX: usize = 5_000;

/// Batches of one partition under way to the store: while one is in a statement, the next is there for the next one.
const COMMITS_MAX: usize = 2;

/// Why an owner stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to; the last batch is committed.
    Finished,
    /// Its epoch is over.
    Fenced {
        epoch: u64,
    },
    /// What it decided last is to be decided again, less at once.
    NotTaken(NotTaken),
    Failed(String),
}

/// The one place that looks at the lane: all below is generic over its aggregate.
pub(super) async fn run(
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    partition: LanePartition,
    finish: CancellationToken,
    portion: &mut Portion,
) -> Ended {
    match partition.lane {
        Lane::Seats => own::<Block>(context, membership, partition, finish, portion).await,
        Lane::Wallets => own::<WalletState>(context, membership, partition, finish, portion).await,
        Lane::Queues => own::<QueueState>(context, membership, partition, finish, portion).await,
        Lane::Inbox => own::<Inbox>(context, membership, partition, finish, portion).await,
    }
}

async fn own<A: LaneAggregate>(
    context: Arc<Context>,
    membership: Arc<dyn Membership>,
    partition: LanePartition,
    finish: CancellationToken,
    portion: &mut Portion,
) -> Ended {
    let acquired = tokio::select! {
        biased;
        () = finish.cancelled() => return Ended::Finished,
        acquired = acquire::<A>(&context, &*membership, partition) => match acquired {
            Ok(acquired) => acquired,
            Err(reason) => return Ended::Failed(reason),
        },
    };
    let mut owner = Owner::new(context, membership, partition, acquired, portion);
    let ended = match owner.own(&finish).await {
        Ok(()) => owner.finish_commits().await.err().unwrap_or(Ended::Finished),
        // If a read was too much, the batches before may still be under way.
        Err(ended @ Ended::NotTaken(_)) => owner.finish_commits().await.err().unwrap_or(ended),
        Err(ended) => ended,
    };
    owner.let_go(matches!(ended, Ended::Finished | Ended::NotTaken(_))).await;
    ended
}

struct Owner<'a, A: LaneAggregate> {
    context: Arc<Context>,
    standing: Arc<Standing>,
    membership: Arc<dyn Membership>,
    partition: LanePartition,
    intake: Intake,
    /// As decided: ahead of the store by the batch that commits.
    decider: Decider<A>,
    timers: Timers<A>,
    portion: &'a mut Portion,
    /// Batches under way to the store, in order; the failure of one discards those behind it.
    committing: VecDeque<Committing>,
    /// To the relay; `None` where something else publishes the outbox.
    publish: Option<mpsc::Sender<Vec<OutboxRow>>>,
    relay: Option<AbortOnDropHandle<()>>,
    unpublished: Option<Arc<Unpublished>>,
}

struct Committing {
    number: u64,
    records: usize,
    from: u64,
    epoch: u64,
    result: oneshot::Receiver<Result<CommitBatch, Stopped>>,
}

impl<A: LaneAggregate> Owner<'_, A> {
    /// The loop. Everything else in this module is one of its steps.
    async fn own(&mut self, finish: &CancellationToken) -> Result<(), Ended> {
        let epoch = self.decider.progress().epoch;
        loop {
            // A batch for each record that comes while another commits would be many small ones: 256 clients of one wallet
            // are served by two batches in turn, each as large as the other.
            let least = self.committing.back().map_or(1, |under_way| under_way.records);
            let decoded = tokio::select! {
                biased;
                () = finish.cancelled() => return Ok(()),
                committed = committed(&mut self.committing) => {
                    self.publish(committed?).await;
                    continue;
                }
                () = self.context.committer.overtaken(self.partition, epoch) => return Err(Ended::Fenced { epoch }),
                never = self.timers.run(), if self.intake.has_caught_up() => match never {},
                decoded = self.intake.take(&mut self.decider, self.portion, least), if self.committing.len() < COMMITS_MAX => {
                    match decoded.map_err(Ended::Failed)? {
                        Some(decoded) => decoded,
                        None => continue,
                    }
                }
            };
            self.portion.trying(self.decider.progress().next_offset, decoded.items.len());
            self.prefetch(&decoded, finish).await?;
            self.standing.begin(Step::Decide);
            let decided = self.decider.decide(decoded, self.context.deps.clock.now());
            self.standing.done(Step::Decide);
            self.timers.set(&decided.touched, decided.commit.after.last_time);
            self.commit(decided).await;
        }
    }
}

/// The end of the first commit under way. Cancel-safe: it is forgotten when the result is there.
async fn committed(under_way: &mut VecDeque<Committing>) -> Result<(u64, CommitBatch), Ended> {
    let Some(first) = under_way.front_mut() else { return std::future::pending().await };
    let Committing { number, records, from, epoch, .. } = *first;
    let result = (&mut first.result).await;
    under_way.pop_front();
    let ended = match result {
        Ok(Ok(batch)) => return Ok((number, batch)),
        Ok(Err(Stopped::Fenced)) => Ended::Fenced { epoch },
        Ok(Err(Stopped::NotTaken { timed_out, reason })) => {
            let reason = format!("{records} records from offset {from}: {reason}");
            Ended::NotTaken(NotTaken { records, from, timed_out, reason })
        }
        Err(_) => Ended::Failed("the committer has stopped".to_owned()),
    };
    // What was decided on top of it is void.
    under_way.clear();
    Err(ended)
}

/// The steps of the loop.
impl<'a, A: LaneAggregate> Owner<'a, A> {
    fn new(
        context: Arc<Context>,
        membership: Arc<dyn Membership>,
        partition: LanePartition,
        acquired: Acquired<A>,
        portion: &'a mut Portion,
    ) -> Self {
        let Acquired { progress, reader, timers, end, interventions, remember } = acquired;
        let (publish, relay, unpublished) = match &context.settings.relay {
            RelayMode::External { .. } => {
                context.capture.committed(partition, progress.epoch, progress.next_outbox_seq);
                (None, None, None)
            }
            RelayMode::Worker => {
                let (sender, receiver) = mpsc::channel(RELAY_BATCHES);
                let unpublished = Arc::new(Unpublished::new(partition, progress.next_outbox_seq));
                let relay = relay::run(Arc::clone(&context), partition, progress, receiver, Arc::clone(&unpublished));
                (Some(sender), Some(AbortOnDropHandle::new(tokio::spawn(relay))), Some(unpublished))
            }
        };
        let limits = Limits { cache_rows_max: context.settings.cache_rows_max, changed_rows_max: CHANGED_ROWS_MAX };
        let mut decider = Decider::new(partition, context.deps.log.partitions(), limits, progress, remember);
        let standing = context.standings.of(partition);
        let stands_at = portion.stands_at().filter(|offset| *offset == progress.next_offset);
        *decider.interventions() = Interventions::new(interventions, end, stands_at);
        let intake = Intake::new(partition, reader, end, &context, &membership, &standing);
        let committing = VecDeque::new();
        Owner {
            context,
            standing,
            membership,
            partition,
            intake,
            decider,
            timers,
            portion,
            committing,
            publish,
            relay,
            unpublished,
        }
    }

    async fn prefetch(&mut self, decoded: &Decoded<A>, finish: &CancellationToken) -> Result<(), Ended> {
        self.standing.begin(Step::Load);
        let mut backoff = Backoff::new();
        loop {
            match self.decider.prefetch(&self.context.reads, decoded, self.portion.is_wary()).await {
                Ok(()) => {
                    self.standing.done(Step::Load);
                    return Ok(());
                }
                Err(StoreError::Failed(reason)) => return Err(self.not_read(decoded, false, &reason)),
                Err(StoreError::TimedOut(reason)) => return Err(self.not_read(decoded, true, &reason)),
                // What was taken is not decided: the next owner takes it again.
                Err(_) if finish.is_cancelled() => return Err(Ended::Finished),
                Err(error) => {
                    warn!(partition = %self.partition, %error, "prefetch is repeated until the store answers");
                    self.standing.failed(Step::Load, error);
                    backoff.wait().await;
                }
            }
        }
    }

    fn not_read(&self, decoded: &Decoded<A>, timed_out: bool, reason: &str) -> Ended {
        let records = decoded.items.len();
        let from = self.decider.progress().next_offset;
        let reason = format!("{records} records from offset {from}: prefetch: {reason}");
        Ended::NotTaken(NotTaken { records, from, timed_out, reason })
    }

    async fn commit(&mut self, decided: DecidedBatch<A::Key>) {
        let DecidedBatch { commit, records, number, .. } = decided;
        let Progress { epoch, next_offset: from, .. } = commit.before;
        self.standing.begin(Step::Commit);
        let result = self.context.committer.commit(commit).await;
        self.committing.push_back(Committing { number, records, from, epoch, result });
    }

    /// Waits for the commits under way, if any, and publishes what they committed.
    async fn finish_commits(&mut self) -> Result<(), Ended> {
        while !self.committing.is_empty() {
            let committed = committed(&mut self.committing).await?;
            self.publish(committed).await;
        }
        Ok(())
    }

    /// After the commit: hands the outbox rows to the relay and forgets what only uncommitted batches needed.
    async fn publish(&mut self, (number, batch): (u64, CommitBatch)) {
        let next_offset = batch.after.next_offset;
        self.decider.committed(number, next_offset);
        let records = usize::try_from(next_offset - batch.before.next_offset).unwrap_or(usize::MAX);
        self.portion.committed(records, self.context.settings.batch_records_max);
        match self.committing.is_empty() {
            true => self.standing.done(Step::Commit),
            false => self.standing.moved(Step::Commit),
        }
        self.standing.progressed();
        self.membership.report(self.partition, next_offset);
        if !self.decider.interventions().is_empty() {
            self.context.deps.log.resume_at(self.partition, next_offset, batch.after.last_time);
        }
        let partition = self.partition.partition.to_string();
        let next_offset = i64::try_from(next_offset).unwrap_or(i64::MAX);
        NEXT_OFFSET.with_label_values(&[self.partition.lane.as_str(), &partition]).set(next_offset);
        self.hand_over(batch.outbox).await;
    }

    /// Gives committed rows to the relay.
    async fn hand_over(&mut self, rows: Vec<OutboxRow>) {
        let Some(last) = rows.last() else { return };
        let Some(publish) = &self.publish else {
            return self.context.capture.committed(self.partition, self.decider.progress().epoch, last.seq + 1);
        };
        if let Some(unpublished) = &self.unpublished {
            unpublished.committed(last.seq + 1);
        }
        if publish.send(rows).await.is_err() {
            warn!(partition = %self.partition, "the relay has stopped; its rows wait in the outbox");
        }
    }

    /// Stops the relay: at once, or after what it has under way, if that does not take long.
    async fn let_go(mut self, gently: bool) {
        drop(self.publish.take());
        if let Some(relay) = self.relay.take()
            && gently
            && !matches!(tokio::time::timeout(DRAIN, relay).await, Ok(Ok(())))
        {
            warn!(partition = %self.partition, "the relay failed or takes too long; its rows wait in the outbox");
        }
    }
}
