//! Polls are no commands, so the rules learn from reports who is still there. Kept apart from the replicas: a replica may
//! be forgotten, a sighting only once the log has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::sightings::{Named, Sightings, records};
use crate::api::submission::keys::fresh_request_id;
use crate::domain::queue::{self, DURATION_MS_MAX, Seen, Sighting};
use crate::domain::{Body, Command, Lane, ScheduleId};
use crate::log::{Log, NewRecord, Topic};
use crate::telemetry::metrics;
use crate::wire::{command, routing};

const APPEND_WITHIN: Duration = Duration::from_secs(5);
/// A queue that nobody asked for this long is not reported any more. Longer than the longest poll interval.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Whom this process saw, of all queues.
pub struct Presence(Arc<Shared>);

struct Shared {
    log: Arc<dyn Log>,
    shutdown: CancellationToken,
    queues: Mutex<BTreeMap<ScheduleId, Reported>>,
}

/// A queue with the task that reports it.
struct Reported {
    queue: Arc<QueuePresence>,
    _task: AbortOnDropHandle<()>,
}

/// Whom this process saw, of one queue. A task reports it, one record a round, an empty one too.
pub struct QueuePresence {
    schedule: ScheduleId,
    sightings: Mutex<Sightings>,
    asked: Mutex<Instant>,
    earlier: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Presence {
    pub fn new(log: Arc<dyn Log>, shutdown: CancellationToken) -> Self {
        Presence(Arc::new(Shared { log, shutdown, queues: Mutex::default() }))
    }

    /// Of this queue; reported from now on as long as somebody asks.
    pub fn of(&self, schedule: ScheduleId) -> Arc<QueuePresence> {
        let mut queues = lock(&self.0.queues);
        if let Some(reported) = queues.get(&schedule) {
            reported.queue.ask();
            return reported.queue.clone();
        }
        let now = Instant::now();
        let (sightings, asked, earlier) = (Mutex::new(Sightings::new(now)), Mutex::new(now), Notify::new());
        let queue = Arc::new(QueuePresence { schedule, sightings, asked, earlier });
        let (log, shutdown) = (self.0.log.clone(), self.0.shutdown.clone());
        // Ends with the process, or once the queue is idle and all is reported.
        let task = tokio::spawn(report_rounds(queue.clone(), log, shutdown, Arc::downgrade(&self.0)));
        queues.insert(schedule, Reported { queue: queue.clone(), _task: AbortOnDropHandle::new(task) });
        queue
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        lock(&self.0.queues).len()
    }
}

impl Shared {
    /// Whether the queue was given up: nobody asks for it, and there is nothing to report.
    fn retire(&self, queue: &QueuePresence) -> bool {
        let mut queues = lock(&self.queues);
        let idle = lock(&queue.asked).elapsed() >= IDLE_MAX && lock(&queue.sightings).is_all_reported();
        if idle {
            queues.remove(&queue.schedule);
        }
        idle
    }
}

impl QueuePresence {
    fn ask(&self) {
        *lock(&self.asked) = Instant::now();
    }

    /// The queue was read for somebody.
    pub fn serve(&self, abandon_after_ms: i64) {
        self.ask();
        let abandon_after = Duration::from_millis(abandon_after_ms.unsigned_abs());
        let mut sightings = lock(&self.sightings);
        let before = sightings.due_at();
        sightings.serve(abandon_after, Instant::now());
        if sightings.due_at() < before {
            self.earlier.notify_one();
        }
    }

    /// The holder of this token was seen. `urgent`: the rules must know within a second.
    pub fn note(&self, sequence: u64, urgent: bool) {
        self.ask();
        if lock(&self.sightings).note(sequence, urgent, Instant::now()) {
            self.earlier.notify_one();
        }
    }

    /// The log has not taken a report for so long that polls are better made elsewhere.
    pub fn is_stuck(&self) -> bool {
        lock(&self.sightings).is_stuck(Instant::now())
    }

    /// Reports what is due; what the log does not take is kept.
    async fn report(&self, log: &dyn Log, at_end: bool) {
        let Some(named) = lock(&self.sightings).begin(Instant::now(), at_end) else { return };
        let all_taken = self.send(log, named).await;
        lock(&self.sightings).end(all_taken, Instant::now());
    }

    async fn send(&self, log: &dyn Log, named: Named) -> bool {
        let tolerance = lock(&self.sightings).tolerance();
        let mut rest = named.as_slice();
        for (tokens, _) in records(&named, Instant::now(), tolerance) {
            let (of_record, behind) = rest.split_at(tokens);
            rest = behind;
            // Ages as they are now: the records before may have taken their time.
            let sightings = records(of_record, Instant::now(), tolerance).into_iter().flat_map(|(_, entries)| entries);
            if let Err(why) = append(log, self.schedule, sightings.collect()).await {
                tracing::warn!(schedule_id = %self.schedule, why, "a report of who was seen was not taken");
                return false;
            }
            lock(&self.sightings).taken(of_record);
            metrics::QUEUE_SEEN.with_label_values::<&str>(&[]).inc_by(tokens as u64);
        }
        true
    }
}

async fn append(log: &dyn Log, schedule_id: ScheduleId, mut sightings: Vec<Sighting>) -> Result<(), String> {
    sightings.iter_mut().for_each(|sighting| sighting.age_ms = sighting.age_ms.min(DURATION_MS_MAX));
    let body = Body::Queues(queue::Command::Seen(Seen { schedule_id, sightings }));
    let key = body.routing_key().to_string();
    let topic = Topic::Lane(Lane::Queues);
    let partition = routing::partition_for(&key, log.partitions().of(topic));
    let value = command::encode(&Command { request_id: fresh_request_id(), by: None, body });
    let record = NewRecord { key: Bytes::from(key), value: Bytes::from(value), headers: Vec::new() };
    match timeout(APPEND_WITHIN, log.append(topic, partition, record)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("not acknowledged in time".to_owned()),
    }
}

async fn report_rounds(
    queue: Arc<QueuePresence>,
    log: Arc<dyn Log>,
    shutdown: CancellationToken,
    shared: Weak<Shared>,
) {
    loop {
        let due_at = lock(&queue.sightings).due_at();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = queue.earlier.notified() => continue,
            () = sleep_until(due_at) => {}
        }
        // The append of a report must not be dropped by the shutdown: it may be on its way.
        queue.report(log.as_ref(), false).await;
        if shared.upgrade().is_none_or(|shared| shared.retire(&queue)) {
            return;
        }
    }
    queue.report(log.as_ref(), true).await;
}
