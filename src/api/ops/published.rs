//! Finds an outcome on the log: its partition follows from the key, its place from the time.

use crate::domain::{LogTime, RequestId};
use crate::log::{Log, ReadError, Topic};
use crate::wire::{headers, routing};

/// Outcomes looked through from the first that may be it; more lie there only while the relay was far behind.
const RECORDS_MAX: usize = 20_000;
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;
/// The brokers' clocks may differ: an outcome may seem to be older than its command.
const CLOCKS_MS: i64 = 1_000;

/// When an outcome was published, and committed before, if its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    pub committed: Option<LogTime>,
    pub at: LogTime,
}

/// `None`: it is not there, or not any more.
pub async fn published(log: &dyn Log, key: &str, decided: LogTime, request: RequestId) -> Option<Published> {
    let partition = routing::partition_for(key, log.partitions().of(Topic::Outcomes));
    let start = first_since(log, partition, LogTime(decided.0.saturating_sub(CLOCKS_MS))).await.ok()?;
    let end = log.end_offset(Topic::Outcomes, partition).await.ok()?;
    if start >= end {
        return None;
    }
    let mut reader = log.read(Topic::Outcomes, partition, start).await.ok()?;
    let mut seen = 0;
    while seen < RECORDS_MAX {
        let records = reader.next(BATCH, BATCH_BYTES).await.ok()?;
        if let Some(record) = records.iter().find(|of| headers::request_id_of(&of.headers) == Some(request)) {
            let committed = headers::committed_of(&record.headers);
            return Some(Published { committed, at: LogTime(record.timestamp.millis()) });
        }
        seen += records.len();
        if records.last()?.offset + 1 >= end {
            return None;
        }
    }
    None
}

/// The first offset whose record is not older; times of a partition never run back.
async fn first_since(log: &dyn Log, partition: u32, time: LogTime) -> Result<u64, ReadError> {
    let (mut low, mut high) =
        (log.first_offset(Topic::Outcomes, partition).await?, log.end_offset(Topic::Outcomes, partition).await?);
    while high.saturating_sub(low) > BATCH as u64 {
        let middle = low + (high - low) / 2;
        let mut reader = log.read(Topic::Outcomes, partition, middle).await?;
        let Some(record) = reader.next(1, 1).await?.into_iter().next() else { break };
        if record.timestamp.millis() < time.0 {
            low = record.offset + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
