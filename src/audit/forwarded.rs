//! Whether each record of the inbox was forwarded: its lane must have what the replay of the inbox says, as often, or the
//! outbox must still hold it.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::reading::read;
use crate::domain::{LanePartition, Position};
use crate::log::{Log, PartitionCounts, ReadError, Record, Topic};
use crate::store::{CommitBatch, Outbox, OutboxRow, StoreError};
use crate::wire::routing::partition_for;

const PAGE_ROWS: u32 = 1_000;

/// Forwards that no record was found for yet, by where it must lie and the hash of its value.
#[derive(Default)]
pub(super) struct Forwarded(HashMap<(LanePartition, u64), Vec<Position>>);

impl Forwarded {
    /// Takes in what a batch of the inbox leads to: one row a record.
    pub fn expect(&mut self, offsets: &[u64], batch: &CommitBatch, counts: &PartitionCounts) {
        for (offset, row) in offsets.iter().zip(&batch.outbox) {
            if let Some(place) = place(row, counts) {
                self.0.entry(place).or_default().push(batch.partition.at(*offset));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in records of a lane.
    pub fn found(&mut self, of: LanePartition, records: &[Record]) {
        for record in records {
            let Some(value) = record.value.as_ref().filter(|_| !self.is_empty()) else { continue };
            self.take((of, xxh3_64(value)));
        }
    }

    /// Looks behind the decided records of a lane, which end before `next`.
    pub async fn look_behind(&mut self, log: &dyn Log, of: LanePartition, mut next: u64) -> Result<(), ReadError> {
        let topic = Topic::Lane(of.lane);
        let end = log.end_offset(topic, of.partition).await?;
        if next >= end || !self.0.keys().any(|(place, _)| *place == of) {
            return Ok(());
        }
        let mut reader = log.read(topic, of.partition, next).await?;
        while next < end {
            let records = read(&mut *reader).await?;
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            self.found(of, &records);
        }
        Ok(())
    }

    /// Looks at what an inbox has not published yet.
    pub async fn look_in_outbox(
        &mut self,
        store: &(impl Outbox + ?Sized),
        of: LanePartition,
        counts: &PartitionCounts,
    ) -> Result<(), StoreError> {
        let mut from = 0;
        while !self.is_empty() {
            let rows = store.outbox(of, from, PAGE_ROWS).await?;
            let Some(last) = rows.last() else { break };
            from = last.seq + 1;
            rows.iter().filter_map(|row| place(row, counts)).for_each(|at| self.take(at));
        }
        Ok(())
    }

    /// Those that are nowhere.
    pub fn lost(self) -> impl Iterator<Item = Position> {
        self.0.into_values().flatten()
    }

    fn take(&mut self, place: (LanePartition, u64)) {
        if let Some(positions) = self.0.get_mut(&place) {
            positions.pop();
            if positions.is_empty() {
                self.0.remove(&place);
            }
        }
    }
}

/// `None`: it is a dead letter.
fn place(row: &OutboxRow, counts: &PartitionCounts) -> Option<(LanePartition, u64)> {
    let Topic::Lane(lane) = row.topic else { return None };
    let partition = partition_for(&row.key, counts.of(row.topic));
    Some((LanePartition { lane, partition }, xxh3_64(&row.payload)))
}
