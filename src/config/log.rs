//! The log and the store: `log.*` and `database.*`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::layers::{ConfigError, Layers};
use super::read::Secret;
use crate::log::PartitionCounts;

const ELSEWHERE: &str = "has a setting of its own";
const DURABLE: &str = "a command that was accepted must be on the log, once";
const ROUTING: &str = "the partition decides which worker owns a command";
const OFFSETS: &str = "the store's offset decides where reading starts";
const WHOLE: &str = "readers take every record of a partition in its order";
const MEASURED: &str = "what is asked of the client depends on it";

/// librdkafka's settings that decisions rest on, with the reason.
const KAFKA_SETTINGS_RESERVED: [(&str, &str); 33] = [
    ("bootstrap.servers", ELSEWHERE),
    ("metadata.broker.list", ELSEWHERE),
    ("group.id", ELSEWHERE),
    ("group.instance.id", ELSEWHERE),
    ("session.timeout.ms", ELSEWHERE),
    ("delivery.timeout.ms", ELSEWHERE),
    ("message.timeout.ms", ELSEWHERE),
    ("enable.idempotence", DURABLE),
    ("acks", DURABLE),
    ("request.required.acks", DURABLE),
    ("transactional.id", "an append belongs to no transaction"),
    ("delivery.report.only.error", MEASURED),
    ("produce.offset.report", MEASURED),
    ("statistics.interval.ms", MEASURED),
    ("message.max.bytes", "the largest record is fixed, so that every dead letter fits"),
    ("queuing.strategy", WHOLE),
    ("max.in.flight", WHOLE),
    ("max.in.flight.requests.per.connection", WHOLE),
    ("partitioner", ROUTING),
    ("partition.assignment.strategy", ROUTING),
    ("group.protocol", ROUTING),
    ("group.remote.assignor", ROUTING),
    ("allow.auto.create.topics", "`turnstile topics` creates topics"),
    ("enable.auto.commit", OFFSETS),
    ("auto.commit.enable", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("auto.offset.reset", OFFSETS),
    ("offset.store.method", OFFSETS),
    ("offset.store.path", OFFSETS),
    ("enable.partition.eof", WHOLE),
    ("isolation.level", "records of aborted transactions would be applied"),
    ("check.crcs", "a damaged record must not be applied"),
    ("plugin.library.paths", "a plugin may change what is sent and read"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `None`: the embedded log.
    pub brokers: Option<String>,
    pub topic_prefix: String,
    pub group: String,
    pub partitions: PartitionCounts,
    /// `None`: three, as far as there are brokers.
    pub replication_factor: Option<i32>,
    pub delivery_timeout: Duration,
    /// Further Kafka client settings, by their own names.
    pub kafka: BTreeMap<String, Secret>,
}

impl LogConfig {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let brokers = layers.text_opt("log.brokers")?.map(str::to_owned);
        let kafka = layers.kafka_settings();
        if let Some((name, why)) = KAFKA_SETTINGS_RESERVED.iter().find(|(name, _)| kafka.contains_key(*name)) {
            let refusal = format!("is set by Turnstile and cannot be changed: {why}");
            return Err(layers.refuse(&format!("log.kafka.{name}"), refusal));
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
