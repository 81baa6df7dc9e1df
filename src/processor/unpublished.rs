//! How many rows of one partition's outbox are committed and not published, for the metrics. Both sides know a part: the
//! loop what is committed, also while the relay takes nothing more, and the relay what the log has acknowledged.

use std::sync::{Mutex, PoisonError};

use prometheus::IntGauge;

use crate::domain::LanePartition;
use crate::telemetry::metrics::{OUTBOX_PENDING, OUTBOX_PUBLISHED};

/// See the module. It shows nothing until the first row that is not published is known, and nothing waits here once the
/// partition is let go: its next owner shows it.
pub(super) struct Unpublished {
    pending: IntGauge,
    published: IntGauge,
    rows: Mutex<Rows>,
}

struct Rows {
    /// The first that is not published; `None`: nobody has looked.
    first: Option<u64>,
    /// Behind the last that is committed.
    end: u64,
}

impl Unpublished {
    /// Before `end` everything was committed by owners before this one.
    pub fn new(partition: LanePartition, end: u64) -> Self {
        let number = partition.partition.to_string();
        let labels = [partition.lane.as_str(), &number];
        Unpublished {
            pending: OUTBOX_PENDING.with_label_values(&labels),
            published: OUTBOX_PUBLISHED.with_label_values(&labels),
            rows: Mutex::new(Rows { first: None, end }),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Rows)) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut rows);
        let Some(first) = rows.first else { return };
        let shown = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.pending.set(shown(rows.end.saturating_sub(first)));
        self.published.set(shown(first));
    }

    /// Everything before is committed.
    pub fn committed(&self, end: u64) {
        self.change(|rows| rows.end = rows.end.max(end));
    }

    /// Everything before is published.
    pub fn published(&self, first: u64) {
        self.change(|rows| rows.first = rows.first.max(Some(first)));
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        self.pending.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    #[test]
    fn all_that_is_committed_counts_however_little_the_relay_takes() {
        // No other test has this partition.
        let unpublished = Unpublished::new(LanePartition { lane: Lane::Wallets, partition: 4_711 }, 5_000);
        let (pending, published) = (unpublished.pending.clone(), unpublished.published.clone());
        unpublished.committed(5_010);
        assert_eq!((pending.get(), published.get()), (0, 0), "nobody has looked how far it was published before");
        unpublished.published(4_990);
        assert_eq!((pending.get(), published.get()), (20, 4_990));
        unpublished.committed(6_100);
        unpublished.published(4_991);
        unpublished.published(4_980);
        assert_eq!((pending.get(), published.get()), (1_109, 4_991), "an older word changes nothing");
        drop(unpublished);
        assert_eq!((pending.get(), published.get()), (0, 4_991));
    }
}
