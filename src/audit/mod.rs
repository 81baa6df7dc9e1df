//! Decides everything on the log again, in memory, and compares with the store: the proof that the sale was fair.
//!
//! Each partition is replayed from its first record to the offset the store has reached, by the owner's own steps. What
//! the rules give must be what the store holds: every row of state, every request with its outcome, every dead letter,
//! the state hash, the last log time. Beyond that: what a decision asks of other partitions got there and nothing else was
//! decided in the program's name, the newest outcomes on the topic are those that were decided, and over the whole store
//! seats, money and places add up. The store is read as it is at one moment, so it may serve meanwhile.

mod comparing;
mod conservation;
mod expected;
mod follow_ups;
mod outcomes;
mod reading;
mod records;
mod replaying;
mod rows;
mod turns;

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::domain::{LanePartition, LogTime, Position};
use crate::log::{Log, ReadError};
use crate::store::{AuditedStore, Intervention, Remember, Snapshots, StoreError};

use expected::Expected;
pub use expected::Kind;
use follow_ups::FollowUps;
use outcomes::Newest;
use turns::Turns;

/// How the audit goes on, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// So many of so many records are decided again.
    Replayed { records: u64, of: u64 },
    /// So many rows of the store are compared.
    Compared { rows: u64 },
}

/// One place where store and log do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The command the row follows from; `None` where no single command is to blame.
    pub position: Option<Position>,
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "at {position}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What the audit found.
#[derive(Debug, Default)]
pub struct Report {
    pub records: u64,
    pub rows: u64,
    /// Old requests and dead letters that the store no longer has because their retention is over.
    pub forgotten: u64,
    /// Records on the topic of outcomes that were compared: the newest of each partition.
    pub newest_outcomes: u64,
    /// Holds of users in dates with a waiting queue that had no turn about then, and the first of them. The log's writers
    /// are trusted with that, so it is no difference.
    pub without_turn: (u64, Option<Position>),
    pub differences: u64,
    /// What operators did about records, as owners applied it.
    pub interventions: Vec<Intervention>,
    /// Of those that have a position the first by lane, partition and offset, else any.
    pub first: Option<Difference>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.differences == 0
    }

    fn note(&mut self, position: Option<Position>, what: impl FnOnce() -> String) {
        self.differences += 1;
        let is_first = match (&self.first, position) {
            (None, _) => true,
            (Some(Difference { position: None, .. }), Some(_)) => true,
            (Some(Difference { position: Some(first), .. }), Some(position)) => position < *first,
            (Some(_), None) => false,
        };
        if is_first {
            self.first = Some(Difference { position, what: what() });
        }
    }
}

/// Why there is nothing to say about the store.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the log cannot be read: {0}")]
    Log(#[from] ReadError),
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("{0} begins at offset {1}: what was before is no longer on the log, so it cannot be decided again")]
    Shortened(LanePartition, u64),
    #[error("the log of {0} ends at {1}, before the {2} records that the store has decided")]
    Ahead(LanePartition, u64, u64),
}

/// Audits the whole store as it is now. What no longer counts as seen, by the log time of its partition, may have been
/// deleted.
///
/// # Errors
/// When the log or the store cannot be read to the end; never for what was found there.
pub async fn run(
    log: &dyn Log,
    store: &(impl Snapshots + ?Sized),
    watch: &mut (dyn FnMut(Step) + Send),
) -> Result<Report, AuditError> {
    let snapshot = store.snapshot().await?;
    let store = &*snapshot;
    let remember = store.recorded_log().await?.map_or(Remember::DEFAULT, |log| Remember::of_ms(log.remember_ms));
    let mut audit = Audit {
        log,
        store,
        watch,
        remember,
        counts_since: BTreeMap::new(),
        expected: Expected::new(log.partitions()),
        kept: HashSet::new(),
        follow_ups: FollowUps::default(),
        newest: Newest::default(),
        turns: Turns::default(),
        report: Report::default(),
    };
    // The store first: what it says was published is on the log from then on.
    let progress = audit.progress().await?;
    audit.read_kept(&progress).await?;
    audit.read_newest().await?;
    audit.replay(&progress).await?;
    audit.compare_follow_ups(&progress).await?;
    audit.compare_newest(&progress);
    audit.turns.close();
    audit.compare_state().await?;
    audit.compare_requests().await?;
    audit.compare_dead_letters().await?;
    audit.missing();
    audit.report.without_turn = audit.turns.without();
    Ok(audit.report)
}

struct Audit<'a> {
    log: &'a dyn Log,
    store: &'a dyn AuditedStore,
    watch: &'a mut (dyn FnMut(Step) + Send),
    remember: Remember,
    /// What was decided before no longer counts as seen.
    counts_since: BTreeMap<LanePartition, LogTime>,
    expected: Expected,
    /// Outbox rows that are not published, or never will be because the log refuses them.
    kept: HashSet<(LanePartition, u64)>,
    follow_ups: FollowUps,
    newest: Newest,
    turns: Turns,
    report: Report,
}
