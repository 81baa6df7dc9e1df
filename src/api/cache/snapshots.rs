//! The snapshot caches of the API: concerts, dates, seats.

use std::sync::Arc;
use std::time::Duration;

use super::plans::Plans;
use super::seat_map::SeatMap;
use super::snapshot_cache::{AGE_MAX, SnapshotCache};
use crate::domain::{ConcertId, LogTime, ScheduleId};
use crate::store::{Concert, FrontStore, Page, ScheduleView, StoreError};

/// Entries of one kind; the ones not asked for longest go first.
const ENTRIES_MAX: usize = 1_000;
/// Rows of one kind, as one entry may hold many: 32 bytes a touched seat.
const ROWS_MAX: usize = 1_000_000;

/// Of which concert, from which time on, after which date, how many.
type DatesKey = (ConcertId, Option<LogTime>, Option<ScheduleId>, u32);

/// Shared reads, at most 200 ms old.
pub struct Snapshots {
    store: Arc<dyn FrontStore>,
    plans: Arc<Plans>,
    concerts: SnapshotCache<(Option<ConcertId>, u32), Vec<Concert>>,
    concert: SnapshotCache<ConcertId, Option<Concert>>,
    dates: SnapshotCache<DatesKey, Vec<ScheduleView>>,
    schedule: SnapshotCache<ScheduleId, Option<ScheduleView>>,
    seats: SnapshotCache<ScheduleId, Option<SeatMap>>,
}

impl Snapshots {
    pub fn new(store: Arc<dyn FrontStore>, plans: Arc<Plans>) -> Self {
        Snapshots {
            store,
            plans,
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

    /// The seats of a date, at most `age_max` old; `None` for a date that the catalog does not know.
    pub async fn seats(&self, id: ScheduleId, age_max: Duration) -> Result<Arc<Option<SeatMap>>, StoreError> {
        let read = || async {
            let Some(view) = self.store.schedule(id).await? else { return Ok((None, 1)) };
            let plan = match view.schedule.plan.as_ref().and_then(|id| id.parse().ok()) {
                Some(plan) => self.plans.get(plan).await?,
                None => None,
            };
            let map = SeatMap::new(id, &self.store.seats(id).await?).labelled(plan);
            let count = map.rows();
            Ok((Some(map), count))
        };
        self.seats.get(id, age_max, read).await
    }

    /// Seats of this date have changed. Called before anybody learns of the outcome that changed them, so that a client
    /// that then reads finds what the outcome says.
    pub fn seats_changed(&self, id: ScheduleId) {
        self.schedule.changed(&id);
        self.seats.changed(&id);
        self.dates.all_changed();
    }

    /// The catalog was changed here: the client that changed it must find the change.
    pub fn catalog_changed(&self) {
        self.concerts.clear();
        self.concert.clear();
        self.dates.clear();
        self.schedule.clear();
        self.seats.clear();
    }
}

fn rows_of(view: &ScheduleView) -> usize {
    1 + view.blocks.iter().map(|block| 1 + block.sections.len()).sum::<usize>()
}
