//! Publishes one partition's outbox in order of seq, pipelined, and deletes what the log has acknowledged.
//!
//! At least once: a row is deleted after its acknowledgement, never before. After a failed append everything from that
//! row on is appended again, so that repeats never overtake; readers drop them by id.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::Context;
use super::commit::Backoff;
use crate::log::{AppendError, AppendFuture, Appended, LanePartition, NewRecord, Topic};
use crate::store::OutboxRow;
use crate::telemetry::metrics::OUTBOX_PENDING;
use crate::wire;

/// Rows of the backlog read at once at takeover.
const BACKLOG_ROWS: u32 = 1_000;
/// Acknowledged rows are deleted when there are so many,
const DELETE_ROWS: u64 = 1_000;
/// or so long after the first of them: a deletion is a transaction of its own, so not one a row.
const DELETE_AFTER: Duration = Duration::from_millis(50);
const DELETE_RETRY: Duration = Duration::from_secs(1);

/// Publishes rows left by earlier owners (`seq < taken_at`), then those that come through `rows`, until that closes
/// and all is acknowledged.
pub(super) async fn run(
    context: Arc<Context>,
    partition: LanePartition,
    taken_at: u64,
    mut rows: mpsc::Receiver<Vec<OutboxRow>>,
) {
    let mut relay = Relay::new(context, partition);
    let mut from = 0;
    while from < taken_at {
        let backlog = relay.read_backlog(from).await;
        let Some(last) = backlog.last() else { break };
        from = last.seq + 1;
        relay.publish(backlog.into_iter().filter(|row| row.seq < taken_at)).await;
    }
    loop {
        let due = relay.delete_at;
        tokio::select! {
            biased;
            Some(ack) = relay.acks.next() => relay.acknowledged(ack).await,
            more = rows.recv(), if relay.has_room() => match more {
                Some(more) => relay.publish(more.into_iter()).await,
                None => break,
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => relay.delete().await,
        }
    }
    relay.finish().await;
}

struct Relay {
    context: Arc<Context>,
    partition: LanePartition,
    /// Appended and not acknowledged, in order; each has its future in `acks`, unless an append failed.
    unacknowledged: VecDeque<OutboxRow>,
    acks: FuturesOrdered<AppendFuture>,
    /// Everything before is acknowledged.
    acknowledged: u64,
    /// Everything before is deleted.
    deleted: u64,
    /// When the next deletion is due, if something is to be deleted.
    delete_at: Option<Instant>,
    backoff: Backoff,
}

impl Relay {
    fn new(context: Arc<Context>, partition: LanePartition) -> Self {
        Relay {
            context,
            partition,
            unacknowledged: VecDeque::new(),
            acks: FuturesOrdered::new(),
            acknowledged: 0,
            deleted: 0,
            delete_at: None,
            backoff: Backoff::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.unacknowledged.len() < self.context.settings.relay_in_flight_max
    }

    async fn read_backlog(&mut self, from: u64) -> Vec<OutboxRow> {
        loop {
            match self.context.deps.store.outbox(self.partition, from, BACKLOG_ROWS).await {
                Ok(rows) => {
                    self.backoff = Backoff::new();
                    return rows;
                }
                Err(error) => {
                    warn!(partition = %self.partition, %error, "the outbox cannot be read");
                    self.backoff.wait().await;
                }
            }
        }
    }

    async fn publish(&mut self, rows: impl Iterator<Item = OutboxRow>) {
        for row in rows {
            while !self.has_room() {
                let Some(ack) = self.acks.next().await else { break };
                self.acknowledged(ack).await;
            }
            let ack = self.append(&row);
            self.acks.push_back(ack);
            self.unacknowledged.push_back(row);
        }
        self.show_pending();
    }

    fn append(&self, row: &OutboxRow) -> AppendFuture {
        let log = &self.context.deps.log;
        let partition = wire::routing::partition_for(&row.key, log.partitions().of(row.topic));
        let record = NewRecord {
            key: row.key.clone().into_bytes().into(),
            value: row.payload.clone().into(),
            headers: row.headers.clone(),
        };
        log.append(row.topic, partition, record)
    }

    /// Takes one acknowledgement. Runs to its end once begun: half of it would lose the place of a failed append.
    async fn acknowledged(&mut self, ack: Result<Appended, AppendError>) {
        match ack {
            Ok(_) => self.done_with_first(),
            Err(AppendError::Refused(reason)) if self.first_is_dead_letter() => {
                warn!(partition = %self.partition, reason, "a dead letter stays in its table only");
                self.done_with_first();
            }
            Err(error) => self.append_again(&error).await,
        }
        if self.acknowledged - self.deleted >= DELETE_ROWS {
            self.delete().await;
        }
    }

    fn done_with_first(&mut self) {
        if let Some(row) = self.unacknowledged.pop_front() {
            self.acknowledged = row.seq + 1;
            self.delete_at.get_or_insert_with(|| Instant::now() + DELETE_AFTER);
        }
        self.backoff = Backoff::new();
    }

    fn first_is_dead_letter(&self) -> bool {
        self.unacknowledged.front().is_some_and(|row| row.topic == Topic::DeadLetters)
    }

    /// After a failed append: waits until nothing is under way, then appends everything from the failed row on again.
    async fn append_again(&mut self, error: &AppendError) {
        warn!(partition = %self.partition, %error, rows = self.unacknowledged.len(), "publishing again");
        while self.acks.next().await.is_some() {}
        self.backoff.wait().await;
        let again: Vec<AppendFuture> = self.unacknowledged.iter().map(|row| self.append(row)).collect();
        self.acks.extend(again);
    }

    async fn delete(&mut self) {
        self.delete_at = None;
        if self.deleted < self.acknowledged {
            match self.context.deps.store.delete_outbox(self.partition, self.acknowledged).await {
                Ok(()) => self.deleted = self.acknowledged,
                Err(error) => {
                    warn!(partition = %self.partition, %error, "acknowledged outbox rows are deleted later");
                    self.delete_at = Some(Instant::now() + DELETE_RETRY);
                }
            }
        }
        self.show_pending();
    }

    /// Takes what is still under way. What the log does not acknowledge is the next owner's to publish.
    async fn finish(mut self) {
        while let Some(Ok(_)) = self.acks.next().await {
            self.done_with_first();
        }
        self.delete().await;
    }

    fn show_pending(&self) {
        let partition = self.partition.partition.to_string();
        let pending = i64::try_from(self.unacknowledged.len()).unwrap_or(i64::MAX);
        OUTBOX_PENDING.with_label_values(&[self.partition.lane.as_str(), &partition]).set(pending);
    }
}
