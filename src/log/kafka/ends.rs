//! Where partitions end, from the statistics of the reading consumers: fetch position, last stable offset, end.
//!
//! The position the client fetches from passes transaction markers and aborted records, of which a reader sees nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::statistics::{Partition, Statistics};

/// What the client said last of a partition that is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// Where the client fetches next, if it has not moved between two reports. One report may be older than the queue
    /// that the reader drains, or than the start of reading; two in a row are not.
    pub settled: Option<u64>,
    fetching: Option<u64>,
    pub stable: u64,
    pub end: u64,
}

/// Shared by a consumer's context, which hears the statistics, and its readers.
#[derive(Debug, Clone, Default)]
pub(super) struct AllEnds(Arc<Mutex<BTreeMap<(String, i32), Ends>>>);

impl AllEnds {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, i32), Ends>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reading starts: what was said before does not count.
    pub fn start(&self, topic: &str, partition: i32) {
        self.lock().insert((topic.to_owned(), partition), Ends::default());
    }

    pub fn stop(&self, topic: &str, partition: i32) {
        self.lock().remove(&(topic.to_owned(), partition));
    }

    /// `None` until something was said.
    pub fn of(&self, topic: &str, partition: i32) -> Option<Ends> {
        let all = self.lock();
        let (_, ends) = all.iter().find(|((name, number), _)| name == topic && *number == partition)?;
        Some(*ends).filter(|ends| ends.fetching.is_some())
    }

    pub fn heard(&self, statistics: &Statistics) {
        for ((topic, partition), ends) in &mut *self.lock() {
            let said = statistics.topics.get(topic).and_then(|topic| topic.partitions.get(partition));
            if let Some(said) = said {
                ends.heard(said);
            }
        }
    }
}

impl Ends {
    fn heard(&mut self, said: &Partition) {
        let known = |offset: i64| u64::try_from(offset).ok();
        let (Some(end), Some(fetching)) = (known(said.hi_offset), known(said.next_offset)) else { return };
        self.settled = Some(fetching).filter(|now| self.fetching == Some(*now));
        self.fetching = Some(fetching);
        self.end = end;
        // Brokers without transactions do not say.
        self.stable = known(said.ls_offset).unwrap_or(end);
    }
}

/// How far a reader has come, for the membership to report.
#[derive(Debug, Default)]
pub(super) struct Reached {
    next: AtomicU64,
    passed: AtomicU64,
}

impl Reached {
    pub fn set(&self, next: u64, passed: u64) {
        self.next.store(next, Ordering::SeqCst);
        self.passed.store(passed, Ordering::SeqCst);
    }

    /// What is passed once everything before this offset is decided: markers and aborted records behind it too, unless
    /// more was read meanwhile.
    pub fn passed_after(&self, decided: u64) -> u64 {
        // In this order: what was passed before `next` stood at this offset is passed with it.
        let passed = self.passed.load(Ordering::SeqCst);
        if self.next.load(Ordering::SeqCst) == decided { passed.max(decided) } else { decided }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(next_offset: i64, ls_offset: i64, hi_offset: i64) -> Partition {
        Partition { next_offset, ls_offset, hi_offset, ..Partition::default() }
    }

    #[test]
    fn a_position_counts_when_it_is_said_twice() {
        let mut ends = Ends::default();
        ends.heard(&said(-1001, -1001, -1001));
        assert_eq!(ends, Ends::default(), "nothing is known before the first fetch");
        ends.heard(&said(7, 8, 9));
        assert_eq!((ends.settled, ends.stable, ends.end), (None, 8, 9));
        ends.heard(&said(8, 8, 9));
        assert_eq!(ends.settled, None, "it has moved");
        ends.heard(&said(8, -1, 12));
        assert_eq!((ends.settled, ends.stable, ends.end), (Some(8), 12, 12));
    }

    #[test]
    fn what_was_said_before_reading_started_again_does_not_count() {
        let all = AllEnds::default();
        let place = ("t".to_owned(), 0);
        all.start("t", 0);
        all.lock().get_mut(&place).unwrap().heard(&said(100, 100, 100));
        assert!(all.of("t", 0).is_some());
        all.start("t", 0);
        assert_eq!(all.of("t", 0), None);
        all.stop("t", 0);
        assert_eq!(all.of("t", 0), None);
    }

    #[test]
    fn markers_are_passed_when_all_before_them_is_decided() {
        let reached = Reached::default();
        assert_eq!(reached.passed_after(5), 5, "nothing was read yet");
        reached.set(7, 9);
        assert_eq!([6, 7, 8].map(|decided| reached.passed_after(decided)), [6, 9, 8]);
    }
}
