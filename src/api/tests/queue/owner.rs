//! Owns the one partition of queues: decides by the rules, commits and publishes as the real owner does.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::queue::{QueueState, apply, decide};
use crate::domain::{Arrival, Body, Command, Lane, LogTime, RequestId, ScheduleId, Verdict};
use crate::log::{LanePartition, Log, NewRecord, Topic};
use crate::store::{CommitBatch, RequestRow, RequestStatus, Store};
use crate::testing::{FaultyStore, MemoryLog};
use crate::wire::outcome::OutcomeRecord;
use crate::wire::{decode, encode, encode_value, fingerprint, headers, partition_for};

const PLACE: LanePartition = LanePartition { lane: Lane::Queues, partition: 0 };
const TOPIC: Topic = Topic::Lane(Lane::Queues);

pub struct Owner {
    log: MemoryLog,
    store: FaultyStore,
    state: Mutex<State>,
}

struct State {
    epoch: u64,
    next: u64,
    queues: HashMap<ScheduleId, Option<QueueState>>,
}

impl Owner {
    pub async fn new(log: MemoryLog, store: FaultyStore) -> Self {
        let epoch = store.acquire(PLACE, "test").await.unwrap().epoch;
        Owner { log, store, state: Mutex::new(State { epoch, next: 0, queues: HashMap::new() }) }
    }

    /// Appends a command of the program's own and decides everything up to it.
    pub async fn run(&self, body: Body) {
        let key = Bytes::from(body.routing_key().to_string());
        let command = Command { request_id: RequestId(Uuid::now_v7()), body };
        let record = NewRecord { key, value: Bytes::from(encode(&command)), headers: Vec::new() };
        self.log.append(TOPIC, 0, record).await.unwrap();
        self.decide().await;
    }

    /// Decides whatever comes, for ever.
    pub async fn follow(&self) {
        loop {
            let next = self.state.lock().await.next;
            let mut reader = self.log.read(TOPIC, 0, next).await.unwrap();
            reader.next(1, usize::MAX).await.unwrap();
            self.decide().await;
        }
    }

    async fn decide(&self) {
        let mut state = self.state.lock().await;
        let end = self.log.end_offset(TOPIC, 0).await.unwrap();
        while state.next < end {
            let mut reader = self.log.read(TOPIC, 0, state.next).await.unwrap();
            for record in reader.next(1, usize::MAX).await.unwrap() {
                let command = decode(&record.value.unwrap()).unwrap();
                let at = Arrival { position: PLACE.at(record.offset), time: LogTime(record.timestamp.millis()) };
                self.commit(&mut state, command, at).await;
            }
        }
    }

    async fn commit(&self, state: &mut State, command: Command, at: Arrival) {
        let key = command.body.routing_key().to_string();
        let schedule = ScheduleId(key.parse().unwrap());
        let queue = state.queues.entry(schedule).or_default();
        let decision = decide(queue.as_ref(), &command, &at);
        for change in &decision.changes {
            apply(queue, change);
        }
        let print = fingerprint(&command.body);
        let outcome = OutcomeRecord {
            request_id: command.request_id,
            command: command.body.name(),
            user_id: command.body.user_id(),
            verdict: &decision.verdict,
            decided: at,
        };
        let value = encode_value(&outcome);
        let succeeded = matches!(decision.verdict, Verdict::Succeeded(_));
        let request = RequestRow {
            request_id: command.request_id,
            position: at.position,
            fingerprint: print,
            command: command.body.name().to_owned(),
            user_id: command.body.user_id().cloned(),
            status: if succeeded { RequestStatus::Succeeded } else { RequestStatus::Rejected },
            outcome: Some(value.clone()),
            at: at.time,
        };
        let batch = CommitBatch {
            partition: PLACE,
            epoch: state.epoch,
            from_offset: state.next,
            next_offset: at.position.offset + 1,
            last_time: at.time,
            next_outbox_seq: 0,
            state_hash: 0,
            changes: decision.changes.clone(),
            requests: vec![request],
            completions: Vec::new(),
            outbox: Vec::new(),
            dead_letters: Vec::new(),
        };
        self.store.commit(&batch).await.unwrap();
        state.next = at.position.offset + 1;
        let headers = headers(Uuid::now_v7(), &key, &outcome, print, None);
        let partition = partition_for(&key, self.log.partitions().of(Topic::Outcomes));
        let record = NewRecord { key: Bytes::from(key), value: Bytes::from(value), headers };
        self.log.append(Topic::Outcomes, partition, record).await.unwrap();
    }
}
