//! Membership of the workers' group: a consumer on a thread of its own that joins, heartbeats, is told who owns what,
//! and fetches nothing. Its partitions stay paused; `super::reader` reads them where the owner says.
//!
//! One consumer for both would have to learn an owner's offset within the rebalance callback, or seek after it, and
//! would stop fetching everything while one revocation waits. Two cost a few threads and connections.
//!
//! A revocation is not answered in the callback: the thread remembers it, goes on polling, and answers when the owner
//! has released all of it or the deadline is reached. librdkafka waits for the answer and keeps sending heartbeats.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::client::{KafkaSettings, Telling};
use super::lanes::Lanes;
use super::reader::Readers;
use crate::log::news::News;
use crate::log::{GroupEvent, LanePartition, Membership, PartitionReader, ReadError, Topic};

const LOOK: Duration = Duration::from_millis(100);
/// Offsets go to Kafka this often. They are for dashboards only, the store's are the truth.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Also those that are the same: in a rebalance the group refuses offsets, the client tells nobody, and an idle
/// partition would show no lag from then on.
const REPORT_ALL_EVERY: Duration = Duration::from_secs(5);
const WAKE_EVERY: Duration = Duration::from_millis(100);
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// What the thread, its callbacks and the owner share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    news: News,
    /// Without those on their way out.
    owned: BTreeSet<LanePartition>,
    revoking: Option<Revoking>,
    /// Reported by owners.
    reports: BTreeMap<LanePartition, u64>,
    /// Whose report has changed since it was sent.
    unsent: BTreeSet<LanePartition>,
    leaving: bool,
    rebalances: u64,
}

/// A revocation that librdkafka awaits the answer to. There is one at most.
struct Revoking {
    all: Vec<LanePartition>,
    unreleased: BTreeSet<LanePartition>,
    deadline: Instant,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.lock());
        self.changed.notify_one();
    }
}

struct Callbacks {
    telling: Telling,
    lanes: Lanes,
    drain: Duration,
    shared: Arc<Shared>,
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.telling.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.telling.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.telling.stats(statistics);
    }
}

impl ConsumerContext for Callbacks {
    /// Runs within a poll, on the member's thread. Lists are increments and may be empty.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.shared.lock().rebalances += 1;
        let partitions = self.lanes.partitions(list);
        match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list, partitions),
            _ => self.revoked(consumer, list, partitions),
        }
    }
}

impl Callbacks {
    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList, partitions: Vec<LanePartition>) {
        // From the end and paused: nothing is ever fetched here.
        let assigned = list.set_all_offsets(Offset::End).and_then(|()| consumer.incremental_assign(list));
        let paused = assigned.and_then(|()| if list.count() > 0 { consumer.pause(list) } else { Ok(()) });
        if let Err(error) = paused {
            tracing::warn!(%error, "an assignment was not taken cleanly");
        }
        self.shared.change(|state| {
            if !state.leaving {
                state.news.joined();
                state.owned.extend(&partitions);
                partitions.into_iter().for_each(|partition| state.news.assigned(partition));
            }
        });
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList, partitions: Vec<LanePartition>) {
        let lost = consumer.assignment_lost();
        let mut answer_now = true;
        self.shared.change(|state| {
            partitions.iter().for_each(|partition| _ = state.owned.remove(partition));
            if lost {
                partitions.iter().for_each(|partition| state.news.lost(*partition));
            }
            if lost || state.leaving {
                return;
            }
            let deadline = Instant::now() + self.drain;
            let told = |partition: &LanePartition| state.news.revoked(*partition, deadline);
            let unreleased: BTreeSet<LanePartition> = partitions.iter().copied().filter(told).collect();
            if !unreleased.is_empty() {
                answer_now = false;
                state.revoking = Some(Revoking { all: partitions, unreleased, deadline });
            }
        });
        if answer_now {
            unassign(consumer, list);
        }
    }
}

fn unassign<C: ConsumerContext>(consumer: &BaseConsumer<C>, list: &TopicPartitionList) {
    if let Err(error) = consumer.incremental_unassign(list) {
        tracing::warn!(%error, "a revocation was not answered cleanly");
    }
}

/// What the thread works with.
struct Work {
    consumer: BaseConsumer<Callbacks>,
    lanes: Lanes,
    shared: Arc<Shared>,
    next_report: Instant,
    next_report_of_all: Instant,
    next_wake: Instant,
}

impl Work {
    /// Until told to leave, by message or by the owner's end; or until the client has failed for good.
    fn serve(mut self, commands: &mpsc::Receiver<oneshot::Sender<()>>) {
        let mut left = None;
        let failure = loop {
            match commands.try_recv() {
                Ok(asked) => {
                    left = Some(asked);
                    break None;
                }
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
            let now = Instant::now();
            self.answer_revocation(now);
            self.send_reports(now);
            self.wake_client(now);
            let before = self.shared.lock().rebalances;
            match self.consumer.poll(Duration::ZERO) {
                Some(Err(_)) => {
                    if let Some((code, reason)) = self.consumer.client().fatal_error() {
                        break Some(format!("{code}: {reason}"));
                    }
                }
                // A record that was under way when its partition was paused.
                Some(Ok(_)) => {}
                // A served event looks like none, and more may be waiting behind it.
                None if self.shared.lock().rebalances != before => {}
                None => std::thread::park_timeout(self.until_deadline(now).min(LOOK)),
            }
        };
        self.send_reports(self.next_report);
        let revoking = {
            let mut state = self.shared.lock();
            state.leaving = true;
            for partition in std::mem::take(&mut state.owned) {
                // Who leaves knows it.
                if failure.is_some() {
                    state.news.lost(partition);
                }
            }
            state.revoking.take()
        };
        if let Some(revoking) = revoking {
            // Closing waits for this answer.
            self.answer(&revoking);
        }
        drop(self.consumer);
        let reason = failure.unwrap_or_else(|| "the member has left the group".to_owned());
        self.shared.change(|state| state.news.closed(reason));
        if let Some(left) = left {
            let _ = left.send(());
        }
    }

    fn until_deadline(&self, now: Instant) -> Duration {
        let state = self.shared.lock();
        state.revoking.as_ref().map_or(LOOK, |revoking| revoking.deadline.saturating_duration_since(now))
    }

    /// When everything is released, or it is time.
    fn answer_revocation(&self, now: Instant) {
        let mut state = self.shared.lock();
        let over = |revoking: &mut Revoking| revoking.unreleased.is_empty() || revoking.deadline <= now;
        let Some(revoking) = state.revoking.take_if(over) else { return };
        revoking.unreleased.iter().for_each(|partition| state.news.lost(*partition));
        drop(state);
        self.shared.changed.notify_one();
        self.answer(&revoking);
    }

    fn answer(&self, revoking: &Revoking) {
        let all = revoking.all.iter().map(|partition| (*partition, Offset::Invalid));
        unassign(&self.consumer, &self.lanes.list(all));
    }

    /// librdkafka looks at the state of its membership when an event arrives and otherwise once a second: heartbeats and
    /// joins that are due would wait for that. Any question to its main thread is such an event, and this one is cheap.
    fn wake_client(&mut self, now: Instant) {
        if now >= self.next_wake {
            self.next_wake = now + WAKE_EVERY;
            let _ = self.consumer.assignment();
        }
    }

    /// Not while a revocation is open: librdkafka would wait for the commit before it goes on.
    fn send_reports(&mut self, now: Instant) {
        if now < self.next_report {
            return;
        }
        self.next_report = now + REPORT_EVERY;
        let mut state = self.shared.lock();
        if state.revoking.is_some() {
            return;
        }
        let State { owned, reports, unsent, .. } = &mut *state;
        let unsent = std::mem::take(unsent);
        reports.retain(|partition, _| owned.contains(partition));
        let all = now >= self.next_report_of_all;
        if all {
            self.next_report_of_all = now + REPORT_ALL_EVERY;
        }
        let offset = |next: u64| Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
        let due = reports.iter().filter(|(partition, _)| all || unsent.contains(partition));
        let list = self.lanes.list(due.map(|(partition, next)| (*partition, offset(*next))));
        drop(state);
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "offsets for lag dashboards were not sent");
        }
    }
}

pub(super) struct KafkaMember {
    shared: Arc<Shared>,
    leave: Option<mpsc::Sender<oneshot::Sender<()>>>,
    thread: Thread,
    readers: Arc<Readers>,
    settings: KafkaSettings,
}

impl KafkaMember {
    pub(super) fn join(settings: &KafkaSettings, name: &str, readers: Arc<Readers>) -> Result<Self, ReadError> {
        let lanes = Lanes::of(settings);
        let shared = Arc::new(Shared::default());
        let unavailable = |error: String| ReadError::Unavailable(error);
        let callbacks = Callbacks {
            telling: Telling::new("member", settings),
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
                // Also if this thread ends unasked.
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
        let work = Work {
            consumer,
            lanes: lanes.clone(),
            shared: Arc::clone(&shared),
            next_report: Instant::now(),
            next_report_of_all: Instant::now() + REPORT_ALL_EVERY,
            next_wake: Instant::now(),
        };
        give.send(work).map_err(|_| unavailable("the membership's thread has ended".to_owned()))?;
        let member = KafkaMember { shared, leave: Some(leave), thread, readers, settings: settings.clone() };
        // If it failed, dropping the member ends the thread.
        subscribed.map_err(|error| unavailable(error.to_string()))?;
        Ok(member)
    }
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
            // A notification that comes between looking and waiting is kept.
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
        // So that the lag is true from the first moment, not from the first command.
        self.report(partition, start);
        let topic = self.settings.topic_name(Topic::Lane(partition.lane));
        let number = i32::try_from(partition.partition).unwrap_or(i32::MAX);
        self.readers.open(topic, number, start).await
    }

    fn release(&self, partition: LanePartition) {
        if let Some(revoking) = &mut self.shared.lock().revoking {
            revoking.unreleased.remove(&partition);
        }
        self.thread.unpark();
    }

    fn report(&self, partition: LanePartition, next_offset: u64) {
        let mut state = self.shared.lock();
        state.reports.insert(partition, next_offset);
        state.unsent.insert(partition);
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
