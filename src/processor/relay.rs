//! Publishes one partition's outbox in order of seq, pipelined; what the log has acknowledged goes with a later commit.
//!
//! At least once: a row is deleted after its acknowledgement, never before. Nothing is appended behind a row that is
//! known to have failed: everything from that row on is appended again, so that rows appear in order and repeats never
//! overtake; readers drop them by id.
//!
//! A row that the log refuses for good becomes a dead letter, published in its place, and holds up none behind it. What
//! the log does not allow (access, a missing topic) waits, visibly, until an operator has changed that.

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
use super::traces::{Traced, Traces};
use super::unpublished::Unpublished;
use super::unsent;
use crate::domain::LanePartition;
use crate::log::{AppendError, AppendFuture, Appended, NewRecord, Topic};
use crate::store::{CommitGroup, OutboxRow, Progress};
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
    unpublished: Arc<Unpublished>,
) {
    let mut relay = Relay::new(context, partition, taken.epoch, Arc::clone(&unpublished));
    let (mut from, taken_at) = (0, taken.next_outbox_seq);
    while from < taken_at {
        let backlog = relay.read_backlog(from).await;
        unpublished.published(backlog.first().map_or(taken_at, |row| row.seq).min(taken_at));
        let Some(last) = backlog.last() else { break };
        from = last.seq + 1;
        relay.publish(backlog.into_iter().filter(|row| row.seq < taken_at)).await;
    }
    unpublished.published(relay.sent.front().map_or(taken_at, |sent| sent.row.seq));
    loop {
        tokio::select! {
            biased;
            Some(ack) = relay.acks.next() => {
                relay.acknowledged(ack).await;
                relay.append_waiting().await;
            }
            more = rows.recv(), if relay.has_room() => match more {
                Some(more) => relay.publish(more.into_iter()).await,
                None => break,
            },
        }
    }
    relay.finish().await;
}

/// How often a row is refused by itself until it is a dead letter: each of these times it shared a batch with no other
/// row of this partition.
const REFUSALS_MAX: u32 = 3;

/// A row on its way to the log.
struct Sent {
    row: OutboxRow,
    fate: Fate,
    /// If its command is sampled.
    traced: Option<Traced>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not appended, under way, or to be appended again.
    Open,
    Acknowledged,
    /// Perhaps for another record of its batch: the log takes or refuses a batch whole.
    Refused,
}

type Ack = (u64, Result<Appended, AppendError>);

struct Relay {
    context: Arc<Context>,
    standing: Arc<Standing>,
    partition: LanePartition,
    epoch: u64,
    /// In order of seq, from the first on that is not acknowledged.
    sent: VecDeque<Sent>,
    /// So many of them, from the first, are appended; the others wait.
    appended: usize,
    /// Acknowledgements by seq, as they come: a failure must not wait for the row before it, since rows of other
    /// partitions would be appended behind the gap meanwhile.
    acks: FuturesUnordered<BoxFuture<'static, Ack>>,
    /// Everything before is acknowledged.
    acknowledged: u64,
    unpublished: Arc<Unpublished>,
    backoff: Backoff,
}

impl Relay {
    fn new(context: Arc<Context>, partition: LanePartition, epoch: u64, unpublished: Arc<Unpublished>) -> Self {
        let standing = context.standings.of(partition);
        Relay {
            context,
            standing,
            partition,
            epoch,
            sent: VecDeque::new(),
            appended: 0,
            acks: FuturesUnordered::new(),
            acknowledged: 0,
            unpublished,
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
        let rows: Vec<OutboxRow> = rows.collect();
        let traces = Traces::of(self.partition, &rows, &self.context.deps.clock);
        for row in rows {
            while !self.has_room()
                && let Some(ack) = self.acks.next().await
            {
                self.acknowledged(ack).await;
                self.append_waiting().await;
            }
            self.standing.begin(Step::Publish);
            let traced = traces.as_ref().and_then(|traces| traces.row(&row));
            self.sent.push_back(Sent { row, fate: Fate::Open, traced });
            self.append_waiting().await;
        }
    }

    /// Appends what waits, in order. A failure that is known goes first, also one that becomes known while the log's
    /// queue is full: it may be what makes the room.
    async fn append_waiting(&mut self) {
        loop {
            while let Some(Some(ack)) = self.acks.next().now_or_never() {
                self.acknowledged(ack).await;
            }
            let Some(Sent { row, traced, .. }) = self.sent.get(self.appended) else { return };
            let seq = row.seq;
            let mut ack = self.append(row, traced.as_ref());
            match (&mut ack).now_or_never() {
                Some(Err(error @ AppendError::Backlog)) => {
                    self.standing.failed(Step::Publish, error);
                    self.room().await;
                    continue;
                }
                Some(known) => self.acks.push(std::future::ready((seq, known)).boxed()),
                None => self.acks.push(ack.map(move |ack| (seq, ack)).boxed()),
            }
            self.appended += 1;
        }
    }

    /// Waits until another attempt is worth while: something of this partition is acknowledged or failed, or time has
    /// passed.
    async fn room(&mut self) {
        let pause = tokio::time::sleep(self.backoff.next());
        tokio::select! {
            biased;
            Some(ack) = self.acks.next() => self.acknowledged(ack).await,
            () = pause => {}
        }
    }

    fn append(&self, row: &OutboxRow, traced: Option<&Traced>) -> AppendFuture {
        let (log, clock) = (&self.context.deps.log, &self.context.deps.clock);
        let partition = self.place(row);
        let headers = row.headers.clone();
        let headers = if let Some(traced) = traced { traced.headers(headers) } else { headers };
        let record = NewRecord {
            key: row.key.clone().into_bytes().into(),
            value: row.payload.clone(),
            headers: match row.topic {
                Topic::Outcomes => wire::headers::with_committed(headers, clock.now()),
                Topic::Lane(_) | Topic::DeadLetters => headers,
            },
        };
        log.append(row.topic, partition, record)
    }

    fn place(&self, row: &OutboxRow) -> u32 {
        wire::routing::partition_for(&row.key, self.context.deps.log.partitions().of(row.topic))
    }

    /// Takes one acknowledgement. Runs to its end once begun: half of it would lose the place of a failed append.
    async fn acknowledged(&mut self, (seq, ack): Ack) {
        let error = ack.as_ref().err().cloned();
        self.note(seq, ack);
        match error {
            None => self.done_with_first(),
            Some(error) => self.failed(&error).await,
        }
    }

    /// Notes what became of a row.
    fn note(&mut self, seq: u64, ack: Result<Appended, AppendError>) {
        if let Ok(at) = self.sent.binary_search_by_key(&seq, |sent| sent.row.seq) {
            if let Ok(appended) = &ack
                && let Some(traced) = self.sent[at].traced.take()
            {
                let (row, now) = (&self.sent[at].row, self.context.deps.clock.now());
                traced.published(row, (self.place(row), appended.offset), now);
            }
            self.sent[at].fate = match ack {
                Ok(_) => Fate::Acknowledged,
                Err(AppendError::Refused(_)) => Fate::Refused,
                Err(_) => Fate::Open,
            };
        }
    }

    /// Lets go of the rows up to the first that is not acknowledged.
    fn done_with_first(&mut self) {
        while let Some(Sent { row, .. }) = self.sent.pop_front_if(|sent| sent.fate == Fate::Acknowledged) {
            self.appended = self.appended.saturating_sub(1);
            self.acknowledged = row.seq + 1;
            self.backoff = Backoff::new();
            self.standing.moved(Step::Publish);
        }
        if self.acknowledged > 0 {
            self.unpublished.published(self.acknowledged);
        }
        self.context.committer.published(self.partition, self.epoch, self.acknowledged);
        if self.sent.is_empty() {
            self.standing.done(Step::Publish);
        }
    }

    /// After a failed append: waits until nothing is under way. Then everything waits to be appended again from the first
    /// row on that is not acknowledged.
    async fn failed(&mut self, error: &AppendError) {
        warn!(partition = %self.partition, %error, rows = self.sent.len(), "publishing again");
        while let Some((seq, ack)) = self.acks.next().await {
            self.note(seq, ack);
        }
        self.done_with_first();
        if self.sent.front().is_some_and(|sent| sent.fate == Fate::Open) {
            self.wait_after(error).await;
        }
        // All that the log has refused in a row, one after another: what follows them is appended once.
        while self.sent.front().is_some_and(|sent| sent.fate == Fate::Refused) {
            self.append_alone().await;
        }
        self.sent.iter_mut().for_each(|sent| sent.fate = Fate::Open);
        self.appended = 0;
    }

    /// Appends the first row while nothing else of this partition is under way. Refused so often, it becomes a dead
    /// letter, which is published in its place.
    async fn append_alone(&mut self) {
        let Some(mut row) = self.sent.front().map(|sent| sent.row.clone()) else { return };
        let mut refusals = 0;
        loop {
            // Other partitions that suffered for the same batch try again too: not all at once.
            tokio::time::sleep(unsent::spread(self.partition, refusals)).await;
            match self.append(&row, None).await {
                Ok(_) => break,
                Err(AppendError::Refused(_)) if refusals + 1 < REFUSALS_MAX => refusals += 1,
                Err(AppendError::Refused(reason)) if row.topic == Topic::DeadLetters => {
                    warn!(partition = %self.partition, reason, "a dead letter stays in its table only");
                    break;
                }
                Err(AppendError::Refused(reason)) => {
                    row = unsent::keep(&self.context, self.partition, row, &reason).await;
                    refusals = 0;
                }
                Err(error) => self.wait_after(&error).await,
            }
        }
        if let Some(first) = self.sent.front_mut() {
            first.fate = Fate::Acknowledged;
        }
        self.done_with_first();
    }

    async fn wait_after(&mut self, error: &AppendError) {
        self.standing.failed(Step::Publish, error);
        self.backoff.wait().await;
    }

    /// Takes what is still under way. What the log does not acknowledge is the next owner's to publish.
    async fn finish(mut self) {
        while let Some((seq, ack)) = self.acks.next().await {
            // A failed row stays in the outbox, and so does what comes after it.
            self.note(seq, ack);
        }
        self.done_with_first();
        let Some(published) = self.context.committer.waiting(self.partition, self.epoch) else { return };
        let group = CommitGroup { batches: Vec::new(), published: vec![published] };
        if let Err(error) = self.context.deps.store.commit_group(&group).await {
            warn!(partition = %self.partition, %error, "the next owner publishes again what was published last");
        }
    }
}
