//! Who owns a partition, how far it has come, and what it has to publish.

use std::ops::Range;

use async_trait::async_trait;

use super::dialect::{Dialect, Query, Side, all, first, query};
use super::mapping::{queues, records, seats};
use super::tables;
use super::value::{bits, int, lane_partition, signed, text, time};
use crate::domain::{BlockKey, LanePartition, LogTime, ScheduleId};
use crate::store::{CommitBatch, Committed, Outbox, OutboxRow, Ownership, Progress, StoreError, Timers};

const PROGRESS: &str = "epoch, next_offset, last_time, next_outbox_seq, state_hash";

/// The first statement of a commit: locks the partition's row and moves it on. Not exactly one row means fenced.
/// Lane and partition are `$5` and `$6`.
const FENCE: &str = "update partition_progress \
     set next_offset = $1, last_time = $2, next_outbox_seq = $3, state_hash = $4 \
     where lane = $5 and partition = $6 and epoch = $7 and next_offset = $8";

pub(in crate::store) fn fence(batch: &CommitBatch) -> Result<Query<'static>, StoreError> {
    let (before, after) = (&batch.before, &batch.after);
    if before.epoch != after.epoch {
        return Err(StoreError::Failed(format!("a batch of epochs {} and {}", before.epoch, after.epoch)));
    }
    let [lane, partition] = lane_partition(batch.partition);
    let parameters = vec![
        int(after.next_offset)?,
        time(after.last_time),
        int(after.next_outbox_seq)?,
        bits(after.state_hash),
        lane,
        partition,
        int(before.epoch)?,
        int(before.next_offset)?,
    ];
    Ok(query(FENCE, parameters))
}

#[async_trait]
impl<D: Dialect> Ownership for D {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress, StoreError> {
        let sql = format!(
            "insert into partition_progress as p \
             (lane, partition, epoch, owner, next_offset, last_time, next_outbox_seq, state_hash) \
             values ($1, $2, 1, $3, 0, 0, 0, 0) \
             on conflict (lane, partition) do update set epoch = p.epoch + 1, owner = excluded.owner \
             returning {PROGRESS}"
        );
        let [lane, partition] = lane_partition(partition);
        let rows = self.write(query(sql, vec![lane, partition, text(owner)])).await?;
        first(&rows, records::progress)?.ok_or_else(|| StoreError::Failed("acquire gave no row".into()))
    }

    async fn progress(&self, partition: LanePartition) -> Result<Option<Progress>, StoreError> {
        let wait = D::AFTER_COMMITS;
        let sql = format!("select {PROGRESS} from partition_progress where lane = $1 and partition = $2 {wait}");
        let rows = self.read(Side::Owner, query(sql, lane_partition(partition).into())).await?;
        first(&rows, records::progress)
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        self.commit_batch(batch).await
    }
}

#[async_trait]
impl<D: Dialect> Timers for D {
    async fn due_blocks(&self, partition: u32) -> Result<Vec<(BlockKey, LogTime)>, StoreError> {
        let sql = "select schedule_id, block, due_at from block where changed_partition = $1 and due_at is not null";
        all(&self.read(Side::Owner, query(sql, vec![signed(partition)])).await?, seats::due)
    }

    async fn due_queues(&self, partition: u32) -> Result<Vec<(ScheduleId, LogTime)>, StoreError> {
        let sql = "select schedule_id, due_at from queue where changed_partition = $1 and due_at is not null";
        all(&self.read(Side::Owner, query(sql, vec![signed(partition)])).await?, queues::due)
    }
}

#[async_trait]
impl<D: Dialect> Outbox for D {
    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = tables::OUTBOX.select("where lane = $1 and partition = $2 and seq >= $3 order by seq limit $4");
        let [lane, partition] = lane_partition(partition);
        let parameters = vec![lane, partition, int(from)?, signed(limit)];
        all(&self.read(Side::Owner, query(sql, parameters)).await?, records::outbox)
    }

    async fn delete_outbox(&self, partition: LanePartition, seqs: Range<u64>) -> Result<(), StoreError> {
        let sql = "delete from outbox where lane = $1 and partition = $2 and seq >= $3 and seq < $4";
        let [lane, partition] = lane_partition(partition);
        self.write(query(sql, vec![lane, partition, int(seqs.start)?, int(seqs.end)?])).await.map(drop)
    }
}
