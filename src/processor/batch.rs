//! One batch in the making: what its records lead to, until it is one transaction's worth of writes.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::anchor;
use super::decode::{Forward, Ordered, Stray};
use super::lanes::LaneAggregate;
use super::outbox::{Cause, Outbox, Whose};
use super::schedule::Found;
use crate::domain::{
    Arrival, Code, CommandKind, Completion, Decision, Effects, LanePartition, LogTime, Outcome, Refusal, RequestId,
    Verdict,
};
use crate::log::{Headers, Record};
use crate::store::{
    CommitBatch, DeadLetter, Decided, Intervention, Progress, RequestCompletion, RequestKey, RequestRow, RequestState,
};
use crate::telemetry::metrics::{COMMANDS_DECIDED, DEAD_LETTERS, INBOX_FORWARDED, REFUSALS, STRAYS_FORWARDED};
use crate::wire::outcome::OutcomeRecord;

/// Aggregates that commands were decided on, with the log time of the last timer's among them and what it found.
type TouchedKeys<K> = BTreeMap<K, Option<(LogTime, Found)>>;

/// What a batch has led to so far.
pub(super) struct Batch<A: LaneAggregate> {
    here: LanePartition,
    before: Progress,
    /// Past the records so far.
    after: Progress,
    changes: LastWrites<A>,
    /// Each id once.
    requests: Vec<RequestRow>,
    /// Clients' requests of this batch that wait, by their place in `requests`.
    pending: HashMap<RequestId, usize>,
    completions: Vec<RequestCompletion>,
    dead_letters: Vec<DeadLetter>,
    outbox: Outbox,
    touched: TouchedKeys<A::Key>,
    interventions: Vec<Intervention>,
    /// Commands by type and how they ended: a batch has few kinds.
    counts: Vec<(CommandKind, &'static str, u64)>,
    /// Requests that were refused, by why: a batch has few codes.
    refusals: Vec<(Code, u64)>,
}

impl<A: LaneAggregate> Batch<A> {
    pub fn new(here: LanePartition, progress: Progress) -> Self {
        Batch {
            here,
            before: progress,
            after: progress,
            changes: LastWrites::default(),
            requests: Vec::new(),
            pending: HashMap::new(),
            completions: Vec::new(),
            dead_letters: Vec::new(),
            interventions: Vec::new(),
            outbox: Outbox::new(progress.next_outbox_seq),
            touched: BTreeMap::new(),
            counts: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Moves past a record whose time is said to be this; says when it arrived: never before the record in front of it.
    /// `None`: it is skipped, so it is no anchor and its time does not count.
    pub fn next(&mut self, record: &Record, said: Option<LogTime>) -> Arrival {
        let last = self.after.last_time;
        if said.is_some() {
            self.after.anchor = Some(anchor::of(record));
        }
        self.after.last_time = said.map_or(last, |said| last.max(said));
        self.after.next_offset = record.offset + 1;
        Arrival { position: self.here.at(record.offset), time: self.after.last_time }
    }

    /// The log time of the last record so far.
    pub fn last_time(&self) -> LogTime {
        self.after.last_time
    }

    /// Commits these rows as they are now.
    pub fn apply(&mut self, rows: Vec<Intervention>) {
        self.interventions.extend(rows);
    }

    /// How many rows of state have changed.
    pub fn changed_rows(&self) -> usize {
        self.changes.rows.len()
    }

    pub fn decided(&mut self, command: Ordered<A>, decision: Decision<A>, hash: u64, at: Arrival, headers: &Headers) {
        let Decision { verdict, effects, changes, follow_ups, completes } = decision;
        self.after.state_hash ^= hash;
        changes.into_iter().for_each(|row| self.changes.put(row));
        let cause = Cause { at, headers };
        if let Some(state) = self.verdict(&command, &verdict, &effects, cause) {
            if state == RequestState::Pending {
                self.pending.insert(command.asking.request_id, self.requests.len());
            }
            self.requests.push(request_row(&command, at, state));
        }
        if let Some(completion) = completes {
            self.completed(&command, &completion, cause);
        }
        for (index, body) in follow_ups.into_iter().enumerate() {
            self.outbox.follow_up(body, index, cause);
        }
        let found = if verdict == Verdict::Nothing { Found::Nothing } else { Found::Something };
        let timer = command.is_timer().then_some((at.time, found));
        let touched = self.touched.entry(command.key).or_default();
        *touched = timer.or(*touched);
    }

    /// The outcome of a command that an operator skipped.
    pub fn skipped(&mut self, command: &Ordered<A>, headers: &Headers, at: Arrival) {
        let refusal = Err(Refusal::new(Code::SkippedByOperator, "an operator skipped it"));
        let decided = self.own_outcome(command, &refusal, &Effects::default(), Cause { at, headers });
        self.count(command, "skipped");
        self.requests.push(request_row(command, at, RequestState::Decided(decided)));
    }

    /// A request of this id no longer counts as seen, and is about to be decided anew: what this batch wrote under it,
    /// with an outage between two of its records, gives way. One row is written once.
    pub fn give_way(&mut self, key: RequestKey) {
        if let Some(place) = self.requests.iter().position(|row| row.key == key) {
            self.requests.remove(place);
            self.pending.values_mut().filter(|after| **after > place).for_each(|after| *after -= 1);
        }
        if !key.internal {
            self.pending.remove(&key.id);
            self.completions.retain(|completion| completion.request_id != key.id);
        }
    }

    /// Publishes the command's own outcome; what the request's row says, if there is one.
    fn verdict(
        &mut self,
        command: &Ordered<A>,
        verdict: &Verdict,
        effects: &Effects,
        cause: Cause<'_>,
    ) -> Option<RequestState> {
        match verdict {
            Verdict::Decided(outcome) => {
                self.count(command, if outcome.is_ok() { "succeeded" } else { "rejected" });
                Some(RequestState::Decided(self.own_outcome(command, outcome, effects, cause)))
            }
            Verdict::Pending => {
                self.count(command, "pending");
                Some(RequestState::Pending)
            }
            Verdict::Nothing => {
                self.count(command, "nothing");
                None
            }
        }
    }

    fn own_outcome(&mut self, command: &Ordered<A>, outcome: &Outcome, effects: &Effects, cause: Cause<'_>) -> Decided {
        self.count_refusal(outcome);
        let record = OutcomeRecord {
            request_id: command.asking.request_id,
            command: command.kind,
            user_id: command.user_id.as_ref(),
            by: command.asking.by.as_ref(),
            fingerprint: command.asking.fingerprint,
            schedule_id: A::routing_key(&command.key).schedule_id(),
            outcome,
            effects,
            decided: cause.at,
        };
        let answer = self.outbox.outcome(Whose::Own, &command.key_text, &record, cause);
        Decided { succeeded: outcome.is_ok(), outcome: answer, at: cause.at.time }
    }

    /// The outcome of an earlier, pending request.
    fn completed(&mut self, command: &Ordered<A>, completion: &Completion, cause: Cause<'_>) {
        let Completion { asking, command: kind, outcome } = completion;
        self.count_refusal(outcome);
        let record = OutcomeRecord {
            request_id: asking.request_id,
            command: *kind,
            user_id: command.user_id.as_ref(),
            by: asking.by.as_ref(),
            fingerprint: asking.fingerprint,
            schedule_id: A::routing_key(&command.key).schedule_id(),
            outcome,
            effects: &Effects::default(),
            decided: cause.at,
        };
        let answer = self.outbox.outcome(Whose::Earlier, &command.key_text, &record, cause);
        let decided = Decided { succeeded: outcome.is_ok(), outcome: answer, at: cause.at.time };
        match self.pending.remove(&asking.request_id) {
            // The parts of the commit's one statement do not see each other: an update would not find this row.
            Some(at) => self.requests[at].state = RequestState::Decided(decided),
            None => self.completions.push(RequestCompletion { request_id: asking.request_id, decided }),
        }
    }

    pub fn repeated(&mut self, command: &Ordered<A>) {
        self.count(command, "repeat");
    }

    /// Another command was sent under the id before; its outcome stays.
    pub fn reused(&mut self, command: &Ordered<A>, at: Arrival, headers: &Headers) {
        self.count(command, "reused");
        let refusal = Refusal::new(Code::IdempotencyKeyReused, "another command was sent under this request id");
        self.own_outcome(command, &Err(refusal), &Effects::default(), Cause { at, headers });
    }

    fn count(&mut self, command: &Ordered<A>, status: &'static str) {
        match self.counts.iter_mut().find(|(kind, ended, _)| *kind == command.kind && *ended == status) {
            Some((_, _, count)) => *count += 1,
            None => self.counts.push((command.kind, status, 1)),
        }
    }

    fn count_refusal(&mut self, outcome: &Outcome) {
        let Err(Refusal { code, .. }) = outcome else { return };
        match self.refusals.iter_mut().find(|(known, _)| known == code) {
            Some((_, count)) => *count += 1,
            None => self.refusals.push((*code, 1)),
        }
    }

    pub fn stray(&mut self, record: Record, stray: Stray, at: Arrival) {
        STRAYS_FORWARDED.with_label_values(&[self.here.lane.as_str()]).inc();
        self.outbox.stray(record, stray, &at);
    }

    pub fn forward(&mut self, forward: Forward, headers: &Headers, at: Arrival) {
        INBOX_FORWARDED.with_label_values(&[forward.kind.as_str()]).inc();
        self.outbox.forward(forward, Cause { at, headers });
    }

    pub fn dead_letter(&mut self, record: Record, reason: String, at: Arrival) {
        DEAD_LETTERS.with_label_values(&[self.here.lane.as_str()]).inc();
        tracing::warn!(position = %at.position, reason, "dead letter");
        self.outbox.dead_letter(&record, &reason, &at);
        self.dead_letters.push(DeadLetter {
            position: at.position,
            unsent_to: None,
            reason,
            key: record.key.map(|key| key.to_vec()),
            value: record.value.map(|value| value.to_vec()),
            headers: record.headers,
            at: at.time,
        });
    }

    /// The batch as it is committed, and the aggregates it touched.
    pub fn finish(self) -> (CommitBatch, TouchedKeys<A::Key>) {
        for (kind, status, count) in self.counts {
            COMMANDS_DECIDED.with_label_values(&[self.here.lane.as_str(), kind.as_str(), status]).inc_by(count);
        }
        for (code, count) in self.refusals {
            REFUSALS.with_label_values(&[self.here.lane.as_str(), code.as_str()]).inc_by(count);
        }
        let after = Progress { next_outbox_seq: self.outbox.next_seq(), ..self.after };
        let commit = CommitBatch {
            partition: self.here,
            before: self.before,
            after,
            changes: A::changes(self.changes.rows),
            requests: self.requests,
            completions: self.completions,
            outbox: self.outbox.into_rows(),
            dead_letters: self.dead_letters,
            interventions: self.interventions,
        };
        (commit, self.touched)
    }
}

fn request_row<A: LaneAggregate>(command: &Ordered<A>, at: Arrival, state: RequestState) -> RequestRow {
    RequestRow {
        key: command.request(),
        position: at.position,
        fingerprint: command.asking.fingerprint,
        command: command.kind,
        user_id: command.user_id.clone(),
        by: command.asking.by.clone(),
        state,
        at: at.time,
    }
}

/// The changed rows of a batch, each once, in order of first change: a seat sold and a counter moved a hundred times
/// are one write each.
struct LastWrites<A: LaneAggregate> {
    rows: Vec<A::Row>,
    index: HashMap<A::RowKey, usize>,
}

impl<A: LaneAggregate> Default for LastWrites<A> {
    fn default() -> Self {
        LastWrites { rows: Vec::new(), index: HashMap::new() }
    }
}

impl<A: LaneAggregate> LastWrites<A> {
    fn put(&mut self, row: A::Row) {
        match self.index.entry(A::row_key(&row)) {
            Entry::Occupied(at) => self.rows[*at.get()] = row,
            Entry::Vacant(free) => {
                free.insert(self.rows.len());
                self.rows.push(row);
            }
        }
    }
}
