//! Reads of many partitions together: rows by key are read in one statement for all partitions that wait.
//!
//! While one read of a kind is under way, what others ask for gathers; the next one reads it all. Whoever waits longest
//! reads for all. Blocks and queues are loaded whole, each by a statement of its own, and only their partition waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::domain::block::{self, Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{BlockKey, LanePartition, PaymentId, ReservationId, ScheduleId, UserId};
use crate::store::{AggregateLoads, RequestKey, RequestRow, StoreError};

/// One read takes no further partition above so many keys.
const KEYS_MAX: usize = 20_000;

type Result<T> = std::result::Result<T, StoreError>;

/// A partition's keys and where it waits for their rows.
struct Asked<K, V> {
    keys: Vec<K>,
    answer: oneshot::Sender<Result<Vec<V>>>,
}

type Load<K, V> = Box<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<V>>> + Send + Sync>;

/// The reads of one kind.
struct Gather<K, V> {
    load: Load<K, V>,
    key_of: fn(&V) -> K,
    asked: Mutex<Vec<Asked<K, V>>>,
    /// Held by who reads for all.
    reading: tokio::sync::Mutex<()>,
}

impl<K: Clone + Ord, V: Clone> Gather<K, V> {
    fn new(load: Load<K, V>, key_of: fn(&V) -> K) -> Self {
        Gather { load, key_of, asked: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    fn ask(&self, keys: &[K]) -> oneshot::Receiver<Result<Vec<V>>> {
        let (answer, answered) = oneshot::channel();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(Asked { keys: keys.to_vec(), answer });
        answered
    }

    /// Those who wait, as many as one read takes.
    fn take(&self) -> Vec<Asked<K, V>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|asked| !asked.answer.is_closed());
        let mut keys = 0;
        let end = asked.iter().position(|asked| {
            keys += asked.keys.len();
            keys > KEYS_MAX
        });
        let end = end.map_or(asked.len(), |end| end.max(1));
        asked.drain(..end).collect()
    }

    async fn read(&self, keys: &[K]) -> Result<Vec<V>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        loop {
            let mut answered = self.ask(keys);
            tokio::select! {
                biased;
                rows = &mut answered => if let Ok(rows) = rows { return rows },
                _reading = self.reading.lock() => self.read_for_all().await,
            }
            // If who read for this one was aborted, the answer is gone: once more.
            if let Ok(rows) = answered.try_recv() {
                return rows;
            }
        }
    }

    async fn read_for_all(&self) {
        let asked = self.take();
        let all: BTreeSet<K> = asked.iter().flat_map(|asked| asked.keys.iter().cloned()).collect();
        if asked.is_empty() {
            return;
        }
        match (self.load)(all.into_iter().collect()).await {
            Ok(rows) => {
                let mut by_key: BTreeMap<K, Vec<V>> = BTreeMap::new();
                rows.into_iter().for_each(|row| by_key.entry((self.key_of)(&row)).or_default().push(row));
                for Asked { keys, answer } in asked {
                    let rows = keys.iter().filter_map(|key| by_key.get(key)).flatten().cloned().collect();
                    let _ = answer.send(Ok(rows));
                }
            }
            // What fails for one is not the others' failure.
            Err(StoreError::Failed(_) | StoreError::TimedOut(_)) if asked.len() > 1 => {
                for Asked { keys, answer } in asked {
                    let _ = answer.send((self.load)(keys).await);
                }
            }
            Err(error) => asked.into_iter().for_each(|asked| drop(asked.answer.send(Err(error.clone())))),
        }
    }
}

/// The loads of a worker's partitions.
pub(super) struct Reads {
    store: Arc<dyn AggregateLoads>,
    reservations: Gather<ReservationId, Reservation>,
    payments: Gather<PaymentId, Payment>,
    wallets: Gather<UserId, Wallet>,
    answers: Gather<PaymentId, PaymentAnswer>,
    entries: Gather<(EntryKind, Uuid), Entry>,
    requests: Gather<(LanePartition, RequestKey), RequestRow>,
}

impl Reads {
    pub fn new(store: Arc<dyn AggregateLoads>) -> Self {
        macro_rules! gather {
            ($load:ident, $key_of:expr) => {{
                let store = Arc::clone(&store);
                let load = move |keys: Vec<_>| {
                    let store = Arc::clone(&store);
                    async move { store.$load(&keys).await }.boxed()
                };
                Gather::new(Box::new(load), $key_of)
            }};
        }
        Reads {
            reservations: gather!(load_reservations, |row| row.id),
            payments: gather!(load_payments, |row| row.id),
            wallets: gather!(load_wallets, |row| row.user_id.clone()),
            answers: gather!(load_answers, |row| row.payment_id),
            entries: gather!(load_entries, |row| (row.kind, row.cause)),
            requests: gather!(load_requests_of, |row| (row.position.partition, row.key)),
            store,
        }
    }
}

#[async_trait]
impl AggregateLoads for Reads {
    async fn load_blocks(&self, keys: &[BlockKey]) -> Result<Vec<block::Rows>> {
        self.store.load_blocks(keys).await
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        self.reservations.read(ids).await
    }

    async fn load_payments(&self, ids: &[PaymentId]) -> Result<Vec<Payment>> {
        self.payments.read(ids).await
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>> {
        self.wallets.read(users).await
    }

    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>> {
        self.answers.read(payments).await
    }

    async fn load_entries(&self, causes: &[(EntryKind, Uuid)]) -> Result<Vec<Entry>> {
        self.entries.read(causes).await
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>> {
        self.store.load_queue(schedule).await
    }

    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>> {
        self.requests.read(keys).await
    }
}
