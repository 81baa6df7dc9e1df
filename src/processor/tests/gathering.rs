//! What the next batch takes while another commits.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::{House, charge};
use crate::testing::{Call, Fault};

/// Lets every task that can go on do so; no time passes.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Each of these counts of charges is sent at once.
async fn send(house: &House, counts: &[i64]) {
    for count in counts {
        for amount in 1..=*count {
            house.send(charge("alice", amount)).await;
        }
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_batch_waits_for_the_commit_to_end_or_until_it_is_as_large() {
    let mut house = House::new().await;
    house.stop_worker().await;
    let (may_commit, sizes) = (Arc::new(Semaphore::new(0)), Arc::<Mutex<Vec<usize>>>::default());
    let (gate, seen) = (Arc::clone(&may_commit), Arc::clone(&sizes));
    house.store.set_hook(Some(Arc::new(move |call| {
        let gate = Arc::clone(&gate);
        let wait = async move {
            if let Call::Commit(_) = call {
                gate.acquire().await.expect("never closed").forget();
            }
            Fault::None
        };
        wait.boxed()
    })));
    house.store.set_batch_hook(Some(Arc::new(move |batch| {
        seen.lock().unwrap().push(batch.requests.len());
        Fault::None
    })));
    // They are there before the worker is, so they are one batch.
    send(&house, &[3]).await;
    house.worker = Some(house.start("second"));
    settle().await;
    // The third makes a batch as large as the one that commits; the last two come when it is handed in.
    send(&house, &[1, 1, 1, 2]).await;
    may_commit.add_permits(1);
    settle().await;
    send(&house, &[1]).await;
    may_commit.add_permits(2);
    let last = house.send(charge("alice", 100)).await;
    may_commit.add_permits(10);
    house.outcome_of(last).await;
    let sizes = sizes.lock().unwrap().clone();
    assert_eq!(sizes[..3], [3, 3, 3], "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 10);
    house.store.set_hook(None);
    house.stop().await;
}
