//! Reads of many partitions together: rows by key are read in one statement for all partitions that wait.
//!
//! Blocks and queues are loaded whole, each by a statement of its own, and only their partition waits.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::domain::block::{self, Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{BlockKey, LanePartition, PaymentId, ReservationId, ScheduleId, UserId};
use crate::store::gather::Gather;
use crate::store::{AggregateLoads, RequestKey, RequestRow, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

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
                Gather::new(load, $key_of, 1)
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
