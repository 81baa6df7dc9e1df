use std::sync::{Arc, Mutex};

use turnstile::store::{Committed, Ownership, StoreError};
use turnstile::testing::{Call, Fault, FaultyStore};

use super::rows::{SEATS, acquired, batch};
use super::{Subject, conforms};

async fn open() -> Option<Subject> {
    Some(Subject { store: Arc::new(FaultyStore::in_memory()), _keep: Box::new(()) })
}

conforms!(open());

#[tokio::test]
async fn a_hook_decides_what_becomes_of_a_call() {
    let store = FaultyStore::in_memory();
    let progress = acquired(&store, SEATS).await;
    let next = Arc::new(Mutex::new(Fault::None));
    let hook_next = Arc::clone(&next);
    store.set_hook(Some(Arc::new(move |call| {
        let fault = if call == Call::Commit(SEATS) { *hook_next.lock().unwrap() } else { Fault::None };
        Box::pin(async move { fault })
    })));
    let batch = batch(SEATS, &progress);
    *next.lock().unwrap() = Fault::Unavailable;
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unavailable(_))));
    *next.lock().unwrap() = Fault::Lost;
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unknown(_))));
    assert_eq!(store.progress(SEATS).await, Ok(Some(progress)));
    *next.lock().unwrap() = Fault::Unanswered;
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unknown(_))));
    assert_eq!(store.progress(SEATS).await, Ok(Some(batch.after)));
    store.set_hook(None);
    assert_eq!(store.commit(&batch).await, Ok(Committed::Fenced));
}
