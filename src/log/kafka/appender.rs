//! Appends: refused when too many wait, in order within a partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::ready;
use rdkafka::error::KafkaResult;
use rdkafka::producer::Producer;
use tokio::sync::oneshot;

use super::client::KafkaSettings;
use super::failover::{Failover, Leaders};
use super::lines::{Lines, Waiter};
use super::producer::{Producers, Producing};
use crate::log::{AppendError, AppendFuture, NewRecord};

/// How often a lost connection is looked for.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Appender {
    lines: Arc<Lines>,
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

    pub(super) fn client(&self) -> Arc<Producing<Waiter>> {
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
