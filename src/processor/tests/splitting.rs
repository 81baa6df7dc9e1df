//! Batches that the store does not take.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::{House, charge, new, succeeded};
use crate::domain::RequestId;
use crate::runtime::health::Failure;
use crate::store::{CommitBatch, Ownership};
use crate::testing::Fault;

/// Alice's charges, appended while no worker runs; a worker then finds them at once.
async fn charges(house: &mut House, count: i64) -> Vec<RequestId> {
    house.stop_worker().await;
    let mut ids = Vec::new();
    for amount in 1..=count {
        ids.push(house.send(charge("alice", amount)).await);
    }
    ids
}

fn hook(house: &House, judge: impl Fn(&CommitBatch) -> Fault + Send + Sync + 'static) {
    house.store.set_batch_hook(Some(Arc::new(judge)));
}

/// The failure of any partition, as soon as there is one.
async fn failure(house: &House) -> Failure {
    loop {
        let found = house.health.snapshot().into_iter().find_map(|(_, failure)| failure);
        match found {
            Some(failure) => return failure,
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_takes_too_long_or_is_refused_is_decided_again_in_parts() {
    for fault in [Fault::TimedOut, Fault::Failed] {
        let mut house = House::new().await;
        let asked = charges(&mut house, 40).await;
        let sizes: Arc<Mutex<Vec<(usize, bool)>>> = Arc::default();
        let seen = Arc::clone(&sizes);
        hook(&house, move |batch| {
            let records = batch.requests.len();
            seen.lock().unwrap().push((records, records <= 3));
            if records > 3 { fault } else { Fault::None }
        });
        house.worker = Some(house.start("second"));
        for id in &asked {
            assert!(succeeded(&house.outcome_of(*id).await), "{fault:?}");
        }
        assert_eq!(house.balance("alice").await, 40 * 41 / 2);
        let sizes: Vec<(usize, bool)> =
            sizes.lock().unwrap().iter().copied().filter(|(records, _)| *records > 0).collect();
        assert_eq!(sizes[0], (40, false), "the whole batch was tried");
        assert!(sizes.contains(&(2, true)), "{sizes:?}");
        assert!(sizes.contains(&(3, true)), "it grows again: {sizes:?}");
        let committed: usize = sizes.iter().filter(|(_, taken)| *taken).map(|(records, _)| records).sum();
        assert_eq!(committed, 40);
        assert_eq!(house.all_outcomes().await.len(), 40, "each decided once, published once");
        house.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_record_that_takes_too_long_waits_and_is_not_parked() {
    let mut house = House::new().await;
    let asked = charges(&mut house, 5).await;
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    hook(&house, move |_| match counted.fetch_add(1, Ordering::SeqCst) < 12 {
        true => Fault::TimedOut,
        false => Fault::None,
    });
    house.worker = Some(house.start("second"));
    let waiting = failure(&house).await;
    assert!(waiting.reason.starts_with("waiting: 1 records from offset 0: commit:"), "{}", waiting.reason);
    for id in asked {
        assert!(succeeded(&house.outcome_of(id).await));
    }
    assert!(house.health.snapshot().iter().all(|(_, failure)| failure.is_none()), "{:?}", house.health.snapshot());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_record_that_is_refused_parks_its_partition_once_all_before_it_are_decided() {
    let mut house = House::new().await;
    let before = charges(&mut house, 20).await;
    let refused = new(charge("alice", 1_000));
    let place = house.place(&refused.body.routing_key());
    let offset = house.append_to(place, &refused).await;
    let behind = house.send(charge("alice", 1)).await;
    let id = refused.request_id;
    hook(&house, move |batch| match batch.requests.iter().any(|row| row.key.id == id) {
        true => Fault::Failed,
        false => Fault::None,
    });
    house.worker = Some(house.start("second"));
    let parked = failure(&house).await;
    let reason = format!("parked: 1 records from offset {offset}: commit: the store refused");
    assert!(parked.reason.starts_with(reason.trim_end_matches("the store refused")), "{}", parked.reason);
    for id in before {
        assert!(succeeded(&house.outcome_of(id).await));
    }
    let outcome = house.outcome_of(behind);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(1), outcome).await.is_err(), "nothing overtakes it");
    house.store.set_batch_hook(None);
    assert!(succeeded(&house.outcome_of(id).await), "the cause is gone");
    assert!(succeeded(&house.outcome_of(behind).await));
    let partition = house.all_outcomes().await[0].decided.position.partition;
    let progress = house.store.progress(partition).await.expect("readable").expect("acquired");
    assert_eq!(progress.next_offset, offset + 2);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_one_batch_parks_its_partition_and_no_other() {
    let mut house = House::new().await;
    let command = new(charge("alice", 1_000));
    let (id, place) = (command.request_id, house.place(&command.body.routing_key()));
    let elsewhere = |user: &String| house.place(&new(charge(user, 1)).body.routing_key()) != place;
    let other = (0..).map(|number| format!("user-{number}")).find(elsewhere).expect("two partitions");
    hook(&house, move |batch| {
        assert!(batch.requests.iter().all(|row| row.key.id != id), "as the test wants it");
        Fault::None
    });
    house.append_to(place, &command).await;
    let parked = failure(&house).await;
    assert!(parked.reason.contains("1 records from offset 0: commit: panicked"), "{}", parked.reason);
    assert!(succeeded(&house.ask(charge(&other, 1)).await));
    house.store.set_batch_hook(None);
    assert!(succeeded(&house.outcome_of(id).await));
    house.stop().await;
}
