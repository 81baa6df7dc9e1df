//! Owns the one partition of queues: decides by the rules, commits and publishes as the real owner does.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::super::records::{Decided, batch};
use crate::domain::queue::{self, QueueState};
use crate::domain::{
    Aggregate, Arrival, Asking, Body, Changes, Command, Lane, LanePartition, LogTime, RequestId, ScheduleId, Verdict,
};
use crate::log::{Log, NewRecord, Topic};
use crate::store::{Ownership, Progress};
use crate::testing::{FaultyStore, MemoryLog};
use crate::wire::command::{decode, encode, fingerprint};

const PLACE: LanePartition = LanePartition { lane: Lane::Queues, partition: 0 };
const TOPIC: Topic = Topic::Lane(Lane::Queues);

pub struct Owner {
    log: MemoryLog,
    store: FaultyStore,
    state: Mutex<State>,
}

struct State {
    progress: Progress,
    queues: HashMap<ScheduleId, Option<QueueState>>,
}

impl Owner {
    pub async fn new(log: MemoryLog, store: FaultyStore) -> Self {
        let progress = store.acquire(PLACE, "test").await.unwrap();
        Owner { log, store, state: Mutex::new(State { progress, queues: HashMap::new() }) }
    }

    /// Appends a command and decides everything up to it.
    pub async fn run(&self, command: queue::Command) {
        let body = Body::Queues(command);
        let key = Bytes::from(body.routing_key().to_string());
        let command = Command { request_id: RequestId(Uuid::now_v7()), by: None, body };
        let record = NewRecord { key, value: Bytes::from(encode(&command)), headers: Vec::new() };
        self.log.append(TOPIC, 0, record).await.unwrap();
        self.decide().await;
    }

    /// Decides whatever comes, for ever.
    pub async fn follow(&self) {
        loop {
            let next = self.state.lock().await.progress.next_offset;
            let mut reader = self.log.read(TOPIC, 0, next).await.unwrap();
            reader.next(1, usize::MAX).await.unwrap();
            self.decide().await;
        }
    }

    async fn decide(&self) {
        let mut state = self.state.lock().await;
        let end = self.log.end_offset(TOPIC, 0).await.unwrap();
        while state.progress.next_offset < end {
            let mut reader = self.log.read(TOPIC, 0, state.progress.next_offset).await.unwrap();
            for record in reader.next(1, usize::MAX).await.unwrap() {
                let command = decode(&record.value.unwrap()).unwrap();
                let at = Arrival { position: PLACE.at(record.offset), time: LogTime(record.timestamp.millis()) };
                self.commit(&mut state, command, at).await;
            }
        }
    }

    async fn commit(&self, state: &mut State, command: Command, at: Arrival) {
        let Body::Queues(of_queue) = &command.body else { panic!("{command:?}") };
        let queue = state.queues.entry(of_queue.schedule_id()).or_default();
        let asking =
            Asking { request_id: command.request_id, fingerprint: fingerprint(&command), by: command.by.clone() };
        let decision = QueueState::decide(queue.as_ref(), of_queue, &asking, &at);
        for row in &decision.changes {
            QueueState::apply(queue, row);
        }
        let decided = match &decision.verdict {
            Verdict::Decided(outcome) => Some(Decided::with_effects(&command, outcome, &decision.effects, at)),
            Verdict::Pending | Verdict::Nothing => None,
        };
        let requests = decided.iter().map(|decided| decided.row.clone()).collect();
        let batch = batch(PLACE, state.progress, at, Changes::Queues(decision.changes), requests);
        self.store.commit(&batch).await.unwrap();
        state.progress = batch.after;
        if let Some(decided) = decided {
            decided.publish(&self.log).await;
        }
    }
}
