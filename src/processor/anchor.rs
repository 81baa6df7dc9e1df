//! Is this the log that the store was filled from? A partition's anchor, the last decided record that could be read,
//! tells: offsets alone are the same on any log.

use std::time::Duration;

use tracing::{debug, warn};

use super::commit::Backoff;
use super::retry::readable;
use super::standing::Standing;
use crate::domain::{LanePartition, LogTime};
use crate::log::{Log, Membership, PartitionReader, ReadError, Record, Topic};
use crate::store::{Anchor, Progress};

/// How long a reader waits before it is asked whether the anchor's place was passed without a record.
const LOOK: Duration = Duration::from_secs(1);

const ADVICE: &str = "restore log and store from the same time, or start with an empty store";

/// What is remembered of a decided record.
pub(super) fn of(record: &Record) -> Anchor {
    Anchor { offset: record.offset, time: LogTime(record.timestamp.millis()), hash: hash(record) }
}

/// Over key and value, each with its length: a byte that moved from one to the other is another record.
fn hash(record: &Record) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for part in [&record.key, &record.value] {
        let length = part.as_ref().map_or(u64::MAX, |part| part.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(part.as_deref().unwrap_or_default());
    }
    hasher.digest()
}

/// A reader at `next_offset` of the log that the store was filled from. `end`: the log's.
///
/// # Errors
/// Why this is another log, or not all of it, so why the partition is to be parked.
pub(super) async fn open(
    log: &dyn Log,
    membership: &dyn Membership,
    partition: LanePartition,
    progress: &Progress,
    end: u64,
    standing: &Standing,
) -> Result<Box<dyn PartitionReader>, String> {
    let (topic, next) = (Topic::Lane(partition.lane), progress.next_offset);
    let first = readable(partition, standing, || log.first_offset(topic, partition.partition)).await?;
    if next > end {
        return Err(format!(
            "the store is ahead of the log: everything before offset {next} is decided, the log ends at {end}. \
             Records were lost, or the topic was recreated; {ADVICE}"
        ));
    }
    if first > next {
        return Err(format!(
            "everything before offset {next} is decided, the log begins at {first}: the records between were deleted \
             undecided; {ADVICE}"
        ));
    }
    let Some(anchor) = progress.anchor else {
        return readable(partition, standing, || membership.open(partition, next)).await;
    };
    if anchor.offset < first {
        warn!(%partition, anchor = anchor.offset, first, "the log was trimmed: its last decided record is gone, so \
              whether it is the same log cannot be checked");
        return readable(partition, standing, || membership.open(partition, next)).await;
    }
    let mut reader = readable(partition, standing, || membership.open(partition, anchor.offset)).await?;
    match record_at(&mut *reader, partition, anchor.offset).await? {
        Some(found) if of(&found) == anchor => {}
        found => return Err(another(&anchor, found.as_ref())),
    }
    if next == anchor.offset + 1 {
        return Ok(reader);
    }
    // What lies between was stepped over, or is no record.
    drop(reader);
    readable(partition, standing, || membership.open(partition, next)).await
}

fn another(anchor: &Anchor, found: Option<&Record>) -> String {
    let offset = anchor.offset;
    let found = match found {
        None => "none".to_owned(),
        Some(found) => format!("another one, of {} ms", found.timestamp.millis()),
    };
    format!(
        "this is another log than the one the store was filled from: at offset {offset} a record of {} ms was decided, \
         the log has {found}. The topic was recreated, or restored from a copy and written to since; {ADVICE}",
        anchor.time.0
    )
}

/// The record at the offset where the reader begins; `None` if there is none and records behind it, or nothing, can be
/// read.
async fn record_at(
    reader: &mut dyn PartitionReader,
    partition: LanePartition,
    offset: u64,
) -> Result<Option<Record>, String> {
    let mut backoff = Backoff::new();
    loop {
        match tokio::time::timeout(LOOK, reader.next(1, 1)).await {
            Ok(Ok(records)) => return Ok(records.into_iter().next().filter(|record| record.offset == offset)),
            Ok(Err(ReadError::Unavailable(reason))) => {
                warn!(%partition, reason, "the last decided record cannot be read");
                backoff.wait().await;
            }
            Ok(Err(error @ ReadError::OutOfRange { .. })) => return Err(error.to_string()),
            Err(_) if reader.reach().is_some_and(|reach| reach.passed > offset) => return Ok(None),
            Err(_) => debug!(%partition, offset, "waiting for the last decided record"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::log::Timestamp;

    #[test]
    fn an_anchor_tells_records_apart_by_offset_time_key_and_value() {
        let record = |offset, ms, key: Option<&'static str>, value: Option<&'static str>| Record {
            offset,
            timestamp: Timestamp::LogAppend(ms),
            key: key.map(|text| Bytes::from_static(text.as_bytes())),
            value: value.map(|text| Bytes::from_static(text.as_bytes())),
            headers: Vec::new(),
            unreadable_headers: 0,
        };
        let anchor = of(&record(7, 5, Some("ab"), Some("c")));
        assert_eq!(anchor, of(&record(7, 5, Some("ab"), Some("c"))));
        let others = [
            record(8, 5, Some("ab"), Some("c")),
            record(7, 6, Some("ab"), Some("c")),
            record(7, 5, Some("a"), Some("bc")),
            record(7, 5, Some("ab"), Some("d")),
            record(7, 5, Some("ab"), None),
            record(7, 5, None, Some("c")),
        ];
        others.iter().for_each(|other| assert_ne!(of(other), anchor, "{other:?}"));
        assert_ne!(of(&record(7, 5, Some(""), None)), of(&record(7, 5, None, Some(""))));
    }
}
