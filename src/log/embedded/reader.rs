//! Reads one partition: from the newest records in memory once caught up, from the file before.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::file::read_records;
use super::state::{Shared, unavailable};
use super::tail::End;
use crate::log::{PartitionReader, ReadError, Record, batch_within};

pub(super) struct Reader {
    shared: Arc<Shared>,
    /// Index into [`Shared::partitions`].
    partition: usize,
    /// Offset after the last record returned.
    next: u64,
    /// Read from the file but not returned yet, starting at `next`; at most one chunk beyond the limits.
    ahead: VecDeque<Record>,
    end: watch::Receiver<End>,
}

impl Reader {
    pub(super) fn open(shared: &Arc<Shared>, partition: usize, start: u64) -> Result<Self, ReadError> {
        let end = shared.partitions[partition].end.subscribe();
        let next_offset = end.borrow().next_offset;
        if start > next_offset {
            return Err(ReadError::OutOfRange { offset: start, reason: format!("the log ends at {next_offset}") });
        }
        let reader = Reader { shared: Arc::clone(shared), partition, next: start, ahead: VecDeque::new(), end };
        reader.check_start()?;
        Ok(reader)
    }

    /// Needed while reading too: a trim may have overtaken a slow reader.
    fn check_start(&self) -> Result<(), ReadError> {
        let first_offset = self.shared.partitions[self.partition].first_offset();
        if self.next < first_offset {
            let reason = format!("the log begins at {first_offset}");
            return Err(ReadError::OutOfRange { offset: self.next, reason });
        }
        Ok(())
    }
}

#[async_trait]
impl PartitionReader for Reader {
    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        if self.ahead.is_empty() {
            let next = self.next;
            // Nothing is taken before the last await, so dropping the call loses nothing.
            let waited = self.end.wait_for(|end| end.next_offset > next || end.closed).await;
            if waited.map_or(true, |end| end.next_offset <= next) {
                return Err(ReadError::Unavailable("the log was closed".to_owned()));
            }
            if let Some(batch) = self.shared.partitions[self.partition].newest(next, records_max, bytes_max)
                && let Some(last) = batch.last()
            {
                self.next = last.offset + 1;
                return Ok(batch);
            }
            self.check_start()?;
            let id = self.shared.partition_ids[self.partition];
            let read = read_records(&self.shared.read_pool, id, next, records_max, bytes_max);
            let read = read.await.map_err(|error| unavailable(&error))?;
            if read.first().is_none_or(|first| first.offset != next) {
                // Trimmed since the check.
                self.check_start()?;
                return Err(ReadError::Unavailable(format!("the record at {next} cannot be found")));
            }
            self.ahead = read.into();
        }
        let batch = batch_within(&self.ahead, records_max, bytes_max);
        self.ahead.drain(..batch.len());
        self.next += batch.len() as u64;
        Ok(batch)
    }
}
