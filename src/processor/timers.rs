//! Timers never decide: when something is due they append a record to the partition, and the record decides.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::decider::Touched;
use super::lanes::LaneAggregate;
use super::schedule::{Due, Schedule};
use crate::domain::{Command, LanePartition, LogTime, RequestId};
use crate::log::{AppendError, Log, NewRecord, Topic};
use crate::runtime::clock::Clock;
use crate::wire;

/// Records on their way to the log.
const IN_FLIGHT_MAX: usize = 256;

/// What is due later is looked at again then: a show may start in years.
const DISTANCE_MAX_MS: i64 = 30 * 86_400_000;

/// An aggregate's append, and how it ended.
type Ack<K> = (K, Result<(), AppendError>);

/// The timers of one partition's aggregates.
pub(super) struct Timers<A: LaneAggregate> {
    here: LanePartition,
    log: Arc<dyn Log>,
    clock: Clock,
    schedule: Schedule<A::Key>,
    acks: FuturesUnordered<BoxFuture<'static, Ack<A::Key>>>,
    /// The last record of these timers that was decided: when it was appended, and its log time.
    stamped: Option<(Instant, LogTime)>,
}

impl<A: LaneAggregate> Timers<A> {
    /// `due`: of all aggregates of this partition, whose log time is `last` now.
    pub fn new(
        here: LanePartition,
        log: Arc<dyn Log>,
        clock: Clock,
        due: Vec<(A::Key, LogTime)>,
        last: LogTime,
    ) -> Self {
        let (schedule, acks) = (Schedule::new(), FuturesUnordered::new());
        let mut timers = Timers { here, log, clock, schedule, acks, stamped: None };
        for (key, time) in due {
            let due = timers.due(time, last);
            timers.schedule.set(&key, Some(due), None);
        }
        timers
    }

    /// Takes in what is due after a batch; `last`: its log time.
    pub fn set(&mut self, touched: &[Touched<A::Key>], last: LogTime) {
        for Touched { key, timer, .. } in touched {
            if let (Some((time, _)), Some(at)) = (timer, self.schedule.appended_at(key)) {
                self.stamped = Some((at, *time));
            }
        }
        for Touched { key, due, timer } in touched {
            let due = due.map(|time| self.due(time, last));
            self.schedule.set(key, due, timer.map(|(_, found)| found));
        }
    }

    /// When the log's clock reaches this time. Only a record just appended says what that clock says, so the last one
    /// counts; before there is one, this machine's clock does, unless the log has been further.
    fn due(&self, time: LogTime, last: LogTime) -> Due {
        let (at, then) = match self.stamped {
            Some((at, stamped)) => {
                let elapsed = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
                (Instant::now(), stamped.plus_ms(elapsed).max(last))
            }
            None => (Instant::now(), self.clock.now().max(last)),
        };
        let distance = time.0.saturating_sub(then.0).clamp(0, DISTANCE_MAX_MS);
        Due { time, at: at + Duration::from_millis(distance.unsigned_abs()) }
    }

    /// Appends what falls due, for as long as it is polled. Cancel-safe.
    pub async fn run(&mut self) -> Infallible {
        loop {
            let wait = self.schedule.next().filter(|_| self.acks.len() < IN_FLIGHT_MAX);
            tokio::select! {
                // Neither branch starves the other. And a run in simulated time repeats itself exactly.
                biased;
                Some(ack) = self.acks.next() => self.acknowledged(ack),
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => self.append_due(),
                else => return std::future::pending().await,
            }
        }
    }

    fn append_due(&mut self) {
        let now = self.clock.now();
        for key in self.schedule.fire(Instant::now(), IN_FLIGHT_MAX - self.acks.len()) {
            let Some(body) = A::timer(&key) else { continue };
            let key_text = A::routing_key(&key).to_string();
            let command = Command { request_id: request_id(&key_text, now), by: None, body };
            let record =
                NewRecord { key: key_text.into(), value: wire::command::encode(&command).into(), headers: Vec::new() };
            let append = self.log.append(Topic::Lane(self.here.lane), self.here.partition, record);
            self.acks.push(append.map(|ack| (key, ack.map(drop))).boxed());
        }
    }

    fn acknowledged(&mut self, (key, ack): Ack<A::Key>) {
        if let Err(error) = ack {
            debug!(partition = %self.here, %error, "a timer's record is appended again");
            self.schedule.failed(&key);
        }
    }
}

fn request_id(key_text: &str, now: LogTime) -> RequestId {
    let seed = xxhash_rust::xxh3::xxh3_128(format!("{key_text} {}", now.0).as_bytes()).to_be_bytes();
    let mut random = [0u8; 10];
    random.copy_from_slice(&seed[..10]);
    let millis = u64::try_from(now.0).unwrap_or(0);
    RequestId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}
