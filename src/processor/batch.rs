//! One batch: records in, one transaction's worth of writes out. Decoding and deciding; no I/O but the prefetch.

use std::collections::HashMap;

use bytes::Bytes;

use super::memory::{Memory, Seen};
use super::outbox::Outbox;
use crate::domain::decision::RowKey;
use crate::domain::{Arrival, Change, Code, Command, Decision, LogTime, Refusal, RoutingKey, Verdict};
use crate::log::{Headers, LanePartition, PartitionCounts, Record, Timestamp, Topic};
use crate::store::{CommitBatch, DeadLetter, Progress, RequestCompletion, RequestRow, RequestStatus};
use crate::telemetry::metrics::{COMMANDS_DECIDED, DEAD_LETTERS, STRAYS_FORWARDED};
use crate::wire;

/// A record goes round at most so often before it is a dead letter.
const HOPS_MAX: u32 = 3;

/// What a record turned out to be.
enum Item {
    Command {
        command: Command,
        key: RoutingKey,
        fingerprint: u64,
    },
    /// It belongs on another partition.
    Stray {
        topic: Topic,
        key: RoutingKey,
        kind: &'static str,
        hops: u32,
    },
    DeadLetter {
        reason: String,
    },
}

impl Item {
    fn command(&self) -> Option<&Command> {
        if let Item::Command { command, .. } = self { Some(command) } else { None }
    }
}

/// Records understood, not yet decided.
pub(super) struct Decoded(Vec<(Record, Item)>);

/// Sorts records into commands, strays and dead letters.
pub(super) fn decode(records: Vec<Record>, here: LanePartition, counts: &PartitionCounts) -> Decoded {
    let item = |record: Record| {
        let item = understand(&record, here, counts).unwrap_or_else(|reason| Item::DeadLetter { reason });
        (record, item)
    };
    Decoded(records.into_iter().map(item).collect())
}

fn understand(record: &Record, here: LanePartition, counts: &PartitionCounts) -> Result<Item, String> {
    let value = record.value.as_ref().ok_or("the record has no value")?;
    let command = wire::command::decode(value).map_err(|error| error.to_string())?;
    let key = command.body.routing_key();
    let topic = Topic::Lane(key.lane());
    let partition = wire::routing::partition_for(&key.to_string(), counts.of(topic));
    if key.lane() == here.lane && partition == here.partition {
        let fingerprint = wire::command::fingerprint(&command.body);
        return Ok(Item::Command { command, key, fingerprint });
    }
    let hops = wire::headers::hops(&record.headers);
    if hops >= HOPS_MAX {
        return Err(format!("forwarded {hops} times and still not on its partition {topic}.{partition}"));
    }
    Ok(Item::Stray { topic, key, kind: command.body.name(), hops: hops + 1 })
}

impl Decoded {
    pub fn commands(&self) -> Vec<&Command> {
        self.0.iter().filter_map(|(_, item)| item.command()).collect()
    }
}

/// A batch ready to commit.
pub(super) struct Decided {
    pub commit: CommitBatch,
    /// Aggregates the batch has used, whose timers may have changed.
    pub touched: Vec<RoutingKey>,
    /// Its number in [`Memory`].
    pub number: u64,
}

/// How a producer's own timestamp is taken: within `tolerance_ms` of `now`, where the log does not stamp records.
#[derive(Clone, Copy)]
pub(super) struct TimeBounds {
    pub now: LogTime,
    pub tolerance_ms: i64,
}

/// Log time: what the record says, but never before the record in front of it.
fn log_time(last: LogTime, timestamp: Timestamp, bounds: TimeBounds) -> LogTime {
    let said = match timestamp {
        Timestamp::LogAppend(ms) => ms,
        Timestamp::Create(ms) => {
            ms.clamp(bounds.now.0 - bounds.tolerance_ms, bounds.now.0.saturating_add(bounds.tolerance_ms))
        }
    };
    last.max(LogTime(said))
}

/// Decides prefetched records one after another on top of `progress`, which is moved past them.
pub(super) fn decide(
    decoded: Decoded,
    memory: &mut Memory,
    progress: &mut Progress,
    here: LanePartition,
    bounds: TimeBounds,
    number: u64,
) -> Decided {
    let mut fold = Fold {
        here,
        from_offset: progress.next_offset,
        changes: Changes::default(),
        requests: Vec::new(),
        completions: Vec::new(),
        dead_letters: Vec::new(),
        outbox: Outbox::new(progress.next_outbox_seq),
        touched: Vec::new(),
        state_hash: progress.state_hash,
    };
    for (record, item) in decoded.0 {
        progress.last_time = log_time(progress.last_time, record.timestamp, bounds);
        progress.next_offset = record.offset + 1;
        let at = Arrival { position: here.at(record.offset), time: progress.last_time };
        match item {
            Item::Command { command, key, fingerprint } => {
                fold.command(memory, &command, key, fingerprint, &record.headers, &at);
            }
            Item::Stray { topic, key, kind, hops } => fold.stray(record, topic, &key, kind, hops, &at),
            Item::DeadLetter { reason } => fold.dead_letter(record, reason, &at),
        }
    }
    progress.state_hash = fold.state_hash;
    progress.next_outbox_seq = fold.outbox.next_seq();
    fold.finish(progress, number)
}

/// What a batch has led to so far.
struct Fold {
    here: LanePartition,
    from_offset: u64,
    changes: Changes,
    requests: Vec<RequestRow>,
    completions: Vec<RequestCompletion>,
    dead_letters: Vec<DeadLetter>,
    outbox: Outbox,
    touched: Vec<RoutingKey>,
    state_hash: u64,
}

impl Fold {
    fn command(
        &mut self,
        memory: &mut Memory,
        command: &Command,
        key: RoutingKey,
        fingerprint: u64,
        headers: &Headers,
        at: &Arrival,
    ) {
        let count = |status: &str| {
            COMMANDS_DECIDED.with_label_values(&[self.here.lane.as_str(), command.body.name(), status]).inc();
        };
        match memory.recognise(command.request_id, fingerprint) {
            Seen::New => {}
            Seen::Repeat => return count("repeat"),
            Seen::Reused => {
                count("reused");
                let detail = "another command was sent under this request id";
                let verdict = Verdict::Rejected(Refusal::new(Code::IdempotencyKeyReused, detail));
                self.outbox.outcome(command, &key, fingerprint, &verdict, at, headers);
                return;
            }
        }
        let (decision, hash) = memory.decide(&key, command, at);
        self.state_hash ^= hash;
        count(match &decision.verdict {
            Verdict::Succeeded(_) => "succeeded",
            Verdict::Rejected(_) => "rejected",
            Verdict::Pending => "pending",
        });
        self.decision(command, &key, fingerprint, decision, headers, at);
        self.touched.push(key);
    }

    fn decision(
        &mut self,
        command: &Command,
        key: &RoutingKey,
        fingerprint: u64,
        decision: Decision,
        headers: &Headers,
        at: &Arrival,
    ) {
        let Decision { verdict, changes, follow_ups, completes } = decision;
        for change in changes {
            self.changes.put(change);
        }
        let outcome = match &verdict {
            Verdict::Pending => None,
            verdict => Some(self.outbox.outcome(command, key, fingerprint, verdict, at, headers)),
        };
        self.requests.push(RequestRow {
            request_id: command.request_id,
            position: at.position,
            fingerprint,
            command: command.body.name().to_owned(),
            user_id: command.body.user_id().cloned(),
            status: status(&verdict),
            outcome,
            at: at.time,
        });
        if let Some(completion) = completes {
            let outcome = self.outbox.completion(&completion, key, command.body.user_id(), at, headers);
            let (request_id, status) = (completion.request_id, status(&completion.verdict));
            self.completions.push(RequestCompletion { request_id, status, outcome });
        }
        for (index, body) in follow_ups.into_iter().enumerate() {
            self.outbox.follow_up(body, index, at, headers);
        }
    }

    fn stray(&mut self, record: Record, topic: Topic, key: &RoutingKey, kind: &str, hops: u32, at: &Arrival) {
        STRAYS_FORWARDED.with_label_values(&[self.here.lane.as_str()]).inc();
        let Record { value, headers, .. } = record;
        self.outbox.stray(topic, key, kind, value.unwrap_or_else(Bytes::new), headers, hops, at);
    }

    fn dead_letter(&mut self, record: Record, reason: String, at: &Arrival) {
        DEAD_LETTERS.with_label_values(&[self.here.lane.as_str()]).inc();
        tracing::warn!(position = %at.position, reason, "dead letter");
        self.outbox.dead_letter(&record, &reason, at);
        self.dead_letters.push(DeadLetter {
            position: at.position,
            reason,
            key: record.key.map(|key| key.to_vec()),
            value: record.value.map(|value| value.to_vec()),
            headers: record.headers,
            at: at.time,
        });
    }

    fn finish(mut self, progress: &Progress, number: u64) -> Decided {
        self.touched.sort_unstable();
        self.touched.dedup();
        let commit = CommitBatch {
            partition: self.here,
            epoch: progress.epoch,
            from_offset: self.from_offset,
            next_offset: progress.next_offset,
            last_time: progress.last_time,
            next_outbox_seq: progress.next_outbox_seq,
            state_hash: progress.state_hash,
            changes: self.changes.rows,
            requests: self.requests,
            completions: self.completions,
            outbox: self.outbox.into_rows(),
            dead_letters: self.dead_letters,
        };
        Decided { commit, touched: self.touched, number }
    }
}

fn status(verdict: &Verdict) -> RequestStatus {
    match verdict {
        Verdict::Succeeded(_) => RequestStatus::Succeeded,
        Verdict::Rejected(_) => RequestStatus::Rejected,
        Verdict::Pending => RequestStatus::Pending,
    }
}

/// The changed rows of a batch, each once, in order of first change: a seat sold and a counter moved a hundred times
/// are one write each.
#[derive(Default)]
struct Changes {
    rows: Vec<Change>,
    index: HashMap<RowKey, usize>,
}

impl Changes {
    fn put(&mut self, change: Change) {
        match self.index.entry(change.key()) {
            std::collections::hash_map::Entry::Occupied(at) => self.rows[*at.get()] = change,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(self.rows.len());
                self.rows.push(change);
            }
        }
    }
}
