//! Membership in the workers' group: a consumer on its own thread that joins, sends heartbeats, receives assignments,
//! and fetches nothing. Its partitions stay paused; `super::reader` reads them from the owner's offset.
//!
//! A single consumer would have to learn the owner's offset within the rebalance callback, or seek after it, and would
//! stop all fetching while one revocation waits. Two consumers cost a few threads and connections.

mod thread;

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::thread::Thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::thread::{Callbacks, Shared, Work};
use super::client::{KafkaSettings, REQUEST_MAX, Telling};
use super::failover::Failover;
use super::lanes::Lanes;
use super::reader::Readers;
use crate::domain::Lane;
use crate::log::{GroupEvent, LanePartition, Membership, PartitionReader, ReadError, Topic};

const LEAVE_MAX: Duration = Duration::from_secs(10);

pub(super) struct KafkaMember {
    shared: Arc<Shared>,
    leave: Option<mpsc::Sender<oneshot::Sender<()>>>,
    thread: Thread,
    readers: Arc<Readers>,
    settings: KafkaSettings,
}

impl KafkaMember {
    pub(super) fn join(
        settings: &KafkaSettings,
        name: &str,
        readers: Arc<Readers>,
        failover: &Failover,
    ) -> Result<Self, ReadError> {
        let lanes = Lanes::of(settings);
        let shared = Arc::new(Shared::default());
        let unavailable = |error: String| ReadError::Unavailable(error);
        let callbacks = Callbacks {
            telling: Telling::new("member", settings, failover),
            lanes: lanes.clone(),
            drain: settings.drain,
            shared: Arc::clone(&shared),
        };
        let mut consumer: BaseConsumer<Callbacks> =
            settings.member(name).create_with_context(callbacks).map_err(|error| unavailable(error.to_string()))?;
        let (leave, commands) = mpsc::channel();
        let (give, take) = mpsc::sync_channel::<Work>(1);
        let closing = CloseOnDrop(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(move || {
                // Runs also if this thread panics.
                let _closing = closing;
                if let Ok(work) = take.recv() {
                    work.serve(&commands);
                }
            })
            .map_err(|error| unavailable(error.to_string()))?
            .thread()
            .clone();
        let wake = thread.clone();
        consumer.set_nonempty_callback(move || wake.unpark());
        let subscribed = consumer.subscribe(&lanes.topics());
        let work = Work::new(consumer, lanes, Arc::clone(&shared), failover.clone());
        give.send(work).map_err(|_| unavailable("the membership's thread has ended".to_owned()))?;
        let member = KafkaMember { shared, leave: Some(leave), thread, readers, settings: settings.clone() };
        // On failure, dropping the member ends the thread.
        subscribed.map_err(|error| unavailable(error.to_string()))?;
        Ok(member)
    }
}

/// What the group's members have committed last. Blocks; never joins the group.
pub(super) fn reported(settings: &KafkaSettings) -> Result<BTreeMap<LanePartition, u64>, ReadError> {
    let unavailable = |error: KafkaError| ReadError::Unavailable(error.to_string());
    let lanes = Lanes::of(settings);
    let consumer: BaseConsumer<Telling> = settings
        .reader()
        .create_with_context(Telling::new("group", settings, &Failover::default()))
        .map_err(unavailable)?;
    let counts = &settings.partitions;
    let all = Lane::ALL.into_iter().flat_map(|lane| {
        let of = 0..counts.of(Topic::Lane(lane));
        of.map(move |partition| (LanePartition { lane, partition }, Offset::Invalid))
    });
    let committed = consumer.committed_offsets(lanes.list(all), REQUEST_MAX).map_err(unavailable)?;
    Ok(lanes.offsets(&committed))
}

struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.change(|state| state.news.closed("the membership's thread has ended".to_owned()));
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.leave = None;
        self.thread.unpark();
    }
}

#[async_trait]
impl Membership for KafkaMember {
    async fn event(&self) -> GroupEvent {
        loop {
            // A notification between the check and the wait is kept.
            if let Some(event) = self.shared.lock().news.tell(Instant::now()) {
                return event;
            }
            self.shared.changed.notified().await;
        }
    }

    async fn open(&self, partition: LanePartition, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        if !self.shared.lock().owned.contains(&partition) {
            return Err(ReadError::Unavailable(format!("{partition} is not assigned to this member")));
        }
        // Makes the lag correct before the first command.
        self.report(partition, start);
        let topic = self.settings.topic_name(Topic::Lane(partition.lane));
        let number = i32::try_from(partition.partition).unwrap_or(i32::MAX);
        let (reader, reached) = self.readers.open(topic, number, start).await?;
        self.shared.lock().reached.insert(partition, reached);
        Ok(reader)
    }

    fn release(&self, partition: LanePartition) {
        if let Some(revoking) = &mut self.shared.lock().revoking {
            revoking.unreleased.remove(&partition);
        }
        self.thread.unpark();
    }

    fn fenced(&self, partition: LanePartition) {
        self.shared.change(|state| {
            if state.news.fenced(partition) {
                state.owned.remove(&partition);
            }
        });
    }

    fn report(&self, partition: LanePartition, next_offset: u64) {
        self.shared.lock().reports.insert(partition, next_offset);
    }

    async fn leave(&self) {
        let (left, done) = oneshot::channel();
        if self.leave.as_ref().is_some_and(|leave| leave.send(left).is_ok()) {
            self.thread.unpark();
            if tokio::time::timeout(LEAVE_MAX, done).await.is_err() {
                tracing::warn!("leaving the group takes long; the session will time out");
            }
        }
    }
}
