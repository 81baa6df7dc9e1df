//! Owns all partitions in turn and decides as a test wants it: rows and records as the real owner makes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::wallet::{Entry, EntryKind};
use crate::domain::{Arrival, Body, Code, Command, DerivedId, EntryId, Lane, LogTime, Refusal, Success, Verdict};
use crate::log::{LanePartition, Log, NewRecord, PartitionReader, Topic};
use crate::store::{AggregateLoads, CommitBatch, Committed, RequestRow, RequestStatus, Store, lane_partitions};
use crate::testing::{FaultyStore, MemoryLog};
use crate::wire::outcome::OutcomeRecord;
use crate::wire::{decode, encode_value, fingerprint, headers, partition_for};

type Rule = Arc<dyn Fn(&Command, &Arrival) -> Verdict + Send + Sync>;

pub struct Worker {
    log: MemoryLog,
    store: FaultyStore,
    rule: Arc<Mutex<Rule>>,
    /// Commands that took effect.
    pub applied: Arc<AtomicU64>,
}

impl Worker {
    pub fn new(log: MemoryLog, store: FaultyStore) -> Self {
        let rule: Rule = Arc::new(grant);
        Worker { log, store, rule: Arc::new(Mutex::new(rule)), applied: Arc::default() }
    }

    pub fn rules(&self, rule: impl Fn(&Command, &Arrival) -> Verdict + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Arc::new(rule);
    }

    /// From now on, and from the beginning of the log.
    pub fn start(&self) {
        Lane::ALL.into_iter().for_each(|lane| self.start_lane(lane));
    }

    /// Leaves the other lanes to somebody else.
    pub fn start_lane(&self, lane: Lane) {
        for partition in lane_partitions(self.log.partitions()).filter(|partition| partition.lane == lane) {
            let worker = Worker {
                log: self.log.clone(),
                store: self.store.clone(),
                rule: self.rule.clone(),
                applied: self.applied.clone(),
            };
            tokio::spawn(async move { worker.own(partition).await });
        }
    }

    async fn own(self, partition: LanePartition) {
        let progress = self.store.acquire(partition, "test").await.unwrap();
        let mut next = progress.next_offset;
        let mut reader: Box<dyn PartitionReader> =
            self.log.read(Topic::Lane(partition.lane), partition.partition, next).await.unwrap();
        loop {
            for record in reader.next(100, 1 << 20).await.unwrap() {
                let command = decode(&record.value.unwrap()).unwrap();
                let at = Arrival { position: partition.at(record.offset), time: LogTime(record.timestamp.millis()) };
                self.decide(partition, progress.epoch, next, command, at).await;
                next = record.offset + 1;
            }
        }
    }

    async fn decide(&self, partition: LanePartition, epoch: u64, from: u64, command: Command, at: Arrival) {
        let print = fingerprint(&command.body);
        let known = self.store.load_requests(partition, &[command.request_id]).await.unwrap().pop();
        let rule = self.rule.lock().unwrap().clone();
        let verdict = match &known {
            Some(row) if row.fingerprint == print => None,
            Some(_) => Some(Verdict::Rejected(Refusal::new(Code::IdempotencyKeyReused, "another command has this id"))),
            None => Some(rule(&command, &at)),
        };
        let outcome = verdict.as_ref().filter(|verdict| **verdict != Verdict::Pending).map(|verdict| OutcomeRecord {
            request_id: command.request_id,
            command: command.body.name(),
            user_id: command.body.user_id(),
            verdict,
            decided: at,
        });
        let value = outcome.as_ref().map(encode_value);
        let mut requests = Vec::new();
        if let (None, Some(verdict)) = (&known, &verdict) {
            self.applied.fetch_add(1, Ordering::SeqCst);
            requests.push(RequestRow {
                request_id: command.request_id,
                position: at.position,
                fingerprint: print,
                command: command.body.name().to_owned(),
                user_id: command.body.user_id().cloned(),
                status: status_of(verdict),
                outcome: value.clone(),
                at: at.time,
            });
        }
        let committed = self.store.commit(&batch(partition, epoch, from, at, requests)).await.unwrap();
        assert_eq!(committed, Committed::Done);
        if let (Some(outcome), Some(value)) = (outcome, value) {
            let key = command.body.routing_key().to_string();
            let headers = headers(Uuid::now_v7(), &key, &outcome, print, None);
            let partition = partition_for(&key, self.log.partitions().of(Topic::Outcomes));
            let record = NewRecord { key: Bytes::from(key), value: Bytes::from(value), headers };
            self.log.append(Topic::Outcomes, partition, record).await.unwrap();
        }
    }
}

fn status_of(verdict: &Verdict) -> RequestStatus {
    match verdict {
        Verdict::Succeeded(_) => RequestStatus::Succeeded,
        Verdict::Rejected(_) => RequestStatus::Rejected,
        Verdict::Pending => RequestStatus::Pending,
    }
}

fn batch(
    partition: LanePartition,
    epoch: u64,
    from_offset: u64,
    at: Arrival,
    requests: Vec<RequestRow>,
) -> CommitBatch {
    CommitBatch {
        partition,
        epoch,
        from_offset,
        next_offset: at.position.offset + 1,
        last_time: at.time,
        next_outbox_seq: 0,
        state_hash: 0,
        changes: Vec::new(),
        requests,
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
    }
}

/// Grants every charge and refuses the rest.
fn grant(command: &Command, at: &Arrival) -> Verdict {
    match &command.body {
        Body::ChargeWallet(charge) => Verdict::Succeeded(Success::WalletChanged(Entry {
            id: EntryId::from(DerivedId::of(at, 0)),
            user_id: charge.user_id.clone(),
            number: 1,
            kind: EntryKind::Charge,
            amount: charge.amount,
            balance_after: charge.amount,
            reason: charge.reason.clone(),
            request_id: command.request_id,
            at: *at,
        })),
        _ => refuse(Code::InsufficientBalance),
    }
}

pub fn refuse(code: Code) -> Verdict {
    Verdict::Rejected(Refusal::new(code, "as the test wants it"))
}
