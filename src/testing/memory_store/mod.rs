//! The store in memory. Same meaning as the SQL ones, nothing outlives the process. Clones share one state, so a
//! "restarted" owner sees what the one before it committed.

mod reads;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::state::State;
use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Reservation, Section};
use crate::domain::wallet::Wallet;
use crate::domain::{Change, LogTime, Position, RequestId, ReservationId, ScheduleId, SectionName, UserId};
use crate::log::LanePartition;
use crate::store::{
    AggregateLoads, CommitBatch, Committed, OutboxRow, Progress, RecordedLog, RequestRow, StateTable, Store, StoreError,
};

/// See the module. Cloning shares the state.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    pub fn new() -> Self {
        MemoryStore::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, work: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        Ok(work(&self.state()))
    }

    fn write<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        Ok(work(&mut self.state()))
    }
}

#[async_trait]
impl AggregateLoads for MemoryStore {
    async fn load_sections(&self, keys: &[(ScheduleId, SectionName)]) -> Result<Vec<Section>, StoreError> {
        self.state().load_sections(keys)
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        self.read(|state| ids.iter().filter_map(|id| state.reservations.get(id).cloned()).collect())
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        self.read(|state| users.iter().filter_map(|user| state.wallets.get(user).cloned()).collect())
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        self.read(|state| {
            let queue = state.queues.get(&schedule)?.clone();
            let live = state.tokens(schedule).filter(|token| token.status.is_live()).cloned().collect();
            Some((queue, live))
        })
    }

    async fn load_requests(&self, partition: LanePartition, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        self.read(|state| ids.iter().filter_map(|id| state.requests.get(&(*id, partition)).cloned()).collect())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress, StoreError> {
        self.write(|state| state.acquire(partition, owner))
    }

    async fn progress(&self, partition: LanePartition) -> Result<Option<Progress>, StoreError> {
        self.read(|state| state.progress.get(&partition).map(|(progress, _)| *progress))
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        self.state().commit(batch)
    }

    async fn held_sections(&self) -> Result<Vec<(ScheduleId, SectionName, LogTime)>, StoreError> {
        self.read(State::held_sections)
    }

    async fn live_queues(&self) -> Result<Vec<ScheduleId>, StoreError> {
        self.read(|state| {
            let has_live = |id: &&ScheduleId| state.tokens(**id).any(|token| token.status.is_live());
            state.queues.keys().filter(has_live).copied().collect()
        })
    }

    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|state| {
            let rows = state.outbox.range((partition, from)..=(partition, u64::MAX));
            rows.take(limit as usize).map(|(_, row)| row.clone()).collect()
        })
    }

    async fn delete_outbox(&self, partition: LanePartition, before: u64) -> Result<(), StoreError> {
        self.write(|state| state.outbox.retain(|(of, seq), _| *of != partition || *seq >= before))
    }

    async fn recorded_log(&self) -> Result<Option<RecordedLog>, StoreError> {
        self.read(|state| state.log.clone())
    }

    async fn record_log(&self, log: &RecordedLog) -> Result<(), StoreError> {
        self.write(|state| {
            state.log.get_or_insert_with(|| log.clone());
        })
    }

    async fn state_page(
        &self,
        table: StateTable,
        after: Option<&Change>,
        limit: u32,
    ) -> Result<Vec<Change>, StoreError> {
        self.read(|state| state.page(table, after, limit as usize))
    }

    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>, StoreError> {
        let after = after.map(|row| {
            let Position { lane, partition, .. } = row.position;
            (row.request_id, LanePartition { lane, partition })
        });
        self.read(|state| state::rows_after(&state.requests, after, limit as usize, |row| row.clone()))
    }

    async fn forget_before(&self, before: LogTime, limit: u32) -> Result<u64, StoreError> {
        self.write(|state| state.forget_before(before, limit))
    }
}
