//! Checks that log and store belong together: with another log, a store would skip or repeat commands.

use std::fmt;

use crate::log::{Log, LogIdentity, PartitionCounts, ReadError, Topic};
use crate::store::{LogBinding, Reads, RecordedLog, Remember, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Continuing would do harm; the text says what to do instead.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is compared with the log.
pub trait BoundStore: LogBinding + Reads {}
impl<S: LogBinding + Reads + ?Sized> BoundStore for S {}

/// Compares the log with the one recorded in the store; says how long the store has requests count as seen. `prefix`:
/// topic prefix, which tells apart several sets of topics on one cluster. `record`: an empty store records this log, and
/// for good that requests count so long, in ms.
pub async fn check(
    log: &dyn Log,
    store: &(impl BoundStore + ?Sized),
    prefix: Option<&str>,
    record: Option<i64>,
) -> Result<Remember, CheckError> {
    let mut identity = log.identity().await?;
    if let Some(prefix) = prefix {
        identity.log_id = format!("{}/{prefix}", identity.log_id);
    }
    let remember_ms = record.unwrap_or(Remember::DEFAULT.ms);
    let found = RecordedLog { remember_ms, identity, partitions: log.partitions().clone() };
    if record.is_some() {
        // Two workers may start at once: the first entry stays, and both compare with it.
        store.record_log(&found).await?;
    }
    let Some(recorded) = store.recorded_log().await? else { return Ok(Remember::of_ms(remember_ms)) };
    same_partitions(&recorded.partitions, &found.partitions)?;
    same_log(&recorded.identity, &found.identity)?;
    every_offset_is_on_the_log(log, store).await?;
    Ok(Remember::of_ms(recorded.remember_ms))
}

fn refused(reason: fmt::Arguments<'_>) -> CheckError {
    CheckError::Refused(format!("the store and the log do not belong together: {reason}"))
}

fn same_partitions(recorded: &PartitionCounts, found: &PartitionCounts) -> Result<(), CheckError> {
    for topic in Topic::ALL {
        let (before, now) = (recorded.of(topic), found.of(topic));
        // Nothing depends on the partition of an outcome or a dead letter: those counts may grow.
        if before != now && matches!(topic, Topic::Lane(_)) {
            return Err(refused(format_args!(
                "the store was filled from {before} partitions of {topic}, the log has {now}, so keys would change \
                 owners; set log.partitions.{topic} back to {before}, or migrate to {now} as described in docs/kafka.md"
            )));
        }
    }
    Ok(())
}

fn same_log(recorded: &LogIdentity, found: &LogIdentity) -> Result<(), CheckError> {
    if recorded.log_id != found.log_id {
        return Err(refused(format_args!(
            "the store was filled from log {}, this one is {}; correct log.brokers, log.topic_prefix or \
             database.url (data_dir on one machine), or start with an empty store",
            recorded.log_id, found.log_id
        )));
    }
    for (topic, before) in &recorded.topics {
        match found.topics.get(topic) {
            Some(now) if now != before => {
                return Err(refused(format_args!(
                    "topic {topic} was deleted and recreated (id {before}, now {now}), so its offsets name other \
                     records; restore it, or start with an empty store"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn every_offset_is_on_the_log(log: &dyn Log, store: &(impl Reads + ?Sized)) -> Result<(), CheckError> {
    for view in store.progress_views().await? {
        let topic = Topic::Lane(view.partition.lane);
        let partition = view.partition.partition;
        if partition >= log.partitions().of(topic) {
            continue;
        }
        let (next, end) = (view.next_offset, log.end_offset(topic, partition).await?);
        if next > end {
            return Err(refused(format_args!(
                "{} is decided up to offset {next}, but the log ends at {end}: records were lost, or a backup of the \
                 log is older than the store's; restore both from the same time, or start with an empty store",
                view.partition
            )));
        }
        let first = log.first_offset(topic, partition).await?;
        if next < first {
            return Err(refused(format_args!(
                "{} is decided up to offset {next}, but the log begins at {first}: the commands between were deleted \
                 undecided; restore the log, or see docs/operations.md on accepting the loss",
                view.partition
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Changes;
    use crate::log::NewRecord;
    use crate::runtime::clock::Clock;
    use crate::store::{CommitBatch, Ownership, Progress, lane_partitions};
    use crate::testing::{MemoryLog, MemoryStore};

    fn counts(seats: u32) -> PartitionCounts {
        PartitionCounts { seats, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 }
    }

    fn log(seats: u32) -> MemoryLog {
        MemoryLog::new(counts(seats), Clock::System)
    }

    async fn decide_up_to(store: &MemoryStore, next_offset: u64) {
        let partition = lane_partitions(&counts(1)).next().unwrap();
        let before = store.acquire(partition, "me").await.unwrap();
        let batch = CommitBatch {
            partition,
            before,
            after: Progress { next_offset, ..before },
            changes: Changes::Seats(vec![]),
            requests: vec![],
            completions: vec![],
            outbox: vec![],
            dead_letters: vec![],
            interventions: vec![],
        };
        store.commit(&batch).await.unwrap();
    }

    #[tokio::test]
    async fn the_log_of_the_first_start_is_accepted_ever_after() {
        let (log, store) = (log(2), MemoryStore::new());
        check(&log, &store, None, None).await.unwrap();
        assert_eq!(store.recorded_log().await.unwrap(), None, "a front door records nothing");
        check(&log, &store, None, Some(60_000)).await.unwrap();
        let again = check(&log, &store, None, Some(1)).await.unwrap();
        assert_eq!(again, Remember::of_ms(60_000), "what was recorded first counts");
        assert_eq!(check(&log, &store, None, None).await.unwrap(), again);
    }

    #[tokio::test]
    async fn another_partition_count_is_refused_and_says_what_to_do() {
        let store = MemoryStore::new();
        check(&log(2), &store, None, Some(60_000)).await.unwrap();
        let mut recorded = store.recorded_log().await.unwrap().unwrap();
        let other = log(3);
        recorded.identity = other.identity().await.unwrap();
        let reason = same_partitions(&recorded.partitions, other.partitions()).unwrap_err().to_string();
        assert!(reason.contains("filled from 2 partitions of seats, the log has 3"), "{reason}");
        assert!(reason.contains("set log.partitions.seats back to 2"), "{reason}");
    }

    #[tokio::test]
    async fn a_recreated_topic_and_another_log_are_refused() {
        let before = LogIdentity { log_id: "a".into(), topics: [(Topic::Outcomes, "1".into())].into() };
        let again = LogIdentity { log_id: "a".into(), topics: [(Topic::Outcomes, "2".into())].into() };
        let other = LogIdentity { log_id: "b".into(), topics: before.topics.clone() };
        assert!(same_log(&before, &again).unwrap_err().to_string().contains("deleted and recreated"));
        assert!(same_log(&before, &other).unwrap_err().to_string().contains("this one is b"));
        same_log(&before, &LogIdentity { log_id: "a".into(), topics: Default::default() }).unwrap();
    }

    #[tokio::test]
    async fn other_topics_of_the_same_cluster_are_refused() {
        let (log, store) = (log(1), MemoryStore::new());
        check(&log, &store, Some("turnstile"), Some(1)).await.unwrap();
        let reason = check(&log, &store, Some("rehearsal"), Some(1)).await.unwrap_err().to_string();
        assert!(reason.contains("/turnstile, this one is") && reason.contains("log.topic_prefix"), "{reason}");
    }

    #[tokio::test]
    async fn a_store_ahead_of_its_log_is_refused() {
        let (log, store) = (log(1), MemoryStore::new());
        check(&log, &store, None, Some(60_000)).await.unwrap();
        decide_up_to(&store, 1).await;
        let reason = check(&log, &store, None, Some(60_000)).await.unwrap_err().to_string();
        assert!(reason.contains("seats.0 is decided up to offset 1, but the log ends at 0"), "{reason}");
        let record = NewRecord { key: "k".into(), value: "v".into(), headers: vec![] };
        log.append(Topic::Lane(crate::domain::Lane::Seats), 0, record).await.unwrap();
        check(&log, &store, None, Some(60_000)).await.unwrap();
    }
}
