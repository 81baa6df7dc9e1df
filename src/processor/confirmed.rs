//! The outbox in somebody else's hand: change data capture publishes what the database's own log says was inserted. Here
//! rows are deleted, and count as published, once the replication slot has confirmed a place behind their commits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::capture::{Marks, Outbox};
use super::context::Context;
use crate::domain::LanePartition;
use crate::runtime::health::Severity;
use crate::store::{Captured, CommitGroup, Committed, Published, Slot, StoreError};

const LOOK: Duration = Duration::from_secs(1);
/// Rows deleted by one statement, which commits of their partition wait for.
const ROWS_MAX: u64 = 5_000;
/// Name of the check.
const CHECK: &str = "outbox";
/// A slot that nobody reads for so long is shown: a connector that is restarted comes back earlier.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// Nothing is confirmed for so long, and something waits. Kafka Connect confirms once a minute unless told otherwise.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(150);

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<Context>, slot: Arc<str>) {
    let mut watch =
        Watch { context, marks: Marks::default(), read_at: Instant::now(), moved_at: Instant::now(), confirmed: 0 };
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = watch.look(&slot).await {
            debug!(%error, slot = &*slot, "how far the outbox is published is asked again");
        }
    }
}

struct Watch {
    context: Arc<Context>,
    marks: Marks,
    /// When somebody was last seen to read the slot.
    read_at: Instant,
    moved_at: Instant,
    confirmed: u64,
}

impl Watch {
    async fn look(&mut self, slot: &str) -> Result<(), StoreError> {
        let (context, now) = (Arc::clone(&self.context), Instant::now());
        self.find_first().await?;
        let unmarked = context.capture.unmarked();
        let captured = context.deps.store.captured(slot).await?;
        let end = captured.map_or(0, |captured| captured.end);
        for (partition, (epoch, marked)) in &unmarked {
            context.capture.change(*partition, *epoch, |outbox| outbox.marked = *marked);
        }
        self.marks.push(unmarked, end, now);
        let found = captured.and_then(|captured: Captured| captured.slot);
        let confirmed = self.marks.confirmed(found.map_or(0, |slot| slot.confirmed));
        let deleted = self.delete(confirmed).await;
        let pending = context.capture.show_pending();
        match self.complaint(found, pending, now) {
            None => context.deps.health.ok(CHECK),
            Some(what) => {
                let reason = format!("replication slot {slot} {what}; {pending} rows of the outbox wait");
                context.deps.health.failing(CHECK, Severity::Degraded, reason);
            }
        }
        deleted
    }

    /// Where the outboxes of partitions begin that were taken over since.
    async fn find_first(&self) -> Result<(), StoreError> {
        let capture = &self.context.capture;
        for (partition, Outbox { epoch, end, .. }) in capture.new_ones() {
            let first = self.context.deps.store.outbox(partition, 0, 1).await?.first().map(|row| row.seq);
            capture.change(partition, epoch, |outbox| match first {
                Some(first) => outbox.first = Some(first),
                // What came meanwhile is not marked yet.
                None => (outbox.first, outbox.marked) = (Some(end), end),
            });
        }
        Ok(())
    }

    /// Deletes rows before these ends, some at once. What an error leaves waits for the next mark of its partition.
    async fn delete(&self, ends: BTreeMap<LanePartition, (u64, u64)>) -> Result<(), StoreError> {
        let (capture, store) = (&self.context.capture, &self.context.deps.store);
        let mut failed = Ok(());
        for (partition, (epoch, end)) in ends {
            while let Some(first) = capture.of(partition, epoch).and_then(|outbox| outbox.first).filter(|at| *at < end)
            {
                let seqs = first..end.min(first.saturating_add(ROWS_MAX));
                let next = seqs.end;
                let published = vec![Published { partition, epoch, seqs }];
                match store.commit_group(&CommitGroup { batches: Vec::new(), published }).await {
                    Ok(answers) if answers == [Committed::Done] => {
                        capture.change(partition, epoch, |outbox| outbox.first = Some(next));
                    }
                    // It has a newer owner.
                    Ok(_) => break,
                    Err(error) => {
                        capture.change(partition, epoch, |outbox| outbox.marked = first);
                        failed = Err(error);
                        break;
                    }
                }
            }
        }
        failed
    }

    /// What an operator has to look after.
    fn complaint(&mut self, slot: Option<Slot>, pending: u64, now: Instant) -> Option<String> {
        let Some(slot) = slot else { return Some("is not there".to_owned()) };
        if slot.active {
            self.read_at = now;
        }
        if slot.confirmed != self.confirmed || self.marks.waits_since().is_none() {
            (self.confirmed, self.moved_at) = (slot.confirmed, now);
        }
        let unread = now.duration_since(self.read_at);
        let unmoved = now.duration_since(self.moved_at);
        if slot.lost {
            return Some("has lost what it has not read".to_owned());
        }
        if unread > UNREAD_MAX {
            return Some(format!("is read by nobody for {} s", unread.as_secs()));
        }
        let stands = pending > 0 && unmoved > UNCONFIRMED_MAX;
        stands.then(|| format!("has confirmed nothing for {} s", unmoved.as_secs()))
    }
}
