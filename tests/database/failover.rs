//! A primary that is demoted, or falls silent, while every connection to it stays open.

use std::time::Duration;

use turnstile::domain::{ConcertId, LogTime};
use turnstile::store::postgres::{PostgresSettings, PostgresStore};
use turnstile::store::{Catalog, Committed, Concert, Ownership, Page, StoreError};
use uuid::Uuid;

use super::postgres::{Postgres, number};
use super::switch::Switch;
use super::{SEATS, empty_batch, settings};

fn concert(title: &str) -> Concert {
    let id = ConcertId(Uuid::now_v7());
    Concert { id, title: title.into(), description: None, currency: None, time_zone: None, created_at: LogTime(0) }
}

/// What the front door sees of the catalog.
async fn titles(store: &PostgresStore) -> Vec<String> {
    let page = Page { after: None, limit: 10 };
    store.concerts(page).await.unwrap().into_iter().map(|concert| concert.title).collect()
}

/// Uses all connections of both sides at once.
async fn use_all(store: &PostgresStore) {
    let door = futures_util::future::join_all((0..20).map(|_| titles(store)));
    let owners = futures_util::future::join_all((0..20).map(|_| store.progress(SEATS)));
    tokio::join!(door, owners);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_left_at_once_and_nothing_is_read_from_it() {
    let (Some(old), Some(new)) = (Postgres::start(), Postgres::start()) else { return };
    for (server, title) in [(&old, "old"), (&new, "new")] {
        let settings = settings(server.url());
        PostgresStore::migrate(&settings).await.unwrap();
        PostgresStore::open(&settings).await.unwrap().insert_concert(&concert(title)).await.unwrap();
    }
    let switch = Switch::to(&old).await;
    let store = PostgresStore::open(&settings(switch.url())).await.unwrap();
    for epoch in 1..=3 {
        assert_eq!(store.acquire(SEATS, "test").await.unwrap().epoch, epoch);
    }
    use_all(&store).await;
    assert_eq!(titles(&store).await, ["old"]);

    old.demote().await;
    switch.switch(&new);
    // A session takes the setting up with its next statement; the front door asks before it reads.
    let mut attempts = 0;
    while titles(&store).await == ["old"] {
        attempts += 1;
        assert!(attempts <= 8, "the front door reads what is old");
    }
    assert_eq!(titles(&store).await, ["new"]);
    let mut refusals = 0;
    let acquired = loop {
        match store.acquire(SEATS, "test").await {
            Ok(acquired) => break acquired,
            Err(StoreError::Unavailable(reason)) => {
                refusals += 1;
                assert!(refusals <= 2, "a connection to the demoted server is still used: {reason}");
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(acquired.epoch, 1, "the new primary's");
    let left = "select count(*) from pg_stat_activity where application_name = 'turnstile'";
    use_all(&store).await;
    assert_eq!(titles(&store).await, ["new"]);
    let began = std::time::Instant::now();
    while number(&old.url(), left).await > 0 {
        assert!(began.elapsed().as_secs() < 10, "connections to the demoted server stay open");
    }
}

/// As when its host loses power: nothing is closed, nothing is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_left_and_another_one_behind_its_name_used() {
    let (Some(old), Some(new)) = (Postgres::start(), Postgres::start()) else { return };
    for server in [&old, &new] {
        PostgresStore::migrate(&settings(server.url())).await.unwrap();
    }
    let switch = Switch::to(&old).await;
    let settings = PostgresSettings { statement_timeout: Duration::from_millis(500), ..settings(switch.url()) };
    let store = PostgresStore::open(&settings).await.unwrap();
    let first = empty_batch(&store.acquire(SEATS, "test").await.unwrap());
    assert_eq!(store.commit(&first).await, Ok(Committed::Done));
    use_all(&store).await;

    switch.fall_silent();
    switch.switch(&new);
    let silent = store.commit(&empty_batch(&first.after)).await;
    assert!(matches!(silent, Err(StoreError::Unknown(_))), "it may have been committed: {silent:?}");
    // No other connection to it is tried.
    let began = std::time::Instant::now();
    assert_eq!(store.acquire(SEATS, "test").await.unwrap().epoch, 1, "the new one's");
    use_all(&store).await;
    assert!(titles(&store).await.is_empty());
    assert!(began.elapsed() < settings.statement_timeout, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_standby_is_waited_for_at_start() {
    let Some(server) = Postgres::start() else { return };
    PostgresStore::migrate(&settings(server.url())).await.unwrap();
    server.demote().await;
    for refused in [
        PostgresStore::open(&settings(server.url())).await.map(drop),
        PostgresStore::migrate(&settings(server.url())).await,
    ] {
        let Err(StoreError::Unavailable(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("read-only"), "{reason}");
    }
}
