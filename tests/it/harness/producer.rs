//! Another service that writes to the topics, past the program.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use turnstile::domain::Lane;
use turnstile::log::embedded::EmbeddedLog;
use turnstile::log::{AppendError, Log, NewRecord, Topic};
use turnstile::wire::routing::partition_for;

use super::System;

/// How many partitions each lane has in these tests.
pub fn partitions(lane: Lane) -> u32 {
    match lane {
        Lane::Seats | Lane::Wallets => 3,
        Lane::Queues | Lane::Inbox => 2,
    }
}

pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Puts records on the topics past the program: as Kafka's client, or on the embedded log while nobody has it open.
pub enum Producer {
    Kafka { producer: FutureProducer, prefix: String },
    Embedded(EmbeddedLog),
}

impl Producer {
    pub async fn open(system: &System) -> Producer {
        match &system.services {
            Some(services) => {
                let mut config = ClientConfig::new();
                config.set("bootstrap.servers", &services.brokers).set("message.max.bytes", "4000000");
                let producer = config.create().expect("a producer");
                Producer::Kafka { producer, prefix: services.prefix.clone() }
            }
            None => Producer::Embedded(system.open_log().await.1.expect("the embedded pair")),
        }
    }

    /// Whether the log took it; one that is too large it may refuse.
    pub async fn append(&mut self, lane: Lane, partition: u32, key: Option<&str>, value: Option<Vec<u8>>) -> bool {
        match self {
            Producer::Kafka { producer, prefix } => {
                let topic = format!("{prefix}.{lane}");
                let mut record: FutureRecord<'_, str, Vec<u8>> =
                    FutureRecord::to(&topic).partition(i32::try_from(partition).unwrap());
                record.key = key;
                record.payload = value.as_ref();
                producer.send(record, Duration::from_secs(30)).await.is_ok()
            }
            Producer::Embedded(log) => {
                let key = key.unwrap_or_default().to_owned();
                let Some(value) = value else { return false };
                let record = NewRecord { key: key.into(), value: value.into(), headers: Vec::new() };
                match log.append(Topic::Lane(lane), partition, record).await {
                    Ok(_) => true,
                    Err(AppendError::Refused(_)) => false,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    pub async fn close(self) {
        match self {
            Producer::Kafka { .. } => {}
            Producer::Embedded(log) => log.close().await,
        }
    }

    /// Appends a command under its routing key, where it belongs; `version` and a request id are added. The request id.
    pub async fn command(&mut self, lane: Lane, key: &str, mut command: Value) -> String {
        let request_id = new_id();
        command["version"] = 1.into();
        command["request_id"] = request_id.as_str().into();
        let value = command.to_string().into_bytes();
        let partition = partition_for(key, partitions(lane));
        assert!(self.append(lane, partition, Some(key), Some(value)).await, "{command} was not appended");
        request_id
    }
}
