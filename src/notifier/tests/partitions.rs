//! What becomes of partitions is told in order, once each, whoever dies meanwhile.

use std::time::Duration;

use super::receiver::{Received, Receiver, Reply};
use super::{WITHIN, World};
use crate::domain::{Changes, Lane, LanePartition, LogTime};
use crate::notifier::start_of;
use crate::store::{
    CommitBatch, Committed, Operations, Ownership, PARTITION_EVENTS, Process, ProcessCheck, ProcessStatus,
    WebhookFormat, Webhooks,
};

const HERE: LanePartition = LanePartition { lane: Lane::Seats, partition: 0 };

impl World {
    /// A worker's row; `reason`: why its partition does not go on.
    async fn worker_says(&self, name: &str, reason: Option<&str>) {
        let check =
            ProcessCheck { name: format!("partition {HERE}"), reason: reason.map(str::to_owned), critical: false };
        let process = Process {
            name: name.to_owned(),
            role: "worker".to_owned(),
            host: "h".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            started_at: LogTime(0),
            status: ProcessStatus { checks: vec![check], ..ProcessStatus::default() },
        };
        self.store.heartbeat(&process).await.unwrap();
    }

    /// The owner decides one more record.
    async fn goes_on(&self) {
        let before = self.store.progress(HERE).await.unwrap().unwrap();
        let mut after = before;
        after.next_offset += 1;
        let batch = CommitBatch {
            partition: HERE,
            before,
            after,
            changes: Changes::Seats(Vec::new()),
            requests: Vec::new(),
            completions: Vec::new(),
            outbox: Vec::new(),
            dead_letters: Vec::new(),
            interventions: Vec::new(),
        };
        assert_eq!(self.store.commit(&batch).await, Ok(Committed::Done));
    }

    /// Until the store has so many changes of partitions, and a look more, which would tell too much.
    async fn until_kept(&self, count: usize) {
        let enough = async {
            while self.store.partition_events(0, 100).await.unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WITHIN, enough).await.expect("the changes are kept");
    }
}

fn told(received: &[Received]) -> Vec<(String, String)> {
    received.iter().map(|of| (of.json()["type"].as_str().unwrap().to_owned(), of.id().to_owned())).collect()
}

fn parked(number: u64) -> (String, String) {
    ("partition.parked".to_owned(), format!("partition-seats-0-{number}"))
}

fn recovered(number: u64) -> (String, String) {
    ("partition.recovered".to_owned(), format!("partition-seats-0-{number}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_parked_partition_is_told_once_also_if_its_worker_and_the_notifier_die() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |wanted| wanted.types = vec!["partition.*".to_owned()]).await;
    world.store.acquire(HERE, "w-1").await.unwrap();
    // The last that this worker says: it is dead before a notifier runs.
    world.worker_says("w-1", Some("parked: a corrupt row; for 3 s")).await;
    let notifier = world.start("a");
    let first = receiver.until_taken(1).await.remove(0);
    assert_eq!(told(std::slice::from_ref(&first)), [parked(1)]);
    let data = &first.json()["data"];
    let facts = ["partition", "next_offset", "owner", "reason"].map(|name| data[name].to_string());
    assert_eq!(facts, ["\"seats.0\"", "0", "\"w-1\"", "\"a corrupt row\""]);
    notifier.kill().await;
    // Another worker takes over, looks well for a moment, and stands at the same record.
    world.store.acquire(HERE, "w-2").await.unwrap();
    world.worker_says("w-2", None).await;
    let notifier = world.start("b");
    world.charge(0, "alice", 0..1).await;
    world.worker_says("w-2", Some("parked: a corrupt row; for 1 s")).await;
    world.goes_on().await;
    receiver.until_different(2).await;
    // It is parked at the next one: that is news.
    receiver.until_different(3).await;
    world.worker_says("w-2", None).await;
    world.goes_on().await;
    let taken = receiver.until_different(4).await;
    notifier.stop().await;
    let mut ids = told(&taken);
    // The progress of a notifier that was killed may be half a second old.
    ids.dedup();
    assert_eq!(ids, [parked(1), recovered(2), parked(3), recovered(4)]);
    let last = taken.last().unwrap().json();
    assert_eq!((&last["data"]["parked_as"], &last["data"]["next_offset"]), (&"partition-seats-0-3".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_two_notifiers_give_one_change_one_number() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |_| {}).await;
    world.store.acquire(HERE, "w-1").await.unwrap();
    world.worker_says("w-1", Some("parked: why; for 0 s")).await;
    let feed = super::super::partitions::PartitionFeed::new(world.store.clone());
    for _ in 0..2 {
        // Each as a leader that has just begun.
        let mut watch = super::super::partitions::PartitionWatch::default();
        watch.look(&feed, &crate::runtime::clock::Clock::System).await.unwrap();
    }
    let events = world.store.partition_events(0, 10).await.unwrap();
    assert_eq!((events.len(), events[0].1.reason.as_str()), (1, "why"));
    assert!(!world.store.keep_partition_event(&events[0].1).await.unwrap(), "an older leader is too late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_an_endpoint_that_does_not_answer_gets_it_later_and_again_when_asked() {
    let world = World::new();
    let receiver = Receiver::start(|number, _| if number < 3 { Reply::Status(500) } else { Reply::Status(200) }).await;
    let webhook = world.add(&receiver, |wanted| wanted.types = vec!["partition.parked".to_owned()]).await;
    world.store.acquire(HERE, "w-1").await.unwrap();
    world.worker_says("w-1", Some("parked: why; for 0 s")).await;
    let notifier = world.start("a");
    receiver.until_taken(1).await;
    let mut again = webhook.clone();
    again.content.start = start_of("partitions.0").unwrap();
    assert!(world.store.change_webhook(&again).await.unwrap());
    let taken = receiver.until_taken(2).await;
    notifier.stop().await;
    assert_eq!(told(&taken), [parked(1), parked(1)]);
    let progress = world.store.webhook_progress().await.unwrap().remove(0).state;
    assert_eq!(progress.cursors[&PARTITION_EVENTS].next_offset, 1);
    assert!(start_of(&format!("outcomes.{PARTITION_EVENTS}.0")).is_err() && start_of("partitions.x").is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_chat_is_told_of_a_partition_and_an_endpoint_of_one_date_is_not() {
    let (world, chat, shop) = (World::new(), Receiver::always(200).await, Receiver::always(200).await);
    world.add(&chat, |wanted| (wanted.name, wanted.format) = ("chat".to_owned(), WebhookFormat::Slack)).await;
    let date = world.add(&shop, |wanted| wanted.schedule = Some(uuid::Uuid::from_u128(1))).await;
    world.store.acquire(HERE, "w-1").await.unwrap();
    world.worker_says("w-1", Some("parked: <why>; for 0 s")).await;
    let notifier = world.start("a");
    let taken = chat.until_taken(1).await;
    let text = taken[0].json()["blocks"][0]["text"]["text"].as_str().unwrap().to_owned();
    assert!(text.ends_with("• partition.parked partition seats.0, reason &lt;why&gt;"), "{text}");
    world.until_kept(1).await;
    notifier.stop().await;
    let progress = world.store.webhook_progress().await.unwrap();
    let of_date = progress.iter().find(|row| row.webhook_id == date.id).unwrap();
    assert!(shop.all().is_empty() && !of_date.state.cursors.contains_key(&PARTITION_EVENTS));
}
