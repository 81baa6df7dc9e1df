//! The store knows its log: a topic that was recreated or restored is refused where it differs, a trimmed one goes on.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;
use turnstile::domain::{Lane, LogTime};
use turnstile::log::Topic;
use turnstile::wire::routing::partition_for;

use crate::harness::producer::{Producer, partitions};
use crate::harness::server::run_to_end;
use crate::harness::services::Services;
use crate::harness::{System, unchecked, until};

const USER: &str = "alice";

unchecked!(&[]; a_log_with_other_records_is_refused_and_says_why, a_trimmed_log_goes_on);

fn admin(services: &Services) -> (AdminClient<DefaultClientContext>, AdminOptions) {
    let admin = ClientConfig::new().set("bootstrap.servers", &services.brokers).create().expect("an admin client");
    (admin, AdminOptions::new().operation_timeout(Some(Duration::from_secs(20))))
}

async fn charge(system: &System, times: i64) {
    for _ in 0..times {
        system.client.user(USER).charge(100).decide().await.result();
    }
}

/// Puts charges on the log while nobody decides them.
async fn append(system: &System, times: usize) {
    let mut producer = Producer::open(system).await;
    for _ in 0..times {
        let command = json!({"type": "charge_wallet", "user_id": USER, "amount": 7});
        producer.command(Lane::Wallets, USER, command).await;
    }
    producer.close().await;
}

async fn a_log_with_other_records_is_refused_and_says_why(system: &System) {
    charge(system, 1).await;
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy");
    if system.services.is_none() {
        run_to_end(&["backup", &copy.display().to_string()], system.env());
    }
    charge(system, 4).await;
    system.stop().await;
    match &system.services {
        // A copy of the log, older than the store.
        None => {
            for name in ["log.db-wal", "log.db-shm"] {
                let _ = std::fs::remove_file(system.data_dir().join(name));
            }
            std::fs::copy(copy.join("log.db"), system.data_dir().join("log.db")).expect("copied");
        }
        // The topic deleted and made again.
        Some(services) => {
            let (admin, options) = admin(services);
            let topic = format!("{}.wallets", services.prefix);
            admin.delete_topics(&[&topic], &options).await.expect("deleted");
            until("the topic to be made again", async || {
                let output = crate::harness::server::command(&["topics"], system.env()).output().expect("it runs");
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                if output.status.success() && said.contains(&format!("created {topic}")) { Ok(()) } else { Err(said) }
            })
            .await;
        }
    }
    append(system, 9).await;
    system.start().await;
    let base = system.servers()[0].base.clone();
    let name = format!("partition wallets.{}", partition_for(USER, partitions(Lane::Wallets)));
    let reason = until("the partition to be parked", async || {
        let answer = system.client.http().get(format!("{base}/readyz?verbose")).send().await;
        let text = answer.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())?;
        if text.contains(&name) && text.contains("parked") { Ok(text) } else { Err(text) }
    })
    .await;
    assert!(reason.contains("this is another log than the one the store was filled from: at offset 4"), "{reason}");
    assert_eq!(system.client.user(USER).balance().await, 500, "nothing of the other log was decided");
    // The other partitions go on.
    let others = (0..).map(|n| format!("user-{n}"));
    let mut others = others.filter(|user| partition_for(user, 3) != partition_for(USER, 3));
    let other = system.client.user(others.next().expect("one of another partition"));
    other.charge(100).decide().await.result();
}

async fn a_trimmed_log_goes_on(system: &System) {
    charge(system, 3).await;
    system.stop().await;
    append(system, 2).await;
    let partition = partition_for(USER, partitions(Lane::Wallets));
    match &system.services {
        None => {
            let log = system.open_log().await.1.expect("the embedded log");
            // Chunk by chunk: the undecided ones are in chunks of their own.
            let trimmed = log.trim(Topic::Lane(Lane::Wallets), LogTime(i64::MAX), 3).await.expect("trimmed");
            assert!((1..=3).contains(&trimmed), "{trimmed}");
            log.close().await;
        }
        Some(services) => {
            let (admin, options) = admin(services);
            let mut list = TopicPartitionList::new();
            let topic = format!("{}.wallets", services.prefix);
            list.add_partition_offset(&topic, i32::try_from(partition).unwrap(), Offset::Offset(3)).expect("a place");
            admin.delete_records(&list, &options).await.expect("deleted");
        }
    }
    system.start().await;
    charge(system, 1).await;
    assert_eq!(system.client.user(USER).balance().await, 414, "what was undecided is decided");
}
