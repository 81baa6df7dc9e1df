//! Reads partitions: one consumer on its own thread, with a queue per partition that its reader drains.
//!
//! The consumer is not a member of the group. Partitions are assigned to it manually, so an owner can start at any
//! offset at any time, and readers and rebalances do not wait for each other. The limits on fetched messages are the
//! backpressure: a full queue stops fetching. (Pausing would discard fetched messages.)
//!
//! A queue signals the change from empty to filled (under its lock), a reader waits only after it found the queue
//! empty, and a [`Notify`] keeps a wake-up between the two: none can be lost. The client library's streams have lost
//! wake-ups, so a waiting reader still polls every second, and logs a warning if that ever finds a record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};

use super::client::{KafkaSettings, Telling};
use super::ends::{AllEnds, Ends, Reached};
use super::failover::{Failover, Leaders};
use super::record::{keep_panics_quiet, record_of};
use crate::log::{PartitionReader, Reach, ReadError, Record};
use crate::telemetry::metrics;

/// Most consumers. A second one is created when a partition is read twice, which one consumer cannot do.
const CONSUMERS_MAX: usize = 8;
/// Longest time between two polls of the consumer, with or without a wake-up.
const LOOK: Duration = Duration::from_millis(200);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Queue = PartitionQueue<Telling>;

enum Command {
    Open {
        topic: String,
        partition: i32,
        start: i64,
        filled: Arc<Notify>,
        opened: oneshot::Sender<KafkaResult<Queue>>,
    },
    /// Returns the queue: it holds the consumer, which must be dropped on its thread.
    Close {
        topic: String,
        partition: i32,
        queue: Queue,
    },
}

/// Handle of a consumer's thread, which ends with the last handle.
#[derive(Clone)]
struct Line {
    commands: mpsc::Sender<Command>,
    thread: Thread,
    ends: AllEnds,
}

impl Line {
    fn send(&self, command: Command) {
        // The thread lives as long as this handle.
        let _ = self.commands.send(command);
        self.thread.unpark();
    }
}

struct Slot {
    line: Line,
    open: Vec<(String, i32)>,
}

/// All reading consumers.
pub(super) struct Readers {
    settings: KafkaSettings,
    failover: Failover,
    slots: Arc<Mutex<BTreeMap<usize, Slot>>>,
}

fn lock(slots: &Mutex<BTreeMap<usize, Slot>>) -> MutexGuard<'_, BTreeMap<usize, Slot>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: impl std::fmt::Display) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

impl Readers {
    pub(super) fn new(settings: &KafkaSettings, failover: &Failover) -> Self {
        keep_panics_quiet();
        Readers { settings: settings.clone(), failover: failover.clone(), slots: Arc::default() }
    }

    /// Also how far the reader comes, which others may watch.
    pub(super) async fn open(
        &self,
        topic: String,
        partition: i32,
        start: u64,
    ) -> Result<(Box<dyn PartitionReader>, Arc<Reached>), ReadError> {
        let (slot, line) = self.reserve(&topic, partition)?;
        let place = Place { slots: Arc::clone(&self.slots), slot, line, topic, partition, queue: None };
        let filled = Arc::new(Notify::new());
        let (opened, queue) = oneshot::channel();
        let topic = place.topic.clone();
        let start_raw = i64::try_from(start).unwrap_or(i64::MAX);
        place.line.send(Command::Open { topic, partition, start: start_raw, filled: Arc::clone(&filled), opened });
        let reached = Arc::new(Reached::default());
        let watched = Arc::clone(&reached);
        let mut reader = Reader { place, filled, next: start, passed: start, reached, ahead: None, failed: None };
        let queue = queue.await.map_err(|_| unavailable("the reading thread has ended"))?;
        reader.place.queue = Some(queue.map_err(unavailable)?);
        Ok((Box::new(reader), watched))
    }

    /// Finds or creates a consumer that does not read this partition yet.
    fn reserve(&self, topic: &str, partition: i32) -> Result<(usize, Line), ReadError> {
        let mut slots = lock(&self.slots);
        let open = (topic.to_owned(), partition);
        if let Some((number, slot)) = slots.iter_mut().find(|(_, slot)| !slot.open.contains(&open)) {
            slot.open.push(open);
            return Ok((*number, slot.line.clone()));
        }
        let number = slots.len();
        if number >= CONSUMERS_MAX {
            return Err(unavailable(format!("{topic} {partition} has too many readers in this process")));
        }
        let line = start(&self.settings, &self.failover).map_err(unavailable)?;
        slots.insert(number, Slot { line: line.clone(), open: vec![open] });
        Ok((number, line))
    }
}

fn start(settings: &KafkaSettings, failover: &Failover) -> Result<Line, String> {
    let ends = AllEnds::default();
    let context = Telling::reader(settings, ends.clone(), failover);
    let leaders = Leaders::new(failover.clone());
    let mut consumer: BaseConsumer<Telling> =
        settings.reader().create_with_context(context).map_err(|error| error.to_string())?;
    let (commands, queue) = mpsc::channel();
    // The callback needs the thread, and the thread needs the consumer: the consumer is sent later.
    let (give, take) = mpsc::sync_channel::<BaseConsumer<Telling>>(1);
    let told = ends.clone();
    let thread = std::thread::Builder::new()
        .name("kafka-reader".to_owned())
        .spawn(move || {
            if let Ok(consumer) = take.recv() {
                serve(&Arc::new(consumer), &queue, &told, leaders);
            }
        })
        .map_err(|error| error.to_string())?
        .thread()
        .clone();
    let wake = thread.clone();
    consumer.set_nonempty_callback(move || wake.unpark());
    give.send(consumer).map_err(|_| "the reading thread has ended".to_owned())?;
    Ok(Line { commands, thread, ends })
}

/// The thread: executes commands and serves the consumer's events. Records do not pass through it.
fn serve(
    consumer: &Arc<BaseConsumer<Telling>>,
    commands: &mpsc::Receiver<Command>,
    ends: &AllEnds,
    mut leaders: Leaders,
) {
    let mut assigned: BTreeSet<(String, i32)> = BTreeSet::new();
    loop {
        match commands.try_recv() {
            Ok(Command::Open { topic, partition, start, filled, opened }) => {
                if assigned.remove(&(topic.clone(), partition)) {
                    // An earlier caller went away without taking the queue.
                    unassign(consumer, &topic, partition);
                }
                ends.start(&topic, partition);
                let queue = open(consumer, &topic, partition, start, filled);
                if queue.is_ok() {
                    assigned.insert((topic, partition));
                }
                drop(opened.send(queue));
                continue;
            }
            Ok(Command::Close { topic, partition, queue }) => {
                unassign(consumer, &topic, partition);
                drop(queue);
                ends.stop(&topic, partition);
                assigned.remove(&(topic, partition));
                continue;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        match consumer.poll(Duration::ZERO) {
            Some(Ok(message)) => tracing::error!(
                topic = message.topic(),
                partition = message.partition(),
                "a record came outside of its partition's queue"
            ),
            // The client's context has logged it.
            Some(Err(_)) => {}
            None => {
                leaders.ask_if_due(consumer.client());
                std::thread::park_timeout(LOOK);
            }
        }
    }
}

fn open(
    consumer: &Arc<BaseConsumer<Telling>>,
    topic: &str,
    partition: i32,
    start: i64,
    filled: Arc<Notify>,
) -> KafkaResult<Queue> {
    // Before the assignment, so that no record precedes the callback or reaches the consumer's main queue.
    let mut queue = consumer
        .split_partition_queue(topic, partition)
        .ok_or_else(|| KafkaError::Subscription(format!("{topic} has no partition {partition}")))?;
    queue.set_nonempty_callback(move || filled.notify_one());
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(start))?;
    consumer.incremental_assign(&list)?;
    Ok(queue)
}

fn unassign(consumer: &BaseConsumer<Telling>, topic: &str, partition: i32) {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    if let Err(error) = consumer.incremental_unassign(&list) {
        tracing::warn!(topic, partition, %error, "a partition could not be let go");
    }
}

/// A partition reserved at a consumer; released on drop.
struct Place {
    slots: Arc<Mutex<BTreeMap<usize, Slot>>>,
    slot: usize,
    line: Line,
    topic: String,
    partition: i32,
    queue: Option<Queue>,
}

impl Place {
    fn ends(&self) -> Option<Ends> {
        self.line.ends.of(&self.topic, self.partition)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Under the lock: the next reservation must follow this in the thread's command queue.
        let mut slots = lock(&self.slots);
        if let Some(queue) = self.queue.take() {
            self.line.send(Command::Close { topic: self.topic.clone(), partition: self.partition, queue });
        }
        if let Some(slot) = slots.get_mut(&self.slot) {
            slot.open.retain(|(topic, partition)| (topic, *partition) != (&self.topic, self.partition));
        }
    }
}

struct Reader {
    place: Place,
    filled: Arc<Notify>,
    /// Offset after the last record returned.
    next: u64,
    /// The same, or after the markers and aborted records behind it.
    passed: u64,
    /// Both, for others.
    reached: Arc<Reached>,
    /// Taken from the queue but too large for the last batch.
    ahead: Option<Record>,
    /// The error that ended this reader.
    failed: Option<ReadError>,
}

impl Reader {
    /// Returns what has arrived. Never awaits, so every record taken from the queue is returned or kept.
    fn take(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let mut batch: Vec<Record> = self.ahead.take().into_iter().collect();
        if let Some(first) = batch.first() {
            self.next = first.offset + 1;
        }
        let mut bytes = batch.first().map_or(0, Record::size);
        while batch.len() < records_max.max(1) && (batch.is_empty() || bytes < bytes_max) {
            match self.place.queue.as_ref().and_then(|queue| queue.poll(Duration::ZERO)) {
                Some(Ok(message)) => {
                    let record = record_of(&message);
                    bytes += record.size();
                    if !batch.is_empty() && bytes > bytes_max {
                        self.ahead = Some(record);
                        break;
                    }
                    self.next = record.offset + 1;
                    batch.push(record);
                }
                Some(Err(error)) => match self.judge(&error) {
                    error if batch.is_empty() => return Err(error),
                    _ => break,
                },
                None => break,
            }
        }
        Ok(batch)
    }

    fn judge(&mut self, error: &KafkaError) -> ReadError {
        match error.rdkafka_error_code() {
            // Fetching has stopped for good.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let error = ReadError::OutOfRange { offset: self.next, reason: error.to_string() };
                self.failed = Some(error.clone());
                error
            }
            // A batch that the client cannot decompress or parse is fetched again and again.
            _ => unavailable(format!("at offset {}: {error}", self.next)),
        }
    }

    /// Nothing has arrived. What the client settled on before this was found is passed.
    fn is_empty(&mut self, settled: Option<u64>) {
        if let Some(settled) = settled.filter(|_| self.ahead.is_none()) {
            self.passed = self.passed.max(settled);
        }
        self.reached.set(self.next, self.passed);
    }
}

#[async_trait]
impl PartitionReader for Reader {
    fn reach(&self) -> Option<Reach> {
        let passed = self.passed.max(self.next);
        // Until something is heard nothing more is known than what was read.
        let (stable, end) = self.place.ends().map_or((passed, passed), |ends| (ends.stable, ends.end));
        Some(Reach { passed, readable: stable.max(passed), end: end.max(passed) })
    }

    async fn next(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let mut looked_again = false;
        loop {
            let settled = self.place.ends().and_then(|ends| ends.settled);
            let batch = self.take(records_max, bytes_max)?;
            if !batch.is_empty() {
                self.reached.set(self.next, self.passed);
                if looked_again {
                    metrics::KAFKA_WAKEUPS_LOST.with_label_values(&[&self.place.topic]).inc();
                    tracing::warn!(topic = self.place.topic, partition = self.place.partition, "a wake-up was lost");
                }
                return Ok(batch);
            }
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            self.is_empty(settled);
            looked_again = tokio::time::timeout(LOOK_AGAIN, self.filled.notified()).await.is_err();
        }
    }
}
