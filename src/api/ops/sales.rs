//! `GET /v1/ops/sales`: what the dates of the newest concerts have sold.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::problem::Problem;
use crate::domain::{ConcertId, ScheduleId};
use crate::store::{Catalog, Page, ScheduleView, StoreError};
use crate::wire::time::rfc3339;

/// Concerts, and dates of one, that are looked at.
const CONCERTS_MAX: u32 = 20;
const DATES_MAX: u32 = 20;

/// By concert, newest first, then by start.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleList {
    pub dates: Vec<SaleObject>,
}

/// One date.
#[derive(Debug, Serialize, ToSchema)]
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
    /// Held, being paid or sold.
    pub taken: u64,
    pub queue: bool,
    pub cancelled: bool,
}

impl SaleObject {
    fn of(view: &ScheduleView, title: &str) -> Self {
        let sections = view.blocks.iter().flat_map(|block| &block.sections);
        let total = sections.map(|section| u64::from(section.layout.parts().seats)).sum::<u64>();
        let counts = view.blocks.iter().flat_map(|block| block.row.counts.all());
        let (free, blocked) = counts.fold((0, 0), |(free, blocked), counts| {
            (free + u64::from(counts.free), blocked + u64::from(counts.blocked))
        });
        let schedule = &view.schedule;
        SaleObject {
            schedule_id: schedule.id.to_string(),
            title: title.to_owned(),
            starts_at: rfc3339(schedule.starts_at),
            sales_open_at: schedule.sales_open_at.map(rfc3339),
            total,
            free: free - blocked,
            blocked,
            taken: total.saturating_sub(free),
            queue: schedule.queue,
            cancelled: view.blocks.iter().any(|block| block.row.cancelled.is_some()),
        }
    }
}

/// What has been sold. The organizer's page has the sections and categories of a date.
#[utoipa::path(
    get,
    path = "/v1/ops/sales",
    tag = "operations",
    responses(
        (status = 200, description = "20 dates each of the 20 newest concerts", body = SaleList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_sales(State(system): State<Arc<System>>, _admin: Admin) -> Result<Json<SaleList>, Problem> {
    let mut dates = Vec::new();
    for concert in system.store.concerts(Page { after: None, limit: CONCERTS_MAX }).await? {
        let of_concert = system.store.schedules(concert.id, None, Page { after: None, limit: DATES_MAX }).await?;
        dates.extend(of_concert.iter().map(|view| SaleObject::of(view, &concert.title)));
    }
    Ok(Json(SaleList { dates }))
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
