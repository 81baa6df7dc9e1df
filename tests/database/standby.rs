//! A primary that is killed while it commits, and its synchronous standby in its place: nothing that was acknowledged is
//! lost, and nothing is written twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use turnstile::log::Topic;
use turnstile::store::postgres::PostgresStore;
use turnstile::store::{Committed, OutboxRow, Ownership, Progress, StoreError};
use uuid::Uuid;

use super::postgres::{Postgres, number};
use super::switch::Switch;
use super::{SEATS, empty_batch, settings};

fn row(seq: u64) -> OutboxRow {
    let key = "key".to_owned();
    let id = Uuid::from_u128(u128::from(seq));
    OutboxRow {
        id,
        seq,
        topic: Topic::Outcomes,
        key,
        kind: "hold_seats".into(),
        payload: vec![1; 200].into(),
        headers: Vec::new(),
    }
}

/// Commits one record after another, as an owner does: what has no answer is looked up before it is sent again.
async fn own(store: PostgresStore, mut at: Progress, acknowledged: Arc<AtomicU64>) {
    loop {
        let mut batch = empty_batch(&at);
        batch.outbox = vec![row(at.next_outbox_seq)];
        batch.after.next_outbox_seq += 1;
        match store.commit(&batch).await {
            Ok(Committed::Done) => at = batch.after,
            Ok(Committed::Fenced) => panic!("nobody else owns it"),
            Err(StoreError::Failed(reason)) => panic!("{reason}"),
            Err(_) => loop {
                match store.progress(SEATS).await {
                    Ok(Some(found)) if found == batch.after || found == at => {
                        at = found;
                        break;
                    }
                    Ok(found) => panic!("{found:?} after {at:?}"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            },
        }
        acknowledged.store(at.next_offset, Ordering::SeqCst);
    }
}

async fn until(acknowledged: &AtomicU64, offset: u64) {
    let began = std::time::Instant::now();
    while acknowledged.load(Ordering::SeqCst) < offset {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_takes_over_with_everything_acknowledged() {
    let Some(mut primary) = Postgres::start() else { return };
    PostgresStore::migrate(&settings(primary.url())).await.unwrap();
    let switch = Switch::to(&primary).await;
    let store = PostgresStore::open(&settings(switch.url())).await.unwrap();
    let first = store.acquire(SEATS, "test").await.unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let owner = AbortOnDropHandle::new(tokio::spawn(own(store, first, Arc::clone(&acknowledged))));
    for _ in 0..3 {
        let Some(standby) = primary.synchronous_standby().await else { return };
        let before = acknowledged.load(Ordering::SeqCst);
        until(&acknowledged, before + 50).await;
        primary.kill();
        let sure = acknowledged.load(Ordering::SeqCst);
        standby.promote().await;
        let stored = "select next_offset from turnstile.partition_progress";
        assert!(number(&standby.url(), stored).await as u64 >= sure, "an acknowledged commit is lost");
        switch.switch(&standby);
        until(&acknowledged, sure + 50).await;
        assert!(!owner.is_finished());
        primary = standby;
    }
    drop(owner);
    let rows = "select count(*) from turnstile.outbox";
    let next = "select next_outbox_seq from turnstile.partition_progress";
    assert_eq!(number(&primary.url(), rows).await, number(&primary.url(), next).await, "each row once");
}
