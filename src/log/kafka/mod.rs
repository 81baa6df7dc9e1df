//! Apache Kafka, or any broker that speaks its protocol, by librdkafka.
//!
//! * `appender`: appends, in order within a partition. `lines`: which of two clients a partition's records go by.
//!   `producer`: such a client, idempotent.
//! * `reader`: one consumer outside the group fetches for owners and feeds, from the offsets they name. `record`: what
//!   it fetched. `ends`: how far it sees.
//! * `member`: one consumer per membership follows the assignment and fetches nothing.
//! * `failover`: asks for new leaders while a broker is lost.
//! * `topics`: creates and checks the topics. `client`: settings, log lines and statistics of the clients. `trust`: why a
//!   broker that speaks TLS does not answer.
//!
//! librdkafka calls that wait for a broker run on blocking threads; clients are dropped on their own threads.

mod appender;
mod client;
mod ends;
mod error;
mod failover;
mod lanes;
mod lines;
mod member;
mod producer;
mod reader;
mod record;
pub mod topics;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::ready;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use self::appender::Appender;
pub use self::client::KafkaSettings;
use self::client::REQUEST_MAX;
pub use self::error::ConnectError;
use self::failover::Failover;
use self::member::KafkaMember;
use self::reader::Readers;
use super::{
    AppendFuture, LanePartition, Log, LogIdentity, Membership, NewRecord, PartitionCounts, PartitionReader, ReadError,
    Topic, record_size, refusal,
};

/// Longest wait for one answer about offsets. A question to a broker that is lost stays with it: the next one is asked of
/// the partition's new leader.
const OFFSETS_MAX: Duration = Duration::from_secs(1);

pub struct KafkaLog {
    settings: KafkaSettings,
    names: BTreeMap<Topic, String>,
    appender: Arc<Appender>,
    readers: Arc<Readers>,
    failover: Failover,
}

impl KafkaLog {
    /// Connects, and checks that the topics exist with the configured partition counts and that the lanes keep every
    /// command with the broker's time.
    pub async fn connect(settings: KafkaSettings) -> Result<Self, ConnectError> {
        let checked = settings.clone();
        let failover = Failover::default();
        let connect = move || {
            let appender =
                Appender::new(&settings, &failover).map_err(|error| ConnectError::Settings(error.to_string()))?;
            topics::check(appender.client().client(), &settings).map_err(|error| trust::explained(error, &settings))?;
            Ok(KafkaLog {
                names: Topic::ALL.map(|topic| (topic, settings.topic_name(topic))).into(),
                appender: Arc::new(appender),
                readers: Arc::new(Readers::new(&settings, &failover)),
                failover,
                settings,
            })
        };
        let connected = tokio::task::spawn_blocking(connect).await;
        let log = connected.unwrap_or_else(|error| Err(ConnectError::Settings(error.to_string())))?;
        for warning in topics::check_for_start(&checked).await? {
            tracing::warn!("{warning}");
        }
        Ok(log)
    }

    /// Kafka's topic name and number of a partition, if the topic has it.
    fn place(&self, topic: Topic, partition: u32) -> Result<(&str, i32), ReadError> {
        let number = i32::try_from(partition).ok().filter(|_| partition < self.settings.partitions.of(topic));
        match (self.names.get(&topic), number) {
            (Some(name), Some(number)) => Ok((name, number)),
            _ => Err(ReadError::Unavailable(format!("{topic} has no partition {partition}"))),
        }
    }

    /// First offset and end offset, asked of the broker.
    async fn watermarks(&self, topic: Topic, partition: u32) -> Result<(u64, u64), ReadError> {
        let (name, number) = self.place(topic, partition)?;
        let (name, appender) = (name.to_owned(), Arc::clone(&self.appender));
        let ask = move || {
            let mut attempts = 10;
            loop {
                attempts -= 1;
                let producer = appender.client();
                let client = producer.client();
                match client.fetch_watermarks(&name, number, OFFSETS_MAX) {
                    // A new or moving partition has no leader for a moment. The client caches that and would not ask
                    // again for minutes, so this refreshes its metadata. (A request for one topic would not update
                    // the cache.)
                    Err(error) if attempts > 0 && leader_is_missing(&error) => {
                        #[allow(clippy::disallowed_methods, reason = "on a thread for blocking calls")]
                        std::thread::sleep(Duration::from_millis(100));
                        let _ = client.fetch_metadata(None, OFFSETS_MAX);
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
                // It is led by a lost broker, as far as is known; the client forgets brokers that the cluster does not name.
                | Code::BrokerTransportFailure
                | Code::DestroyBroker
                | Code::OperationTimedOut
                | Code::TimedOutQueue
        )
    )
}

#[async_trait]
impl Log for KafkaLog {
    fn partitions(&self) -> &PartitionCounts {
        &self.settings.partitions
    }

    /// The cluster id. Topic ids, which would reveal a recreated topic, are out of reach: librdkafka 2.12 has them
    /// (DescribeTopics), its Rust interface does not. Each partition's anchor tells such a topic.
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
            Ok((name, number)) => self.appender.append(name, number, record),
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
        Ok(self.readers.open(name.to_owned(), number, start).await?.0)
    }

    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError> {
        Ok(Box::new(KafkaMember::join(&self.settings, member, Arc::clone(&self.readers), &self.failover)?))
    }

    async fn reported(&self) -> Result<BTreeMap<LanePartition, u64>, ReadError> {
        let settings = self.settings.clone();
        let asked = tokio::task::spawn_blocking(move || member::reported(&settings)).await;
        asked.map_err(|error| ReadError::Unavailable(error.to_string()))?
    }

    async fn flush(&self, deadline: Duration) {
        self.appender.flush(deadline).await;
    }
}
