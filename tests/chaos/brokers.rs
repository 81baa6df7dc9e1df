//! Faults of a cluster of three brokers, as production runs: three copies, of which two must have a record.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::backends::{Backends, CLUSTER};
use crate::faults::PLAIN;
use crate::harness::until;
use crate::scenario::{Fault, Scenario, run};

/// Each in turn, whatever it leads and coordinates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_brokers_killed() {
    let fault = Fault { order: 12, name: "kill -9 of one of three brokers", cluster: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, round| {
        let number = 1 + u16::try_from(round % u64::from(CLUSTER)).expect("a few");
        scenario.backends.end_broker(number, "kill").await;
        // The others lead its partitions, before it is back.
        scenario.workload.progress().await;
        scenario.backends.start_broker(number).await;
        all_in_sync(&scenario.backends).await;
        1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_restarted_one_after_another() {
    let fault = Fault { order: 13, name: "rolling restart of three brokers", cluster: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, _| {
        for number in 1..=CLUSTER {
            scenario.backends.end_broker(number, "down").await;
            scenario.backends.start_broker(number).await;
            all_in_sync(&scenario.backends).await;
        }
        u64::from(CLUSTER)
    })
    .await;
}

/// Waits until no partition has a copy that is behind: a second broker may go only then.
pub async fn all_in_sync(backends: &Backends) {
    let brokers = backends.brokers.clone();
    until("all copies to be in sync", async || {
        let brokers = brokers.clone();
        let asked = tokio::task::spawn_blocking(move || copies_behind(&brokers)).await.expect("it asks");
        match asked {
            Ok(0) => Ok(()),
            Ok(behind) => Err(format!("{behind} copies are behind")),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

fn copies_behind(brokers: &str) -> rdkafka::error::KafkaResult<usize> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(5))?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    Ok(partitions.map(|partition| partition.replicas().len() - partition.isr().len()).sum())
}
