//! Deletes old requests and dead letters, in small transactions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;
use crate::domain::{LanePartition, LogTime};
use crate::log::embedded::EmbeddedLog;
use crate::log::{PartitionCounts, ReadError, Topic};
use crate::runtime::clock::Clock;
use crate::store::{OwnerStore, Retention, StoreError, lane_partitions};

/// Pause between two batches, so that commits of the partitions go first.
const PAUSE: Duration = Duration::from_millis(100);

/// What retention deletes from, and how.
pub struct Forgetting {
    pub store: Arc<dyn Retention>,
    /// The embedded log, to be trimmed.
    pub embedded: Option<EmbeddedLog>,
    pub settings: config::Retention,
    /// `None`: the relay publishes the outbox and deletes its rows.
    pub captured: Option<CapturedOutbox>,
}

/// An outbox published by an external process.
pub struct CapturedOutbox {
    pub store: Arc<dyn OwnerStore>,
    pub partitions: PartitionCounts,
}

/// Runs rounds until `shutdown`. The next round retries an unavailable store.
pub async fn run(what: Forgetting, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut outbox_ends = BTreeMap::new();
    loop {
        let age_ms = i64::try_from(what.settings.age.as_millis()).unwrap_or(i64::MAX);
        let before = LogTime(clock.now().0.saturating_sub(age_ms));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = what.round(before, &mut outbox_ends) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(what.settings.interval) => {}
        }
    }
}

impl Forgetting {
    async fn round(&self, before: LogTime, outbox_ends: &mut BTreeMap<LanePartition, u64>) {
        match self.forget(before).await {
            Ok(0) => {}
            Ok(rows) => info!(rows, "deleted requests and dead letters older than the retention"),
            Err(error) => warn!(%error, "retention round failed"),
        }
        // Lanes are never trimmed: an audit replays them from the beginning.
        for topic in [Topic::Outcomes, Topic::DeadLetters] {
            let Some(log) = &self.embedded else { break };
            match self.trim(log, topic, before).await {
                Ok(0) => {}
                Ok(records) => info!(%topic, records, "trimmed records older than the retention"),
                Err(error) => warn!(%topic, %error, "the topic could not be trimmed"),
            }
        }
        if let Some(captured) = &self.captured
            && let Err(error) = captured.delete(outbox_ends).await
        {
            warn!(%error, "captured outbox rows could not be deleted");
        }
    }

    async fn forget(&self, before: LogTime) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let rows = self.store.forget_before(before, self.settings.batch_rows).await?;
            total += rows;
            if rows < u64::from(self.settings.batch_rows) {
                return Ok(total);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn trim(&self, log: &EmbeddedLog, topic: Topic, before: LogTime) -> Result<u64, ReadError> {
        let mut total = 0;
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

impl CapturedOutbox {
    /// Deletes the outbox rows that existed in the previous round. Change data capture reads the database's own log,
    /// which keeps the insertion of a deleted row.
    async fn delete(&self, ends: &mut BTreeMap<LanePartition, u64>) -> Result<(), StoreError> {
        for partition in lane_partitions(&self.partitions) {
            let Some(progress) = self.store.progress(partition).await? else { continue };
            if let Some(before) = ends.insert(partition, progress.next_outbox_seq) {
                self.store.delete_outbox(partition, before).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Changes;
    use crate::store::{CommitBatch, Outbox, OutboxRow, Ownership, Progress};
    use crate::testing::MemoryStore;

    const COUNTS: PartitionCounts = PartitionCounts { seats: 1, wallets: 1, queues: 1, outcomes: 1, dead_letters: 1 };

    fn forgetting(store: Arc<MemoryStore>) -> Forgetting {
        let settings =
            config::Retention { age: Duration::from_secs(60), batch_rows: 10, interval: Duration::from_secs(3600) };
        let captured = CapturedOutbox { store: store.clone(), partitions: COUNTS };
        Forgetting { store, embedded: None, settings, captured: Some(captured) }
    }

    /// Commits one more outbox row of the partition.
    async fn commit_row(store: &MemoryStore, partition: LanePartition) {
        let before = store.acquire(partition, "me").await.unwrap();
        let seq = before.next_outbox_seq;
        let row = OutboxRow {
            id: Uuid::from_u128(u128::from(seq)),
            seq,
            topic: Topic::Outcomes,
            key: "k".to_owned(),
            kind: "x".to_owned(),
            payload: vec![],
            headers: vec![],
        };
        let after = Progress { next_offset: before.next_offset + 1, next_outbox_seq: seq + 1, ..before };
        let batch = CommitBatch {
            partition,
            before,
            after,
            changes: Changes::Seats(vec![]),
            requests: vec![],
            completions: vec![],
            outbox: vec![row],
            dead_letters: vec![],
        };
        store.commit(&batch).await.unwrap();
    }

    #[tokio::test]
    async fn rows_for_capture_stay_for_one_round_and_go_with_the_next() {
        let store = Arc::new(MemoryStore::new());
        let what = forgetting(store.clone());
        let partition = lane_partitions(&COUNTS).next().unwrap();
        let mut ends = BTreeMap::new();
        commit_row(&store, partition).await;
        what.round(LogTime(0), &mut ends).await;
        commit_row(&store, partition).await;
        assert_eq!(store.outbox(partition, 0, 10).await.unwrap().len(), 2);
        what.round(LogTime(0), &mut ends).await;
        let left: Vec<_> = store.outbox(partition, 0, 10).await.unwrap().iter().map(|row| row.seq).collect();
        assert_eq!(left, [1]);
    }
}
