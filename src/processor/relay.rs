//! Publishes one partition's outbox in order of seq, pipelined; what the log has acknowledged goes with a later commit.
//!
//! At least once: a row is deleted after its acknowledgement, never before. Nothing is appended behind a row that is
//! known to have failed: everything from that row on is appended again, so that rows appear in order and repeats never
//! overtake; readers drop them by id.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tracing::warn;

use super::commit::Backoff;
use super::context::Context;
use super::standing::{Standing, Step};
use crate::domain::LanePartition;
use crate::log::{AppendError, Appended, NewRecord, Topic};
use crate::store::{CommitGroup, OutboxRow, Progress};
use crate::telemetry::metrics::OUTBOX_PENDING;
use crate::wire;

/// Rows of the backlog read at once at takeover.
const BACKLOG_ROWS: u32 = 1_000;

/// Publishes rows left by earlier owners (before the next one at `taken`), then those that come through `rows`, until that closes
/// and all is acknowledged.
pub(super) async fn run(
    context: Arc<Context>,
    partition: LanePartition,
    taken: Progress,
    mut rows: mpsc::Receiver<Vec<OutboxRow>>,
) {
    let (mut relay, taken_at) = (Relay::new(context, partition, taken.epoch), taken.next_outbox_seq);
    let mut from = 0;
    while from < taken_at {
        let backlog = relay.read_backlog(from).await;
        let Some(last) = backlog.last() else { break };
        from = last.seq + 1;
        relay.publish(backlog.into_iter().filter(|row| row.seq < taken_at)).await;
    }
    loop {
        tokio::select! {
            biased;
            Some(ack) = relay.acks.next() => relay.acknowledged(ack).await,
            more = rows.recv(), if relay.has_room() => match more {
                Some(more) => relay.publish(more.into_iter()).await,
                None => break,
            },
        }
    }
    relay.finish().await;
}

/// A row on its way to the log.
struct Sent {
    row: OutboxRow,
    acknowledged: bool,
}

type Ack = (u64, Result<Appended, AppendError>);

struct Relay {
    context: Arc<Context>,
    standing: Arc<Standing>,
    partition: LanePartition,
    epoch: u64,
    /// Appended, in order of seq, from the first on that is not acknowledged.
    sent: VecDeque<Sent>,
    /// Acknowledgements by seq, as they come: a failure must not wait for the row before it, since rows of other
    /// partitions would be appended behind the gap meanwhile.
    acks: FuturesUnordered<BoxFuture<'static, Ack>>,
    /// Everything before is acknowledged.
    acknowledged: u64,
    backoff: Backoff,
}

impl Relay {
    fn new(context: Arc<Context>, partition: LanePartition, epoch: u64) -> Self {
        let standing = context.standings.of(partition);
        Relay {
            context,
            standing,
            partition,
            epoch,
            sent: VecDeque::new(),
            acks: FuturesUnordered::new(),
            acknowledged: 0,
            backoff: Backoff::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.sent.len() < self.context.settings.relay_in_flight_max
    }

    async fn read_backlog(&mut self, from: u64) -> Vec<OutboxRow> {
        loop {
            match self.context.deps.store.outbox(self.partition, from, BACKLOG_ROWS).await {
                Ok(rows) => {
                    self.standing.done(Step::Publish);
                    self.backoff = Backoff::new();
                    return rows;
                }
                Err(error) => {
                    warn!(partition = %self.partition, %error, "the outbox cannot be read");
                    self.standing.failed(Step::Publish, error);
                    self.backoff.wait().await;
                }
            }
        }
    }

    async fn publish(&mut self, rows: impl Iterator<Item = OutboxRow>) {
        for row in rows {
            loop {
                // What failed meanwhile goes first.
                let ack = match self.acks.next().now_or_never() {
                    Some(Some(ack)) => ack,
                    _ if self.has_room() => break,
                    _ => match self.acks.next().await {
                        Some(ack) => ack,
                        None => break,
                    },
                };
                self.acknowledged(ack).await;
            }
            self.standing.begin(Step::Publish);
            self.append(&row).await;
            self.sent.push_back(Sent { row, acknowledged: false });
        }
        self.show_pending();
    }

    /// Appends one row; a log whose queue is full says so at once, and nothing may get in before this row then.
    async fn append(&mut self, row: &OutboxRow) {
        let log = Arc::clone(&self.context.deps.log);
        let partition = wire::routing::partition_for(&row.key, log.partitions().of(row.topic));
        let record = NewRecord {
            key: row.key.clone().into_bytes().into(),
            value: row.payload.clone().into(),
            headers: row.headers.clone(),
        };
        let seq = row.seq;
        loop {
            let mut ack = log.append(row.topic, partition, record.clone());
            match (&mut ack).now_or_never() {
                Some(Err(error @ AppendError::Backlog)) => {
                    self.standing.failed(Step::Publish, error);
                    self.backoff.wait().await;
                }
                Some(known) => return self.acks.push(std::future::ready((seq, known)).boxed()),
                None => return self.acks.push(ack.map(move |ack| (seq, ack)).boxed()),
            }
        }
    }

    /// Takes one acknowledgement. Runs to its end once begun: half of it would lose the place of a failed append.
    async fn acknowledged(&mut self, (seq, ack): Ack) {
        match self.judge(seq, ack) {
            Ok(()) => self.done_with_first(),
            Err(error) => self.append_again(&error).await,
        }
    }

    /// Notes what became of a row.
    fn judge(&mut self, seq: u64, ack: Result<Appended, AppendError>) -> Result<(), AppendError> {
        let Ok(at) = self.sent.binary_search_by_key(&seq, |sent| sent.row.seq) else { return Ok(()) };
        let sent = &mut self.sent[at];
        match ack {
            Ok(_) => {}
            Err(AppendError::Refused(reason)) if sent.row.topic == Topic::DeadLetters => {
                warn!(partition = %self.partition, reason, "a dead letter stays in its table only");
            }
            Err(error) => return Err(error),
        }
        sent.acknowledged = true;
        Ok(())
    }

    /// Lets go of the rows up to the first that is not acknowledged.
    fn done_with_first(&mut self) {
        while let Some(Sent { row, .. }) = self.sent.pop_front_if(|sent| sent.acknowledged) {
            self.acknowledged = row.seq + 1;
            self.backoff = Backoff::new();
            self.standing.moved(Step::Publish);
        }
        self.context.committer.published(self.partition, self.epoch, self.acknowledged);
        if self.sent.is_empty() {
            self.standing.done(Step::Publish);
            self.show_pending();
        }
    }

    /// After a failed append: waits until nothing is under way, then appends everything from the first failed row on
    /// again, until none of it is known to have failed.
    async fn append_again(&mut self, error: &AppendError) {
        warn!(partition = %self.partition, %error, rows = self.sent.len(), "publishing again");
        self.standing.failed(Step::Publish, error);
        loop {
            while let Some((seq, ack)) = self.acks.next().await {
                // Whether it failed too does not matter now.
                let _ = self.judge(seq, ack);
            }
            self.done_with_first();
            self.backoff.wait().await;
            let sent = self.append_sent().await;
            // Some of it may be acknowledged by now.
            self.done_with_first();
            if sent {
                return;
            }
        }
    }

    /// Appends what was appended once more; stops, with false, at a known failure: nothing may get in before that row.
    async fn append_sent(&mut self) -> bool {
        for at in 0..self.sent.len() {
            self.sent[at].acknowledged = false;
            let row = self.sent[at].row.clone();
            self.append(&row).await;
            while let Some(Some((seq, ack))) = self.acks.next().now_or_never() {
                if self.judge(seq, ack).is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Takes what is still under way. What the log does not acknowledge is the next owner's to publish.
    async fn finish(mut self) {
        while let Some((seq, ack)) = self.acks.next().await {
            // A failed row stays in the outbox, and so does what comes after it.
            let _ = self.judge(seq, ack);
        }
        self.done_with_first();
        let Some(published) = self.context.committer.waiting(self.partition, self.epoch) else { return };
        let group = CommitGroup { batches: Vec::new(), published: vec![published] };
        if let Err(error) = self.context.deps.store.commit_group(&group).await {
            warn!(partition = %self.partition, %error, "the next owner publishes again what was published last");
        }
    }

    fn show_pending(&self) {
        let partition = self.partition.partition.to_string();
        let pending = i64::try_from(self.sent.len()).unwrap_or(i64::MAX);
        OUTBOX_PENDING.with_label_values(&[self.partition.lane.as_str(), &partition]).set(pending);
    }
}
