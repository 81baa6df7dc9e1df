//! Deletes requests that no longer count as seen, dead letters that were replayed, and old outcomes, in small
//! transactions.
//!
//! By log time, never by a clock: a log that is decided again, after a restore or an outage, is as old as it was. And only
//! while nothing is left to decide again: every partition has passed the end that it had when it was last acquired, and
//! published what its outbox held then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config;
use crate::domain::{LanePartition, LogTime};
use crate::log::embedded::EmbeddedLog;
use crate::log::{Log, Topic};
use crate::runtime::clock::Clock;
use crate::store::{ProgressView, Remember, RetentionStore, StoreError, lane_partitions};

/// Pause between two batches, so that commits of the partitions go first.
const PAUSE: Duration = Duration::from_millis(100);

/// What retention deletes, and how.
pub struct Forgetting {
    pub store: Arc<dyn RetentionStore>,
    pub log: Arc<dyn Log>,
    /// The embedded log, to be trimmed.
    pub embedded: Option<EmbeddedLog>,
    pub settings: config::Retention,
    /// As noted at the first start; what operators have changed since is the partitions'.
    pub remember: Remember,
}

/// What a round remembers for the next ones.
#[derive(Default)]
struct Rounds {
    /// Where each lane ended at the first round. A store restored from a copy, whose partitions nobody has acquired yet,
    /// does not know that it has to go so far once more.
    ends: BTreeMap<LanePartition, u64>,
}

/// Runs rounds until `shutdown`. The next round retries an unavailable store.
pub async fn run(what: Forgetting, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut rounds = Rounds::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = what.round(clock.now(), &mut rounds) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(what.settings.interval) => {}
        }
    }
}

impl Forgetting {
    async fn round(&self, now: LogTime, rounds: &mut Rounds) {
        match self.forget(rounds).await {
            Ok(0) => {}
            Ok(rows) => info!(rows, "deleted requests and dead letters that are not needed any more"),
            Err(error) => warn!(error = format!("{error:#}"), "retention round failed"),
        }
        // Lanes are never trimmed: an audit replays them from the beginning. Neither are dead letters: one that nobody
        // has replayed is never lost.
        if let Some(log) = &self.embedded {
            match self.trim(log, Topic::Outcomes, now).await {
                Ok(0) => {}
                Ok(records) => info!(records, "trimmed outcomes older than the retention"),
                Err(error) => warn!(error = format!("{error:#}"), "the outcomes could not be trimmed"),
            }
        }
    }

    async fn forget(&self, rounds: &mut Rounds) -> anyhow::Result<u64> {
        if rounds.ends.is_empty() {
            for of in lane_partitions(self.log.partitions()) {
                rounds.ends.insert(of, self.log.end_offset(Topic::Lane(of.lane), of.partition).await?);
            }
        }
        let views = self.store.progress_views().await?;
        if let Some(behind) = rounds.ends.iter().find(|(of, end)| !caught_up(&views, **of, **end)) {
            debug!(partition = %behind.0, "nothing is deleted before everything is decided and published");
            return Ok(0);
        }
        let mut rows = 0;
        for view in &views {
            let remember = self.remember_of(view).await?;
            rows += self.forget_of(view.partition, remember.since(view.last_time)).await?;
        }
        Ok(rows)
    }

    /// To be asked for after the view: an owner may raise it in between, and goes on from a last time that is not before
    /// the view's.
    async fn remember_of(&self, view: &ProgressView) -> Result<Remember, StoreError> {
        Ok(self.remember.after(&self.store.interventions(view.partition, view.next_offset).await?))
    }

    /// As long as any partition remembers its requests, their outcomes stay.
    async fn longest(&self) -> Result<Remember, StoreError> {
        let mut longest = self.remember.ms;
        for view in self.store.progress_views().await? {
            longest = longest.max(self.remember_of(&view).await?.ms);
        }
        Ok(Remember::of_ms(longest))
    }

    async fn forget_of(&self, of: LanePartition, before: LogTime) -> Result<u64, StoreError> {
        let (mut total, limit) = (0, self.settings.batch_rows);
        loop {
            let requests = self.store.forget_requests(of, before, limit).await?;
            let letters = self.store.forget_dead_letters(of, before, limit).await?;
            total += requests + letters;
            if requests.max(letters) < u64::from(limit) {
                return Ok(total);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn trim(&self, log: &EmbeddedLog, topic: Topic, now: LogTime) -> anyhow::Result<u64> {
        let (mut total, before) = (0, self.longest().await?.since(now));
        loop {
            let records = log.trim(topic, before, u64::from(self.settings.batch_rows)).await?;
            total += records;
            if records == 0 {
                return Ok(total);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn caught_up(views: &[ProgressView], of: LanePartition, end: u64) -> bool {
    views.iter().any(|view| view.partition == of && view.caught_up && view.next_offset >= end)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Changes, CommandKind, Fingerprint, Lane, RequestId};
    use crate::log::{NewRecord, PartitionCounts};
    use crate::store::{
        Act, AuditReads, CommitBatch, CommitGroup, Decided, Intervention, OutboxRow, Ownership, Progress, Published,
        RequestKey, RequestRow, RequestState,
    };
    use crate::testing::{MemoryLog, MemoryStore};

    const COUNTS: PartitionCounts =
        PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
    const SEATS: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };
    const WALLETS: LanePartition = LanePartition { lane: Lane::Wallets, partition: 0 };
    const REMEMBER_MS: i64 = 60_000;

    struct World {
        log: MemoryLog,
        store: Arc<MemoryStore>,
        what: Forgetting,
        rounds: Rounds,
    }

    impl World {
        /// Every lane has one record, and nobody owns anything.
        async fn new() -> World {
            let (log, store) = (MemoryLog::new(COUNTS, Clock::System), Arc::new(MemoryStore::new()));
            for of in lane_partitions(&COUNTS) {
                let record = NewRecord { key: "k".into(), value: "v".into(), headers: vec![] };
                log.append(Topic::Lane(of.lane), of.partition, record).await.unwrap();
            }
            let settings = config::Retention {
                after: Duration::from_secs(1),
                batch_rows: 10,
                interval: Duration::from_secs(3_600),
            };
            let what = Forgetting {
                store: store.clone(),
                log: Arc::new(log.clone()),
                embedded: None,
                settings,
                remember: Remember::of_ms(REMEMBER_MS),
            };
            World { log, store, what, rounds: Rounds::default() }
        }

        /// Acquires the partition at the log's end and decides one record at this log time, with one outbox row.
        async fn decide(&self, of: LanePartition, at: i64) {
            let before = self.acquire(of).await;
            let (offset, seq) = (before.next_offset, before.next_outbox_seq);
            let decided = Decided { succeeded: true, outcome: "{}".into(), at: LogTime(at) };
            let request = RequestRow {
                key: RequestKey { id: RequestId(Uuid::from_u128(u128::from(offset) + 1)), internal: false },
                position: of.at(offset),
                fingerprint: Fingerprint(1),
                command: CommandKind::HoldSeats,
                user_id: None,
                by: None,
                state: RequestState::Decided(decided),
                at: LogTime(at),
            };
            let row = OutboxRow {
                id: Uuid::from_u128(u128::from(seq)),
                seq,
                topic: Topic::Outcomes,
                key: "k".to_owned(),
                kind: "x".into(),
                payload: vec![].into(),
                headers: vec![],
            };
            let batch = CommitBatch {
                partition: of,
                before,
                after: Progress { next_offset: offset + 1, next_outbox_seq: seq + 1, last_time: LogTime(at), ..before },
                changes: Changes::Seats(vec![]),
                requests: vec![request],
                completions: vec![],
                outbox: vec![row],
                dead_letters: vec![],
                interventions: vec![],
            };
            self.store.commit(&batch).await.unwrap();
        }

        async fn acquire(&self, of: LanePartition) -> Progress {
            let progress = self.store.acquire(of, "me").await.unwrap();
            let end = self.log.end_offset(Topic::Lane(of.lane), of.partition).await.unwrap();
            self.store.note_end(of, progress.epoch, end).await.unwrap();
            progress
        }

        async fn publish(&self, of: LanePartition) {
            let Progress { epoch, next_outbox_seq, .. } = self.store.progress(of).await.unwrap().unwrap();
            let published = vec![Published { partition: of, epoch, seqs: 0..next_outbox_seq }];
            self.store.commit_group(&CommitGroup { batches: vec![], published }).await.unwrap();
        }

        async fn round(&mut self) {
            self.what.round(LogTime(0), &mut self.rounds).await;
        }

        async fn requests(&self, of: LanePartition) -> Vec<u64> {
            let rows = self.store.requests_page(None, 100).await.unwrap();
            rows.iter().filter(|row| row.position.partition == of).map(|row| row.position.offset).collect()
        }
    }

    #[tokio::test]
    async fn requests_go_when_they_are_old_by_log_time_and_every_partition_has_caught_up() {
        let mut world = World::new().await;
        for of in lane_partitions(&COUNTS).filter(|of| *of != WALLETS) {
            world.decide(of, 1_000).await;
            world.acquire(of).await;
        }
        world.decide(SEATS, 1_000 + REMEMBER_MS + 1).await;
        world.round().await;
        assert_eq!(world.requests(SEATS).await, [0, 1], "nobody owns wallets.0");
        world.acquire(WALLETS).await;
        world.round().await;
        assert_eq!(world.requests(SEATS).await, [0, 1], "wallets.0 has a record to decide");
        world.decide(WALLETS, 1_000).await;
        world.acquire(WALLETS).await;
        for of in [SEATS, WALLETS] {
            world.round().await;
            assert_eq!(world.requests(SEATS).await, [0, 1], "the outbox of {of} is not published");
            world.publish(of).await;
        }
        for of in lane_partitions(&COUNTS) {
            world.publish(of).await;
        }
        world.round().await;
        assert_eq!(world.requests(SEATS).await, [1], "as old as may be counts");
        assert_eq!(world.requests(WALLETS).await, [0], "its log has not gone on");
    }

    #[tokio::test]
    async fn a_restored_store_that_nobody_has_acquired_keeps_its_requests() {
        let mut world = World::new().await;
        for of in lane_partitions(&COUNTS) {
            world.decide(of, 1_000).await;
            world.acquire(of).await;
            world.publish(of).await;
        }
        world.decide(SEATS, 2 * REMEMBER_MS).await;
        // The log has gone on since the copy was made.
        let record = NewRecord { key: "k".into(), value: "v".into(), headers: vec![] };
        world.log.append(Topic::Lane(Lane::Wallets), 0, record).await.unwrap();
        world.round().await;
        assert_eq!(world.requests(SEATS).await, [0, 1]);
        world.decide(WALLETS, 1_000).await;
        world.publish(WALLETS).await;
        world.round().await;
        assert_eq!(world.requests(SEATS).await, [1]);
    }

    /// What counts as seen is changed at the takeover, here at this log time.
    async fn remember(world: &World, of: LanePartition, ms: i64) {
        let before = world.acquire(of).await;
        let (by, reason) = ("ann".parse().unwrap(), "why".to_owned());
        let act = Act::Remember { ms, began: None };
        let given =
            Intervention { id: Uuid::now_v7(), partition: of, act, reason, by, at: LogTime(0), applied_at: None };
        let known = Remember::of_ms(REMEMBER_MS);
        let (_, interventions) = known.begin(&[given], &before, LogTime(0));
        let batch = CommitBatch {
            partition: of,
            before,
            after: before,
            changes: Changes::Seats(vec![]),
            requests: vec![],
            completions: vec![],
            outbox: vec![],
            dead_letters: vec![],
            interventions,
        };
        world.store.commit(&batch).await.unwrap();
    }

    #[tokio::test]
    async fn each_partition_forgets_by_its_own_age() {
        let mut world = World::new().await;
        for of in lane_partitions(&COUNTS) {
            world.decide(of, 1_000).await;
            world.acquire(of).await;
            world.publish(of).await;
        }
        remember(&world, SEATS, 10 * REMEMBER_MS).await;
        remember(&world, WALLETS, 10).await;
        for of in [SEATS, WALLETS] {
            world.decide(of, 1_000 + REMEMBER_MS).await;
            world.decide(of, 1_001 + REMEMBER_MS).await;
            world.publish(of).await;
        }
        world.round().await;
        assert_eq!(world.requests(SEATS).await, [0, 1, 2]);
        assert_eq!(world.requests(WALLETS).await, [1, 2]);
    }
}
