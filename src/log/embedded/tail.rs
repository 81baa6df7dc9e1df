//! The part of a partition kept in memory: its ends and its newest records.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;
use tokio::sync::watch;

use crate::log::{Record, Topic, batch_within};
use crate::telemetry::metrics::LOG_END_OFFSET;

/// Estimated overhead of a record in memory.
const RECORD_OVERHEAD_BYTES: usize = 160;

/// The end of a partition, as its readers see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub next_offset: u64,
    /// The log was closed: no more records will come.
    pub closed: bool,
}

pub(super) struct Partition {
    first_offset: AtomicU64,
    /// Readers at the end wait for a change.
    pub end: watch::Sender<End>,
    tail: Mutex<Tail>,
    tail_bytes_max: usize,
    /// The end as a metric.
    end_gauge: IntGauge,
}

/// The newest records, contiguous to the end. Readers that keep up never touch SQLite.
#[derive(Default)]
struct Tail {
    chunks: VecDeque<Arc<[Record]>>,
    bytes: usize,
}

impl Partition {
    pub(super) fn new(topic: Topic, number: u32, first_offset: u64, next_offset: u64, tail_bytes_max: usize) -> Self {
        let partition = Partition {
            first_offset: AtomicU64::new(first_offset),
            end: watch::Sender::new(End { next_offset: 0, closed: false }),
            tail: Mutex::default(),
            tail_bytes_max,
            end_gauge: LOG_END_OFFSET.with_label_values(&[topic.as_str(), &number.to_string()]),
        };
        partition.set_end(next_offset);
        partition
    }

    fn set_end(&self, next_offset: u64) {
        self.end.send_modify(|end| end.next_offset = next_offset);
        self.end_gauge.set(next_offset.cast_signed());
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn first_offset(&self) -> u64 {
        self.first_offset.load(Ordering::Acquire)
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.end.borrow().next_offset
    }

    /// Makes durable records visible to readers.
    pub(super) fn publish(&self, records: Arc<[Record]>) {
        let Some(last) = records.last() else { return };
        let next_offset = last.offset + 1;
        self.tail().push(records, self.tail_bytes_max);
        self.set_end(next_offset);
    }

    /// Sets the end that the file has, read again after a failure.
    pub(super) fn correct_end(&self, next_offset: u64) {
        if self.next_offset() != next_offset {
            *self.tail() = Tail::default();
            self.set_end(next_offset);
        }
    }

    /// Records before this offset are no longer in the file.
    pub(super) fn trimmed(&self, first_offset: u64) {
        self.first_offset.store(first_offset, Ordering::Release);
        self.tail().drop_before(first_offset);
    }

    pub(super) fn close(&self) {
        self.end.send_modify(|end| end.closed = true);
    }

    /// Records starting at this offset, or `None` if it is older than the tail.
    pub(super) fn newest(&self, from: u64, records_max: usize, bytes_max: usize) -> Option<Vec<Record>> {
        let tail = self.tail();
        if tail.chunks.front()?.first()?.offset > from {
            return None;
        }
        let chunk = tail.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.offset < from));
        let records = tail.chunks.range(chunk..).flat_map(|chunk| chunk.iter());
        Some(batch_within(records.skip_while(|record| record.offset < from), records_max, bytes_max))
    }
}

fn cost(records: &[Record]) -> usize {
    records.iter().map(|record| record.size() + RECORD_OVERHEAD_BYTES).sum()
}

impl Tail {
    fn push(&mut self, records: Arc<[Record]>, bytes_max: usize) {
        let continues = match (self.chunks.back().and_then(|chunk| chunk.last()), records.first()) {
            (Some(last), Some(first)) => last.offset + 1 == first.offset,
            _ => true,
        };
        if !continues {
            *self = Tail::default();
        }
        self.bytes += cost(&records);
        self.chunks.push_back(records);
        while self.bytes > bytes_max {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.bytes -= cost(&oldest);
        }
    }

    fn drop_before(&mut self, offset: u64) {
        while self.chunks.front().and_then(|chunk| chunk.last()).is_some_and(|last| last.offset < offset) {
            if let Some(oldest) = self.chunks.pop_front() {
                self.bytes -= cost(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Timestamp;

    fn chunk(offsets: std::ops::Range<u64>) -> Arc<[Record]> {
        offsets
            .map(|offset| Record {
                offset,
                timestamp: Timestamp::LogAppend(0),
                key: None,
                value: Some(vec![0; 100].into()),
                headers: Vec::new(),
                unreadable_headers: 0,
            })
            .collect()
    }

    fn offsets(partition: &Partition, from: u64) -> Option<Vec<u64>> {
        let newest = partition.newest(from, 100, usize::MAX)?;
        Some(newest.iter().map(|record| record.offset).collect())
    }

    #[test]
    fn the_oldest_leave_first() {
        let partition = Partition::new(Topic::Outcomes, 0, 0, 0, 5 * (100 + RECORD_OVERHEAD_BYTES));
        for first in [0, 2, 4] {
            partition.publish(chunk(first..first + 2));
        }
        assert_eq!(offsets(&partition, 1), None);
        assert_eq!(offsets(&partition, 3), Some(vec![3, 4, 5]));
        assert_eq!(offsets(&partition, 6), Some(vec![]));
        assert_eq!(partition.next_offset(), 6);
    }

    #[test]
    fn a_gap_empties_it() {
        let partition = Partition::new(Topic::Outcomes, 0, 0, 0, 1 << 20);
        partition.publish(chunk(0..2));
        partition.correct_end(4);
        assert_eq!(offsets(&partition, 1), None);
        partition.publish(chunk(4..5));
        assert_eq!(offsets(&partition, 3), None);
        assert_eq!(offsets(&partition, 4), Some(vec![4]));
    }

    #[test]
    fn trimmed_records_are_gone() {
        let partition = Partition::new(Topic::Outcomes, 0, 0, 0, 1 << 20);
        partition.publish(chunk(0..2));
        partition.publish(chunk(2..4));
        partition.trimmed(2);
        assert_eq!((offsets(&partition, 1), offsets(&partition, 2)), (None, Some(vec![2, 3])));
        partition.trimmed(4);
        assert_eq!((partition.first_offset(), partition.next_offset()), (4, 4));
    }
}
