//! What runs, as each process says itself, and what the last audit said. For operators: no lane writes it, nothing is
//! decided by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::texts::texts;
use crate::domain::{LanePartition, LogTime};

/// A running process. It writes its row again about once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Of a worker: the owner in `partition_progress`.
    pub name: String,
    /// `api`, `worker`, or both.
    pub role: String,
    pub host: String,
    pub pid: u32,
    pub version: String,
    /// Where it answers health and operations.
    pub address: String,
    /// By its own clock.
    pub started_at: LogTime,
    pub status: ProcessStatus,
}

/// What a process knows of itself. One of another version may say less or more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessStatus {
    /// In order of name; `partition seats.3` for each partition it owns.
    pub checks: Vec<ProcessCheck>,
    pub figures: ProcessFigures,
}

/// A health check, as `/readyz` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCheck {
    pub name: String,
    /// Why it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It makes the process useless.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
}

/// How a partition stands, as its owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStanding {
    pub partition: LanePartition,
    pub state: OwnedState,
    /// Why it does not go on, or what it struggles with.
    pub reason: Option<String>,
}

texts! {
    pub enum OwnedState ("a state of an owned partition") {
        Owned = "owned",
        /// Something other than the store's or the log's absence stops it.
        Parked = "parked",
        /// It has work, and makes no progress.
        Waiting = "waiting",
    }
}

impl ProcessCheck {
    /// What it says of a partition, if it is about one.
    pub fn standing(&self) -> Option<PartitionStanding> {
        let partition = self.name.strip_prefix("partition ")?.parse().ok()?;
        let standing = |state, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            Some(PartitionStanding { partition, state, reason })
        };
        match self.reason.as_deref().map(|reason| (reason, reason.split_once(": "))) {
            None => standing(OwnedState::Owned, None),
            Some((_, Some(("parked", why)))) => standing(OwnedState::Parked, Some(why)),
            Some((_, Some(("waiting", why)))) => standing(OwnedState::Waiting, Some(why)),
            Some((reason, _)) => standing(OwnedState::Owned, Some(reason)),
        }
    }
}

/// Counts of what is there now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessFigures {
    pub connections: i64,
    pub requests: i64,
    /// Requests that wait for an outcome.
    pub waiters: i64,
    /// Streams of seats and of queue positions.
    pub streams: i64,
    /// Resident; 0 where the system does not say.
    pub memory_bytes: u64,
    /// Of one core, in thousandths, since the row before.
    pub cpu_permille: u64,
}

/// A process as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessView {
    pub process: Process,
    /// How long ago it wrote its row, by the database's clock.
    pub silent_for: Duration,
}

impl ProcessView {
    /// What it says of the partitions that it owns.
    pub fn standings(&self) -> impl Iterator<Item = PartitionStanding> + '_ {
        self.process.status.checks.iter().filter_map(ProcessCheck::standing)
    }
}

/// What an audit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRun {
    /// When it ended.
    pub at: LogTime,
    pub took_ms: i64,
    /// Replayed.
    pub records: u64,
    /// Compared.
    pub rows: u64,
    pub differences: u64,
    /// The first difference.
    pub first: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_state_and_reason() {
        let of = |name: &str, reason: Option<&str>| {
            let check = ProcessCheck { name: name.into(), reason: reason.map(Into::into), critical: false };
            check.standing().map(|standing| (standing.partition.to_string(), standing.state, standing.reason))
        };
        let seats = |state, reason: Option<&str>| Some(("seats.3".to_owned(), state, reason.map(str::to_owned)));
        assert_eq!(of("store", None), None);
        assert_eq!(of("partition x", None), None);
        assert_eq!(of("partition seats.3", None), seats(OwnedState::Owned, None));
        let parked = of("partition seats.3", Some("parked: commit: a corrupt row"));
        assert_eq!(parked, seats(OwnedState::Parked, Some("commit: a corrupt row")));
        let waiting = of("partition seats.3", Some("waiting: no progress for 20 s while reading the log"));
        assert_eq!(waiting, seats(OwnedState::Waiting, Some("no progress for 20 s while reading the log")));
        let struggling = of("partition seats.3", Some("publishing: the log's queue is full"));
        assert_eq!(struggling, seats(OwnedState::Owned, Some("publishing: the log's queue is full")));
    }
}
