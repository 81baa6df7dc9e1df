//! What operators did about bad records, and what must have come of it: nothing else was touched.

use turnstile::domain::{LanePartition, LogTime, Position};
use turnstile::log::{Record, Timestamp};
use turnstile::store::{Act, Intervention, Interventions};

use super::{must, understood};
use crate::cluster::{Cluster, lock};
use crate::interventions::Bad;

/// The acts that were applied to one partition.
pub struct Acts<'a> {
    cluster: &'a Cluster,
    applied: Vec<Intervention>,
}

impl<'a> Acts<'a> {
    pub async fn of(cluster: &'a Cluster, here: LanePartition) -> Result<Self, String> {
        let rows = cluster.store.interventions(here, 0).await.map_err(|error| error.to_string())?;
        Ok(Acts { cluster, applied: rows.into_iter().filter(|row| row.applied_at.is_some()).collect() })
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
