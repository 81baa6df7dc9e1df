//! Decides everything on the log again, in memory, and compares with the store: the proof that the sale was fair.
//!
//! Each partition is replayed from its first record to the offset the store has reached, by the owner's own steps. What
//! the rules give must be what the store holds: every row of state, every request with its outcome, every dead letter,
//! the state hash, the last log time. Nothing may write to the store meanwhile.

mod conservation;
mod expected;
mod forwarded;
mod reading;
mod records;
mod rows;

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::join;

use crate::domain::{Lane, LanePartition, LogTime, Position};
use crate::log::{Log, ReadError, Topic};
use crate::processor::Replay;
use crate::store::{
    Anchor, AuditReads, DeadLetters, Intervention, Interventions, LogBinding, Outbox, Ownership, Page, Progress,
    Remember, StateTable, StoreError, lane_partitions,
};

use conservation::Conservation;
pub use expected::Kind;
use expected::{Expected, Match};
use forwarded::Forwarded;
use records::Records;

const PAGE_ROWS: u32 = 5_000;

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
    #[error("the store was written to meanwhile; stop the workers, or wait until there is nothing to decide")]
    Moved,
}

/// What the audit reads of a store.
pub trait AuditedStore: Ownership + Interventions + DeadLetters + AuditReads + LogBinding + Outbox {}
impl<S: Ownership + Interventions + DeadLetters + AuditReads + LogBinding + Outbox + ?Sized> AuditedStore for S {}

/// Audits the whole store. What no longer counts as seen, by the log time of its partition, may have been deleted.
///
/// # Errors
/// When the log or the store cannot be read to the end; never for what was found there.
pub async fn run(
    log: &dyn Log,
    store: &(impl AuditedStore + ?Sized),
    watch: &mut (dyn FnMut(Step) + Send),
) -> Result<Report, AuditError> {
    let remember = store.recorded_log().await?.map_or(Remember::DEFAULT, |log| Remember::of_ms(log.remember_ms));
    let (expected, forwarded, report) = (Expected::new(log.partitions()), Forwarded::default(), Report::default());
    let mut audit = Audit { log, store, watch, remember, counts_since: BTreeMap::new(), expected, forwarded, report };
    let progress = audit.progress().await?;
    audit.replay(&progress).await?;
    audit.compare_forwarded(&progress).await?;
    audit.compare_state().await?;
    audit.compare_requests().await?;
    audit.compare_dead_letters().await?;
    audit.missing();
    if audit.progress().await? != progress {
        return Err(AuditError::Moved);
    }
    Ok(audit.report)
}

struct Audit<'a, S: ?Sized> {
    log: &'a dyn Log,
    store: &'a S,
    watch: &'a mut (dyn FnMut(Step) + Send),
    remember: Remember,
    /// What was decided before no longer counts as seen.
    counts_since: BTreeMap<LanePartition, LogTime>,
    expected: Expected,
    forwarded: Forwarded,
    report: Report,
}

impl<S: AuditedStore + ?Sized> Audit<'_, S> {
    /// Of all partitions that were ever acquired. Epochs do not matter: acquiring alone decides nothing.
    async fn progress(&self) -> Result<Vec<(LanePartition, Progress)>, AuditError> {
        let mut all = Vec::new();
        for partition in lane_partitions(self.log.partitions()) {
            if let Some(progress) = self.store.progress(partition).await? {
                all.push((partition, Progress { epoch: 0, ..progress }));
            }
        }
        // The inbox first: what it forwarded is looked for in the lanes.
        all.sort_by_key(|(partition, _)| partition.lane != Lane::Inbox);
        Ok(all)
    }

    async fn replay(&mut self, progress: &[(LanePartition, Progress)]) -> Result<(), AuditError> {
        let of = progress.iter().map(|(_, progress)| progress.next_offset).sum();
        for (partition, stored) in progress {
            let topic = Topic::Lane(partition.lane);
            let first = self.log.first_offset(topic, partition.partition).await?;
            let end = self.log.end_offset(topic, partition.partition).await?;
            if first > 0 && stored.next_offset > 0 {
                return Err(AuditError::Shortened(*partition, first));
            }
            if end < stored.next_offset {
                return Err(AuditError::Ahead(*partition, end, stored.next_offset));
            }
            self.replay_partition(*partition, stored, of).await?;
        }
        Ok(())
    }

    async fn replay_partition(
        &mut self,
        partition: LanePartition,
        stored: &Progress,
        of: u64,
    ) -> Result<(), AuditError> {
        let mut acts = self.store.interventions(partition, 0).await?;
        acts.retain(|act| act.applied_at.is_some());
        let mut replay = Replay::new(partition, self.log.partitions(), self.remember, acts.clone());
        let mut log = Records::open(self.log, self.store, partition, stored.next_offset, &acts).await?;
        let remember = self.remember.after(&acts);
        self.report.interventions.extend(acts);
        let mut ahead = log.next().await?;
        while !ahead.is_empty() {
            let records = std::mem::take(&mut ahead);
            self.report.records += records.len() as u64;
            let (expected, forwarded, counts) = (&mut self.expected, &mut self.forwarded, self.log.partitions());
            forwarded.found(partition, &records);
            let offsets: Vec<u64> = match partition.lane {
                Lane::Inbox => records.iter().map(|record| record.offset).collect(),
                _ => Vec::new(),
            };
            let decide = async {
                let batch = replay.decide(records).await?;
                forwarded.expect(&offsets, &batch, counts);
                expected.take(batch);
                Ok::<(), StoreError>(())
            };
            // The log looks for the next records while these are decided.
            let (next, decided) = join(log.next(), decide).await;
            (ahead, _) = (next?, decided?);
            (self.watch)(Step::Replayed { records: self.report.records, of });
        }
        self.counts_since.insert(partition, remember.since(stored.last_time));
        if replay.remember() != remember {
            let (store, log) = (remember.floor.0, replay.remember().floor.0);
            self.report.note(None, || format!("floor of {partition} is {store} in the store, {log} by the log"));
        }
        self.compare_progress(partition, stored, replay.progress());
        Ok(())
    }

    /// What was not among the decided records lies behind them, or waits in the outbox; else it is lost.
    async fn compare_forwarded(&mut self, progress: &[(LanePartition, Progress)]) -> Result<(), AuditError> {
        let mut forwarded = std::mem::take(&mut self.forwarded);
        for (of, stored) in progress {
            forwarded.look_behind(self.log, *of, stored.next_offset).await?;
        }
        for (of, _) in progress.iter().filter(|(of, _)| of.lane == Lane::Inbox) {
            forwarded.look_in_outbox(self.store, *of, self.log.partitions()).await?;
        }
        for position in forwarded.lost() {
            self.report.note(Some(position), || "this record of the inbox was never forwarded".to_owned());
        }
        Ok(())
    }

    fn compare_progress(&mut self, partition: LanePartition, stored: &Progress, decided: &Progress) {
        let last = Some(partition.at(stored.next_offset.saturating_sub(1)));
        let rows = self.expected.state_hash(partition);
        let of = |anchor: Option<Anchor>, part: fn(Anchor) -> u64| anchor.map_or(u64::MAX, part);
        let numbers = [
            ("next_offset", stored.next_offset, decided.next_offset),
            ("next_outbox_seq", stored.next_outbox_seq, decided.next_outbox_seq),
            ("state_hash", stored.state_hash, decided.state_hash),
            ("state_hash of all rows", decided.state_hash, rows),
            ("last_time", stored.last_time.0 as u64, decided.last_time.0 as u64),
            ("anchor_offset", of(stored.anchor, |anchor| anchor.offset), of(decided.anchor, |anchor| anchor.offset)),
            ("anchor_hash", of(stored.anchor, |anchor| anchor.hash), of(decided.anchor, |anchor| anchor.hash)),
            ("anchor_time", of(stored.anchor, |a| a.time.0 as u64), of(decided.anchor, |a| a.time.0 as u64)),
        ];
        for (name, store, log) in numbers {
            if store != log {
                self.report
                    .note(last, || format!("{name} of {partition} is {store:x} in the store, {log:x} by the log"));
            }
        }
    }

    fn compared(&mut self, rows: usize) {
        self.report.rows += rows as u64;
        (self.watch)(Step::Compared { rows: self.report.rows });
    }

    fn judge(&mut self, found: Match, position: Position, row: impl FnOnce() -> String) {
        match found {
            Match::Equal => {}
            Match::Differs => self.report.note(Some(position), || format!("the log gives another row than {}", row())),
            Match::Unknown => self.report.note(Some(position), || format!("the log gives no such row as {}", row())),
        }
    }

    async fn compare_state(&mut self) -> Result<(), AuditError> {
        let mut conservation = Conservation::default();
        for table in StateTable::ALL {
            let mut page = self.store.state_page(table, None, PAGE_ROWS).await?;
            while !page.is_empty() {
                let (store, rows) = (self.store, std::mem::take(&mut page));
                let compare = async {
                    for row in &rows {
                        conservation.row(row);
                        let found = self.expected.state(row);
                        self.judge(found, rows::arrival(row).position, || format!("{row:?}"));
                    }
                    self.compared(rows.len());
                };
                let is_last = rows.len() < PAGE_ROWS as usize;
                let next = async {
                    if is_last { Ok(Vec::new()) } else { store.state_page(table, rows.last(), PAGE_ROWS).await }
                };
                page = join(next, compare).await.0?;
            }
        }
        for complaint in conservation.complaints() {
            self.report.note(None, || complaint);
        }
        Ok(())
    }

    async fn compare_requests(&mut self) -> Result<(), AuditError> {
        let mut page = self.store.requests_page(None, PAGE_ROWS).await?;
        while !page.is_empty() {
            let (store, rows) = (self.store, std::mem::take(&mut page));
            let compare = async {
                for row in &rows {
                    let found = self.expected.request(row);
                    self.judge(found, row.position, || format!("{row:?}"));
                }
                self.compared(rows.len());
            };
            let is_last = rows.len() < PAGE_ROWS as usize;
            let next =
                async { if is_last { Ok(Vec::new()) } else { store.requests_page(rows.last(), PAGE_ROWS).await } };
            page = join(next, compare).await.0?;
        }
        Ok(())
    }

    async fn compare_dead_letters(&mut self) -> Result<(), AuditError> {
        let mut after = None;
        loop {
            let views = self.store.dead_letters(Page { after, limit: PAGE_ROWS }).await?;
            // What the log refused to take was decided all the same: its decision is compared, not its way.
            for view in views.iter().filter(|view| view.letter.unsent_to.is_none()) {
                let found = self.expected.dead_letter(&view.letter);
                self.judge(found, view.letter.position, || format!("{:?}", view.letter));
            }
            self.compared(views.len());
            match views.last() {
                Some(last) if views.len() == PAGE_ROWS as usize => after = Some(last.letter.position),
                _ => return Ok(()),
            }
        }
    }

    /// What the log gives and the store does not have. Old requests and dead letters are forgotten by and by.
    fn missing(&mut self) {
        let (report, mut forgotten) = (&mut self.report, 0);
        for (kind, position, at) in self.expected.missing() {
            let old = self.counts_since.get(&position.partition).is_some_and(|since| at < *since);
            if matches!(kind, Kind::Request | Kind::DeadLetter) && old {
                forgotten += 1;
                continue;
            }
            report.note(Some(position), || format!("the store has no {} row of this command", kind.as_str()));
        }
        report.forgotten = forgotten;
    }
}
