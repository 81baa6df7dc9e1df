//! Apache Kafka, or any broker that speaks its protocol, by librdkafka.
//!
//! * `producer`: appends, pipelined and idempotent.
//! * `reader`: one consumer that fetches what owners and feeds read, from the offsets they name.
//! * `member`: one consumer for each membership that knows who owns what, and fetches nothing.
//! * `topics`: creates and checks the topics. `client`: settings and what the clients tell.
//!
//! librdkafka's calls that wait for a broker run on blocking threads; clients end on threads of their own.

mod client;
mod lanes;
mod member;
mod producer;
mod reader;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::ready;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

pub use self::client::KafkaSettings;
use self::member::KafkaMember;
use self::producer::Appender;
use self::reader::Readers;
use super::{
    AppendFuture, Log, LogIdentity, Membership, NewRecord, PartitionCounts, PartitionReader, ReadError, Topic,
    record_size, refusal,
};

/// A question to the brokers is given up after this time.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Why there is no log on Kafka to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("the Kafka client's settings are wrong: {0}")]
    Settings(String),
    #[error("Kafka at {brokers} does not answer: {reason}")]
    Unreachable { brokers: String, reason: String },
    #[error("topic {topic} does not exist; create the topics with `turnstile topics`")]
    MissingTopic { topic: String },
    #[error("topic {topic} cannot be created: {reason}")]
    Create { topic: String, reason: String },
    #[error(
        "topic {topic} has {found} partitions, the configuration says {wanted}; a partition count cannot change, for \
         keys would move: set log.partitions.{setting} = {found}, or start on new topics with another log.topic_prefix"
    )]
    PartitionCount { topic: String, setting: String, found: usize, wanted: usize },
}

pub struct KafkaLog {
    settings: KafkaSettings,
    names: BTreeMap<Topic, String>,
    appender: Arc<Appender>,
    readers: Arc<Readers>,
}

impl KafkaLog {
    /// Connects, and checks that the topics are there and have the partitions they should.
    pub async fn connect(settings: KafkaSettings) -> Result<Self, ConnectError> {
        let connect = move || {
            let appender = Appender::new(&settings).map_err(|error| ConnectError::Settings(error.to_string()))?;
            topics::check(appender.client().client(), &settings)?;
            Ok(KafkaLog {
                names: Topic::ALL.map(|topic| (topic, settings.topic_name(topic))).into(),
                appender: Arc::new(appender),
                readers: Arc::new(Readers::new(&settings)),
                settings,
            })
        };
        let connected = tokio::task::spawn_blocking(connect).await;
        connected.unwrap_or_else(|error| Err(ConnectError::Settings(error.to_string())))
    }

    /// Kafka's name and number of a partition, if it is one of ours.
    fn place(&self, topic: Topic, partition: u32) -> Result<(&str, i32), ReadError> {
        let number = i32::try_from(partition).ok().filter(|_| partition < self.settings.partitions.of(topic));
        match (self.names.get(&topic), number) {
            (Some(name), Some(number)) => Ok((name, number)),
            _ => Err(ReadError::Unavailable(format!("{topic} has no partition {partition}"))),
        }
    }

    /// First offset and the one behind the last, asked of the broker.
    async fn watermarks(&self, topic: Topic, partition: u32) -> Result<(u64, u64), ReadError> {
        let (name, number) = self.place(topic, partition)?;
        let (name, appender) = (name.to_owned(), Arc::clone(&self.appender));
        let ask = move || {
            let mut attempts = 10;
            loop {
                attempts -= 1;
                let producer = appender.client();
                let client = producer.client();
                match client.fetch_watermarks(&name, number, REQUEST_MAX) {
                    // A partition that is new or moves has no leader for a moment. The client takes what it heard of it
                    // for final and would not ask again for minutes, so it is made to. (Asked for one topic, it would tell
                    // us and not learn from it.)
                    Err(error) if attempts > 0 && leader_is_missing(&error) => {
                        #[allow(clippy::disallowed_methods, reason = "on a thread for blocking calls")]
                        std::thread::sleep(Duration::from_millis(100));
                        let _ = client.fetch_metadata(None, REQUEST_MAX);
                    }
                    answer => return answer,
                }
            }
        };
        let unavailable = |error: &dyn std::fmt::Display| ReadError::Unavailable(error.to_string());
        let answer = tokio::task::spawn_blocking(ask).await.map_err(|error| unavailable(&error))?;
        let (low, high) = answer.map_err(|error| unavailable(&error))?;
        match (u64::try_from(low), u64::try_from(high)) {
            (Ok(low), Ok(high)) => Ok((low, high)),
            _ => Err(unavailable(&"the broker does not know the offsets")),
        }
    }
}

fn leader_is_missing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
        )
    )
}

#[async_trait]
impl Log for KafkaLog {
    fn partitions(&self) -> &PartitionCounts {
        &self.settings.partitions
    }

    /// The cluster's id. Topic ids, which would show a topic that was deleted and made again, are not within reach:
    /// librdkafka 2.12 has them (DescribeTopics), its Rust interface has not. A store that is ahead of such a topic
    /// finds its offset out of range.
    async fn identity(&self) -> Result<LogIdentity, ReadError> {
        let appender = Arc::clone(&self.appender);
        let ask = move || appender.client().client().fetch_cluster_id(REQUEST_MAX);
        let log_id = tokio::task::spawn_blocking(ask).await.ok().flatten();
        let log_id = log_id.ok_or_else(|| ReadError::Unavailable("the cluster's id is not known".to_owned()))?;
        Ok(LogIdentity { log_id, topics: BTreeMap::new() })
    }

    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture {
        if let Some(refused) = refusal(&self.settings.partitions, topic, partition, record_size(&record)) {
            return ready(Err(refused)).boxed();
        }
        match self.place(topic, partition) {
            Ok((name, number)) => self.appender.append(name, number, &record),
            Err(error) => ready(Err(super::AppendError::Refused(error.to_string()))).boxed(),
        }
    }

    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        Ok(self.watermarks(topic, partition).await?.1)
    }

    async fn first_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        Ok(self.watermarks(topic, partition).await?.0)
    }

    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        let (name, number) = self.place(topic, partition)?;
        self.readers.open(name.to_owned(), number, start).await
    }

    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError> {
        Ok(Box::new(KafkaMember::join(&self.settings, member, Arc::clone(&self.readers))?))
    }

    async fn flush(&self, deadline: Duration) {
        self.appender.flush(deadline).await;
    }
}
