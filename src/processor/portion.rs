//! How many records of a partition go into one batch, after one that the store did not take.
//!
//! Such a batch is decided again from the store in halves, down to one record. Then the number grows by a thirtieth with
//! each commit of so many: a batch that is too large again costs its time limit and loads its aggregates anew. With a
//! database that took 30 holds of 100 seats in time, 1,800 holds met the limit 6 times; growing by a quarter, it would be
//! some 30.
//!
//! It may have been refused for a row that was assumed to be absent (see [`Decider::prefetch`]). So for a while the
//! partition looks for every such row: whoever sends last month's charges once more makes one batch in many fail.
//!
//! [`Decider::prefetch`]: super::decider::Decider::prefetch

use std::time::Duration;

use super::commit::Backoff;

/// So many records after a refusal nothing is assumed to be absent. What one refusal costs, some reads and a new epoch,
/// is nothing beside so many.
const WARY_RECORDS: usize = 100_000;

/// A batch that the store did not take. Nothing of it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTaken {
    pub records: usize,
    /// The offset it began at.
    pub from: u64,
    /// It took too long.
    pub timed_out: bool,
    pub reason: String,
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Decide again, from the store, what the portion now is.
    Again,
    /// The same after a wait: one record alone takes too long now.
    Wait(Duration),
    /// One record alone is refused and was refused before.
    Park,
}

/// The bound of one partition.
#[derive(Debug)]
pub(super) struct Portion {
    /// At most so many; `None`: as many as there are.
    records: Option<usize>,
    /// Where one record alone was refused.
    refused_at: Option<u64>,
    backoff: Backoff,
    /// Where one record alone stops the partition.
    stands_at: Option<u64>,
    /// First offset and number of the records that are loaded and decided.
    tried: Option<(u64, usize)>,
    /// For so many records more nothing is assumed to be absent from the store.
    wary: usize,
}

impl Portion {
    pub fn whole() -> Self {
        Portion { records: None, refused_at: None, stands_at: None, tried: None, wary: 0, backoff: Backoff::new() }
    }

    /// Records that are about to be loaded and decided.
    pub fn trying(&mut self, from: u64, records: usize) {
        self.tried = Some((from, records));
    }

    /// What a panic was about, if it came from records.
    pub fn panicked(&mut self) -> Option<NotTaken> {
        let (from, records) = self.tried.take()?;
        Some(NotTaken { records, from, timed_out: false, reason: format!("offset {from}: panicked; see the log") })
    }

    /// The record that alone stops the partition, if it is one.
    pub fn stands_at(&self) -> Option<u64> {
        self.stands_at
    }

    /// Most records for the next batch, where `most` are allowed.
    pub fn of(&self, most: usize) -> usize {
        self.records.map_or(most, |records| records.min(most))
    }

    /// Whether the last refusal is recent, so that nothing may be assumed to be absent.
    pub fn is_wary(&self) -> bool {
        self.wary > 0
    }

    /// A batch of so many records was committed; `most` are allowed. The bound grows by batches
    /// that met it: not by those that were on their way when it grew last.
    pub fn committed(&mut self, records: usize, most: usize) {
        self.backoff = Backoff::new();
        self.wary = self.wary.saturating_sub(records);
        (self.refused_at, self.stands_at) = (None, None);
        let grown = |bound: usize| if records < bound { bound } else { bound + bound / 32 + 1 };
        self.records = self.records.map(grown).filter(|bound| *bound < most);
    }

    pub fn not_taken(&mut self, batch: &NotTaken) -> Then {
        let alone = batch.records <= 1;
        if !batch.timed_out {
            self.wary = WARY_RECORDS;
        }
        self.stands_at = alone.then_some(batch.from);
        self.records = Some((batch.records / 2).max(1));
        match (alone, batch.timed_out) {
            (false, _) => Then::Again,
            (true, true) => Then::Wait(self.backoff.next()),
            (true, false) if self.refused_at.replace(batch.from) == Some(batch.from) => Then::Park,
            (true, false) => Then::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize, timed_out: bool) -> NotTaken {
        NotTaken { records, from: 7, timed_out, reason: "because".into() }
    }

    #[test]
    fn a_batch_is_halved_down_to_one_record_and_grows_back() {
        let mut portion = Portion::whole();
        assert_eq!(portion.of(2_000), 2_000);
        for (records, then) in [(2_000, 1_000), (1_000, 500), (3, 1)] {
            assert_eq!(portion.not_taken(&batch(records, true)), Then::Again);
            assert_eq!(portion.of(2_000), then);
        }
        let mut commits = 0;
        while portion.of(2_000) < 2_000 {
            portion.committed(portion.of(2_000), 2_000);
            commits += 1;
        }
        assert!((100..200).contains(&commits), "{commits} commits");
        assert_eq!(portion.records, None, "no bound is left");
    }

    #[test]
    fn nothing_is_assumed_for_a_while_after_a_refusal() {
        let mut portion = Portion::whole();
        portion.not_taken(&batch(2_000, true));
        assert!(!portion.is_wary(), "it took too long, whatever it held");
        portion.not_taken(&batch(1_000, false));
        for _ in 0..WARY_RECORDS / 1_000 {
            assert!(portion.is_wary());
            portion.committed(1_000, 2_000);
        }
        assert!(!portion.is_wary());
    }

    #[test]
    fn one_record_that_takes_too_long_is_waited_for_and_never_parked() {
        let mut portion = Portion::whole();
        let waits: Vec<Then> = (0..50).map(|_| portion.not_taken(&batch(1, true))).collect();
        assert_eq!(waits[0], Then::Wait(Duration::from_millis(50)));
        assert_eq!(waits[49], Then::Wait(Duration::from_secs(1)));
        assert_eq!(portion.stands_at(), Some(7));
        portion.committed(1, 2_000);
        assert_eq!(portion.stands_at(), None);
        assert_eq!(portion.of(2_000), 2);
        portion.committed(1, 2_000);
        assert_eq!(portion.of(2_000), 2, "one record is less than what is allowed now");
        assert_eq!(portion.not_taken(&batch(1, true)), Then::Wait(Duration::from_millis(50)));
    }

    #[test]
    fn one_record_that_is_refused_is_decided_again_once_before_its_partition_is_parked() {
        let mut portion = Portion::whole();
        assert_eq!(portion.not_taken(&batch(1, false)), Then::Again);
        assert_eq!(portion.not_taken(&batch(1, false)), Then::Park);
        assert_eq!(portion.not_taken(&batch(1, false)), Then::Park, "as long as it is refused");
        assert_eq!(portion.not_taken(&NotTaken { from: 9, ..batch(1, false) }), Then::Again, "another record");
    }
}
