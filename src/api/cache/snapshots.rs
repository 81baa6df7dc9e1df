//! The snapshot caches of the API: concerts, dates, seats.

use std::sync::Arc;
use std::time::Duration;

use super::live_maps::{LiveMaps, Sources};
use super::seat_map::SeatMap;
use super::snapshot_cache::{AGE_MAX, Fetched, SnapshotCache};
use crate::domain::{ConcertId, LogTime, ScheduleId};
use crate::log::Record;
use crate::store::{Concert, FrontStore, Page, ScheduleView, StoreError};

/// Entries of one kind; the ones not asked for longest go first.
const ENTRIES_MAX: usize = 1_000;
/// Rows of one kind, as one entry may hold many: 40 bytes a touched seat, which what is kept up and what was last shown
/// share, and as much a held one.
const ROWS_MAX: usize = 1_000_000;
/// After a change a new map waits so long for each seat it shows, as whoever asks may have all of them written: 100 ms for
/// 50,000 seats. A guess: an unoptimized build takes 1.2 to 2.4 µs to write a seat; an optimized one was not measured.
const REST_PER_SEAT: Duration = Duration::from_micros(2);

/// Of which concert, from which time on, after which date, how many.
type DatesKey = (ConcertId, Option<LogTime>, Option<ScheduleId>, u32);

/// Shared reads, at most 200 ms old.
pub struct Snapshots {
    store: Arc<dyn FrontStore>,
    live: LiveMaps,
    concerts: SnapshotCache<(Option<ConcertId>, u32), Vec<Concert>>,
    concert: SnapshotCache<ConcertId, Option<Concert>>,
    dates: SnapshotCache<DatesKey, Vec<ScheduleView>>,
    schedule: SnapshotCache<ScheduleId, Option<ScheduleView>>,
    seats: SnapshotCache<ScheduleId, Option<Arc<SeatMap>>>,
}

impl Snapshots {
    pub fn new(sources: Sources) -> Self {
        Snapshots {
            store: sources.store.clone(),
            live: LiveMaps::new(sources, ENTRIES_MAX, ROWS_MAX),
            concerts: SnapshotCache::new(ENTRIES_MAX, ROWS_MAX),
            concert: SnapshotCache::new(ENTRIES_MAX, ROWS_MAX),
            dates: SnapshotCache::new(ENTRIES_MAX, ROWS_MAX),
            schedule: SnapshotCache::new(ENTRIES_MAX, ROWS_MAX),
            seats: SnapshotCache::new(ENTRIES_MAX, ROWS_MAX),
        }
    }

    pub async fn concerts(&self, page: Page<ConcertId>) -> Result<Arc<Vec<Concert>>, StoreError> {
        let read = || async {
            let rows = self.store.concerts(page).await?;
            let count = rows.len();
            Ok((rows, count))
        };
        self.concerts.get((page.after, page.limit), AGE_MAX, read).await
    }

    pub async fn concert(&self, id: ConcertId) -> Result<Arc<Option<Concert>>, StoreError> {
        self.concert.get(id, AGE_MAX, || async { Ok((self.store.concert(id).await?, 1)) }).await
    }

    /// A page of the dates of a concert; with `from` those that start then or later. Each `from` is an entry of its own.
    pub async fn dates(
        &self,
        concert: ConcertId,
        from: Option<LogTime>,
        page: Page<ScheduleId>,
    ) -> Result<Arc<Vec<ScheduleView>>, StoreError> {
        let read = || async {
            let rows = self.store.schedules(concert, from, page).await?;
            let count = rows.iter().map(rows_of).sum();
            Ok((rows, count))
        };
        self.dates.get((concert, from, page.after, page.limit), AGE_MAX, read).await
    }

    pub async fn schedule(&self, id: ScheduleId) -> Result<Arc<Option<ScheduleView>>, StoreError> {
        let read = || async {
            let view = self.store.schedule(id).await?;
            let count = view.as_ref().map_or(1, rows_of);
            Ok((view, count))
        };
        self.schedule.get(id, AGE_MAX, read).await
    }

    /// The seats of a date, at most `age_max` old as outcomes tell; `None` for a date that the catalog does not know.
    pub async fn seats(&self, id: ScheduleId, age_max: Duration) -> Result<Option<Arc<SeatMap>>, StoreError> {
        let read = || async {
            let value = self.live.get(id).await?;
            let (rows, seats) = value.as_ref().map_or((1, 0), |map| (map.rows(), map.seats()));
            Ok(Fetched { value, rows, rest: REST_PER_SEAT * u32::try_from(seats).unwrap_or(u32::MAX) })
        };
        Ok(self.seats.get(id, age_max, read).await?.as_ref().clone())
    }

    /// The seats of a date as the store has them now.
    pub async fn seats_read(&self, id: ScheduleId) -> Result<Option<Arc<SeatMap>>, StoreError> {
        self.live.doubt(id);
        self.seats(id, Duration::ZERO).await
    }

    /// Seats of this date may have changed, as the record of an outcome says. Called before anybody learns of the outcome,
    /// so that a client that then reads finds what it says.
    pub fn seats_changed(&self, id: ScheduleId, record: &Record) {
        self.live.hear(id, record);
        self.schedule.changed(&id);
        self.seats.changed(&id);
        self.dates.all_changed();
    }

    /// Outcomes may have been missed before now.
    pub fn outcomes_missed(&self) {
        self.live.doubt_all();
    }

    /// The catalog was changed here: the client that changed it must find the change.
    pub fn catalog_changed(&self) {
        self.concerts.clear();
        self.concert.clear();
        self.dates.clear();
        self.schedule.clear();
        self.seats.clear();
        self.live.doubt_all();
    }
}

fn rows_of(view: &ScheduleView) -> usize {
    1 + view.blocks.iter().map(|block| 1 + block.sections.len()).sum::<usize>()
}
