//! Whether the newest outcomes on the topic are those that were decided, and the newest decided are there: what followers
//! were told last.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::reading::read;
use crate::domain::{LanePartition, Position};
use crate::log::{Log, PartitionCounts, ReadError, Topic};
use crate::store::OutboxRow;
use crate::wire::outcome;
use crate::wire::routing::partition_for;

/// Records of a partition that count as the newest.
const NEWEST: u64 = 5_000;

/// A record of the topic.
struct Told {
    partition: u32,
    offset: u64,
    /// The record that was decided.
    decided: Position,
    matched: bool,
}

/// The newest records of each partition of the topic, by the hash of their value.
#[derive(Default)]
pub(super) struct Newest {
    told: HashMap<u64, Told>,
    /// The first decision of each lane's partition that a partition of the topic still tells of.
    since: HashMap<(u32, LanePartition), u64>,
}

impl Newest {
    /// Reads the topic; also says what cannot be read there.
    pub async fn read(log: &dyn Log) -> Result<(Newest, Vec<String>), ReadError> {
        let (mut newest, mut unreadable) = (Newest::default(), Vec::new());
        for partition in 0..log.partitions().of(Topic::Outcomes) {
            let first = log.first_offset(Topic::Outcomes, partition).await?;
            let end = log.end_offset(Topic::Outcomes, partition).await?;
            let mut next = end.saturating_sub(NEWEST).max(first);
            if next >= end {
                continue;
            }
            let mut reader = log.read(Topic::Outcomes, partition, next).await?;
            while next < end {
                let records = read(&mut *reader).await?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                for record in records.into_iter().filter(|record| record.offset < end) {
                    let value = record.value.unwrap_or_default();
                    match outcome::decode(&value) {
                        Ok(told) => newest.add(partition, record.offset, told.decided.position, &value),
                        Err(error) => {
                            let what = format!("outcomes.{partition}.{} is no outcome: {error}", record.offset);
                            unreadable.push(what);
                        }
                    }
                }
            }
        }
        Ok((newest, unreadable))
    }

    fn add(&mut self, partition: u32, offset: u64, decided: Position, value: &[u8]) {
        let since = self.since.entry((partition, decided.partition)).or_insert(decided.offset);
        *since = decided.offset.min(*since);
        self.told.entry(xxh3_64(value)).or_insert(Told { partition, offset, decided, matched: false });
    }

    pub fn len(&self) -> u64 {
        self.told.len() as u64
    }

    /// Takes in an outcome that was decided at `cause`; false if the topic should tell of it and does not. `kept`: its
    /// record is still in the outbox, or a dead letter because the log refuses it.
    pub fn decided(&mut self, cause: Position, row: &OutboxRow, kept: bool, counts: &PartitionCounts) -> bool {
        if let Some(told) = self.told.get_mut(&xxh3_64(&row.payload)) {
            told.matched = true;
            return true;
        }
        let partition = partition_for(&row.key, counts.of(Topic::Outcomes));
        // Not of the first: of a record with two outcomes the other one may be among those that are not read any more, and
        // a topic may be younger than the lanes.
        let later = self.since.get(&(partition, cause.partition)).is_some_and(|since| *since < cause.offset);
        kept || !later
    }

    /// What the topic tells and nothing decided, of records before the end that the store has reached.
    pub fn invented(self, ends: &BTreeMap<LanePartition, u64>) -> impl Iterator<Item = (Position, String)> {
        let reached = |at: &Position| ends.get(&at.partition).is_some_and(|end| at.offset < *end);
        self.told.into_values().filter(move |told| !told.matched && reached(&told.decided)).map(|told| {
            let Told { partition, offset, decided, .. } = told;
            let what = format!("outcomes.{partition}.{offset} tells an outcome that was never decided");
            (decided, what)
        })
    }
}
