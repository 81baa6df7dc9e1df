//! How far the outboxes of a worker's partitions are published, until the store knows it too.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::LanePartition;
use crate::store::{CommitBatch, Published};

/// It goes along with the partition's next batch, or without one after this time: a transaction of its own for each row
/// cost as much as the commands.
const ALONE_AFTER: Duration = Duration::from_secs(1);

/// Of one partition.
struct Mark {
    epoch: u64,
    /// Everything before is published and deleted. An earlier owner's work is walked over once.
    deleted: u64,
    /// The log has everything before.
    end: u64,
    /// Since when the store does not know.
    since: Option<Instant>,
    /// The partition has a newer owner.
    over: bool,
}

impl Mark {
    fn new(epoch: u64) -> Mark {
        Mark { epoch, deleted: 0, end: 0, since: None, over: false }
    }
}

/// One mark a partition that was ever owned.
#[derive(Default)]
pub(super) struct Marks {
    marks: Mutex<BTreeMap<LanePartition, Mark>>,
    changed: Notify,
    overtaken: Notify,
}

impl Marks {
    fn marks(&self) -> MutexGuard<'_, BTreeMap<LanePartition, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log has everything before `end` of what this epoch's owner publishes.
    pub fn set(&self, partition: LanePartition, epoch: u64, end: u64) {
        let mut marks = self.marks();
        let mark = marks.entry(partition).or_insert_with(|| Mark::new(epoch));
        if mark.epoch < epoch {
            *mark = Mark::new(epoch);
        }
        if mark.epoch == epoch && mark.end < end {
            mark.end = end;
            if mark.since.is_none() {
                mark.since = Some(Instant::now());
                self.changed.notify_one();
            }
        }
    }

    /// What goes along with these batches. Unless it is [`Marks::done`] it goes again.
    pub fn along<'a>(&self, batches: impl Iterator<Item = &'a CommitBatch>) -> Vec<Published> {
        let (mut marks, now) = (self.marks(), Instant::now());
        let epochs: BTreeMap<LanePartition, u64> = batches.map(|batch| (batch.partition, batch.before.epoch)).collect();
        let mut along = Vec::new();
        for (partition, mark) in marks.iter_mut() {
            let goes = match (mark.since, epochs.get(partition)) {
                (None, _) => false,
                (Some(_), Some(epoch)) => *epoch == mark.epoch,
                (Some(since), None) => since + ALONE_AFTER <= now,
            };
            if goes {
                mark.since = Some(now);
                along.push(Published { partition: *partition, epoch: mark.epoch, seqs: mark.deleted..mark.end });
            }
        }
        along
    }

    pub fn waiting(&self, partition: LanePartition, epoch: u64) -> Option<Published> {
        let marks = self.marks();
        let mark = marks.get(&partition).filter(|mark| mark.epoch == epoch && mark.since.is_some())?;
        Some(Published { partition, epoch, seqs: mark.deleted..mark.end })
    }

    /// The store knows.
    pub fn done(&self, published: &[Published]) {
        let mut marks = self.marks();
        for Published { partition, epoch, seqs } in published {
            if let Some(mark) = marks.get_mut(partition).filter(|mark| mark.epoch == *epoch) {
                mark.deleted = seqs.end;
                mark.since = mark.since.filter(|_| mark.end > seqs.end);
            }
        }
    }

    /// These epochs are over.
    pub fn overtaken(&self, epochs: &[(LanePartition, u64)]) {
        let mut marks = self.marks();
        for (partition, epoch) in epochs {
            if let Some(mark) = marks.get_mut(partition).filter(|mark| mark.epoch == *epoch) {
                mark.over = true;
                self.overtaken.notify_waiters();
            }
        }
    }

    /// Cancel-safe.
    pub async fn until_overtaken(&self, partition: LanePartition, epoch: u64) {
        loop {
            let changed = self.overtaken.notified();
            if self.marks().get(&partition).is_some_and(|mark| mark.epoch == epoch && mark.over) {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when something has waited for its time. Cancel-safe.
    pub async fn due(&self) {
        loop {
            let changed = self.changed.notified();
            let first = self.marks().values().filter_map(|mark| mark.since).min();
            match first {
                Some(first) => return tokio::time::sleep_until(first + ALONE_AFTER).await,
                None => changed.await,
            }
        }
    }
}
