//! Every lane decided again, from its first record to where the store is.

use futures_util::future::join;

use super::follow_ups::{FollowUps, Stray};
use super::outcomes::Newest;
use super::records::Records;
use super::{Audit, AuditError, Step};
use crate::domain::{Lane, LanePartition};
use crate::log::{Record, Topic};
use crate::processor::Replay;
use crate::store::{Anchor, DeadLetterView, Page, Progress, UNSENT_OFFSET, lane_partitions};

const PAGE_ROWS: u32 = 1_000;

impl Audit<'_> {
    /// Of all partitions that were ever acquired. Epochs do not matter: acquiring alone decides nothing.
    pub(super) async fn progress(&self) -> Result<Vec<(LanePartition, Progress)>, AuditError> {
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

    pub(super) async fn replay(&mut self, progress: &[(LanePartition, Progress)]) -> Result<(), AuditError> {
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
            // The log looks for the next records while these are decided.
            let (next, decided) = join(log.next(), self.decide(partition, &mut replay, records)).await;
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

    /// One by one, so that what a record led to is known with its position.
    async fn decide(
        &mut self,
        partition: LanePartition,
        replay: &mut Replay,
        records: Vec<Record>,
    ) -> Result<(), AuditError> {
        let counts = self.log.partitions();
        for record in records {
            let at = partition.at(record.offset);
            let candidate = FollowUps::candidate(partition, &record);
            let batch = replay.decide(vec![record]).await?;
            self.follow_ups.take(at, candidate, &batch);
            for row in &batch.outbox {
                let kept = self.kept.contains(&(partition, row.seq));
                match row.topic {
                    Topic::Lane(_) => self.follow_ups.ask(at, row, kept, counts),
                    Topic::Outcomes if !self.newest.decided(at, row, kept, counts) => {
                        self.report.note(Some(at), || "its outcome is not on the topic of outcomes".to_owned());
                    }
                    Topic::Outcomes | Topic::DeadLetters => {}
                }
            }
            self.turns.take(&batch.changes);
            self.expected.take(batch);
        }
        Ok(())
    }

    /// What was not published, and what never will be.
    pub(super) async fn read_kept(&mut self, progress: &[(LanePartition, Progress)]) -> Result<(), AuditError> {
        for (of, _) in progress {
            let mut from = 0;
            loop {
                let rows = self.store.outbox(*of, from, PAGE_ROWS).await?;
                let Some(last) = rows.last() else { break };
                from = last.seq + 1;
                self.kept.extend(rows.iter().map(|row| (*of, row.seq)));
            }
        }
        let mut after = None;
        loop {
            let views = self.store.dead_letters(Page { after, limit: PAGE_ROWS }).await?;
            let unsent = views.iter().map(|DeadLetterView { letter, .. }| letter).filter(|l| l.unsent_to.is_some());
            let seq = |offset: u64| offset.saturating_sub(UNSENT_OFFSET);
            self.kept.extend(unsent.map(|letter| (letter.position.partition, seq(letter.position.offset))));
            match views.last() {
                Some(last) if views.len() == PAGE_ROWS as usize => after = Some(last.letter.position),
                _ => return Ok(()),
            }
        }
    }

    pub(super) async fn read_newest(&mut self) -> Result<(), AuditError> {
        let (newest, unreadable) = Newest::read(self.log).await?;
        self.report.newest_outcomes = newest.len();
        self.newest = newest;
        for what in unreadable {
            self.report.note(None, || what);
        }
        Ok(())
    }

    /// What was not among the decided records lies behind them, or waits in the outbox; else it is lost.
    pub(super) async fn compare_follow_ups(
        &mut self,
        progress: &[(LanePartition, Progress)],
    ) -> Result<(), AuditError> {
        let mut follow_ups = std::mem::take(&mut self.follow_ups);
        for (of, stored) in progress {
            follow_ups.look_behind(self.log, *of, stored.next_offset).await?;
        }
        for stray in follow_ups.strays() {
            let (at, what) = match stray {
                Stray::Lost(at) if at.lane() == Lane::Inbox => (at, "this record of the inbox was never forwarded"),
                Stray::Lost(at) => (at, "what this decision asks of another partition never got there"),
                Stray::Uncaused(at) => (at, "this command in the program's name follows from no decision"),
            };
            self.report.note(Some(at), || what.to_owned());
        }
        Ok(())
    }

    pub(super) fn compare_newest(&mut self, progress: &[(LanePartition, Progress)]) {
        let ends = progress.iter().map(|(of, progress)| (*of, progress.next_offset)).collect();
        for (position, what) in std::mem::take(&mut self.newest).invented(&ends) {
            self.report.note(Some(position), || what);
        }
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
}
