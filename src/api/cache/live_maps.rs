//! The seats of the dates that somebody asks for: read once, kept up by outcomes, read again when these do not suffice.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::live_date::{LiveDate, Why};
use super::live_map::LiveMap;
use super::plans::Plans;
use super::seat_map::{SeatMap, Seats};
use super::seat_news::SeatNews;
use crate::domain::ScheduleId;
use crate::log::Record;
use crate::store::{FrontStore, StoreError};
use crate::telemetry::metrics::SEAT_MAP_READS;

/// What they use.
pub struct Sources {
    pub store: Arc<dyn FrontStore>,
    pub plans: Arc<Plans>,
    /// How many partitions of outcomes there are.
    pub outcomes: u32,
    /// True while the feed brings outcomes.
    pub feed_running: watch::Receiver<bool>,
}

pub(super) struct LiveMaps {
    sources: Sources,
    dates: Mutex<Dates>,
    /// The last version of a map. One count for all: a date that was forgotten goes on after what its readers have seen.
    versions: AtomicU64,
    entries_max: usize,
    rows_max: usize,
}

#[derive(Default)]
struct Dates {
    by_id: HashMap<ScheduleId, Entry>,
    turn: u64,
}

struct Entry {
    date: Arc<Date>,
    rows: usize,
    /// The turn it was last asked for.
    asked: u64,
}

#[derive(Default)]
struct Date {
    state: Mutex<LiveDate>,
    /// Held by the task that reads.
    reading: tokio::sync::Mutex<()>,
}

/// A read under way, also if nobody waits for it any more.
struct Reading<'a>(&'a Date);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).end();
    }
}

impl LiveMaps {
    pub fn new(sources: Sources, entries_max: usize, rows_max: usize) -> Self {
        LiveMaps { sources, dates: Mutex::default(), versions: AtomicU64::new(0), entries_max, rows_max }
    }

    /// The seats of a date with all that was heard of it; `None` for a date that the catalog does not know.
    pub async fn get(&self, id: ScheduleId) -> Result<Option<Arc<SeatMap>>, StoreError> {
        let date = self.date(id);
        if let Ok(shown) = self.shown(&date) {
            return Ok(Some(shown));
        }
        let _one_reader = date.reading.lock().await;
        match self.shown(&date) {
            Ok(shown) => Ok(Some(shown)),
            Err(why) => self.read(id, &date, why).await,
        }
    }

    fn shown(&self, date: &Date) -> Result<Arc<SeatMap>, Why> {
        let running = *self.sources.feed_running.borrow();
        lock(&date.state).shown(running)
    }

    async fn read(&self, id: ScheduleId, date: &Date, why: Why) -> Result<Option<Arc<SeatMap>>, StoreError> {
        let Sources { store, plans, outcomes, .. } = &self.sources;
        let begun = lock(&date.state).begin();
        let _reading = Reading(date);
        SEAT_MAP_READS.with_label_values(&[why.as_str()]).inc();
        let Some(view) = store.schedule(id).await? else {
            lock(&self.dates).by_id.remove(&id);
            return Ok(None);
        };
        let plan = match view.schedule.drawn_by().and_then(|id| id.parse().ok()) {
            Some(plan) => plans.get(plan).await?,
            None => None,
        };
        let rows = store.seats(id).await?;
        let live = LiveMap::new(Seats::new(id, &rows).labelled(plan), &rows);
        let mut state = lock(&date.state);
        state.read(live, begun, *outcomes, self.version());
        let (map, count) = (state.as_read(), state.rows());
        drop(state);
        self.weigh(id, date, count);
        Ok(map)
    }

    /// An outcome may have changed seats of this date. Its record is read only if somebody asks for the date.
    pub fn hear(&self, id: ScheduleId, record: &Record) {
        let Some(date) = lock(&self.dates).by_id.get(&id).map(|entry| entry.date.clone()) else { return };
        let news = SeatNews::of_record(record);
        let mut state = lock(&date.state);
        // Under the lock: versions of a date only grow.
        state.hear(news, self.version());
        if state.is_idle() {
            drop(state);
            lock(&self.dates).by_id.remove(&id);
        }
    }

    /// What was read of this date before now is not to be relied on.
    pub fn doubt(&self, id: ScheduleId) {
        if let Some(entry) = lock(&self.dates).by_id.get(&id) {
            lock(&entry.date.state).doubt();
        }
    }

    /// The same of all dates.
    pub fn doubt_all(&self) {
        lock(&self.dates).by_id.values().for_each(|entry| lock(&entry.date.state).doubt());
    }

    fn version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// From now on what is heard of this date counts.
    fn date(&self, id: ScheduleId) -> Arc<Date> {
        let mut dates = lock(&self.dates);
        dates.turn += 1;
        let turn = dates.turn;
        let entry = dates.by_id.entry(id).or_insert_with(|| Entry { date: Arc::default(), rows: 0, asked: turn });
        entry.asked = turn;
        let date = entry.date.clone();
        dates.shrink(self.entries_max, self.rows_max);
        date
    }

    /// Notes how large the date has become.
    fn weigh(&self, id: ScheduleId, date: &Date, rows: usize) {
        let mut dates = lock(&self.dates);
        if let Some(entry) = dates.by_id.get_mut(&id).filter(|entry| std::ptr::eq(&*entry.date, date)) {
            entry.rows = rows;
        }
        dates.shrink(self.entries_max, self.rows_max);
    }
}

impl Dates {
    /// Drops the longest unasked until the bounds are kept; the last one stays, whatever its size.
    fn shrink(&mut self, entries_max: usize, rows_max: usize) {
        let mut rows: usize = self.by_id.values().map(|entry| entry.rows).sum();
        while self.by_id.len() > 1 && (self.by_id.len() > entries_max || rows > rows_max) {
            let oldest = self.by_id.iter().min_by_key(|(_, entry)| entry.asked).map(|(id, _)| *id);
            let gone = oldest.and_then(|id| self.by_id.remove(&id));
            rows -= gone.map_or(0, |entry| entry.rows);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
