//! Appends: a pipelined idempotent producer that refuses when its queue is full.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, error::KafkaResult};
use tokio::sync::oneshot;

use super::client::{KafkaSettings, Telling};
use super::failover::{Failover, Leaders};
use crate::log::{AppendError, AppendFuture, Appended, NewRecord};

type Client = ThreadedProducer<Deliveries>;

/// How often a lost connection is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Drops the client on a thread of its own: its destructor joins threads and would block a Tokio worker.
pub(super) struct Producing(Option<Client>);

impl Producing {
    fn connect(config: &ClientConfig, settings: &KafkaSettings, failover: &Failover) -> KafkaResult<Arc<Self>> {
        let client = config.create_with_context(Deliveries(Telling::new("producer", settings, failover)))?;
        Ok(Arc::new(Producing(Some(client))))
    }
}

impl std::ops::Deref for Producing {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.0.as_ref().expect("taken only when it is dropped")
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        let client = self.0.take();
        if let Err(error) = std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(client)) {
            tracing::warn!(%error, "no thread to end a Kafka client on");
        }
    }
}

/// Passes each delivery report to its waiter. `FutureProducer` would copy every failed record, a full queue of them in
/// an outage.
pub(super) struct Deliveries(Telling);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.stats(statistics);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<Appended, AppendError>>>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let result = match delivered {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => Ok(Appended { offset }),
                // The broker recognizes a duplicate but no longer knows its offset.
                Err(_) => Err(AppendError::Unacknowledged("appended, but the broker does not say where".to_owned())),
            },
            Err((error, _)) => Err(append_error(error)),
        };
        // A caller that stopped waiting has dropped the receiver; the record stays.
        let _ = waiting.send(result);
    }
}

fn append_error(error: &KafkaError) -> AppendError {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::QueueFull) => AppendError::Backlog,
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::MessageBatchTooLarge
            | Code::InvalidMessage
            | Code::InvalidRecord
            | Code::InvalidArgument,
        ) => AppendError::Refused(error.to_string()),
        Some(
            Code::UnknownTopic
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::PolicyViolation
            | Code::InvalidTimestamp
            | Code::UnsupportedCompressionType
            | Code::UnsupportedForMessageFormat
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => AppendError::Denied(error.to_string()),
        _ => AppendError::Unacknowledged(error.to_string()),
    }
}

pub(super) struct Appender {
    config: ClientConfig,
    settings: KafkaSettings,
    failover: Failover,
    client: Arc<RwLock<Arc<Producing>>>,
}

/// Asks for new leaders while a broker is lost. A thread of its own: the client's polls deliver acknowledgments.
fn follow_leaders(client: &Arc<RwLock<Arc<Producing>>>, failover: Failover) -> std::io::Result<()> {
    let client = Arc::downgrade(client);
    let mut leaders = Leaders::new(failover);
    let follow = move || {
        let mut pause = LOOK;
        loop {
            std::thread::park_timeout(pause);
            let Some(client) = client.upgrade() else { return };
            let client = Arc::clone(&client.read().unwrap_or_else(PoisonError::into_inner));
            leaders.ask_if_due(client.client());
            pause = leaders.wait(LOOK);
        }
    };
    std::thread::Builder::new().name("kafka-leaders".to_owned()).spawn(follow).map(drop)
}

impl Appender {
    pub(super) fn new(settings: &KafkaSettings, failover: &Failover) -> KafkaResult<Self> {
        let config = settings.producer();
        let client = Arc::new(RwLock::new(Producing::connect(&config, settings, failover)?));
        if let Err(error) = follow_leaders(&client, failover.clone()) {
            tracing::warn!(%error, "no thread to follow the partitions' leaders");
        }
        Ok(Appender { config, settings: settings.clone(), failover: failover.clone(), client })
    }

    pub(super) fn client(&self) -> Arc<Producing> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fixes the record's place: librdkafka keeps the order of sends to a partition.
    pub(super) fn append(&self, topic: &str, partition: i32, record: &NewRecord) -> AppendFuture {
        let (done, delivered) = oneshot::channel();
        let mut base = BaseRecord::with_opaque_to(topic, Box::new(done))
            .partition(partition)
            .key(&record.key[..])
            .payload(&record.value[..]);
        if !record.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: Some(&value[..]) });
            }
            base = base.headers(headers);
        }
        let client = self.client();
        match client.send(base) {
            Ok(()) => delivered
                .map(|result| {
                    result.unwrap_or_else(|_| Err(AppendError::Unacknowledged("the producer was closed".to_owned())))
                })
                .boxed(),
            Err((error, _)) => {
                if client.client().fatal_error().is_some() {
                    self.replace(&client);
                }
                ready(Err(append_error(&error))).boxed()
            }
        }
    }

    /// Replaces a client after a fatal error, such as a lost producer id: the log itself still works.
    fn replace(&self, dead: &Arc<Producing>) {
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, dead) {
            return;
        }
        let reason = dead.client().fatal_error().map(|(_, reason)| reason).unwrap_or_default();
        match Producing::connect(&self.config, &self.settings, &self.failover) {
            Ok(client) => {
                tracing::error!(reason, "the Kafka producer failed for good and was replaced");
                *current = client;
            }
            Err(error) => tracing::error!(reason, %error, "the Kafka producer failed and no new one can be made"),
        }
    }

    /// Waits, without blocking the runtime, until all appends are acknowledged or the deadline has passed.
    pub(super) async fn flush(&self, deadline: Duration) {
        let client = self.client();
        let flush = move || match client.flush(deadline) {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, unacknowledged = client.in_flight_count(), "not all was appended"),
        };
        let _ = tokio::task::spawn_blocking(flush).await;
    }
}
