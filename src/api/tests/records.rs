//! Rows and records of decisions, as the real owner makes them; and dates that are open without one.

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::domain::block::{self, Block, Layout, NewSection, OpenBlock, Terms};
use crate::domain::{
    Aggregate, Amount, Arrival, Asking, BlockKey, Changes, Command, ConcertId, Effects, Fingerprint, Lane,
    LanePartition, LogTime, Outcome, RequestId, ScheduleId, Verdict,
};
use crate::log::NewRecord;
use crate::store::{
    Catalog, CommitBatch, Committed, Ownership, Progress, RequestKey, RequestRow, RequestState, Schedule,
};
use crate::wire::command::fingerprint;
use crate::wire::headers::outcome_headers;
use crate::wire::outcome::{OutcomeRecord, encode};
use crate::wire::routing::partition_for;

/// A decided command: its request's row and its record for the feed, unless it is pending.
pub struct Decided {
    pub row: RequestRow,
    record: Option<(String, NewRecord)>,
}

impl Decided {
    pub fn of(command: &Command, verdict: Verdict, at: Arrival) -> Decided {
        match verdict {
            Verdict::Decided(outcome) => Decided::with_effects(command, &outcome, &Effects::default(), at),
            Verdict::Pending | Verdict::Nothing => {
                Decided { row: row(command, RequestState::Pending, at), record: None }
            }
        }
    }

    pub fn with_effects(command: &Command, outcome: &Outcome, effects: &Effects, at: Arrival) -> Decided {
        let key = command.body.routing_key();
        let written = OutcomeRecord {
            request_id: command.request_id,
            command: command.body.kind(),
            user_id: command.body.user_id(),
            by: command.by.as_ref(),
            fingerprint: fingerprint(command),
            schedule_id: key.schedule_id(),
            outcome,
            effects,
            decided: at,
        };
        let (key, encoded) = (key.to_string(), encode(&written));
        let headers = outcome_headers(Uuid::now_v7(), &key, &written, None);
        let record = NewRecord { key: Bytes::from(key.clone()), value: Bytes::from(encoded.record), headers };
        let decided = crate::store::Decided { succeeded: outcome.is_ok(), outcome: encoded.answer, at: at.time };
        Decided { row: row(command, RequestState::Decided(decided), at), record: Some((key, record)) }
    }

    pub async fn publish(self, log: &MemoryLog) {
        let Some((key, record)) = self.record else { return };
        let partition = partition_for(&key, log.partitions().of(Topic::Outcomes));
        log.append(Topic::Outcomes, partition, record).await.unwrap();
    }
}

fn row(command: &Command, state: RequestState, at: Arrival) -> RequestRow {
    RequestRow {
        key: RequestKey { id: command.request_id, internal: command.body.is_internal() },
        position: at.position,
        fingerprint: fingerprint(command),
        command: command.body.kind(),
        user_id: command.body.user_id().cloned(),
        by: command.by.clone(),
        state,
        at: at.time,
    }
}

/// No changes of this lane.
pub fn changes_of(lane: Lane) -> Changes {
    match lane {
        Lane::Seats => Changes::Seats(Vec::new()),
        Lane::Wallets => Changes::Wallets(Vec::new()),
        Lane::Queues => Changes::Queues(Vec::new()),
        Lane::Inbox => Changes::Inbox,
    }
}

/// One decided record.
pub fn batch(
    partition: LanePartition,
    before: Progress,
    at: Arrival,
    changes: Changes,
    requests: Vec<RequestRow>,
) -> CommitBatch {
    let after = Progress { next_offset: at.position.offset + 1, last_time: at.time, ..before };
    let (completions, outbox, dead_letters, interventions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    CommitBatch { partition, before, after, changes, requests, completions, outbox, dead_letters, interventions }
}

impl Door {
    /// Rows of state that nobody decided.
    pub async fn put(&self, changes: Vec<block::Row>) {
        let partition = LanePartition { lane: Lane::Seats, partition: 0 };
        let before = self.store.acquire(partition, "test").await.unwrap();
        let at = Arrival { position: partition.at(before.next_offset), time: LogTime(0) };
        let mut batch = batch(partition, before, at, Changes::Seats(changes), Vec::new());
        batch.after = before;
        assert_eq!(self.store.commit(&batch).await.unwrap(), Committed::Done);
    }

    /// A date of the catalog with its blocks, each a name and its sections of 50 seats; its queue is not opened.
    pub async fn put_date(&self, queue: bool, blocks: &[(&str, &[&str])]) -> ScheduleId {
        let id = ScheduleId(Uuid::now_v7());
        for (name, sections) in blocks {
            self.put(open_rows(BlockKey { schedule_id: id, block: name.parse().unwrap() }, sections)).await;
        }
        let schedule = Schedule {
            id,
            concert_id: ConcertId(Uuid::now_v7()),
            starts_at: LogTime(4_000_000_000_000),
            duration_ms: None,
            hold_ttl_ms: 300_000,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            queue,
            plan: None,
            larger_plan: None,
            created_at: LogTime(0),
        };
        self.store.insert_schedule(&schedule).await.unwrap();
        id
    }
}

/// What opening a block leaves behind.
pub fn open_rows(key: BlockKey, sections: &[&str]) -> Vec<block::Row> {
    let section = |name: &&str| {
        let name = name.parse().unwrap();
        NewSection { layout: Layout::plain(50, &name, Amount::price(100).unwrap()).unwrap(), name }
    };
    let open = OpenBlock {
        key,
        user_id: "admin".parse().unwrap(),
        sections: sections.iter().map(section).collect(),
        terms: terms(),
        queue: false,
    };
    let asking = Asking { request_id: RequestId(Uuid::now_v7()), fingerprint: Fingerprint(0), by: None };
    let place = LanePartition { lane: Lane::Seats, partition: 0 };
    let at = Arrival { position: place.at(0), time: LogTime(0) };
    Block::decide(None, &block::Command::OpenBlock(open), &asking, &at).changes
}

pub fn terms() -> Terms {
    Terms {
        hold_ttl_ms: 300_000,
        rehold_after_ms: 60_000,
        payment_timeout_ms: 60_000,
        max_seats_per_user: 4,
        sales_open_at: None,
        sales_close_at: None,
        starts_at: LogTime(4_000_000_000_000),
        companions_free_at: None,
    }
}
