//! The log and the store: `log.*` and `database.*`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::layers::{ConfigError, Layers};
use super::read::Secret;
use crate::log::PartitionCounts;

/// Set by Turnstile itself: another value would break order, fencing or routing.
const KAFKA_SETTINGS_RESERVED: [&str; 16] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "partitioner",
    "partition.assignment.strategy",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "group.protocol",
    "group.instance.id",
    "session.timeout.ms",
    // Records of aborted transactions would be applied.
    "isolation.level",
    // An append belongs to no transaction.
    "transactional.id",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `None`: the embedded log.
    pub brokers: Option<String>,
    pub topic_prefix: String,
    pub group: String,
    pub partitions: PartitionCounts,
    /// `None`: the broker's default.
    pub replication_factor: Option<i32>,
    pub delivery_timeout: Duration,
    /// Further Kafka client settings, by their own names.
    pub kafka: BTreeMap<String, Secret>,
}

impl LogConfig {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let brokers = layers.text_opt("log.brokers")?.map(str::to_owned);
        let kafka = layers.kafka_settings();
        if let Some(name) = kafka.keys().find(|name| KAFKA_SETTINGS_RESERVED.contains(&name.as_str())) {
            return Err(layers.refuse(&format!("log.kafka.{name}"), "is set by Turnstile and cannot be changed"));
        }
        if let (None, Some(name)) = (&brokers, kafka.keys().next()) {
            return Err(layers.refuse(&format!("log.kafka.{name}"), "is of no use without log.brokers"));
        }
        let replication: i32 = layers.count("log.replication_factor", 0..=16)?;
        Ok(Self {
            topic_prefix: kafka_name(layers, "log.topic_prefix")?,
            group: kafka_name(layers, "log.group")?,
            partitions: partitions(layers, brokers.is_some())?,
            replication_factor: Some(replication).filter(|copies| *copies > 0),
            delivery_timeout: layers.millis("log.delivery_timeout_ms", 100..=60_000)?,
            brokers,
            kafka,
        })
    }
}

fn partitions(layers: &Layers, kafka: bool) -> Result<PartitionCounts, ConfigError> {
    let count = |key: &str, on_kafka: u32, embedded: u32| {
        let configured: u32 = layers.count(key, 0..=1024)?;
        Ok(match configured {
            0 if kafka => on_kafka,
            0 => embedded,
            given => given,
        })
    };
    Ok(PartitionCounts {
        seats: count("log.partitions.seats", 16, 4)?,
        wallets: count("log.partitions.wallets", 16, 4)?,
        queues: count("log.partitions.queues", 8, 2)?,
        inbox: count("log.partitions.inbox", 4, 1)?,
        outcomes: count("log.partitions.outcomes", 16, 4)?,
        dead_letters: count("log.partitions.dead_letters", 1, 1)?,
    })
}

/// Kafka's rule for names, with space left for a suffix.
fn kafka_name(layers: &Layers, key: &str) -> Result<String, ConfigError> {
    let name = layers.text(key)?;
    let fits = (1..=200).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    match fits {
        true => Ok(name.to_owned()),
        false => Err(layers.refuse(key, format_args!("is {name:?}, must be 1 to 200 of A-Z a-z 0-9 . _ -"))),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// `None`: SQLite in the data directory.
    pub url: Option<Secret>,
    pub schema: String,
    pub connections_max: u32,
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
}

impl Database {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let url = layers.secret_opt("database.url")?;
        if let Some(url) = &url
            && !["postgres://", "postgresql://"].iter().any(|scheme| url.reveal().starts_with(scheme))
        {
            return Err(layers.refuse("database.url", "must start with postgres://; leave it empty for SQLite"));
        }
        let schema = layers.text("database.schema")?;
        let plain = schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !plain || !(1..=60).contains(&schema.len()) || schema.starts_with(|first: char| first.is_ascii_digit()) {
            let why = format_args!("is {schema:?}, must be a name of a-z 0-9 _, not starting with a digit");
            return Err(layers.refuse("database.schema", why));
        }
        Ok(Self {
            url,
            schema: schema.to_owned(),
            connections_max: layers.count("database.connections_max", 3..=1000)?,
            acquire_timeout: layers.millis("database.acquire_timeout_ms", 100..=60_000)?,
            statement_timeout: layers.millis("database.statement_timeout_ms", 100..=600_000)?,
        })
    }
}
