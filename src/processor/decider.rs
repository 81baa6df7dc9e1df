//! What one partition holds in memory, and the step from records to a batch. No I/O but the prefetch.

use super::aggregates::Cache;
use super::batch::Batch;
use super::decode::{Decoded, Item, Ordered};
use super::interventions::Interventions;
use super::lanes::LaneAggregate;
use super::log_time;
use super::requests::{Requests, Seen};
use super::schedule::Found;
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
    /// The log time of the last timer's record that was decided, and what it found.
    pub timer: Option<(LogTime, Found)>,
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
    /// Records that the last batch was too full for, or that are to be decided next.
    rest: Option<Decoded<A>>,
    interventions: Interventions,
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
            interventions: Interventions::default(),
        }
    }

    /// What operators did about records from here on.
    pub fn interventions(&mut self) -> &mut Interventions {
        &mut self.interventions
    }

    pub fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// How far it has decided, and the state hash there.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Takes records in, to be decided next: there is no rest.
    pub fn put(&mut self, records: Vec<Record>, now: LogTime) {
        let mut decoded = Decoded::of(records, self.here, &self.counts);
        decoded.skip(&mut self.interventions, now);
        self.rest = Some(decoded);
    }

    /// How many records wait to be decided next and how many bytes they are, if others may join them: nothing was read
    /// for them yet.
    pub fn may_grow(&self) -> Option<(usize, usize)> {
        let rest = self.rest.as_ref().filter(|rest| !rest.requests_loaded)?;
        Some((rest.items.len(), rest.bytes))
    }

    /// Takes in the records behind those that wait.
    pub fn add(&mut self, records: Vec<Record>, now: LogTime) {
        let waiting = self.rest.take();
        self.put(records, now);
        if let (Some(mut waiting), Some(more)) = (waiting, self.rest.take()) {
            waiting.append(more);
            self.rest = Some(waiting);
        }
    }

    /// Takes in what cannot be read of the next record, if an operator skipped it.
    pub fn put_unreadable(&mut self, now: LogTime) -> bool {
        let offset = self.progress.next_offset;
        let Some(reason) = self.interventions.skip(offset, now) else { return false };
        self.rest = Some(Decoded::unreadable(offset, reason));
        true
    }

    /// The offset of the first record to be decided next and, if it has to wait, why.
    pub fn waits(&mut self, now: LogTime) -> Option<(u64, Result<(), String>)> {
        let (record, item) = self.rest.as_ref()?.items.front()?;
        let offset = record.offset;
        let ready = match item {
            Item::Skipped { .. } => Ok(()),
            _ if self.interventions.time(offset, now).is_some() => Ok(()),
            _ => log_time::said(self.here.lane, record, now).map(drop),
        };
        Some((offset, ready))
    }

    /// Marks what an operator skipped meanwhile.
    pub fn skip_rest(&mut self, now: LogTime) {
        if let Some(rest) = &mut self.rest {
            rest.skip(&mut self.interventions, now);
        }
    }

    /// What is to be decided before any other record.
    pub fn take_rest(&mut self) -> Option<Decoded<A>> {
        self.rest.take()
    }

    /// Loads what these commands need: all reads of a batch, at most one of a kind. May be repeated if it fails.
    ///
    /// A row that the store guards by itself is looked for where a command is known to be a repeat, or if `wary`. Else
    /// its absence is assumed: hardly any movement of money is a repeat whose request row is deleted already, and to
    /// look for each would be one more index read a command. If one is, the store refuses the batch, which is then decided
    /// again warily.
    pub async fn prefetch(
        &mut self,
        store: &dyn AggregateLoads,
        decoded: &Decoded<A>,
        wary: bool,
    ) -> Result<(), StoreError> {
        let incoming: i128 = decoded.commands().map(|command| A::incoming(&command.command)).sum();
        let aggregates = async {
            self.aggregates.load(store, decoded.commands().map(|command| &command.key), self.number).await?;
            self.aggregates
                .recall(store, decoded.commands(), |state, recall| wary || !state.is_guarded(recall, incoming))
                .await
        };
        let requests = async {
            match decoded.requests_loaded {
                true => Ok(()),
                false => self.requests.load(store, decoded.requests(), self.number).await,
            }
        };
        tokio::try_join!(aggregates, requests)?;
        let repeats = decoded.commands().filter(|command| self.requests.knows(command.request()));
        self.aggregates.recall(store, repeats, |state, recall| state.is_guarded(recall, incoming)).await
    }

    /// Decides prefetched records one after another until the batch is full or one has to wait for its log time; the
    /// rest waits for [`Decider::take_rest`]. The first record does not wait any more.
    pub fn decide(&mut self, mut decoded: Decoded<A>, now: LogTime) -> DecidedBatch<A::Key> {
        let mut batch = Batch::new(self.here, self.progress);
        let taken = decoded.items.len();
        while let Some((record, item)) = decoded.items.pop_front() {
            let offset = record.offset;
            let said = match &item {
                Item::Skipped { .. } => None,
                _ => match self.said(&record, now) {
                    Err(_) if decoded.items.len() + 1 < taken => {
                        decoded.items.push_front((record, item));
                        break;
                    }
                    // It was in bounds when it was taken.
                    said => Some(said.unwrap_or(LogTime(record.timestamp.millis()))),
                },
            };
            self.requests.come_to(offset, batch.last_time());
            let at = batch.next(&record, said);
            match item {
                Item::Command(command) => self.command(&mut batch, *command, &record.headers, at),
                Item::Stray(stray) => batch.stray(record, stray, at),
                Item::Forward(forward) => batch.forward(forward, &record.headers, at),
                Item::DeadLetter { reason } => batch.dead_letter(record, reason, at),
                Item::Skipped { command, reason } => self.skipped(&mut batch, record, command, reason, at),
            }
            batch.apply(self.interventions.begun_at(offset));
            if batch.changed_rows() >= self.limits.changed_rows_max {
                break;
            }
        }
        let (commit, touched) = batch.finish();
        let (number, records) = (self.number, taken - decoded.items.len());
        self.progress = commit.after;
        self.number += 1;
        self.keep(decoded);
        let touched = touched.into_iter().map(|(key, timer)| {
            let due = self.aggregates.next_due(&key);
            Touched { key, due, timer }
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

    /// What an operator gave counts; else what the record says.
    fn said(&mut self, record: &Record, now: LogTime) -> Result<LogTime, String> {
        match self.interventions.time(record.offset, now) {
            Some(time) => Ok(time),
            None => log_time::said(self.here.lane, record, now),
        }
    }

    /// Whoever sent it gets an outcome, unless it is a repeat of what has one.
    fn skipped(
        &mut self,
        batch: &mut Batch<A>,
        record: Record,
        command: Option<Box<Ordered<A>>>,
        mut reason: String,
        at: Arrival,
    ) {
        if let Some(command) = command {
            let (request, fingerprint) = (command.request(), command.asking.fingerprint);
            let seen = self.requests.recognize(request, fingerprint, at.time);
            if seen == Seen::Forgotten {
                batch.give_way(request);
            }
            if matches!(seen, Seen::New | Seen::Forgotten) {
                self.requests.decided(request, fingerprint, Some(at.time), self.number);
                batch.skipped(&command, &record.headers, at);
            }
            if let Some(waiting) = A::waiting_for(&command.command) {
                reason = format!("{reason}; {waiting} waits for it");
            }
        }
        batch.dead_letter(record, reason, at);
    }

    /// Keeps records for the next batch, and in memory what was loaded for them.
    fn keep(&mut self, mut rest: Decoded<A>) {
        if rest.items.is_empty() {
            return;
        }
        // What is absent from memory now is absent from the store, or decided by a batch that keeps it in memory: the
        // requests need not be read again.
        self.requests.keep(rest.requests(), self.number);
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
