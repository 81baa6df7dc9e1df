//! A commit that takes longer than a statement may.

use std::time::Duration;

use turnstile::domain::{BlockKey, ScheduleId};
use turnstile::store::postgres::{PostgresSettings, PostgresStore};
use turnstile::store::{AggregateLoads, Committed, Ownership, Reads, StoreError};
use uuid::Uuid;

use super::postgres::{Postgres, connection};
use super::{SEATS, empty_batch, settings};

#[tokio::test]
async fn a_commit_that_takes_too_long_changes_nothing_and_says_so() {
    let Some(server) = Postgres::start() else { return };
    let settings = PostgresSettings { statement_timeout: Duration::from_millis(300), ..settings(server.url()) };
    PostgresStore::migrate(&settings).await.unwrap();
    let store = PostgresStore::open(&settings).await.unwrap();
    let before = store.acquire(SEATS, "test").await.unwrap();
    let batch = empty_batch(&before);

    let mut other = connection(&server.url()).await;
    let lock = "begin; select 1 from turnstile.partition_progress for update";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let late = store.commit(&batch).await;
    assert!(matches!(late, Err(StoreError::TimedOut(_))), "{late:?}");
    assert!(matches!(store.progress(SEATS).await, Err(StoreError::TimedOut(_))), "it waits for the lock too");
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();

    assert_eq!(store.progress(SEATS).await, Ok(Some(before)));
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
}

#[tokio::test]
async fn loading_a_block_may_take_longer_than_a_commit() {
    let Some(server) = Postgres::start() else { return };
    let settings = PostgresSettings { statement_timeout: Duration::from_millis(200), ..settings(server.url()) };
    PostgresStore::migrate(&settings).await.unwrap();
    let store = PostgresStore::open(&settings).await.unwrap();
    let schedule = ScheduleId(Uuid::nil());

    let mut other = connection(&server.url()).await;
    sqlx::raw_sql("begin; lock table turnstile.seat").execute(&mut other).await.unwrap();
    let keys = [BlockKey::main(schedule)];
    let mut load = store.load_blocks(&keys);
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut load).await.is_err(), "it waits");
    let read = store.seats(schedule).await;
    assert!(matches!(read, Err(StoreError::TimedOut(_))), "the front door's reads are bounded: {:?}", read.err());
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    assert!(load.await.unwrap().is_empty());
}
