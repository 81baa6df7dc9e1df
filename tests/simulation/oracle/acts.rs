//! What operators did about bad records, and what must have come of it: nothing else was touched.

use turnstile::domain::{LanePartition, LogTime, Position};
use turnstile::log::{Record, Timestamp};
use turnstile::store::{Act, Intervention, Interventions};

use super::{must, understood};
use crate::cluster::{Cluster, REMEMBER, lock};
use crate::interventions::Bad;

/// The acts that were applied to one partition.
pub struct Acts<'a> {
    cluster: &'a Cluster,
    applied: Vec<Intervention>,
    /// How long requests count as seen from which offset on, with the epoch of its takeover; the last one first.
    ages: Vec<((u64, u64), i64)>,
    age_ms: i64,
    /// What was decided before never counts again.
    floor: LogTime,
}

impl<'a> Acts<'a> {
    pub async fn of(cluster: &'a Cluster, here: LanePartition) -> Result<Self, String> {
        let rows = cluster.store.interventions(here, 0).await.map_err(|error| error.to_string())?;
        let mut ages = Vec::new();
        for row in &rows {
            let Act::Remember { ms, began } = row.act else { continue };
            must!(began.is_some(), "{here} was taken over since it was told to remember requests for {ms} ms");
            ages.extend(began.map(|began| ((began.offset, began.epoch), ms)));
        }
        // Of several that one owner has found the one given last: they come in the order of their ids.
        ages.sort_by_key(|(takeover, _)| *takeover);
        ages.reverse();
        ages.dedup_by_key(|(takeover, _)| *takeover);
        let applied = rows.into_iter().filter(|row| row.applied_at.is_some()).collect();
        Ok(Acts { cluster, applied, ages, age_ms: REMEMBER.ms, floor: LogTime(i64::MIN) })
    }

    /// For a command at this offset and log time: requests count that were decided then or later. `last`: the log time of
    /// the record before it.
    pub fn counts_since(&mut self, offset: u64, last: LogTime, now: LogTime) -> LogTime {
        while let Some((_, ms)) = self.ages.pop_if(|((from, _), _)| *from <= offset) {
            self.floor = self.floor.max(LogTime(last.0 - self.age_ms));
            self.age_ms = ms;
        }
        self.floor.max(LogTime(now.0 - self.age_ms))
    }

    fn bad(&self, position: Position) -> Option<Bad> {
        lock(&self.cluster.bad).get(&position).copied()
    }

    /// Whether the record was skipped; only a bad one may be.
    pub fn skips(&self, position: Position) -> Result<bool, String> {
        let skips = |row: &Intervention| matches!(row.act, Act::Skip(offsets) if offsets.contains(position.offset));
        let skipped = self.applied.iter().any(skips);
        must!(!skipped || self.bad(position).is_some(), "{position} was skipped and could have been decided");
        Ok(skipped)
    }

    /// The log time of a record that was decided, if the one before is not later.
    pub fn time(&self, position: Position, record: &Record) -> Result<LogTime, String> {
        let given = self.applied.iter().rev().find_map(|row| match row.act {
            Act::Time { offsets, time } if offsets.contains(position.offset) => Some(time),
            _ => None,
        });
        match (given, record.timestamp, self.bad(position)) {
            (Some(time), ..) => Ok(time),
            (None, Timestamp::LogAppend(ms), None) => Ok(LogTime(ms)),
            (None, _, bad) => Err(format!("{position} was decided without a time, it is {bad:?}")),
        }
    }

    /// A skipped record has an outcome unless it cannot be read or is no command.
    pub fn without_outcome(&self, position: Position, record: &Record) -> Result<(), String> {
        let may = self.bad(position) == Some(Bad::Unreadable) || understood(record).is_none();
        must!(may, "{position} was skipped without an outcome");
        Ok(())
    }
}
