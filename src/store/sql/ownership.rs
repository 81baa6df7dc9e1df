//! Who owns a partition, how far it has come, and what it has to publish.

use async_trait::async_trait;

use super::cells::Cells;
use super::dialect::{Dialect, Side, all, first, query};
use super::mapping::{queues, records, seats};
use super::tables::{self, Kind};
use super::value::{Value, bits, int, lane_partition, signed, text, time};
use crate::domain::{BlockKey, LanePartition, LogTime, ScheduleId};
use crate::store::{
    Captured, CommitBatch, CommitGroup, Committed, DeadLetter, Outbox, OutboxRow, Ownership, Progress, Published,
    StoreError, Timers,
};

const PROGRESS: &str =
    "epoch, next_offset, last_time, next_outbox_seq, state_hash, anchor_offset, anchor_time, anchor_hash";

/// Columns of [`Claim::values`].
pub(in crate::store) const CLAIM_COLUMNS: &[(&str, Kind)] = &[
    ("lane", Kind::Text),
    ("partition", Kind::Int),
    ("epoch", Kind::Int),
    ("before_offset", Kind::Int),
    ("next_offset", Kind::Int),
    ("last_time", Kind::Int),
    ("next_outbox_seq", Kind::Int),
    ("state_hash", Kind::Int),
    ("anchor_offset", Kind::Int),
    ("anchor_time", Kind::Int),
    ("anchor_hash", Kind::Int),
    ("first_seq", Kind::Int),
    ("end_seq", Kind::Int),
];

/// What a group wants of one partition's progress.
pub(in crate::store) struct Claim<'a> {
    partition: LanePartition,
    epoch: u64,
    pub batch: Option<&'a CommitBatch>,
    pub published: Option<&'a Published>,
}

/// A claim for each partition of the group: those of its batches in their order, then the others.
pub(in crate::store) fn claims(group: &CommitGroup) -> Result<Vec<Claim<'_>>, StoreError> {
    let published = |of: LanePartition, epoch: u64| {
        group.published.iter().find(|published| published.partition == of && published.epoch == epoch)
    };
    let mut claims = Vec::with_capacity(group.batches.len() + group.published.len());
    for batch in &group.batches {
        let (partition, epoch) = (batch.partition, batch.before.epoch);
        if epoch != batch.after.epoch {
            return Err(StoreError::Failed(format!("a batch of epochs {epoch} and {}", batch.after.epoch)));
        }
        claims.push(Claim { partition, epoch, batch: Some(batch), published: published(partition, epoch) });
    }
    for published in &group.published {
        if group.batches.iter().all(|batch| batch.partition != published.partition) {
            let Published { partition, epoch, .. } = *published;
            claims.push(Claim { partition, epoch, batch: None, published: Some(published) });
        }
    }
    Ok(claims)
}

impl Claim<'_> {
    /// Columns that do not change are null.
    pub fn values(&self) -> Result<[Value<'static>; 13], StoreError> {
        const NULL: Value = Value::Int(None);
        let [lane, partition] = lane_partition(self.partition);
        let [before_offset, next_offset, last_time, next_outbox_seq, state_hash] = match self.batch {
            None => [const { NULL }; 5],
            Some(CommitBatch { before, after, .. }) => [
                int(before.next_offset)?,
                int(after.next_offset)?,
                time(after.last_time),
                int(after.next_outbox_seq)?,
                bits(after.state_hash),
            ],
        };
        let anchor = self.batch.and_then(|batch| batch.after.anchor);
        let [anchor_offset, anchor_time, anchor_hash] = records::anchor_values(anchor)?;
        let [first_seq, end_seq] = match self.published {
            None => [const { NULL }; 2],
            Some(Published { seqs, .. }) => [int(seqs.start)?, int(seqs.end)?],
        };
        let epoch = int(self.epoch)?;
        Ok([
            lane,
            partition,
            epoch,
            before_offset,
            next_offset,
            last_time,
            next_outbox_seq,
            state_hash,
            anchor_offset,
            anchor_time,
            anchor_hash,
            first_seq,
            end_seq,
        ])
    }
}

#[async_trait]
impl<D: Dialect> Ownership for D {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress, StoreError> {
        let sql = format!(
            "insert into partition_progress as p \
             (lane, partition, epoch, owner, next_offset, last_time, next_outbox_seq, state_hash, published_seq, \
             taken_seq) \
             values ($1, $2, 1, $3, 0, 0, 0, 0, 0, 0) \
             on conflict (lane, partition) do update set \
             epoch = p.epoch + 1, owner = excluded.owner, taken_end = null, taken_seq = p.next_outbox_seq \
             returning {PROGRESS}"
        );
        let [lane, partition] = lane_partition(partition);
        let rows = self.write(query(sql, vec![lane, partition, text(owner)])).await?;
        first(&rows, records::progress)?.ok_or_else(|| StoreError::Failed("acquire gave no row".into()))
    }

    async fn note_end(&self, partition: LanePartition, epoch: u64, end: u64) -> Result<(), StoreError> {
        let sql = "update partition_progress set taken_end = $4 where lane = $1 and partition = $2 and epoch = $3";
        let [lane, partition] = lane_partition(partition);
        self.write(query(sql, vec![lane, partition, int(epoch)?, int(end)?])).await.map(drop)
    }

    async fn progress_of(&self, partitions: &[LanePartition]) -> Result<Vec<(LanePartition, Progress)>, StoreError> {
        // In the order in which commits lock them.
        let sql = format!(
            "select lane, partition, {PROGRESS} from partition_progress where (lane, partition) {} \
             order by lane, partition {}",
            D::IN_PARTITIONS,
            D::AFTER_COMMITS
        );
        let rows = self.read(Side::Owner, query(sql, vec![Value::Partitions(partitions.to_vec())])).await?;
        all(&rows, |row| Ok((row.lane_partition()?, records::progress(row)?)))
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        self.commit_together(group).await
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
        let sql = tables::OUTBOX.select(
            "where lane = $1 and partition = $2 and seq >= $3 and seq >= \
             (select published_seq from partition_progress where lane = $1 and partition = $2) order by seq limit $4",
        );
        let [lane, partition] = lane_partition(partition);
        let parameters = vec![lane, partition, int(from)?, signed(limit)];
        all(&self.read(Side::Owner, query(sql, parameters)).await?, records::outbox)
    }

    async fn captured(&self, slot: &str) -> Result<Option<Captured>, StoreError> {
        let Some(sql) = D::CAPTURED else { return Ok(None) };
        first(&self.read(Side::Owner, query(sql, vec![text(slot)])).await?, records::captured)
    }

    async fn keep_unsent(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let values = records::dead_letter_values(letter)?.into();
        self.write(query(tables::DEAD_LETTER.insert_one(), values)).await.map(drop)
    }
}
