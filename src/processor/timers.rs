//! Timers never decide: when something is due they append a record to the partition, and the record decides.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tracing::debug;

use super::decider::Touched;
use super::lanes::LaneAggregate;
use super::schedule::Schedule;
use crate::domain::{Command, LanePartition, LogTime, RequestId};
use crate::log::{AppendError, Log, NewRecord, Topic};
use crate::runtime::clock::Clock;
use crate::wire;

/// Records on their way to the log.
const IN_FLIGHT_MAX: usize = 256;

/// An aggregate's append, and how it ended.
type Ack<K> = (K, Result<(), AppendError>);

/// The timers of one partition's aggregates.
pub(super) struct Timers<A: LaneAggregate> {
    here: LanePartition,
    log: Arc<dyn Log>,
    clock: Clock,
    schedule: Schedule<A::Key>,
    acks: FuturesUnordered<BoxFuture<'static, Ack<A::Key>>>,
}

impl<A: LaneAggregate> Timers<A> {
    pub fn new(here: LanePartition, log: Arc<dyn Log>, clock: Clock, due: Vec<(A::Key, LogTime)>) -> Self {
        let mut schedule = Schedule::new();
        due.iter().for_each(|(key, at)| schedule.set(key, Some(*at), false));
        Timers { here, log, clock, schedule, acks: FuturesUnordered::new() }
    }

    /// Takes in what is due after a batch.
    pub fn set(&mut self, touched: &[Touched<A::Key>]) {
        touched.iter().for_each(|Touched { key, due, timer_decided }| self.schedule.set(key, *due, *timer_decided));
    }

    /// Appends what falls due, for as long as it is polled. Cancel-safe.
    pub async fn run(&mut self) -> Infallible {
        loop {
            let wait = self.schedule.next().filter(|_| self.acks.len() < IN_FLIGHT_MAX).map(|due| self.until(due));
            tokio::select! {
                // Neither branch starves the other. And a run in simulated time repeats itself exactly.
                biased;
                Some(ack) = self.acks.next() => self.acknowledged(ack),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.append_due(),
                else => return std::future::pending().await,
            }
        }
    }

    fn until(&self, due: LogTime) -> Duration {
        Duration::from_millis(due.0.saturating_sub(self.clock.now().0).max(0).unsigned_abs())
    }

    fn append_due(&mut self) {
        let now = self.clock.now();
        for key in self.schedule.fire(now, IN_FLIGHT_MAX - self.acks.len()) {
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
