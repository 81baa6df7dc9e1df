//! An idempotent producer that pipelines, and tells whoever waits what became of each record.

use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, error::KafkaResult};

use super::client::{KafkaSettings, Telling};
use super::failover::Failover;
use crate::log::{AppendError, Appended};

/// Whoever waits for the fate of a record.
pub(super) trait Waits: Send + Sync + 'static {
    fn settled(self, result: Result<Appended, AppendError>);
}

type Client<W> = ThreadedProducer<Deliveries<W>>;

/// Drops the client on a thread of its own: its destructor joins threads and would block a Tokio worker.
pub(super) struct Producing<W: Waits>(Option<Client<W>>);

impl<W: Waits> Producing<W> {
    fn connect(
        name: &'static str,
        config: &ClientConfig,
        settings: &KafkaSettings,
        failover: &Failover,
    ) -> KafkaResult<Arc<Self>> {
        let client = config.create_with_context(Deliveries(Telling::new(name, settings, failover), PhantomData))?;
        Ok(Arc::new(Producing(Some(client))))
    }
}

impl<W: Waits> std::ops::Deref for Producing<W> {
    type Target = Client<W>;

    fn deref(&self) -> &Client<W> {
        self.0.as_ref().expect("taken only when it is dropped")
    }
}

impl<W: Waits> Drop for Producing<W> {
    fn drop(&mut self) {
        let client = self.0.take();
        if let Err(error) = std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(client)) {
            tracing::warn!(%error, "no thread to end a Kafka client on");
        }
    }
}

/// Passes each delivery report to its waiter. `FutureProducer` would copy every failed record, a full queue of them in
/// an outage.
pub(super) struct Deliveries<W>(Telling, PhantomData<fn() -> W>);

impl<W: Waits> ClientContext for Deliveries<W> {
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

impl<W: Waits> ProducerContext<NoCustomPartitioner> for Deliveries<W> {
    type DeliveryOpaque = Box<W>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let result = match delivered {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => Ok(Appended { offset }),
                // The broker recognizes a duplicate but no longer knows its offset.
                Err(_) => Err(AppendError::Unacknowledged("appended, but the broker does not say where".to_owned())),
            },
            Err((error, _)) => Err(append_error(error)),
        };
        waiting.settled(result);
    }
}

pub(super) fn append_error(error: &KafkaError) -> AppendError {
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

/// A client, and how another one is made in its place.
pub(super) struct Producers<W: Waits> {
    name: &'static str,
    config: ClientConfig,
    settings: KafkaSettings,
    failover: Failover,
    client: RwLock<Arc<Producing<W>>>,
}

impl<W: Waits> Producers<W> {
    pub(super) fn new(
        name: &'static str,
        config: ClientConfig,
        settings: &KafkaSettings,
        failover: &Failover,
    ) -> KafkaResult<Self> {
        let client = RwLock::new(Producing::connect(name, &config, settings, failover)?);
        Ok(Producers { name, config, settings: settings.clone(), failover: failover.clone(), client })
    }

    pub(super) fn client(&self) -> Arc<Producing<W>> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces a client after a fatal error, such as a lost producer id: the log itself still works.
    pub(super) fn replace(&self, dead: &Arc<Producing<W>>) {
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, dead) {
            return;
        }
        let reason = dead.client().fatal_error().map(|(_, reason)| reason).unwrap_or_default();
        match Producing::connect(self.name, &self.config, &self.settings, &self.failover) {
            Ok(client) => {
                tracing::error!(reason, "the Kafka producer failed for good and was replaced");
                *current = client;
            }
            Err(error) => tracing::error!(reason, %error, "the Kafka producer failed and no new one can be made"),
        }
    }
}
