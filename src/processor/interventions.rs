//! What operators did about the records on which this partition stands still.
//!
//! An act begins at the record on which the partition stands still, never elsewhere: a record that can be decided after
//! all is decided. Once begun it holds up to its last offset, for this owner and the next, and for the audit. The wish that a
//! parked partition is acquired again is fulfilled by the next owner that gets that far.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{debug, warn};
use uuid::Uuid;

use super::context::Context;
use crate::domain::{LanePartition, LogTime};
use crate::store::{Act, Intervention};

/// While it stands still, an owner asks for new rows so often.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Interventions {
    rows: Vec<Intervention>,
    /// Where the partition stands still.
    stands: Option<Stands>,
    /// Begun at these offsets, to be committed with them.
    begun: Vec<(u64, Intervention)>,
}

#[derive(Debug, Clone, Copy)]
struct Stands {
    /// The first undecided offset, which is what operators see: there may be no record, but a transaction marker.
    from: u64,
    /// The next record; `None`: the first that is asked about.
    at: Option<u64>,
}

impl Interventions {
    /// `end`: where the log ends. `stands_at`: from which offset on the owner before got nowhere, if it did.
    pub fn new(rows: Vec<Intervention>, end: u64, stands_at: Option<u64>) -> Self {
        let stands = stands_at.map(|from| Stands { from, at: None });
        let mut interventions = Interventions { rows: Vec::new(), stands, begun: Vec::new() };
        interventions.refresh(rows, end);
        interventions
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Everything before `from` is decided, and the record at `offset`, the next one, is not.
    pub fn stand_at(&mut self, from: u64, offset: u64) {
        self.stands = Some(Stands { from, at: Some(offset) });
    }

    /// Takes in the rows as the store has them, which may not have what a commit under way applies. None begins that
    /// reaches beyond the log's end: nobody can have meant records that are yet to come. Those that concern no record are
    /// applied at the takeover.
    pub fn refresh(&mut self, mut rows: Vec<Intervention>, end: u64) {
        rows.retain(|row| row.act.offsets().is_some_and(|of| row.applied_at.is_some() || of.last < end));
        let begun = std::mem::take(&mut self.rows);
        let applied = |row: &Intervention| begun.iter().find(|known| known.id == row.id && known.applied_at.is_some());
        self.rows = rows.into_iter().map(|row| applied(&row).cloned().unwrap_or(row)).collect();
    }

    /// Why the record at this offset is not to be decided, if it is not.
    pub fn skip(&mut self, offset: u64, now: LogTime) -> Option<String> {
        let row = self.act(offset, now, |act| matches!(act, Act::Skip(_)))?;
        Some(format!("skipped by {}: {}", row.by, row.reason))
    }

    /// The log time that an operator has given the record at this offset, if one has.
    pub fn time(&mut self, offset: u64, now: LogTime) -> Option<LogTime> {
        match self.act(offset, now, |act| matches!(act, Act::Time { .. }))?.act {
            Act::Time { time, .. } => Some(time),
            Act::Skip(_) | Act::Remember { .. } | Act::Acquire => None,
        }
    }

    /// The rows that begin at this offset, as they are once it is committed.
    pub fn begun_at(&mut self, offset: u64) -> Vec<Intervention> {
        if self.begun.is_empty() {
            return Vec::new();
        }
        let here = self.begun.iter().filter(|(at, _)| *at == offset).map(|(_, row)| row.clone()).collect();
        self.begun.retain(|(at, _)| *at != offset);
        here
    }

    /// The row of such an act that holds at this offset; of several the one given last. Begins it if it is new.
    fn act(&mut self, offset: u64, now: LogTime, wanted: impl Fn(&Act) -> bool) -> Option<&Intervention> {
        if let Some(stands) = &mut self.stands {
            stands.at.get_or_insert(offset);
        }
        let here = self.stands.filter(|stands| stands.at == Some(offset));
        let begins = |first: u64| here.is_some_and(|stands| (stands.from..=offset).contains(&first));
        let holds = |row: &&mut Intervention| match row.act.offsets().filter(|_| wanted(&row.act)) {
            Some(offsets) if row.applied_at.is_some() => offsets.contains(offset),
            Some(offsets) => begins(offsets.first),
            None => false,
        };
        let row = self.rows.iter_mut().rev().find(holds)?;
        if row.applied_at.is_none() {
            row.applied_at = Some(now);
            row.act.reach(offset);
            self.begun.push((offset, row.clone()));
            warn!(partition = %row.partition, kind = %row.act.kind(), offset, by = %row.by, reason = row.reason, "an operator's act is applied");
        }
        Some(row)
    }
}

/// Waits until somebody has given an act that begins at the offset on which this parked partition stands, or wants it
/// acquired again. `heard`: such wishes, each of which counts once: what stops the partition may be there still.
pub(super) async fn given(
    context: &Context,
    partition: LanePartition,
    stands_at: Option<u64>,
    heard: &mut BTreeSet<Uuid>,
) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        match context.deps.store.interventions(partition, stands_at.unwrap_or(i64::MAX.unsigned_abs())).await {
            Ok(rows) => {
                let begins = |row: &Intervention| row.act.offsets().is_some_and(|of| Some(of.first) == stands_at);
                let waits = || rows.iter().filter(|row| row.applied_at.is_none());
                let asked = waits().filter(|row| row.act == Act::Acquire && heard.insert(row.id)).count();
                if asked > 0 || waits().any(begins) {
                    return;
                }
            }
            Err(error) => debug!(%partition, %error, "interventions cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;
    use crate::store::Offsets;

    const NOW: LogTime = LogTime(1_000);

    fn row(id: u128, act: Act) -> Intervention {
        let partition = LanePartition { lane: Lane::Seats, partition: 0 };
        let (by, reason) = ("ann".parse().expect("a name"), "why".to_owned());
        Intervention { id: Uuid::from_u128(id), partition, act, reason, by, at: LogTime(5), applied_at: None }
    }

    fn skip(first: u64, last: u64) -> Act {
        Act::Skip(Offsets { first, last })
    }

    fn time(first: u64, last: u64, time: i64) -> Act {
        Act::Time { offsets: Offsets { first, last }, time: LogTime(time) }
    }

    #[test]
    fn an_act_begins_where_the_partition_stands_still_and_nowhere_else() {
        let mut acts = Interventions::new(vec![row(1, skip(7, 9))], 10, None);
        assert_eq!(acts.skip(7, NOW), None, "it does not stand there");
        acts.stand_at(8, 8);
        assert_eq!(acts.skip(8, NOW), None, "it begins at 7");
        acts.stand_at(7, 7);
        assert_eq!(acts.time(7, NOW), None);
        assert_eq!(acts.skip(7, NOW).as_deref(), Some("skipped by ann: why"));
        assert!(acts.skip(8, NOW).is_some() && acts.skip(9, NOW).is_some() && acts.skip(10, NOW).is_none());
        assert_eq!(acts.begun_at(8), []);
        assert_eq!(acts.begun_at(7), [Intervention { applied_at: Some(NOW), ..row(1, skip(7, 9)) }]);
        assert_eq!(acts.begun_at(7), [], "once");
    }

    #[test]
    fn what_an_owner_has_begun_holds_for_the_next() {
        let begun = Intervention { applied_at: Some(NOW), ..row(1, time(7, 9, 500)) };
        let mut acts = Interventions::new(vec![begun], 9, None);
        assert_eq!(acts.time(9, NOW), Some(LogTime(500)));
        assert_eq!(acts.begun_at(9), []);
    }

    #[test]
    fn an_act_at_an_offset_without_a_record_is_of_the_next_record() {
        for stands_at in [None, Some(7)] {
            let mut acts = Interventions::new(vec![row(1, skip(7, 7))], 10, stands_at);
            if stands_at.is_none() {
                acts.stand_at(7, 9);
            }
            assert!(acts.skip(9, NOW).is_some());
            assert_eq!(acts.begun_at(9)[0].act, skip(7, 9), "as the audit will need it");
        }
    }

    #[test]
    fn an_act_that_reaches_beyond_the_log_does_not_begin() {
        let rows = vec![row(1, skip(7, 9))];
        let mut acts = Interventions::new(rows.clone(), 9, Some(7));
        assert_eq!(acts.skip(7, NOW), None);
        acts.refresh(rows, 10);
        assert!(acts.skip(7, NOW).is_some());
    }

    #[test]
    fn rows_read_again_keep_what_is_not_committed_yet() {
        let rows = vec![row(1, time(7, 9, 500)), row(2, time(7, 9, 600))];
        let mut acts = Interventions::new(rows.clone(), 10, Some(7));
        assert_eq!(acts.time(7, NOW), Some(LogTime(600)), "given last");
        acts.refresh(rows, 10);
        assert_eq!(acts.time(8, NOW), Some(LogTime(600)));
    }
}
