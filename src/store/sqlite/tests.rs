use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::domain::wallet::{self, Wallet};
use crate::domain::{Arrival, Balance, Changes, CommandKind, Fingerprint, Lane, LanePartition, LogTime, RequestId};
use crate::log::Topic;
use crate::store::sql::dialect::query;
use crate::store::{
    AggregateLoads, CommitBatch, Decided, OutboxRow, Ownership, Progress, RequestKey, RequestRow, RequestState,
};

async fn open() -> (SqliteStore, TempDir) {
    let directory = TempDir::new().unwrap();
    (SqliteStore::open(&directory.path().join("store.db")).await.unwrap(), directory)
}

fn partition(partition: u32) -> LanePartition {
    LanePartition { lane: Lane::Wallets, partition }
}

/// One batch of one wallet and one request with an outcome of this size.
fn batch(of: LanePartition, progress: &Progress, outcome_bytes: usize) -> CommitBatch {
    let position = of.at(progress.next_offset);
    let wallet = Wallet {
        user_id: format!("user-{of}").parse().unwrap(),
        balance: Balance::new(1).unwrap(),
        entries: 0,
        changed: Arrival { position, time: LogTime(1) },
    };
    let id = RequestId(Uuid::from_u128(u128::from(of.partition) << 64 | u128::from(position.offset)));
    let request = RequestRow {
        key: RequestKey { id, internal: false },
        position,
        fingerprint: Fingerprint(1),
        command: CommandKind::ChargeWallet,
        user_id: None,
        by: None,
        state: RequestState::Decided(Decided { succeeded: true, outcome: "x".repeat(outcome_bytes), at: LogTime(0) }),
        at: LogTime(1),
    };
    CommitBatch {
        partition: of,
        before: *progress,
        after: Progress { next_offset: progress.next_offset + 1, last_time: LogTime(1), state_hash: 1, ..*progress },
        changes: Changes::Wallets(vec![wallet::Row::Wallet(wallet)]),
        requests: vec![request],
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
        interventions: Vec::new(),
    }
}

#[tokio::test]
async fn many_may_open_a_new_store_at_the_same_time() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    // Each has a thread of its own, as processes would.
    for opened in join_all((0..8).map(|_| SqliteStore::open(&path))).await {
        assert_eq!(opened.map(drop), Ok(()));
    }
}

#[tokio::test]
async fn a_full_disk_is_unavailable_loses_nothing_and_passes() {
    let (store, _directory) = open().await;
    let of = partition(0);
    let progress = store.acquire(of, "worker").await.unwrap();
    let first = batch(of, &progress, 10);
    assert_eq!(store.commit(&first).await, Ok(Committed::Done));
    // The file may not grow beyond a few pages more. The limit ends with the connection, which the error does away with.
    store.write(query("pragma max_page_count = 1", Vec::new())).await.unwrap();

    let progress = store.progress(of).await.unwrap().unwrap();
    let large = batch(of, &progress, 4_000_000);
    let Err(StoreError::Unavailable(reason)) = store.commit(&large).await else { panic!("it had room") };
    assert!(reason.contains("full"), "{reason}");
    assert_eq!(store.progress(of).await, Ok(Some(progress)));
    assert_eq!(store.load_requests(of, &[first.requests[0].key]).await, Ok(first.requests));

    assert_eq!(store.commit(&large).await, Ok(Committed::Done));
    assert_eq!(store.load_requests(of, &[large.requests[0].key]).await, Ok(large.requests));
}

#[tokio::test]
async fn f60_batches_of_one_group_do_not_share_their_fate() {
    let (store, _directory) = open().await;
    let started = join_all((0..6).map(async |of| store.acquire(partition(of), "worker").await.unwrap())).await;
    let mut batches: Vec<CommitBatch> =
        started.iter().zip(0..).map(|(progress, of)| batch(partition(of), progress, 10)).collect();
    (batches[1].before.epoch, batches[1].after.epoch) = (9, 9);
    let row = OutboxRow {
        id: uuid::Uuid::from_u128(1),
        seq: 0,
        topic: Topic::Outcomes,
        key: "k".to_owned(),
        kind: "x".into(),
        payload: Vec::new().into(),
        headers: Vec::new(),
    };
    batches[3].outbox = vec![row.clone(), row];
    batches[4].before.next_offset += 1;
    // All are sent before the writer, on this very thread, looks for the first.
    let results = join_all(batches.iter().map(|batch| store.commit(batch))).await;
    for (of, result) in (0..).zip(&results) {
        let committed = store.progress(partition(of)).await.unwrap().unwrap().next_offset;
        match of {
            1 | 4 => assert_eq!((result, committed), (&Ok(Committed::Fenced), 0)),
            3 => assert!(matches!(result, Err(StoreError::Failed(_))) && committed == 0),
            _ => assert_eq!((result, committed), (&Ok(Committed::Done), 1)),
        }
        let wallets = store.load_wallets(&[format!("user-{}", partition(of)).parse().unwrap()]).await.unwrap();
        assert_eq!(wallets.len() as u64, committed, "{of}");
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_writer_at_work() {
    let (store, _directory) = open().await;
    let of = partition(0);
    let progress = store.acquire(of, "worker").await.unwrap();
    let given_up = batch(of, &progress, 10);
    // Polled once: the statements are with the writer.
    let _ = futures_util::poll!(std::pin::pin!(store.commit(&given_up)));
    let next = Progress { next_offset: 1, ..progress };
    assert_eq!(store.commit(&batch(of, &next, 10)).await, Ok(Committed::Done));
}
