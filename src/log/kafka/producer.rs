//! Appends: a pipelined idempotent producer that refuses when its queue is full.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::ready;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, error::KafkaResult};
use tokio::sync::oneshot;

use super::client::{KafkaSettings, Telling};
use super::failover::{Failover, Leaders};
use super::lines::{Lines, Waiter};
use crate::log::{AppendError, AppendFuture, Appended, NewRecord};

pub(super) type Client = ThreadedProducer<Deliveries>;

/// How often a lost connection is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Drops the client on a thread of its own: its destructor joins threads and would block a Tokio worker.
pub(super) struct Producing(Option<Client>);

impl Producing {
    fn connect(
        name: &'static str,
        config: &ClientConfig,
        settings: &KafkaSettings,
        failover: &Failover,
    ) -> KafkaResult<Arc<Self>> {
        let client = config.create_with_context(Deliveries(Telling::new(name, settings, failover)))?;
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
    type DeliveryOpaque = Box<Waiter>;

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

pub(super) struct Appender {
    lines: Arc<Lines>,
}

/// A client, and how another one is made in its place.
pub(super) struct Producers {
    name: &'static str,
    config: ClientConfig,
    settings: KafkaSettings,
    failover: Failover,
    client: RwLock<Arc<Producing>>,
}

/// Asks for new leaders while a broker is lost, and sends what waits in vain. A thread of its own: the clients' polls
/// deliver acknowledgments.
fn look_after(lines: &Arc<Lines>, failover: &Failover) -> std::io::Result<()> {
    let lines = Arc::downgrade(lines);
    let mut leaders = [(); 2].map(|()| Leaders::new(failover.clone()));
    let look_after = move || {
        let mut pause = LOOK;
        loop {
            std::thread::park_timeout(pause);
            let Some(lines) = lines.upgrade() else { return };
            for (leaders, client) in leaders.iter_mut().zip(lines.clients()) {
                leaders.ask_if_due(client.client());
            }
            lines.send_overdue();
            pause = leaders[0].wait(LOOK);
        }
    };
    std::thread::Builder::new().name("kafka-leaders".to_owned()).spawn(look_after).map(drop)
}

impl Appender {
    pub(super) fn new(settings: &KafkaSettings, failover: &Failover) -> KafkaResult<Self> {
        let crowd = Producers::new("producer", settings.producer(), settings, failover)?;
        let alone = Producers::new("prompt producer", settings.prompt_producer(), settings, failover)?;
        let lines = Lines::new(crowd, alone, settings, failover);
        if let Err(error) = look_after(&lines, failover) {
            tracing::warn!(%error, "no thread to follow the partitions' leaders");
        }
        Ok(Appender { lines })
    }

    pub(super) fn client(&self) -> Arc<Producing> {
        let [crowd, _] = self.lines.clients();
        crowd
    }

    /// Fixes the record's place: records of a partition are sent in the order of these calls.
    pub(super) fn append(&self, topic: &str, partition: i32, record: NewRecord) -> AppendFuture {
        let (done, delivered) = oneshot::channel();
        if !self.lines.append(topic, partition, record, done) {
            return ready(Err(AppendError::Backlog)).boxed();
        }
        delivered
            .map(|result| {
                result.unwrap_or_else(|_| Err(AppendError::Unacknowledged("the producer was closed".to_owned())))
            })
            .boxed()
    }

    /// Waits, without blocking the runtime, until all appends are acknowledged or the deadline has passed.
    pub(super) async fn flush(&self, deadline: Duration) {
        let lines = Arc::clone(&self.lines);
        let _ = tokio::task::spawn_blocking(move || lines.flush(Instant::now() + deadline)).await;
    }
}

impl Producers {
    fn new(
        name: &'static str,
        config: ClientConfig,
        settings: &KafkaSettings,
        failover: &Failover,
    ) -> KafkaResult<Self> {
        let client = RwLock::new(Producing::connect(name, &config, settings, failover)?);
        Ok(Producers { name, config, settings: settings.clone(), failover: failover.clone(), client })
    }

    pub(super) fn client(&self) -> Arc<Producing> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces a client after a fatal error, such as a lost producer id: the log itself still works.
    pub(super) fn replace(&self, dead: &Arc<Producing>) {
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
