//! How this room goes wrong when a fault is planted that takes more than a condition. In no product build.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Deps;
use super::commit::Stopped;
use super::memory::Memory;
use crate::domain::queue::{self, Queue, QueueState, Token};
use crate::domain::section::{self, Section};
use crate::domain::{Arrival, Body, Change, Code, Command, Decision, LogTime, RequestId, Success, Verdict};
use crate::log::LanePartition;
use crate::runtime::planted::{Fault, keep, kept, planted};
use crate::store::{CommitBatch, Committed, OutboxRow};
use crate::wire;

/// The offset first, then the rest.
pub(super) async fn commit_offset_first(deps: &Deps, batch: &CommitBatch) -> Result<CommitBatch, Stopped> {
    let offset = CommitBatch {
        changes: Vec::new(),
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
        ..batch.clone()
    };
    let rest = CommitBatch { from_offset: batch.next_offset, ..batch.clone() };
    for part in [&offset, &rest] {
        match deps.store.commit(part).await {
            Ok(Committed::Done) => {}
            _ => return Err(Stopped::Fenced),
        }
    }
    Ok(batch.clone())
}

/// The same once more, on top of whatever is there.
pub(super) async fn commit_again(deps: &Deps, batch: &CommitBatch) -> Result<CommitBatch, Stopped> {
    let Ok(Some(progress)) = deps.store.progress(batch.partition).await else { return Err(Stopped::Fenced) };
    let again = CommitBatch { from_offset: progress.next_offset, requests: Vec::new(), ..batch.clone() };
    match deps.store.commit(&again).await {
        Ok(Committed::Done) => Ok(batch.clone()),
        _ => Err(Stopped::Fenced),
    }
}

/// The decision of a section that goes by what timers have recorded, not by log time.
pub(super) fn distort(decision: Decision, section: Option<&Section>, command: &Command, at: &Arrival) -> Decision {
    let early = Arrival { time: LogTime(0), ..*at };
    let blind = || section::decide(section, command, &early);
    match (&decision.verdict, &command.body) {
        (Verdict::Succeeded(Success::Held { expired, .. }), _)
            if planted(Fault::HoldWaitsForTimer) && !expired.is_empty() =>
        {
            blind()
        }
        (Verdict::Rejected(refusal), Body::PayReservation(_))
            if planted(Fault::PayIgnoresExpiry) && refusal.code == Code::HoldExpired =>
        {
            blind()
        }
        _ => decision,
    }
}

/// The decision of a queue that counts one too few, or gives free places to nobody.
pub(super) fn decide_queue(
    decision: Decision,
    state: Option<&QueueState>,
    command: &Command,
    at: &Arrival,
) -> Decision {
    let Some(right) = state else { return decision };
    let mut wrong = right.clone();
    match &command.body {
        Body::JoinQueue(_) | Body::Tick(_) if planted(Fault::QueueOverfilled) => {
            wrong.row.limits.max_active += 1;
            wrong.row.limits.max_waiting += 1;
        }
        Body::LeaveQueue(_) | Body::CompleteToken(_) if planted(Fault::NextNotAdmitted) => wrong.row.paused = true,
        _ => return decision,
    }
    let mut decision = queue::decide(Some(&wrong), command, at);
    for change in &mut decision.changes {
        if let Change::Queue(row) = change {
            (row.limits, row.paused) = (right.row.limits.clone(), right.row.paused);
        }
    }
    decision
}

/// A queue whose next place follows on those that are live.
pub(super) fn loaded_queue((row, live): (Queue, Vec<Token>)) -> (Queue, Vec<Token>) {
    let next_sequence = live.iter().map(|token| token.sequence + 1).max().unwrap_or(1);
    let row = if planted(Fault::PlaceReused) { Queue { next_sequence, ..row } } else { row };
    (row, live)
}

/// A refund under a new id.
pub(super) fn without_key(row: &OutboxRow) -> OutboxRow {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut row = row.clone();
    if row.kind == "credit_wallet"
        && let Ok(command) = wire::command::decode(&row.payload)
    {
        let id = uuid::Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into());
        row.payload = wire::command::encode(&Command { request_id: RequestId(id), ..command });
    }
    row
}

pub(super) fn keep_memory(partition: LanePartition, memory: Memory) {
    if planted(Fault::MemoryKept) {
        keep(partition.to_string(), Box::new(memory));
    }
}

pub(super) fn kept_memory(partition: LanePartition) -> Option<Memory> {
    kept(&partition.to_string())
}
