//! What one partition holds in memory, and the step from records to a batch. No I/O but the prefetch.

use super::aggregates::Cache;
use super::batch::{Batch, TimeBounds};
use super::decode::{Decoded, Item, Ordered};
use super::lanes::LaneAggregate;
use super::requests::{Requests, Seen};
use crate::domain::{Arrival, LanePartition, LogTime, Verdict};
use crate::log::{Headers, PartitionCounts, Record};
use crate::store::{AggregateLoads, CommitBatch, Progress, Remember, StoreError};

/// Bounds of what is kept and of what is done at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Rows of state in memory.
    pub cache_rows_max: usize,
    /// A batch takes no further record once so many rows have changed.
    pub changed_rows_max: usize,
}

/// A batch ready to commit.
pub(super) struct DecidedBatch<K> {
    pub commit: CommitBatch,
    pub records: usize,
    /// The aggregates that commands were decided on.
    pub touched: Vec<Touched<K>>,
    /// Its number.
    pub number: u64,
}

/// An aggregate after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched<K> {
    pub key: K,
    /// From when on a timer record has something to do.
    pub due: Option<LogTime>,
    /// A timer's record was decided.
    pub timer_decided: bool,
}

pub(super) struct Decider<A: LaneAggregate> {
    here: LanePartition,
    counts: PartitionCounts,
    limits: Limits,
    /// As decided: ahead of the store by what is not committed yet.
    progress: Progress,
    aggregates: Cache<A>,
    requests: Requests,
    /// The number of the next batch.
    number: u64,
    /// Records that the last batch was too full for.
    rest: Option<Decoded<A>>,
}

impl<A: LaneAggregate> Decider<A> {
    pub fn new(
        here: LanePartition,
        counts: &PartitionCounts,
        limits: Limits,
        progress: Progress,
        remember: Remember,
    ) -> Self {
        Decider {
            here,
            counts: counts.clone(),
            limits,
            progress,
            aggregates: Cache::new(limits.cache_rows_max),
            requests: Requests::new(here, remember),
            number: 1,
            rest: None,
        }
    }

    /// How far it has decided, and the state hash there.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn decode(&self, records: Vec<Record>) -> Decoded<A> {
        Decoded::of(records, self.here, &self.counts)
    }

    /// What the last batch was too full for: to be decided before any other record.
    pub fn take_rest(&mut self) -> Option<Decoded<A>> {
        self.rest.take()
    }

    /// Loads what these commands need: all reads of a batch, at most one of a kind. May be repeated if it fails.
    pub async fn prefetch(&mut self, store: &dyn AggregateLoads, decoded: &Decoded<A>) -> Result<(), StoreError> {
        self.aggregates.load(store, decoded.commands().map(|command| &command.key), self.number).await?;
        let named = decoded.commands().map(|command| (&command.key, &command.command, &command.asking));
        self.aggregates.recall(store, named).await?;
        if decoded.requests_loaded {
            return Ok(());
        }
        self.requests.load(store, decoded.commands().map(Ordered::request), self.number).await
    }

    /// Decides prefetched records one after another until the batch is full; the rest waits for
    /// [`Decider::take_rest`].
    pub fn decide(&mut self, mut decoded: Decoded<A>, bounds: TimeBounds) -> DecidedBatch<A::Key> {
        let mut batch = Batch::new(self.here, self.progress);
        let taken = decoded.items.len();
        while let Some((record, item)) = decoded.items.pop_front() {
            let at = batch.next(&record, bounds);
            match item {
                Item::Command(command) => self.command(&mut batch, *command, &record.headers, at),
                Item::Stray(stray) => batch.stray(record, stray, at),
                Item::Forward(forward) => batch.forward(forward, &record.headers, at),
                Item::DeadLetter { reason } => batch.dead_letter(record, reason, at),
            }
            if batch.changed_rows() >= self.limits.changed_rows_max {
                break;
            }
        }
        let (commit, touched) = batch.finish();
        let (number, records) = (self.number, taken - decoded.items.len());
        self.progress = commit.after;
        self.number += 1;
        self.keep(decoded);
        let touched = touched.into_iter().map(|(key, timer_decided)| {
            let due = self.aggregates.next_due(&key);
            Touched { key, due, timer_decided }
        });
        DecidedBatch { commit, records, touched: touched.collect(), number }
    }

    fn command(&mut self, batch: &mut Batch<A>, command: Ordered<A>, headers: &Headers, at: Arrival) {
        let (request, fingerprint) = (command.request(), command.asking.fingerprint);
        match self.requests.recognize(request, fingerprint, at.time) {
            Seen::New => {}
            Seen::Forgotten => batch.give_way(request),
            Seen::Repeat => return batch.repeated(&command),
            Seen::Reused => return batch.reused(&command, at, headers),
        }
        let (decision, hash) = self.aggregates.decide(&command.key, &command.command, &command.asking, &at);
        // What stores no request is not recognized either, in this batch or another: where a batch ends decides nothing.
        let decided_at = match &decision.verdict {
            Verdict::Nothing => None,
            Verdict::Pending => Some(None),
            Verdict::Decided(_) => Some(Some(at.time)),
        };
        if let Some(decided_at) = decided_at {
            self.requests.decided(request, fingerprint, decided_at, self.number);
        }
        if let Some(completion) = &decision.completes {
            self.requests.completed(completion.asking.request_id, at.time, self.number);
        }
        batch.decided(command, decision, hash, at, headers);
    }

    /// Keeps records for the next batch, and in memory what was loaded for them.
    fn keep(&mut self, mut rest: Decoded<A>) {
        if rest.items.is_empty() {
            return;
        }
        // What is absent from memory now is absent from the store, or decided by a batch that keeps it in memory: the
        // requests need not be read again.
        self.requests.keep(rest.commands().map(Ordered::request), self.number);
        rest.requests_loaded = true;
        self.aggregates.keep(rest.commands().map(|command| &command.key), self.number);
        self.rest = Some(rest);
    }

    /// Batches up to this number, so all records before `next_offset`, are committed: what only they needed may go. To
    /// be called between batches, never between a prefetch and its decisions.
    pub fn committed(&mut self, number: u64, next_offset: u64) {
        self.requests.committed(number);
        self.aggregates.committed(number, next_offset);
    }
}
