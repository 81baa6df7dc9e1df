//! State that appenders, readers and the writer of a log share.

use std::sync::atomic::AtomicUsize;

use sqlx::SqlitePool;

use super::tail::Partition;
use crate::log::{PartitionCounts, ReadError, Topic};

/// State shared by appenders, readers and the writer.
pub(super) struct Shared {
    pub counts: PartitionCounts,
    pub log_id: String,
    /// Topic and number of each partition; the position in this list is its index everywhere.
    pub places: Vec<(Topic, u32)>,
    pub partitions: Vec<Partition>,
    /// Keys of the partitions in the file.
    pub partition_ids: Vec<i64>,
    pub read_pool: SqlitePool,
    /// Bytes of the appends in the queue.
    pub queued_bytes: AtomicUsize,
    pub queue_bytes_max: usize,
}

impl Shared {
    pub fn index(&self, topic: Topic, number: u32) -> Result<usize, ReadError> {
        let index = self.places.iter().position(|place| *place == (topic, number));
        index.ok_or_else(|| ReadError::Unavailable(format!("{topic} has no partition {number}")))
    }
}

pub(super) fn unavailable(error: &sqlx::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

pub(super) fn closed() -> String {
    "the log was closed".to_owned()
}
