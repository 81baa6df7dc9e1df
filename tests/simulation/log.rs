//! A log whose appends and reads may be late, lost, duplicated or answered wrongly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use turnstile::log::{
    AppendError, AppendFuture, Appended, Headers, Log, LogIdentity, Membership, NewRecord, PartitionCounts,
    PartitionReader, ReadError, Record, Timestamp, Topic,
};
use turnstile::wire;

use crate::group::SimGroup;
use crate::interventions::Bad;
use crate::log_reader::Reader;
use crate::sim::{DAY_MS, Sim};

/// Longest a producer waits for an acknowledgement.
const DELIVERY_MS_MAX: u64 = 8_000;
/// How late the second copy of a record may come.
const COPY_MS_MAX: u64 = 3_000;

/// The error of a record that cannot be read.
pub const DAMAGED: &str = "the record is damaged";

const NOTE: &[u8] = b"\"note_sale\"";

/// One offset of a partition.
pub(crate) struct Slot {
    pub record: Record,
    /// No record: a transaction's marker, which takes an offset and is never read.
    pub marker: bool,
    pub damaged: bool,
    pub visible_at: Instant,
    /// Since the run began.
    stored_ms: u64,
}

#[derive(Default)]
pub(crate) struct Partition {
    pub slots: Vec<Slot>,
    /// Appends until then fail too, because an earlier one was lost.
    poisoned_until: Option<Instant>,
}

pub struct SimLog {
    pub(crate) sim: Arc<Sim>,
    counts: PartitionCounts,
    partitions: Mutex<BTreeMap<(Topic, u32), Partition>>,
    pub(crate) arrivals: BTreeMap<(Topic, u32), Notify>,
    /// Outcomes by `ce_id`.
    refusals: Mutex<BTreeMap<Vec<u8>, Refusals>>,
    pub group: Arc<SimGroup>,
    this: std::sync::Weak<SimLog>,
}

impl SimLog {
    pub fn new(sim: Arc<Sim>, counts: PartitionCounts) -> Arc<SimLog> {
        let places: Vec<_> = Topic::ALL.into_iter().flat_map(|t| (0..counts.of(t)).map(move |p| (t, p))).collect();
        let group = SimGroup::new(Arc::clone(&sim), &counts);
        Arc::new_cyclic(|this| SimLog {
            sim,
            partitions: Mutex::new(places.iter().map(|place| (*place, Partition::default())).collect()),
            refusals: Mutex::default(),
            arrivals: places.into_iter().map(|place| (place, Notify::new())).collect(),
            counts,
            group,
            this: this.clone(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<(Topic, u32), Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All records of a partition, also those not yet visible, with the time each was stored, ms since the run began.
    pub fn all_timed(&self, topic: Topic, partition: u32) -> Vec<(Record, u64)> {
        let partitions = self.lock();
        let slots = partitions.get(&(topic, partition)).map_or(&[][..], |partition| &partition.slots);
        let records = slots.iter().filter(|slot| !slot.marker);
        records.map(|slot| (slot.record.clone(), slot.stored_ms)).collect()
    }

    pub fn all(&self, topic: Topic, partition: u32) -> Vec<Record> {
        self.all_timed(topic, partition).into_iter().map(|(record, _)| record).collect()
    }

    /// The offset the next record will get.
    pub fn end(&self, topic: Topic, partition: u32) -> u64 {
        self.lock().get(&(topic, partition)).map_or(0, |partition| partition.slots.len() as u64)
    }

    /// Whether there is no record between these offsets.
    pub fn is_empty_between(&self, place: (Topic, u32), from: u64, to: u64) -> bool {
        let partitions = self.lock();
        let mut slots = partitions[&place].slots.iter().take(to as usize).skip(from as usize);
        slots.all(|slot| slot.marker)
    }

    /// Whether there is no record at this offset.
    pub fn is_marker(&self, place: (Topic, u32), offset: u64) -> bool {
        self.lock()[&place].slots.get(offset as usize).is_some_and(|slot| slot.marker)
    }

    /// Puts another record in the place of one.
    pub fn forge(&self, place: (Topic, u32), offset: u64) {
        if let Some(slot) = self.lock().get_mut(&place).and_then(|partition| partition.slots.get_mut(offset as usize)) {
            slot.record.value = Some(Bytes::from_static(b"another record"));
        }
    }

    /// Stores a record that may lack key and value, as another program's may.
    pub fn put(&self, place: (Topic, u32), key: Option<Bytes>, value: Option<Bytes>, headers: Headers) {
        let delay = self.sim.delay();
        self.push(place, key, value, headers, delay);
    }

    /// Stores a record on which its partition stands still; returns its offset.
    pub fn put_bad(&self, place: (Topic, u32), value: Bytes, bad: Bad) -> u64 {
        let now_ms = self.now_ms();
        let timestamp = match bad {
            Bad::Unreadable => Timestamp::LogAppend(now_ms),
            Bad::Ahead => Timestamp::LogAppend(now_ms + DAY_MS),
            Bad::Unstamped => Timestamp::Create(now_ms),
        };
        let record =
            Record { offset: 0, timestamp, key: None, value: Some(value), headers: Vec::new(), unreadable_headers: 0 };
        self.store(place, record, bad == Bad::Unreadable, self.sim.delay()).0
    }

    fn now_ms(&self) -> i64 {
        self.sim.clock(&self.sim.broker_ms).now().0
    }

    /// Appends a record; it becomes visible after `delay`.
    fn push(
        &self,
        place: (Topic, u32),
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: Headers,
        delay: Duration,
    ) -> (u64, Instant) {
        let timestamp = Timestamp::LogAppend(self.now_ms());
        let record = Record { offset: 0, timestamp, key, value, headers, unreadable_headers: 0 };
        self.store(place, record, false, delay)
    }

    /// The record gets its offset.
    fn store(&self, place: (Topic, u32), record: Record, damaged: bool, delay: Duration) -> (u64, Instant) {
        let mut partitions = self.lock();
        let slots = &mut partitions.get_mut(&place).expect("a place of this log").slots;
        let visible_at = slots.last().map_or(Instant::now(), |last| last.visible_at).max(Instant::now() + delay);
        let stored_ms = self.sim.now_ms();
        // An owner cannot tell them from a damaged record behind them, and skips them like it.
        if !damaged && self.sim.strikes(self.sim.plan.markers) {
            for offset in (slots.len() as u64..).take(1 + self.sim.below(3) as usize) {
                slots.push(Slot {
                    record: Record::unread(offset),
                    marker: true,
                    damaged: false,
                    visible_at,
                    stored_ms,
                });
            }
        }
        let offset = slots.len() as u64;
        let record = Record { offset, ..record };
        slots.push(Slot { record, marker: false, damaged, visible_at, stored_ms });
        drop(partitions);
        self.arrivals[&place].notify_waiters();
        (offset, visible_at)
    }

    fn reader(&self, place: (Topic, u32), next: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        let end = self.end(place.0, place.1);
        if next > end {
            return Err(ReadError::OutOfRange { offset: next, reason: format!("it ends at {end}") });
        }
        let log = self.this.upgrade().ok_or_else(|| ReadError::Unavailable("closed".into()))?;
        Ok(Box::new(Reader::new(log, place, next)))
    }

    pub fn open(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.reader((topic, partition), start)
    }

    pub(crate) async fn reached(&self) -> Result<(), ReadError> {
        self.sim.called();
        sleep(self.sim.delay()).await;
        let away = self.sim.log_away().is_some() || self.sim.strikes(self.sim.plan.read_failed);
        if away { Err(ReadError::Unavailable("injected".into())) } else { Ok(()) }
    }
}

/// How often an outcome is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusals {
    /// For another record of its batch.
    Left(u64),
    ForGood,
}

/// How an append ends.
enum Fate {
    Stored,
    /// Refused immediately.
    Backlog,
    Refused,
    Lost,
    StoredUnacknowledged,
}

impl SimLog {
    /// The `ce_id`s of the outcomes that are refused for good.
    pub fn refused_for_good(&self) -> BTreeSet<Vec<u8>> {
        let all = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, refusals)| **refusals == Refusals::ForGood).map(|(id, _)| id.clone()).collect()
    }

    /// Of outcomes alone; for good only of those that no queue follows.
    fn refuses(&self, topic: Topic, record: &NewRecord) -> bool {
        let header = |wanted: &str| record.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let Some(id) = header("ce_id").filter(|_| topic == Topic::Outcomes) else { return false };
        let draw = || match self.sim.strikes(self.sim.plan.append_refused) {
            true if header(wire::headers::SCHEDULE).is_none() && self.sim.below(2) == 0 => Refusals::ForGood,
            true => Refusals::Left(1 + self.sim.below(2)),
            false => Refusals::Left(0),
        };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match refusals.entry(id.to_vec()).or_insert_with(draw) {
            Refusals::ForGood => true,
            Refusals::Left(left) => std::mem::replace(left, left.saturating_sub(1)) > 0,
        }
    }

    fn fate(&self, place: (Topic, u32), record: &NewRecord) -> Fate {
        let (sim, plan) = (&self.sim, &self.sim.plan);
        if self.poisoned(place) {
            // What has failed still fills the queue.
            return if plan.append_backlog > 0 && sim.below(3) == 0 { Fate::Backlog } else { Fate::Lost };
        }
        if self.refuses(place.0, record) {
            return Fate::Refused;
        }
        if let Some(_until) = sim.log_away() {
            return match sim.below(4) {
                0 => Fate::Backlog,
                1 => Fate::StoredUnacknowledged,
                _ => Fate::Lost,
            };
        }
        if sim.strikes(plan.note_lost) && record.value.windows(NOTE.len()).any(|part| part == NOTE) {
            // So that an older note comes after a newer one.
            return Fate::Lost;
        }
        if sim.strikes(plan.append_backlog) {
            Fate::Backlog
        } else if sim.strikes(plan.append_lost) {
            Fate::Lost
        } else if sim.strikes(plan.append_unacknowledged) {
            Fate::StoredUnacknowledged
        } else {
            Fate::Stored
        }
    }

    /// Loses an append, and in a gapless log those that follow before the loss is known; returns when that is.
    fn lose(&self, place: (Topic, u32)) -> Instant {
        let mut until = Instant::now() + Duration::from_millis(1 + self.sim.below(DELIVERY_MS_MAX));
        let mut partitions = self.lock();
        let partition = partitions.get_mut(&place).expect("a place of this log");
        if let Some(poisoned) = partition.poisoned_until.filter(|poisoned| *poisoned > Instant::now()) {
            until = poisoned;
        }
        if self.sim.plan.gapless {
            partition.poisoned_until = Some(until);
        }
        until
    }

    fn poisoned(&self, place: (Topic, u32)) -> bool {
        let until = self.lock().get(&place).and_then(|partition| partition.poisoned_until);
        until.is_some_and(|until| until > Instant::now())
    }
}

fn code(topic: Topic) -> u64 {
    Topic::ALL.iter().position(|other| *other == topic).unwrap_or(0) as u64
}

#[async_trait]
impl Log for SimLog {
    fn partitions(&self) -> &PartitionCounts {
        &self.counts
    }

    async fn identity(&self) -> Result<LogIdentity, ReadError> {
        self.reached().await?;
        Ok(LogIdentity { log_id: "simulated".into(), topics: BTreeMap::new() })
    }

    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture {
        self.sim.called();
        let place = (topic, partition);
        let unacknowledged = |reason: &str| Err(AppendError::Unacknowledged(reason.to_owned()));
        let fate = self.fate(place, &record);
        let NewRecord { key, value, headers } = record;
        match fate {
            Fate::Backlog => {
                self.sim.note("backlog", [code(topic), partition.into(), 0]);
                futures_util::future::ready(Err(AppendError::Backlog)).boxed()
            }
            Fate::Refused => {
                self.sim.note("append refused", [code(topic), partition.into(), 0]);
                // By the client at once, or by the broker with its batch.
                let known_at = if self.sim.below(2) == 0 { Instant::now() } else { self.lose(place) };
                async move {
                    sleep_until(known_at).await;
                    Err(AppendError::Refused("injected".to_owned()))
                }
                .boxed()
            }
            Fate::Lost => {
                let known_at = self.lose(place);
                self.sim.note("append lost", [code(topic), partition.into(), 0]);
                async move {
                    sleep_until(known_at).await;
                    unacknowledged("lost")
                }
                .boxed()
            }
            Fate::Stored | Fate::StoredUnacknowledged => {
                let delay = self.sim.delay();
                let copy = (key.clone(), value.clone(), headers.clone());
                let (offset, visible_at) = self.push(place, Some(key), Some(value), headers, delay);
                self.sim.note("append", [code(topic), partition.into(), offset]);
                if self.sim.strikes(self.sim.plan.append_twice) {
                    self.copy_later(place, copy);
                }
                let stored = matches!(fate, Fate::Stored);
                let lateness =
                    if stored { self.sim.delay() } else { Duration::from_millis(self.sim.below(DELIVERY_MS_MAX)) };
                async move {
                    sleep_until(visible_at + lateness).await;
                    if stored { Ok(Appended { offset }) } else { unacknowledged("the answer was lost") }
                }
                .boxed()
            }
        }
    }

    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        self.reached().await?;
        Ok(self.end(topic, partition))
    }

    async fn first_offset(&self, _topic: Topic, _partition: u32) -> Result<u64, ReadError> {
        self.reached().await?;
        Ok(0)
    }

    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.reached().await?;
        self.reader((topic, partition), start)
    }

    async fn join(&self, _member: &str) -> Result<Box<dyn Membership>, ReadError> {
        sleep(self.sim.delay()).await;
        let log = self.this.upgrade().ok_or_else(|| ReadError::Unavailable("closed".into()))?;
        Ok(Box::new(self.group.join(log)))
    }

    async fn flush(&self, _deadline: Duration) {}
}

impl SimLog {
    /// Stores a second copy of a record: directly behind the first, or later.
    fn copy_later(&self, place: (Topic, u32), (key, value, headers): (Bytes, Bytes, Headers)) {
        self.sim.note("append twice", [code(place.0), place.1.into(), 0]);
        if self.sim.below(2) == 0 {
            self.push(place, Some(key), Some(value), headers, Duration::ZERO);
            return;
        }
        let Some(log) = self.this.upgrade() else { return };
        let after = Duration::from_millis(self.sim.below(COPY_MS_MAX));
        tokio::spawn(async move {
            sleep(after).await;
            log.push(place, Some(key), Some(value), headers, Duration::ZERO);
        });
    }
}
