//! The store in memory: for tests and the simulator. Same meaning as the SQL ones, nothing outlives the process.
//!
//! Clones share one state, so a "restarted" owner sees what the one before it committed. A hook may fail or delay any
//! call, which is how the simulator makes outages and commits whose answer is lost.

mod reads;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use self::state::State;
use super::{CommitBatch, Committed, OutboxRow, Progress, RecordedLog, RequestRow, StateTable, Store, StoreError};
use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Reservation, Section};
use crate::domain::wallet::Wallet;
use crate::domain::{Change, LogTime, Position, RequestId, ReservationId, ScheduleId, SectionName, UserId};
use crate::log::LanePartition;

/// What is being asked of the store, for the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Acquire(LanePartition),
    Commit(LanePartition),
    /// Any other change: outbox rows deleted, catalog, retention, log identity.
    Write,
    Read,
}

/// What the hook wants to happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Nothing is done; the answer is [`StoreError::Unavailable`].
    Unavailable,
    /// Nothing is done; the answer is [`StoreError::Unknown`].
    Lost,
    /// It is done; the answer is [`StoreError::Unknown`] nevertheless.
    Unanswered,
    /// It is done; the answer comes so much later.
    Slow(Duration),
    /// The answer is [`StoreError::Unknown`]; a commit is done so much later, whatever has happened meanwhile. Other
    /// calls are not done.
    Late(Duration),
}

/// Called before each call; may take its time.
pub type Hook = Arc<dyn Fn(Call) -> BoxFuture<'static, Fault> + Send + Sync>;

/// See the module. Cloning shares the state and the hook.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl MemoryStore {
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// From now on each call asks this hook first; `None` takes it away.
    pub fn set_hook(&self, hook: Option<Hook>) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fault(&self, call: Call) -> Fault {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match hook {
            Some(hook) => hook(call).await,
            None => Fault::None,
        }
    }

    /// Runs one call on the state, unless the hook has other plans.
    async fn run<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fault = self.fault(call).await;
        self.with(fault, work).await
    }

    async fn with<T>(
        &self,
        fault: Fault,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match fault {
            Fault::None => work(&mut self.state()),
            Fault::Unavailable => Err(StoreError::Unavailable("as the hook wants it".into())),
            Fault::Lost | Fault::Late(_) => Err(StoreError::Unknown("as the hook wants it".into())),
            Fault::Slow(by) => {
                let answer = work(&mut self.state());
                tokio::time::sleep(by).await;
                answer
            }
            Fault::Unanswered => {
                work(&mut self.state())?;
                Err(StoreError::Unknown("as the hook wants it".into()))
            }
        }
    }

    async fn read<T>(&self, work: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        self.run(Call::Read, |state| Ok(work(state))).await
    }

    async fn write<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        self.run(Call::Write, |state| Ok(work(state))).await
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress, StoreError> {
        self.run(Call::Acquire(partition), |state| Ok(state.acquire(partition, owner))).await
    }

    async fn progress(&self, partition: LanePartition) -> Result<Option<Progress>, StoreError> {
        self.read(|state| state.progress.get(&partition).map(|(progress, _)| *progress)).await
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        match self.fault(Call::Commit(batch.partition)).await {
            Fault::Late(by) => {
                let (store, batch) = (self.clone(), batch.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    store.state().commit(&batch)
                });
                Err(StoreError::Unknown("as the hook wants it".into()))
            }
            fault => self.with(fault, |state| state.commit(batch)).await,
        }
    }

    async fn load_sections(&self, keys: &[(ScheduleId, SectionName)]) -> Result<Vec<Section>, StoreError> {
        self.run(Call::Read, |state| state.load_sections(keys)).await
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        self.read(|state| ids.iter().filter_map(|id| state.reservations.get(id).cloned()).collect()).await
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        self.read(|state| users.iter().filter_map(|user| state.wallets.get(user).cloned()).collect()).await
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        self.read(|state| {
            let queue = state.queues.get(&schedule)?.clone();
            let live = state.tokens(schedule).filter(|token| token.status.is_live()).cloned().collect();
            Some((queue, live))
        })
        .await
    }

    async fn load_requests(&self, partition: LanePartition, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        self.read(|state| ids.iter().filter_map(|id| state.requests.get(&(*id, partition)).cloned()).collect()).await
    }

    async fn held_sections(&self) -> Result<Vec<(ScheduleId, SectionName, LogTime)>, StoreError> {
        self.read(State::held_sections).await
    }

    async fn live_queues(&self) -> Result<Vec<ScheduleId>, StoreError> {
        self.read(|state| {
            let has_live = |id: &&ScheduleId| state.tokens(**id).any(|token| token.status.is_live());
            state.queues.keys().filter(has_live).copied().collect()
        })
        .await
    }

    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|state| {
            let rows = state.outbox.range((partition, from)..=(partition, u64::MAX));
            rows.take(limit as usize).map(|(_, row)| row.clone()).collect()
        })
        .await
    }

    async fn delete_outbox(&self, partition: LanePartition, before: u64) -> Result<(), StoreError> {
        self.write(|state| state.outbox.retain(|(of, seq), _| *of != partition || *seq >= before)).await
    }

    async fn recorded_log(&self) -> Result<Option<RecordedLog>, StoreError> {
        self.read(|state| state.log.clone()).await
    }

    async fn record_log(&self, log: &RecordedLog) -> Result<(), StoreError> {
        self.write(|state| {
            state.log.get_or_insert_with(|| log.clone());
        })
        .await
    }

    async fn state_page(
        &self,
        table: StateTable,
        after: Option<&Change>,
        limit: u32,
    ) -> Result<Vec<Change>, StoreError> {
        self.read(|state| state.page(table, after, limit as usize)).await
    }

    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>, StoreError> {
        let after = after.map(|row| {
            let Position { lane, partition, .. } = row.position;
            (row.request_id, LanePartition { lane, partition })
        });
        self.read(|state| state::rows_after(&state.requests, after, limit as usize, |row| row.clone())).await
    }

    async fn forget_before(&self, before: LogTime, limit: u32) -> Result<u64, StoreError> {
        self.write(|state| state.forget_before(before, limit)).await
    }
}
