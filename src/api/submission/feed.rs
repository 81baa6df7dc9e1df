//! Tails the outcomes topic from its end and wakes those who wait. Bounded: what nobody reads is dropped.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use uuid::Uuid;

use crate::api::AppState;
use crate::domain::{Lane, ScheduleId};
use crate::log::{ReadError, Record, Topic};
use crate::wire::outcome::{OutcomeView, decode_value, fingerprint_of};

/// Outcomes kept for slow subscribers; who falls further behind is told so and reads the store again.
const SUBSCRIBERS_LAG_MAX: usize = 4096;
const READ_RECORDS_MAX: usize = 1000;
const READ_BYTES_MAX: usize = 1024 * 1024;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// One outcome as the feed brings it.
#[derive(Debug)]
pub struct Outcome {
    /// Routing key of the aggregate it is about.
    pub key: String,
    /// Of the command it decides; absent on records of strangers.
    pub fingerprint: Option<u64>,
    pub view: OutcomeView,
}

impl Outcome {
    /// The refusal's code, if it is one.
    pub fn code(&self) -> Option<&str> {
        self.view.problem.as_ref()?.get("code")?.as_str()
    }

    /// The schedule whose seats it may have changed.
    pub fn seats_of(&self) -> Option<ScheduleId> {
        let (schedule, _section) = self.key.split_once('/')?;
        let seats = self.view.decided.0.position.lane == Lane::Seats;
        seats.then(|| Uuid::try_parse(schedule).ok().map(ScheduleId))?
    }
}

/// What the feed's readers and its subscribers share.
pub struct Feed {
    following: Mutex<HashSet<u32>>,
    partitions: u32,
    subscribers: broadcast::Sender<Arc<Outcome>>,
}

impl Feed {
    pub fn new(partitions: u32) -> Self {
        let (subscribers, _) = broadcast::channel(SUBSCRIBERS_LAG_MAX);
        Feed { following: Mutex::default(), partitions, subscribers }
    }

    /// Every outcome from now on, of all partitions; in order within one aggregate. A subscriber that lags more than
    /// 4096 outcomes gets `Lagged` and must read the store again.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Outcome>> {
        self.subscribers.subscribe()
    }

    /// Whether all partitions are being followed.
    pub fn is_running(&self) -> bool {
        self.following.lock().unwrap_or_else(PoisonError::into_inner).len() == self.partitions as usize
    }

    fn set_following(&self, partition: u32, following: bool) {
        let mut partitions = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        if following {
            partitions.insert(partition)
        } else {
            partitions.remove(&partition)
        };
    }
}

/// Follows one partition of the outcomes until shutdown. A gap in it costs waiters only time: at their deadline they
/// look into the store.
pub async fn follow(state: Arc<AppState>, partition: u32) {
    let mut next = None;
    let mut retry = RETRY_FIRST;
    loop {
        let ended = tokio::select! {
            biased;
            () = state.shutdown.cancelled() => None,
            error = read_on(&state, partition, &mut next, &mut retry) => Some(error),
        };
        state.feed.set_following(partition, false);
        let Some(error) = ended else { return };
        tracing::warn!(partition, %error, retry_ms = retry.as_millis() as u64, "the outcome feed is interrupted");
        if let ReadError::OutOfRange { .. } = error {
            next = None;
        }
        tokio::select! {
            biased;
            () = state.shutdown.cancelled() => return,
            () = tokio::time::sleep(retry) => retry = (retry * 2).min(RETRY_LAST),
        }
    }
}

/// Reads until the log fails. `next` is the offset to go on at; `None` is the end.
async fn read_on(state: &AppState, partition: u32, next: &mut Option<u64>, retry: &mut Duration) -> ReadError {
    let start = match *next {
        Some(offset) => offset,
        None => match state.log.end_offset(Topic::Outcomes, partition).await {
            Ok(end) => end,
            Err(error) => return error,
        },
    };
    let mut reader = match state.log.read(Topic::Outcomes, partition, start).await {
        Ok(reader) => reader,
        Err(error) => return error,
    };
    *next = Some(start);
    state.feed.set_following(partition, true);
    loop {
        match reader.next(READ_RECORDS_MAX, READ_BYTES_MAX).await {
            Ok(records) => {
                *retry = RETRY_FIRST;
                for record in records {
                    *next = Some(record.offset + 1);
                    deliver(state, &record);
                }
            }
            Err(error) => return error,
        }
    }
}

fn deliver(state: &AppState, record: &Record) {
    let Some(value) = &record.value else { return };
    let view = match decode_value(value) {
        Ok(view) => view,
        Err(error) => {
            tracing::warn!(offset = record.offset, %error, "a record of the outcomes topic is not an outcome");
            return;
        }
    };
    let key = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
    let outcome = Arc::new(Outcome { key, fingerprint: fingerprint_of(&record.headers), view });
    // Before anybody hears of it, so that they find it.
    if let Some(schedule) = outcome.seats_of() {
        state.views.seats_changed(schedule);
    }
    state.waiters.complete(&outcome);
    // Nobody may be subscribed.
    let _ = state.feed.subscribers.send(outcome);
}
