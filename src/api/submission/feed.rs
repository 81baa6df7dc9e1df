//! Follows the outcomes topic from its end and wakes the waiters.
//!
//! Every API process reads every outcome of the system, so a record is routed by its headers: its body is parsed only
//! if somebody waits for its request, or asks for the seats of its date.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::waiters::{Decision, Waiters};
use crate::domain::{RequestId, ScheduleId};
use crate::log::{Log, ReadError, Record, Topic};
use crate::wire::folded::unfolded;
use crate::wire::{headers, outcome};

const READ_RECORDS_MAX: usize = 1000;
const READ_BYTES_MAX: usize = 1024 * 1024;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// A routing key of a block is `{schedule_id}/{block}`; that of a queue ends after the id.
const SCHEDULE_ID_BYTES: usize = 36;

/// Called with all records, as many at once as the log gives: what is done for each outcome of the system is done in every
/// API process.
pub type Seen = Box<dyn Fn(&[Record]) + Send + Sync>;
/// Called with the outcome of a request that somebody here waits for, before they learn of it.
pub type Awaited = Box<dyn Fn(RequestId, &Record) + Send + Sync>;

pub type SeatsChanged = Box<dyn Fn(ScheduleId, &Record) + Send + Sync>;

/// What the feed uses.
pub struct Sources {
    pub log: Arc<dyn Log>,
    pub waiters: Waiters,
    /// Called with the date whose seats an outcome may have changed, and its record, before anybody learns of the outcome: a
    /// client that then reads the seats finds what the outcome says.
    pub seats_changed: SeatsChanged,
    /// Called when a partition begins to be followed, again or for the first time: outcomes may have been missed.
    pub missed: Box<dyn Fn() + Send + Sync>,
    pub seen: Seen,
    pub awaited: Awaited,
    /// True while all partitions are followed.
    pub running: watch::Sender<bool>,
    pub shutdown: CancellationToken,
}

/// The readers of the outcomes topic; [`Feed::follow`] is the work of one of them.
pub struct Feed {
    sources: Sources,
    partitions: u32,
    following: Mutex<HashSet<u32>>,
}

impl Feed {
    pub fn new(sources: Sources) -> Self {
        let partitions = sources.log.partitions().of(Topic::Outcomes);
        sources.running.send_replace(partitions == 0);
        Feed { sources, partitions, following: Mutex::default() }
    }

    /// How many partitions there are to follow.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Whether all partitions are being followed.
    pub fn is_running(&self) -> bool {
        *self.sources.running.borrow()
    }

    fn set_following(&self, partition: u32, following: bool) {
        let mut partitions = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        if following {
            partitions.insert(partition)
        } else {
            partitions.remove(&partition)
        };
        self.sources.running.send_replace(partitions.len() == self.partitions as usize);
    }

    /// Follows one partition of the outcomes until shutdown. A gap costs waiters only time: at their deadline they read
    /// the store.
    pub async fn follow(&self, partition: u32) {
        let mut next = None;
        let mut retry = RETRY_FIRST;
        loop {
            let ended = tokio::select! {
                biased;
                () = self.sources.shutdown.cancelled() => None,
                error = self.read_on(partition, &mut next, &mut retry) => Some(error),
            };
            self.set_following(partition, false);
            let Some(error) = ended else { return };
            tracing::warn!(partition, %error, retry_ms = retry.as_millis() as u64, "the outcome feed is interrupted");
            if let ReadError::OutOfRange { .. } = error {
                next = None;
            }
            tokio::select! {
                biased;
                () = self.sources.shutdown.cancelled() => return,
                () = tokio::time::sleep(retry) => retry = (retry * 2).min(RETRY_LAST),
            }
        }
    }

    /// Reads until the log fails. `next` is the offset to go on at; `None` is the end.
    async fn read_on(&self, partition: u32, next: &mut Option<u64>, retry: &mut Duration) -> ReadError {
        let log = &self.sources.log;
        let start = match *next {
            Some(offset) => offset,
            None => match log.end_offset(Topic::Outcomes, partition).await {
                Ok(end) => end,
                Err(error) => return error,
            },
        };
        let mut reader = match log.read(Topic::Outcomes, partition, start).await {
            Ok(reader) => reader,
            Err(error) => return error,
        };
        *next = Some(start);
        (self.sources.missed)();
        self.set_following(partition, true);
        loop {
            match reader.next(READ_RECORDS_MAX, READ_BYTES_MAX).await {
                Ok(mut records) => {
                    *retry = RETRY_FIRST;
                    for record in &mut records {
                        record.headers = unfolded(std::mem::take(&mut record.headers));
                    }
                    (self.sources.seen)(&records);
                    for record in &records {
                        *next = Some(record.offset + 1);
                        self.deliver(record);
                    }
                }
                Err(error) => return error,
            }
        }
    }

    fn deliver(&self, record: &Record) {
        if let Some(schedule) = seats_of(record) {
            (self.sources.seats_changed)(schedule, record);
        }
        let Some(request_id) = headers::request_id_of(&record.headers) else {
            tracing::warn!(offset = record.offset, "a record of the outcomes topic names no request");
            return;
        };
        if !self.sources.waiters.has(request_id) {
            return;
        }
        (self.sources.awaited)(request_id, record);
        match decision(record, request_id) {
            Ok(decision) => self.sources.waiters.complete(&decision),
            Err(reason) => {
                tracing::warn!(offset = record.offset, %reason, "a record of the outcomes topic is not an outcome");
            }
        }
    }
}

/// The date whose seats an outcome may have changed. Where seats are scarce most holds are refused: a refusal changes no
/// row of a block, not even the holds that it finds run out.
fn seats_of(record: &Record) -> Option<ScheduleId> {
    let of_block = record.key.as_ref()?.get(SCHEDULE_ID_BYTES) == Some(&b'/');
    if of_block && !headers::is_refusal(&record.headers) { headers::schedule_of(&record.headers) } else { None }
}

fn decision(record: &Record, request_id: RequestId) -> Result<Decision, String> {
    let fingerprint = headers::fingerprint_of(&record.headers).ok_or("it has no fingerprint")?;
    let request = outcome::decode(record.value.as_deref().unwrap_or_default()).map_err(|error| error.to_string())?;
    if request.request_id != request_id {
        return Err("its header names another request".to_owned());
    }
    Ok(Decision { fingerprint, request: Arc::new(request) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::api::submission::request_object::RequestObject;
    use crate::domain::wallet::{Entry, EntryKind, Reply};
    use crate::domain::{
        Amount, Arrival, Balance, CommandKind, Effects, EntryId, Fingerprint, Lane, LogTime, Position, ReservationId,
    };
    use crate::log::{PartitionCounts, Timestamp};
    use crate::runtime::clock::Clock;
    use crate::testing::MemoryLog;
    use crate::wire::outcome::OutcomeRecord;

    const REQUEST: RequestId = RequestId(Uuid::from_u128(7));
    const SCHEDULE: ScheduleId = ScheduleId(Uuid::from_u128(8));

    fn feed() -> (Feed, Waiters, Arc<Mutex<Vec<ScheduleId>>>) {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
        let (waiters, changed) = (Waiters::new(10), Arc::new(Mutex::new(Vec::new())));
        let noted = changed.clone();
        let sources = Sources {
            log: Arc::new(MemoryLog::new(counts, Clock::System)),
            waiters: waiters.clone(),
            seats_changed: Box::new(move |schedule, _| noted.lock().unwrap().push(schedule)),
            missed: Box::new(|| {}),
            seen: Box::new(|_| {}),
            awaited: Box::new(|_, _| {}),
            running: watch::channel(false).0,
            shutdown: CancellationToken::new(),
        };
        (Feed::new(sources), waiters, changed)
    }

    /// The outcome of a charge that ended somebody's hold, under this routing key: odd, but with all its parts.
    fn record(key: &str, schedule_id: Option<ScheduleId>) -> Record {
        let at = Arrival { position: Position::new(Lane::Wallets, 0, 5), time: LogTime(0) };
        let entry = Entry {
            id: EntryId(Uuid::from_u128(9)),
            user_id: "alice".parse().unwrap(),
            number: 1,
            kind: EntryKind::Charge,
            amount: Amount::movement(5).unwrap(),
            balance_after: Balance::new(5).unwrap(),
            reason: None,
            request_id: REQUEST,
            by: None,
            cause: REQUEST.0,
            at,
        };
        let effects = Effects { expired: vec![ReservationId(Uuid::from_u128(10))], ..Effects::default() };
        let written = OutcomeRecord {
            request_id: REQUEST,
            command: CommandKind::ChargeWallet,
            user_id: Some(&entry.user_id.clone()),
            by: None,
            fingerprint: Fingerprint(0xabc),
            schedule_id,
            outcome: &Ok(Reply::WalletChanged(entry).into()),
            effects: &effects,
            decided: at,
        };
        Record {
            offset: 0,
            timestamp: Timestamp::LogAppend(0),
            key: Some(Bytes::from(key.to_owned())),
            value: Some(Bytes::from(outcome::encode(&written).record)),
            headers: headers::outcome_headers(Uuid::from_u128(1), key, &written, None),
            unreadable_headers: 0,
        }
    }

    #[tokio::test]
    async fn a_waiter_gets_the_decision_and_its_answer_has_no_effects() {
        let (feed, waiters, _) = feed();
        let mut waiter = waiters.register(REQUEST, Some(Fingerprint(0xabc))).unwrap();
        feed.deliver(&record("alice", None));
        let decision = waiter.decision().await;
        assert_eq!(decision.fingerprint, Fingerprint(0xabc));
        assert!(decision.request.effects.is_some(), "the record has them");
        let answer = serde_json::to_value(RequestObject::from(&*decision.request)).unwrap();
        assert_eq!((&answer["status"], &answer["result"]["balance"]), (&Value::from("SUCCEEDED"), &Value::from(5)));
        assert!(!answer.to_string().contains("expired"), "{answer}");
    }

    #[test]
    fn a_body_is_parsed_only_if_somebody_waits_for_it() {
        let (feed, waiters, _) = feed();
        let mut broken = record("alice", None);
        broken.value = Some(Bytes::from_static(b"not an outcome"));
        feed.deliver(&broken);
        let _waiter = waiters.register(REQUEST, None).unwrap();
        feed.deliver(&broken);
        broken.headers.clear();
        feed.deliver(&broken);
        assert_eq!(waiters.count(), 1, "a record that cannot be read completes nothing");
        feed.deliver(&record("alice", None));
        assert_eq!(waiters.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn each_time_a_partition_is_followed_outcomes_may_have_been_missed() {
        let counts = PartitionCounts { seats: 1, wallets: 1, queues: 1, inbox: 1, outcomes: 1, dead_letters: 1 };
        let (running, mut follows) = watch::channel(false);
        let (log, missed) = (MemoryLog::new(counts, Clock::System), Arc::new(Mutex::new(Vec::new())));
        let (noted, seen_running) = (missed.clone(), follows.clone());
        let sources = Sources {
            log: Arc::new(log.clone()),
            waiters: Waiters::new(10),
            seats_changed: Box::new(|_, _| {}),
            missed: Box::new(move || noted.lock().unwrap().push(*seen_running.borrow())),
            seen: Box::new(|_| {}),
            awaited: Box::new(|_, _| {}),
            running,
            shutdown: CancellationToken::new(),
        };
        let feed = Arc::new(Feed::new(sources));
        let following = tokio::spawn({
            let feed = feed.clone();
            async move { feed.follow(0).await }
        });
        follows.wait_for(|running| *running).await.unwrap();
        assert_eq!(*missed.lock().unwrap(), [false], "said before anybody relies on it");
        let put = || log.put((Topic::Outcomes, 0), None, None, Vec::new(), Timestamp::LogAppend(0));
        log.damage((Topic::Outcomes, 0), 0..1);
        put();
        follows.wait_for(|running| !*running).await.unwrap();
        log.damage((Topic::Outcomes, 0), 0..0);
        follows.wait_for(|running| *running).await.unwrap();
        assert!(missed.lock().unwrap().len() > 1);
        feed.sources.shutdown.cancel();
        following.await.unwrap();
    }

    #[test]
    fn outcomes_of_blocks_change_seats_and_those_of_queues_and_wallets_do_not() {
        let (feed, _, changed) = feed();
        feed.deliver(&record(&format!("{SCHEDULE}/main"), Some(SCHEDULE)));
        feed.deliver(&record(&SCHEDULE.to_string(), Some(SCHEDULE)));
        let user = format!("{}/a", "x".repeat(SCHEDULE_ID_BYTES));
        feed.deliver(&record(&user, None));
        let mut refused = record(&format!("{SCHEDULE}/main"), Some(SCHEDULE));
        let kind = refused.headers.iter_mut().find(|(name, _)| name == "ce_type").unwrap();
        kind.1 = "turnstile.hold_seats.rejected".into();
        feed.deliver(&refused);
        assert_eq!(*changed.lock().unwrap(), [SCHEDULE], "a refusal changes nothing");
    }
}
