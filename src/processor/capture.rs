//! Outboxes that something else publishes: how far each is committed, and which place of the database's own log lies
//! behind these commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::domain::LanePartition;
use crate::telemetry::metrics::{OUTBOX_PENDING, OUTBOX_PUBLISHED};

/// Marks that wait, one a second while something is committed; later ones wait for the last of them.
const MARKS_MAX: usize = 600;

/// How far a partition's outbox is committed, and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outbox {
    pub epoch: u64,
    /// The first row that may be there; `None`: nobody has looked.
    pub first: Option<u64>,
    pub end: u64,
    /// Everything before waits for a mark to be confirmed.
    pub marked: u64,
}

/// What was committed before this place of the database's log.
struct Mark {
    at: u64,
    since: Instant,
    ends: BTreeMap<LanePartition, (u64, u64)>,
}

/// The outboxes of a worker's partitions.
#[derive(Default)]
pub(super) struct Capture {
    outboxes: Mutex<BTreeMap<LanePartition, Outbox>>,
}

impl Capture {
    /// Those that were taken over since somebody looked.
    pub fn new_ones(&self) -> Vec<(LanePartition, Outbox)> {
        self.lock().iter().filter(|(_, of)| of.first.is_none()).map(|(of, outbox)| (*of, *outbox)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LanePartition, Outbox>> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything before `end` of what this epoch's owner and those before it publish is committed.
    pub fn committed(&self, partition: LanePartition, epoch: u64, end: u64) {
        let mut outboxes = self.lock();
        let outbox = outboxes.entry(partition).or_insert(Outbox { epoch, first: None, end, marked: 0 });
        if outbox.epoch < epoch {
            *outbox = Outbox { epoch, first: None, end, marked: 0 };
        }
        if outbox.epoch == epoch {
            outbox.end = outbox.end.max(end);
        }
    }

    /// What no mark has yet. To be asked for before the place of the mark.
    pub fn unmarked(&self) -> BTreeMap<LanePartition, (u64, u64)> {
        let outboxes = self.lock();
        let unmarked = outboxes.iter().filter(|(_, of)| of.first.is_some() && of.marked < of.end);
        unmarked.map(|(partition, of)| (*partition, (of.epoch, of.end))).collect()
    }

    pub fn change(&self, partition: LanePartition, epoch: u64, change: impl FnOnce(&mut Outbox)) {
        if let Some(outbox) = self.lock().get_mut(&partition).filter(|outbox| outbox.epoch == epoch) {
            change(outbox);
        }
    }

    pub fn of(&self, partition: LanePartition, epoch: u64) -> Option<Outbox> {
        self.lock().get(&partition).copied().filter(|outbox| outbox.epoch == epoch)
    }

    pub fn show_pending(&self) -> u64 {
        let mut all = 0;
        for (of, outbox) in self.lock().iter() {
            let first = outbox.first.unwrap_or(outbox.end).min(outbox.end);
            let pending = outbox.end - first;
            let shown = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let labels = [of.lane.as_str(), &of.partition.to_string()];
            OUTBOX_PENDING.with_label_values(&labels).set(shown(pending));
            OUTBOX_PUBLISHED.with_label_values(&labels).set(shown(first));
            all += pending;
        }
        all
    }
}

/// Marks in order of their places.
#[derive(Default)]
pub(super) struct Marks(VecDeque<Mark>);

impl Marks {
    pub fn push(&mut self, ends: BTreeMap<LanePartition, (u64, u64)>, at: u64, now: Instant) {
        if ends.is_empty() {
            return;
        }
        let is_full = self.0.len() >= MARKS_MAX;
        match self.0.back_mut().filter(|_| is_full) {
            Some(last) => {
                last.at = last.at.max(at);
                last.ends.extend(ends);
            }
            None => self.0.push_back(Mark { at, since: now, ends }),
        }
    }

    /// The newest ends before this place.
    pub fn confirmed(&mut self, at: u64) -> BTreeMap<LanePartition, (u64, u64)> {
        let mut ends = BTreeMap::new();
        while let Some(mark) = self.0.pop_front_if(|mark| mark.at <= at) {
            ends.extend(mark.ends);
        }
        ends
    }

    pub fn waits_since(&self) -> Option<Instant> {
        self.0.front().map(|mark| mark.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    const SEATS: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };
    const WALLETS: LanePartition = LanePartition { lane: Lane::Wallets, partition: 0 };

    fn looked_at(capture: &Capture, partition: LanePartition, first: u64) {
        capture.change(partition, 1, |outbox| outbox.first = Some(first));
    }

    #[test]
    fn what_was_committed_before_a_place_is_published_when_the_slot_has_passed_it() {
        let (capture, mut marks, now) = (Capture::default(), Marks::default(), Instant::now());
        capture.committed(SEATS, 1, 5);
        assert!(capture.unmarked().is_empty(), "nobody has looked where it begins");
        looked_at(&capture, SEATS, 2);
        let first = capture.unmarked();
        capture.committed(SEATS, 1, 9);
        capture.committed(WALLETS, 1, 3);
        marks.push(first, 100, now);
        assert_eq!(marks.confirmed(99), BTreeMap::new());
        assert_eq!(marks.confirmed(100), BTreeMap::from([(SEATS, (1, 5))]), "9 came after the place was asked for");
        looked_at(&capture, WALLETS, 0);
        marks.push(capture.unmarked(), 200, now);
        marks.push(BTreeMap::from([(SEATS, (1, 11))]), 300, now);
        let both = BTreeMap::from([(SEATS, (1, 11)), (WALLETS, (1, 3))]);
        assert_eq!(marks.confirmed(300), both);
        assert_eq!(marks.waits_since(), None);
    }

    #[test]
    fn a_new_owner_begins_anew_and_an_old_one_says_nothing() {
        let capture = Capture::default();
        capture.committed(SEATS, 2, 7);
        capture.committed(SEATS, 1, 9);
        assert_eq!(capture.of(SEATS, 2), Some(Outbox { epoch: 2, first: None, end: 7, marked: 0 }));
        capture.change(SEATS, 2, |outbox| (outbox.first, outbox.marked) = (Some(3), 7));
        capture.committed(SEATS, 3, 8);
        assert_eq!(capture.of(SEATS, 3), Some(Outbox { epoch: 3, first: None, end: 8, marked: 0 }));
        assert_eq!(capture.of(SEATS, 2), None);
    }

    #[test]
    fn marks_are_bounded_and_none_is_confirmed_too_early() {
        let (mut marks, now) = (Marks::default(), Instant::now());
        for at in 0..10 * MARKS_MAX as u64 {
            marks.push(BTreeMap::from([(SEATS, (1, at))]), at, now);
        }
        assert_eq!(marks.0.len(), MARKS_MAX);
        let last = 10 * MARKS_MAX as u64 - 1;
        assert_eq!(marks.confirmed(last - 1)[&SEATS].1, MARKS_MAX as u64 - 2);
        assert_eq!(marks.confirmed(last)[&SEATS].1, last);
    }
}
