//! The member's thread: polls the client, forwards assignments, and answers revocations.
//!
//! It does not answer a revocation in the callback: it keeps polling, and answers when the owner has released all
//! partitions or the deadline has passed. librdkafka waits for the answer and keeps sending heartbeats.
//!
//! A silent coordinator takes no partition away: it may be the one that was killed, and then nobody has been given them.
//! They are in doubt until the group answers; whoever owns one by then has fenced us in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::log::LanePartition;
use crate::log::kafka::client::Telling;
use crate::log::kafka::ends::Reached;
use crate::log::kafka::failover::{Failover, Leaders};
use crate::log::kafka::lanes::Lanes;
use crate::log::news::News;
use crate::telemetry::metrics::LOG_PASSED_OFFSET;

const LOOK: Duration = Duration::from_millis(100);
/// How often offsets go to Kafka. They are for dashboards only; the store's are authoritative.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How often unchanged offsets are sent as well: the group refuses offsets during a rebalance, the client does not
/// report it, and an idle partition would show no lag from then on.
const REPORT_ALL_EVERY: Duration = Duration::from_secs(5);
/// Longest time that the answer to offsets is waited for: Kafka takes 5 s to give up, and a refusal may never be reported.
const REPORT_ANSWERED_WITHIN: Duration = Duration::from_secs(6);
const WAKE_EVERY: Duration = Duration::from_millis(100);

/// State shared by the thread, its callbacks and the owner.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The client has not heard of its coordinator for a session and gives up the assignment next.
    silent: AtomicBool,
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) news: News,
    /// Without those being revoked.
    pub(super) owned: BTreeSet<LanePartition>,
    pub(super) revoking: Option<Revoking>,
    /// Offsets reported by owners.
    pub(super) reports: BTreeMap<LanePartition, u64>,
    /// How far the owners' readers have come.
    pub(super) reached: BTreeMap<LanePartition, Arc<Reached>>,
    /// What was sent last, and when, until it is answered.
    sent: BTreeMap<LanePartition, u64>,
    sent_at: Option<Instant>,
    leaving: bool,
    rebalances: u64,
}

/// A revocation librdkafka waits for; at most one at a time.
pub(super) struct Revoking {
    all: Vec<LanePartition>,
    pub(super) unreleased: BTreeSet<LanePartition>,
    deadline: Instant,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.lock());
        self.changed.notify_one();
    }
}

pub(super) struct Callbacks {
    pub(super) telling: Telling,
    pub(super) lanes: Lanes,
    pub(super) drain: Duration,
    pub(super) shared: Arc<Shared>,
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // The client says in no other way why it gives up.
        if facility == "SESSTMOUT" {
            self.shared.silent.store(true, Ordering::SeqCst);
        }
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
    /// Of the reports.
    fn commit_callback(&self, _result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.shared.lock().sent_at = None;
    }

    /// Called within a poll, on the member's thread. Lists are increments and may be empty.
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
        // At the end and paused: nothing is fetched here.
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
                for partition in state.news.settled() {
                    state.owned.remove(&partition);
                }
            }
        });
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList, partitions: Vec<LanePartition>) {
        let lost = consumer.assignment_lost();
        let silent = self.shared.silent.swap(false, Ordering::SeqCst);
        let mut answer_now = true;
        self.shared.change(|state| {
            if lost && silent && !state.leaving {
                partitions.iter().for_each(|partition| state.news.doubted(*partition));
                return;
            }
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

/// State of the thread.
pub(super) struct Work {
    consumer: BaseConsumer<Callbacks>,
    lanes: Lanes,
    shared: Arc<Shared>,
    next_report: Instant,
    next_report_of_all: Instant,
    next_wake: Instant,
    failover: Failover,
    leaders: Leaders,
}

impl Work {
    pub(super) fn new(
        consumer: BaseConsumer<Callbacks>,
        lanes: Lanes,
        shared: Arc<Shared>,
        failover: Failover,
    ) -> Self {
        let now = Instant::now();
        let next_report_of_all = now + REPORT_ALL_EVERY;
        let leaders = Leaders::new(failover.clone());
        Self { consumer, lanes, shared, next_report: now, next_report_of_all, next_wake: now, failover, leaders }
    }

    /// Runs until it is asked to leave, the owner is dropped, or the client fails for good.
    pub(super) fn serve(mut self, commands: &mpsc::Receiver<oneshot::Sender<()>>) {
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
            self.leaders.ask_if_due(self.consumer.client());
            let before = self.shared.lock().rebalances;
            match self.consumer.poll(Duration::ZERO) {
                Some(Err(_)) => {
                    if let Some((code, reason)) = self.consumer.client().fatal_error() {
                        break Some(format!("{code}: {reason}"));
                    }
                }
                // A record fetched before its partition was paused.
                Some(Ok(_)) => {}
                // A served event also returns `None`, and more may follow.
                None if self.shared.lock().rebalances != before => {}
                None => std::thread::park_timeout(self.until_deadline(now).min(LOOK)),
            }
        };
        self.send_reports(self.next_report);
        let revoking = {
            let mut state = self.shared.lock();
            state.leaving = true;
            for partition in std::mem::take(&mut state.owned) {
                // A member that leaves knows it.
                if failure.is_some() {
                    state.news.lost(partition);
                }
            }
            state.revoking.take()
        };
        if let Some(revoking) = revoking {
            // Closing the client waits for this answer.
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

    /// Answers once everything is released or the deadline has passed.
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

    /// librdkafka checks its membership when an event arrives, otherwise once a second: due heartbeats and joins would
    /// wait for that. Any request to its main thread is such an event, and this one is cheap.
    fn wake_client(&mut self, now: Instant) {
        if now >= self.next_wake {
            self.next_wake = now + WAKE_EVERY;
            let _ = self.consumer.assignment();
        }
    }

    /// Sends nothing during a revocation: librdkafka would wait for the commit first. And nothing while a broker is lost, or
    /// before the last one is answered: the coordinator answers one request after another, a commit waits for all copies of
    /// its offsets, and heartbeats behind it would come too late. (Every commit waited 5 s, and a killed broker, whichever
    /// it was, cost all workers their session.)
    fn send_reports(&mut self, now: Instant) {
        if now < self.next_report {
            return;
        }
        self.next_report = now + REPORT_EVERY;
        let mut state = self.shared.lock();
        let unanswered = state.sent_at.is_some_and(|at| now < at + REPORT_ANSWERED_WITHIN);
        if state.revoking.is_some() || unanswered || self.failover.lasts() {
            return;
        }
        let State { owned, reports, reached, sent, .. } = &mut *state;
        reports.retain(|partition, _| owned.contains(partition));
        reached.retain(|partition, _| owned.contains(partition));
        sent.retain(|partition, _| owned.contains(partition));
        let all = now >= self.next_report_of_all;
        if all {
            self.next_report_of_all = now + REPORT_ALL_EVERY;
        }
        let mut due = Vec::new();
        for (partition, decided) in reports {
            let passed = reached.get(partition).map_or(*decided, |reached| reached.passed_after(*decided));
            let offset = i64::try_from(passed).unwrap_or(i64::MAX);
            let number = partition.partition.to_string();
            LOG_PASSED_OFFSET.with_label_values(&[partition.lane.as_str(), &number]).set(offset);
            if sent.insert(*partition, passed) != Some(passed) || all {
                due.push((*partition, Offset::Offset(offset)));
            }
        }
        state.sent_at = (!due.is_empty()).then_some(now);
        drop(state);
        let list = self.lanes.list(due);
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            self.shared.lock().sent_at = None;
            tracing::debug!(%error, "offsets for lag dashboards were not sent");
        }
    }
}
