use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use turnstile::domain::RequestId;
use turnstile::store::sqlite::SqliteStore;
use turnstile::store::{Ownership, Reads, StoreError};

use super::rows::{SEATS, commit, id, request};
use super::{Subject, conforms};

async fn open_in(directory: &Path) -> SqliteStore {
    SqliteStore::open(&directory.join("store.db")).await.unwrap()
}

async fn open() -> Option<Subject> {
    let directory = TempDir::new().unwrap();
    Some(Subject { store: Arc::new(open_in(directory.path()).await), _keep: Box::new(directory) })
}

conforms!(open());

#[tokio::test]
async fn what_is_committed_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let committed = {
        let store = open_in(directory.path()).await;
        commit(&store, SEATS, |batch| batch.requests = vec![request(1, SEATS, 0)]).await
    };
    let store = open_in(directory.path()).await;
    assert_eq!(store.progress(SEATS).await, Ok(Some(committed)));
    assert_eq!(store.request(RequestId(id(1))).await, Ok(Some(request(1, SEATS, 0))));
}

/// What is on the disk the moment a commit answers must hold it: nothing may wait in memory for a later write.
#[tokio::test]
async fn a_commit_survives_the_loss_of_the_process() {
    let directory = TempDir::new().unwrap();
    let store = open_in(directory.path()).await;
    for number in 0..5 {
        let committed = commit(&store, SEATS, |batch| batch.requests = vec![request(number, SEATS, 0)]).await;
        // What a crash at this moment leaves behind: the files as they are, not closed.
        let left = TempDir::new().unwrap();
        for name in ["store.db", "store.db-wal"] {
            std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
        }
        assert_eq!(open_in(left.path()).await.progress(SEATS).await, Ok(Some(committed)));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_unavailable_and_a_strange_one_refused() {
    let directory = TempDir::new().unwrap();
    let missing = SqliteStore::open(&directory.path().join("no/such/place.db")).await;
    assert!(matches!(missing, Err(StoreError::Unavailable(_))));
    let strange = directory.path().join("store.db");
    std::fs::write(&strange, "not a database, but long enough to look at".repeat(100)).unwrap();
    assert!(matches!(SqliteStore::open(&strange).await, Err(StoreError::Failed(_))));
}
