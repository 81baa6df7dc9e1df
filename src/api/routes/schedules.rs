//! Dates of concerts, as read. [`super::opening`] adds one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::concerts::no_concert;
use super::layout_object::LayoutObject;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::extract::{Params, PathId, next_of};
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::representation::open;
use crate::domain::block::{BlockRow, Category, Counts, SectionRow};
use crate::domain::{ConcertId, LogTime, ScheduleId};
use crate::runtime::clock::Clock;
use crate::store::{BlockView, ScheduleView};
use crate::wire::time::{parse_rfc3339, rfc3339};

/// One date of a concert.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleObject {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(format = "uuid")]
    pub concert_id: String,
    #[schema(format = "date-time")]
    pub starts_at: String,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    pub hold_ttl_seconds: i64,
    /// How long after a user's hold ended unpaid the same seat is closed to them.
    pub rehold_after_seconds: i64,
    /// Within one block.
    pub max_seats_per_user: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_open_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_close_at: Option<String>,
    /// Companion seats become ordinary seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub companions_free_at: Option<String>,
    /// Whether holds need the token of a waiting queue.
    pub queue: bool,
    /// Id of the seating plan that shows its seats, if it was made of one: a larger one may have taken its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// By block in order of name, within a block best first.
    pub sections: Vec<SectionObject>,
    pub total_seats: u64,
    /// Free and for sale.
    pub available_seats: u64,
    /// The show is canceled, since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub cancelled_at: Option<String>,
    /// Of a canceled show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunds: Option<Refunds>,
    /// In order of name. Their times differ only while an amendment is half done.
    pub blocks: Vec<BlockObject>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A block of a date, as amended.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockObject {
    pub name: String,
    #[schema(format = "date-time")]
    pub starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_open_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_close_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub cancelled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunds: Option<Refunds>,
}

/// How far paying back has come.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct Refunds {
    /// Reservations to pay back, as far as they have been gone through; it grows until all have.
    pub due: u64,
    /// Of these, with the money back in the wallet.
    pub done: u64,
    /// Nothing is left to do.
    pub complete: bool,
}

/// A section of a date.
#[derive(Debug, Serialize, ToSchema)]
pub struct SectionObject {
    pub name: String,
    pub block: String,
    pub seats: u32,
    /// Of one seat of the cheapest category, smallest currency unit.
    pub price: i64,
    /// Free and for sale.
    pub available_seats: u32,
    pub categories: Vec<CategoryObject>,
    /// How its seats lie, if `?layout=true` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<LayoutObject>,
}

/// A price category of a section.
#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryObject {
    pub name: String,
    /// Of one seat, smallest currency unit.
    pub price: i64,
    /// Free and for sale.
    pub available_seats: u32,
}

/// One page of a concert's dates, by their start.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleList {
    pub schedules: Vec<ScheduleObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<&ScheduleView> for ScheduleObject {
    fn from(view: &ScheduleView) -> Self {
        let schedule = &view.schedule;
        // As amended. The blocks of a date have the same terms.
        let terms = view.blocks.first().map(|block| &block.row.terms);
        let sections: Vec<SectionObject> = view.blocks.iter().flat_map(section_objects).collect();
        let cancelled = view.blocks.iter().filter_map(|block| block.row.cancelled).map(|arrival| arrival.time).min();
        ScheduleObject {
            id: schedule.id.to_string(),
            concert_id: schedule.concert_id.to_string(),
            starts_at: rfc3339(view.starts_at()),
            duration: schedule.duration_ms.map(|ms| ms / 1000),
            hold_ttl_seconds: schedule.hold_ttl_ms / 1000,
            rehold_after_seconds: terms.map_or(0, |terms| terms.rehold_after_ms / 1000),
            max_seats_per_user: schedule.max_seats_per_user,
            sales_open_at: terms.map_or(schedule.sales_open_at, |terms| terms.sales_open_at).map(rfc3339),
            sales_close_at: terms.map_or(schedule.sales_close_at, |terms| terms.sales_close_at).map(rfc3339),
            companions_free_at: terms.and_then(|terms| terms.companions_free_at).map(rfc3339),
            queue: schedule.queue,
            plan: schedule.drawn_by().map(str::to_owned),
            total_seats: sections.iter().map(|section| u64::from(section.seats)).sum(),
            available_seats: sections.iter().map(|section| u64::from(section.available_seats)).sum(),
            sections,
            cancelled_at: cancelled.map(rfc3339),
            refunds: cancelled.map(|_| Refunds::of(view.blocks.iter().map(|block| &block.row))),
            blocks: view.blocks.iter().map(|block| BlockObject::of(&block.row)).collect(),
            created_at: rfc3339(schedule.created_at),
        }
    }
}

impl BlockObject {
    fn of(row: &BlockRow) -> Self {
        let cancelled = row.cancelled.map(|arrival| arrival.time);
        BlockObject {
            name: row.key.block.to_string(),
            starts_at: rfc3339(row.terms.starts_at),
            sales_open_at: row.terms.sales_open_at.map(rfc3339),
            sales_close_at: row.terms.sales_close_at.map(rfc3339),
            cancelled_at: cancelled.map(rfc3339),
            refunds: cancelled.map(|_| Refunds::of([row].into_iter())),
        }
    }
}

impl Refunds {
    fn of<'a>(rows: impl Iterator<Item = &'a BlockRow>) -> Self {
        rows.fold(Refunds { complete: true, ..Refunds::default() }, |sum, row| Refunds {
            due: sum.due + u64::from(row.refunds_due),
            done: sum.done + u64::from(row.refunds_done),
            // A payment under way is paid back when its answer comes.
            complete: sum.complete && row.sweep_done && row.pending == 0 && row.refunds_done == row.refunds_due,
        })
    }
}

fn section_objects(block: &BlockView) -> impl Iterator<Item = SectionObject> {
    block.sections.iter().zip(block.row.counts.iter()).map(|(row, counts)| section_object(row, counts))
}

/// `counts`: by category.
fn section_object(row: &SectionRow, counts: &[Counts]) -> SectionObject {
    let category = |(category, counts): (&Category, &Counts)| CategoryObject {
        name: category.name.to_string(),
        price: category.price.get(),
        available_seats: available(counts),
    };
    let categories: Vec<CategoryObject> = row.layout.categories().iter().zip(counts).map(category).collect();
    SectionObject {
        name: row.name.to_string(),
        block: row.key.block.to_string(),
        seats: row.layout.seats(),
        price: categories.iter().map(|category| category.price).min().unwrap_or(0),
        available_seats: categories.iter().map(|category| category.available_seats).sum(),
        categories,
        layout: None,
    }
}

/// Free seats that are for sale, by name of category.
pub fn left_by_category(view: &ScheduleView) -> BTreeMap<String, u64> {
    let mut left = BTreeMap::new();
    for block in &view.blocks {
        for (row, counts) in block.sections.iter().zip(block.row.counts.iter()) {
            for (category, counts) in row.layout.categories().iter().zip(counts) {
                *left.entry(category.name.to_string()).or_default() += u64::from(available(counts));
            }
        }
    }
    left
}

fn available(counts: &Counts) -> u32 {
    counts.free.saturating_sub(counts.blocked)
}

/// The dates of a concert, with `?from=` the ones to come; with `?available=true` only those of the page that can be
/// bought now.
#[utoipa::path(
    get,
    path = "/v1/concerts/{id}/schedules",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The concert"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Dates of the page, default 50"),
        ("after" = Option<String>, Query, format = "uuid", description = "`next` of the page before"),
        ("from" = Option<String>, Query, format = "date-time",
            description = "Only those that start at this time or later, as amended; in whole minutes, rounded down"),
        ("available" = Option<bool>, Query, description = "Only those on sale with a free seat"),
    ),
    responses(
        (status = 200, description = "One page, by their start", body = ScheduleList),
        (status = 400, description = "`invalid_request`: a parameter cannot be read"),
        (status = 404, description = "`concert_not_found`"),
    )
)]
pub async fn list_schedules(
    State(snapshots): State<Arc<Snapshots>>,
    State(clock): State<Clock>,
    PathId(id): PathId,
    params: Params,
) -> Result<Response, Problem> {
    let available: bool = params.parsed("available")?.unwrap_or(false);
    let from = params.get("from").map(read_from).transpose()?;
    let id = ConcertId(id);
    let page = params.page(ScheduleId)?;
    let views = snapshots.dates(id, from, page).await?;
    if views.is_empty() && snapshots.concert(id).await?.is_none() {
        return Err(no_concert());
    }
    let now = clock.now();
    let next = next_of(&views, page.limit, |view| view.schedule.id.to_string());
    let mut views: Vec<&ScheduleView> = views.iter().filter(|view| !available || is_on_sale(view, now)).collect();
    // As amended, within the page.
    views.sort_by_key(|view| (view.starts_at(), view.schedule.id));
    Ok(open(Json(ScheduleList { schedules: views.into_iter().map(Into::into).collect(), next })))
}

/// Whole minutes: all who ask for what is to come share one read.
fn read_from(text: &str) -> Result<LogTime, Problem> {
    let from = parse_rfc3339(text)
        .ok_or_else(|| Problem::new(Kind::InvalidRequest, "?from= must be a time like 2026-11-21T19:00:00Z"))?;
    Ok(LogTime(from.0 - from.0.rem_euclid(60_000)))
}

fn is_on_sale(view: &ScheduleView, now: LogTime) -> bool {
    view.blocks.iter().any(|block| {
        let (row, terms) = (&block.row, &block.row.terms);
        let open = terms.sales_open_at.is_none_or(|open| open <= now);
        let closes = terms.sales_close_at.map_or(terms.starts_at, |close| close.min(terms.starts_at));
        open && now < closes
            && row.cancelled.is_none()
            && row.counts.iter().flatten().any(|counts| available(counts) > 0)
    })
}

/// One date.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The date"),
        ("layout" = Option<bool>, Query, description = "With the `layout` of each section, as an amendment takes it"),
    ),
    responses(
        (status = 200, description = "The date", body = ScheduleObject),
        (status = 400, description = "`invalid_request`: a parameter cannot be read"),
        (status = 404, description = "`schedule_not_found`"),
    )
)]
pub async fn get_schedule(
    State(snapshots): State<Arc<Snapshots>>,
    PathId(id): PathId,
    params: Params,
) -> Result<Response, Problem> {
    let with_layout = params.parsed("layout")?.unwrap_or(false);
    let view = snapshots.schedule(ScheduleId(id)).await?;
    let view = view.as_ref().as_ref().ok_or_else(no_schedule)?;
    let mut date = ScheduleObject::from(view);
    if with_layout {
        let rows = view.blocks.iter().flat_map(|block| &block.sections);
        date.sections.iter_mut().zip(rows).for_each(|(section, row)| section.layout = Some((&row.layout).into()));
    }
    Ok(open(Json(date)))
}

pub fn no_schedule() -> Problem {
    Problem::new(Kind::ScheduleNotFound, "there is no schedule with this id")
}
