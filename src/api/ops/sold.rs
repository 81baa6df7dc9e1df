//! What the dates of the newest concerts have sold, counted once for all who look and for the metrics.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::snapshot_cache::SnapshotCache;
use crate::domain::{ConcertId, LogTime, ScheduleId};
use crate::store::{Catalog, Concert, OpsStore, Page, SaleCounts, ScheduleView, StoreError};
use crate::telemetry::metrics::SALE_SEATS;
use crate::wire::time::rfc3339;

/// Concerts, and dates of one, that are looked at.
const CONCERTS_MAX: u32 = 20;
const DATES_MAX: u32 = 20;
/// Seats are counted this seldom while somebody looks: a date has up to 100,000.
const AGE_MAX: Duration = Duration::from_secs(3);
/// Dates in metrics, those that begin next. Every front door counts them for its own scrapes, whether or not anybody looks:
/// 30 dates with 20,000 sold seats each take PostgreSQL 0.18 s, beside a compiler.
const MEASURED_MAX: usize = 30;
const MEASURED_AGE_MAX: Duration = Duration::from_secs(60);

/// One date.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SaleObject {
    #[schema(format = "uuid")]
    pub schedule_id: String,
    /// Of the concert.
    pub title: String,
    #[schema(format = "date-time")]
    pub starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_open_at: Option<String>,
    pub total: u64,
    /// Free and for sale.
    pub free: u64,
    /// Free and not for sale.
    pub blocked: u64,
    /// Held, being paid or sold, as counted with the free ones; the three below are counted a moment later or earlier.
    pub taken: u64,
    pub held: u64,
    pub paying: u64,
    pub sold: u64,
    /// Of confirmed reservations, in the smallest unit of the currency.
    pub revenue: i64,
    /// ISO 4217; missing: plain numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    pub queue: bool,
    pub cancelled: bool,
}

impl SaleObject {
    fn of(view: &ScheduleView, concert: &Concert, sold: Option<&SaleCounts>) -> Self {
        let sections = view.blocks.iter().flat_map(|block| &block.sections);
        let total = sections.map(|section| u64::from(section.layout.parts().seats)).sum::<u64>();
        let counts = view.blocks.iter().flat_map(|block| block.row.counts.all());
        let (free, blocked) = counts.fold((0, 0), |(free, blocked), counts| {
            (free + u64::from(counts.free), blocked + u64::from(counts.blocked))
        });
        let schedule = &view.schedule;
        SaleObject {
            schedule_id: schedule.id.to_string(),
            title: concert.title.clone(),
            starts_at: rfc3339(view.starts_at()),
            sales_open_at: schedule.sales_open_at.map(rfc3339),
            total,
            free: free - blocked,
            blocked,
            taken: total.saturating_sub(free),
            held: sold.map_or(0, |of| of.held),
            paying: sold.map_or(0, |of| of.paying),
            sold: sold.map_or(0, |of| of.sold),
            revenue: sold.map_or(0, |of| of.revenue),
            currency: concert.currency.clone(),
            queue: schedule.queue,
            cancelled: is_cancelled(view),
        }
    }
}

fn is_cancelled(view: &ScheduleView) -> bool {
    view.blocks.iter().any(|block| block.row.cancelled.is_some())
}

/// A date with when it begins.
pub struct Date {
    id: ScheduleId,
    starts_at: LogTime,
    pub shown: SaleObject,
}

/// What was sold, counted once for all who look.
pub struct Sales {
    counted: SnapshotCache<(), Vec<Date>>,
    /// Those that begin next.
    ahead: SnapshotCache<(), Vec<Date>>,
    /// Dates in the metrics.
    measured: Mutex<BTreeSet<ScheduleId>>,
}

impl Default for Sales {
    fn default() -> Self {
        Sales { counted: SnapshotCache::new(1, 1), ahead: SnapshotCache::new(1, 1), measured: Mutex::default() }
    }
}

impl Sales {
    pub async fn now(&self, store: &dyn OpsStore) -> Result<Arc<Vec<Date>>, StoreError> {
        self.counted.get((), AGE_MAX, || async { Ok((counted(store, listed(store, None).await?).await?, 1)) }).await
    }

    /// Shows the dates that begin next as metrics. Those that have begun go.
    pub async fn measure(&self, store: &dyn OpsStore, now: LogTime) -> Result<(), StoreError> {
        let read = || async {
            let mut next = listed(store, Some(now)).await?;
            next.retain(|(view, _)| !is_cancelled(view));
            next.sort_by_key(|(view, _)| (view.starts_at(), view.schedule.id));
            next.truncate(MEASURED_MAX);
            Ok((counted(store, next).await?, 1))
        };
        let dates = self.ahead.get((), MEASURED_AGE_MAX, read).await?;
        let next: Vec<&Date> = dates.iter().filter(|date| date.starts_at > now).collect();
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<ScheduleId> = next.iter().map(|date| date.id).collect();
        let gauge = |id: ScheduleId, status: &str, seats: u64| {
            SALE_SEATS.with_label_values(&[&id.to_string(), status]).set(i64::try_from(seats).unwrap_or(i64::MAX));
        };
        for gone in measured.difference(&wanted) {
            for status in STATUSES {
                let _ = SALE_SEATS.remove_label_values(&[&gone.to_string(), status]);
            }
        }
        for date in next {
            let SaleObject { free, held, paying, sold, .. } = date.shown;
            STATUSES
                .into_iter()
                .zip([free, held, paying, sold])
                .for_each(|(status, seats)| gauge(date.id, status, seats));
        }
        *measured = wanted;
        Ok(())
    }
}

const STATUSES: [&str; 4] = ["free", "held", "paying", "sold"];

/// The dates of the newest concerts; with `from` those that start then or later.
async fn listed(store: &dyn OpsStore, from: Option<LogTime>) -> Result<Vec<(ScheduleView, Arc<Concert>)>, StoreError> {
    let mut found = Vec::new();
    for concert in store.concerts(Page { after: None, limit: CONCERTS_MAX }).await? {
        let views = store.schedules(concert.id, from, Page { after: None, limit: DATES_MAX }).await?;
        let concert = Arc::new(concert);
        found.extend(views.into_iter().map(|view| (view, Arc::clone(&concert))));
    }
    Ok(found)
}

async fn counted(store: &dyn OpsStore, found: Vec<(ScheduleView, Arc<Concert>)>) -> Result<Vec<Date>, StoreError> {
    let ids: Vec<ScheduleId> = found.iter().map(|(view, _)| view.schedule.id).collect();
    let sold = store.sale_counts(&ids).await?;
    let sold: HashMap<ScheduleId, SaleCounts> = sold.into_iter().map(|of| (of.schedule, of)).collect();
    let date = |(view, concert): (ScheduleView, Arc<Concert>)| {
        let shown = SaleObject::of(&view, &concert, sold.get(&view.schedule.id));
        Date { id: view.schedule.id, starts_at: view.starts_at(), shown }
    };
    Ok(found.into_iter().map(date).collect())
}

/// What the concerts of dates are called.
pub struct Titles(HashMap<ScheduleId, String>);

impl Titles {
    /// Of as many dates as are looked at.
    pub async fn read(
        store: &(impl Catalog + ?Sized),
        schedules: impl Iterator<Item = ScheduleId>,
    ) -> Result<Self, StoreError> {
        let (mut titles, mut known) = (HashMap::new(), HashMap::<ConcertId, String>::new());
        for id in schedules.take((CONCERTS_MAX * DATES_MAX) as usize).collect::<BTreeSet<_>>() {
            let Some(view) = store.schedule(id).await? else { continue };
            let concert = view.schedule.concert_id;
            if let std::collections::hash_map::Entry::Vacant(vacant) = known.entry(concert) {
                vacant.insert(store.concert(concert).await?.map_or_else(String::new, |concert| concert.title));
            }
            titles.insert(id, known[&concert].clone());
        }
        Ok(Titles(titles))
    }

    /// Empty where the catalog knows nothing of the date.
    pub fn of(&self, schedule: ScheduleId) -> String {
        self.0.get(&schedule).cloned().unwrap_or_default()
    }
}
