//! One notifier at a time.

use std::time::Duration;

use super::World;
use super::receiver::{Receiver, Reply};
use crate::notifier::lease::{Leadership, Turn};
use crate::store::Webhooks;
use crate::testing::MemoryStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_notifier_takes_over_from_one_that_left_and_from_one_that_was_killed() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |_| {}).await;
    let (first, second) = (world.start("a"), world.start("b"));
    world.charge(0, "alice", 0..10).await;
    receiver.until_taken(10).await;
    let leader = world.store.notifier_lease().await.unwrap().unwrap();
    let (leading, other) = if leader.owner == "a" { (first, second) } else { (second, first) };
    leading.kill().await;
    world.charge(0, "alice", 10..20).await;
    receiver.until_taken(20).await;
    let successor = world.store.notifier_lease().await.unwrap().unwrap();
    assert_ne!((successor.epoch, &successor.owner), (leader.epoch, &leader.owner));
    let third = world.start("c");
    other.stop().await;
    world.charge(0, "alice", 20..30).await;
    let taken = receiver.until_different(30).await;
    third.stop().await;
    let seen: std::collections::BTreeSet<u64> = taken.iter().map(|received| received.number()).collect();
    assert_eq!(seen, (0..30).collect());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_gives_signs_of_life_is_never_replaced_whatever_the_clocks_say() {
    let store = MemoryStore::new();
    let after = Duration::from_secs(10);
    let (mut a, mut b) = (Leadership::new("a".into(), after), Leadership::new("b".into(), after));
    assert_eq!(a.round(&store).await, Ok(Some(Turn::Began(1))));
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(a.round(&store).await, Ok(None));
        assert_eq!(b.round(&store).await, Ok(None));
    }
    // The last sign of life was seen at once: a full wait begins there.
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(b.round(&store).await, Ok(None));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(b.round(&store).await, Ok(Some(Turn::Began(2))));
    assert_eq!(a.round(&store).await, Ok(Some(Turn::Ended)), "it learns it at its next sign of life");
    assert_eq!((a.epoch(), b.epoch()), (None, Some(2)));
    b.leave(&store).await;
    assert_eq!(a.round(&store).await, Ok(Some(Turn::Began(3))), "who leaves is replaced at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_a_request_that_is_never_answered() {
    let world = World::new();
    let receiver = Receiver::start(|_, _| Reply::Later(503, 3600)).await;
    world.add(&receiver, |_| {}).await;
    world.charge(0, "alice", 0..1).await;
    let notifier = world.start("a");
    receiver.until_asked(1).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), notifier.stop()).await;
    assert!(stopped.is_ok(), "an hour's pause does not hold up the end");
    let state = world.store.webhook_progress().await.unwrap().remove(0).state;
    assert_eq!(state.cursors[&0].failure.as_ref().unwrap().attempts, 1, "the next notifier goes on from there");
}
