//! Owns all partitions in turn and decides as a test wants it: rows and records as the real owner makes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::domain::wallet::{self, Entry, EntryKind};
use crate::domain::{
    Amount, Arrival, Balance, Body, Code, Command, DerivedId, EntryId, Lane, LanePartition, LogTime, Refusal, Verdict,
};
use crate::log::{Log, PartitionReader, Topic};
use crate::store::{AggregateLoads, Committed, Ownership, Progress, RequestKey, lane_partitions};
use crate::testing::{FaultyStore, MemoryLog};
use crate::wire::command::{decode, fingerprint};

use super::records::{Decided, batch, changes_of};

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
        let mut progress = self.store.acquire(partition, "test").await.unwrap();
        let mut reader: Box<dyn PartitionReader> =
            self.log.read(Topic::Lane(partition.lane), partition.partition, progress.next_offset).await.unwrap();
        loop {
            for record in reader.next(100, 1 << 20).await.unwrap() {
                let command = decode(&record.value.unwrap()).unwrap();
                let at = Arrival { position: partition.at(record.offset), time: LogTime(record.timestamp.millis()) };
                progress = self.decide(partition, progress, command, at).await;
            }
        }
    }

    async fn decide(&self, partition: LanePartition, before: Progress, command: Command, at: Arrival) -> Progress {
        let print = fingerprint(&command);
        let key = RequestKey { id: command.request_id, internal: command.body.is_internal() };
        let known = self.store.load_requests(partition, &[key]).await.unwrap().pop();
        let rule = self.rule.lock().unwrap().clone();
        let verdict = match &known {
            Some(row) if row.fingerprint == print => None,
            Some(_) => {
                let refusal = Refusal::new(Code::IdempotencyKeyReused, "another command has this id");
                Some(Verdict::Decided(Err(refusal)))
            }
            None => Some(rule(&command, &at)),
        };
        let decided = verdict.map(|verdict| Decided::of(&command, verdict, at));
        let mut requests = Vec::new();
        if let (None, Some(decided)) = (&known, &decided) {
            self.applied.fetch_add(1, Ordering::SeqCst);
            requests.push(decided.row.clone());
        }
        let batch = batch(partition, before, at, changes_of(partition.lane), requests);
        let after = batch.after;
        assert_eq!(self.store.commit(&batch).await.unwrap(), Committed::Done);
        if let Some(decided) = decided {
            decided.publish(&self.log).await;
        }
        after
    }
}

/// Grants every charge and refuses the rest.
fn grant(command: &Command, at: &Arrival) -> Verdict {
    match &command.body {
        Body::Wallets(wallet::Command::ChargeWallet(charge)) => {
            Verdict::Decided(Ok(wallet::Reply::WalletChanged(Entry {
                id: EntryId::from(DerivedId::of(at, 0)),
                user_id: charge.user_id.clone(),
                number: 1,
                kind: EntryKind::Charge,
                amount: Amount::movement(charge.amount).unwrap(),
                balance_after: Balance::new(charge.amount).unwrap(),
                reason: charge.reason.clone(),
                request_id: command.request_id,
                by: command.by.clone(),
                cause: command.request_id.0,
                at: *at,
            })
            .into()))
        }
        _ => refuse(Code::InsufficientBalance),
    }
}

pub fn refuse(code: Code) -> Verdict {
    Verdict::Decided(Err(Refusal::new(code, "as the test wants it")))
}
