//! What owners, the audit and the program itself ask of the maps.

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryStore;
use super::state::{State, rows_after};
use crate::domain::block::{self, Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{BlockKey, LanePartition, LogTime, PaymentId, ReservationId, Row, ScheduleId, UserId};
use crate::store::{
    AggregateLoads, AuditReads, AuditedStore, Captured, CommitGroup, Committed, DeadLetter, Intervention,
    Interventions, LogBinding, Outbox, OutboxRow, Ownership, Progress, RecordedLog, RequestKey, RequestRow, Retention,
    Snapshots, StateTable, StoreError, Timers,
};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl Ownership for MemoryStore {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress> {
        self.write(|state| state.acquire(partition, owner))
    }

    async fn note_end(&self, partition: LanePartition, epoch: u64, end: u64) -> Result<()> {
        self.write(|state| {
            if let Some(row) = state.progress.get_mut(&partition).filter(|row| row.progress.epoch == epoch) {
                row.taken_end = Some(end);
            }
        })
    }

    async fn progress_of(&self, partitions: &[LanePartition]) -> Result<Vec<(LanePartition, Progress)>> {
        self.read(|state| {
            let of = |partition: &LanePartition| Some((*partition, state.progress.get(partition)?.progress));
            partitions.iter().filter_map(of).collect()
        })
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>> {
        self.state().commit_group(group)
    }
}

#[async_trait]
impl AggregateLoads for MemoryStore {
    async fn load_blocks(&self, keys: &[BlockKey]) -> Result<Vec<block::Rows>> {
        self.read(|state| keys.iter().filter_map(|key| state.load_block(key)).collect())
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        self.read(|state| ids.iter().filter_map(|id| state.reservations.get(id).cloned()).collect())
    }

    async fn load_payments(&self, ids: &[PaymentId]) -> Result<Vec<Payment>> {
        self.read(|state| ids.iter().filter_map(|id| state.payments.get(id).cloned()).collect())
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>> {
        self.read(|state| users.iter().filter_map(|user| state.wallets.get(user).cloned()).collect())
    }

    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>> {
        self.read(|state| {
            let answers = state.answers.values().filter(|answer| payments.contains(&answer.payment_id));
            answers.cloned().collect()
        })
    }

    async fn load_entries(&self, causes: &[(EntryKind, Uuid)]) -> Result<Vec<Entry>> {
        self.read(|state| {
            let mut entries = Vec::new();
            for (kind, cause) in causes {
                let users = state.causes.get(&(*cause, *kind)).into_iter().flatten();
                let keys = users.map(|(user, number)| (user.clone(), *number));
                entries.extend(keys.filter_map(|key| state.entries.get(&key).cloned()));
            }
            entries
        })
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>> {
        self.read(|state| {
            let queue = state.queues.get(&schedule)?.clone();
            let live = state.tokens(schedule).filter(|token| token.state.is_live()).cloned().collect();
            Some((queue, live))
        })
    }

    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>> {
        let of = |state: &State, (of, key): &(LanePartition, RequestKey)| state.requests.get(&(*key, *of)).cloned();
        self.read(|state| keys.iter().filter_map(|key| of(state, key)).collect())
    }
}

#[async_trait]
impl Timers for MemoryStore {
    async fn due_blocks(&self, partition: u32) -> Result<Vec<(BlockKey, LogTime)>> {
        self.read(|state| {
            let here = state.blocks.values().filter(|row| row.changed.position.partition.partition == partition);
            here.filter_map(|row| Some((row.key.clone(), row.due_at?))).collect()
        })
    }

    async fn due_queues(&self, partition: u32) -> Result<Vec<(ScheduleId, LogTime)>> {
        self.read(|state| {
            let here = state.queues.values().filter(|row| row.changed.position.partition.partition == partition);
            here.filter_map(|row| Some((row.schedule_id, row.due_at?))).collect()
        })
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>> {
        self.read(|state| {
            let from = from.max(state.progress.get(&partition).map_or(0, |row| row.published_seq));
            let rows = state.outbox.range((partition, from)..=(partition, u64::MAX));
            rows.take(limit as usize).map(|(_, row)| row.clone()).collect()
        })
    }

    async fn captured(&self, _: &str) -> Result<Option<Captured>> {
        Ok(None)
    }

    async fn keep_unsent(&self, letter: &DeadLetter) -> Result<()> {
        self.write(|state| state.keep(letter))
    }
}

#[async_trait]
impl Interventions for MemoryStore {
    async fn intervene(&self, row: &Intervention) -> Result<()> {
        let mut state = self.state();
        if state.interventions.contains_key(&row.id) {
            return Err(StoreError::Failed(format!("intervention {} is stored already", row.id)));
        }
        state.interventions.insert(row.id, row.clone());
        Ok(())
    }

    async fn interventions(&self, partition: LanePartition, from: u64) -> Result<Vec<Intervention>> {
        let concerns = |row: &&Intervention| {
            row.partition == partition && row.act.offsets().is_none_or(|offsets| offsets.last >= from)
        };
        self.read(|state| state.interventions.values().filter(concerns).cloned().collect())
    }
}

#[async_trait]
impl LogBinding for MemoryStore {
    async fn recorded_log(&self) -> Result<Option<RecordedLog>> {
        self.read(|state| state.log.clone())
    }

    async fn record_log(&self, log: &RecordedLog) -> Result<()> {
        self.write(|state| {
            state.log.get_or_insert_with(|| log.clone());
        })
    }
}

#[async_trait]
impl AuditReads for MemoryStore {
    async fn state_page(&self, table: StateTable, after: Option<&Row>, limit: u32) -> Result<Vec<Row>> {
        self.read(|state| state.page(table, after, limit as usize))
    }

    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>> {
        let after = after.map(|row| (row.key, row.position.partition));
        self.read(|state| rows_after(&state.requests, after, limit as usize, |row| row.clone()))
    }
}

#[async_trait]
impl Snapshots for MemoryStore {
    async fn snapshot(&self) -> Result<Box<dyn AuditedStore>> {
        Ok(Box::new(self.copy()))
    }
}

#[async_trait]
impl Retention for MemoryStore {
    async fn forget_requests(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64> {
        self.write(|state| state.forget_requests(of, before, limit))
    }

    async fn forget_dead_letters(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64> {
        self.write(|state| state.forget_dead_letters(of, before, limit))
    }
}
