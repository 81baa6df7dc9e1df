//! The records of one partition as its owner took them.

use std::collections::BTreeSet;

use super::reading::read;
use crate::domain::LanePartition;
use crate::log::{Log, PartitionReader, ReadError, Record, Topic};
use crate::store::{Act, DeadLetters, Intervention, StoreError};

pub(super) struct Records<'a> {
    log: &'a dyn Log,
    partition: LanePartition,
    /// `None`: to be opened at `next`.
    reader: Option<Box<dyn PartitionReader>>,
    next: u64,
    /// What lies from here on is not decided yet.
    end: u64,
    /// Skipped by operators because the owner could not read them, whether or not they can be read here.
    unread: BTreeSet<u64>,
}

impl<'a> Records<'a> {
    /// The records before `end`. `acts`: those that were applied.
    pub async fn open(
        log: &'a dyn Log,
        store: &(impl DeadLetters + ?Sized),
        partition: LanePartition,
        end: u64,
        acts: &[Intervention],
    ) -> Result<Self, StoreError> {
        let mut unread = BTreeSet::new();
        for act in acts {
            let Act::Skip(offsets) = act.act else { continue };
            for offset in offsets.first..offsets.last.saturating_add(1).min(end) {
                let letter = store.dead_letter(partition.at(offset)).await?.map(|view| view.letter);
                if letter.is_some_and(|letter| letter.key.is_none() && letter.value.is_none()) {
                    unread.insert(offset);
                }
            }
        }
        Ok(Records { log, partition, reader: None, next: 0, end, unread })
    }

    /// The next records; empty: there are no more.
    pub async fn next(&mut self) -> Result<Vec<Record>, ReadError> {
        if self.next >= self.end {
            return Ok(Vec::new());
        }
        let unread = self.unread.first().copied();
        if unread == Some(self.next) {
            return Ok(self.step_over(self.next));
        }
        let mut records = self.read().await?;
        records.retain(|record| record.offset < unread.unwrap_or(self.end).min(self.end));
        match (records.last(), unread) {
            (None, Some(unread)) => return Ok(self.step_over(unread)),
            (None, None) => self.next = self.end,
            (Some(last), Some(_)) => (self.next, self.reader) = (last.offset + 1, None),
            (Some(last), None) => self.next = last.offset + 1,
        }
        Ok(records)
    }

    fn step_over(&mut self, offset: u64) -> Vec<Record> {
        self.unread.remove(&offset);
        (self.next, self.reader) = (offset + 1, None);
        vec![Record::unread(offset)]
    }

    async fn read(&mut self) -> Result<Vec<Record>, ReadError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let topic = Topic::Lane(self.partition.lane);
                self.reader.insert(self.log.read(topic, self.partition.partition, self.next).await?)
            }
        };
        read(&mut **reader).await
    }
}
