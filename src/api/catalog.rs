//! Concerts and their dates. Reading is open to everybody, adding is an admin's; dates are added in [`super::opening`].

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::AppState;
use super::auth::Admin;
use super::extract::{JsonBody, Params, PathId};
use super::fields::Fields;
use super::keys::IdempotencyKey;
use super::problem::{CONCERT_NOT_FOUND, Problem, SCHEDULE_NOT_FOUND};
use super::reservations::next_of;
use super::schema::{ConcertRequest, Problem as ProblemSchema};
use super::submit::Ask;
use crate::domain::section::SectionRow;
use crate::domain::{Code, ConcertId, LogTime, ScheduleId, UserId};
use crate::store::reads::{Concert, ScheduleView};
use crate::wire::time::rfc3339;

const TITLE_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 5_000;

/// A concert.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcertObject {
    #[schema(format = "uuid")]
    pub id: String,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// One page of concerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcertList {
    pub concerts: Vec<ConcertObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

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
    pub max_seats_per_user: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub sales_open_at: Option<String>,
    /// Whether holds need the token of a waiting queue.
    pub queue: bool,
    pub sections: Vec<SectionObject>,
    pub total_seats: u64,
    pub available_seats: u64,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A section of a date.
#[derive(Debug, Serialize, ToSchema)]
pub struct SectionObject {
    pub name: String,
    pub seats: u32,
    /// Of one seat, smallest currency unit.
    pub price: i64,
    pub available_seats: u32,
}

/// The dates of a concert, by their start.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleList {
    pub schedules: Vec<ScheduleObject>,
}

impl From<&Concert> for ConcertObject {
    fn from(row: &Concert) -> Self {
        ConcertObject {
            id: row.id.to_string(),
            title: row.title.clone(),
            description: row.description.clone(),
            created_at: rfc3339(row.created_at),
        }
    }
}

impl From<&ScheduleView> for ScheduleObject {
    fn from(view: &ScheduleView) -> Self {
        let schedule = &view.schedule;
        let sum = |count: fn(&SectionRow) -> u32| view.sections.iter().map(|row| u64::from(count(row))).sum();
        ScheduleObject {
            id: schedule.id.to_string(),
            concert_id: schedule.concert_id.to_string(),
            starts_at: rfc3339(schedule.starts_at),
            duration: schedule.duration_ms.map(|ms| ms / 1000),
            hold_ttl_seconds: schedule.hold_ttl_ms / 1000,
            max_seats_per_user: schedule.max_seats_per_user,
            sales_open_at: schedule.sales_open_at.map(rfc3339),
            queue: schedule.queue,
            sections: view.sections.iter().map(Into::into).collect(),
            total_seats: sum(|row| row.seats),
            available_seats: sum(|row| row.available),
            created_at: rfc3339(schedule.created_at),
        }
    }
}

impl From<&SectionRow> for SectionObject {
    fn from(row: &SectionRow) -> Self {
        let (name, seats, price) = (row.name.to_string(), row.seats, row.price);
        SectionObject { name, seats, price, available_seats: row.available }
    }
}

/// The id of something new: with a key the one that this admin's key always gives, so that a repeat finds it.
pub fn new_id(user: &UserId, key: Option<&IdempotencyKey>, what: &str) -> Uuid {
    key.map_or_else(Uuid::now_v7, |key| key.part(what).request_id(user).0)
}

/// 201 with where it is.
pub fn created(path: String, body: impl Serialize) -> Response {
    (StatusCode::CREATED, [(LOCATION, path)], Json(body)).into_response()
}

pub fn key_reused() -> Problem {
    Problem::refusal(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request")
}

pub fn no_concert() -> Problem {
    Problem::new(CONCERT_NOT_FOUND, "there is no concert with this id")
}

/// Adds a concert.
#[utoipa::path(
    post,
    path = "/v1/concerts",
    tag = "catalog",
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with it answers alike")),
    request_body(content = ConcertRequest, example = json!({"title": "Requiem", "description": "Mozart"})),
    responses(
        (status = 201, description = "Added, at `Location`", body = ConcertObject),
        (status = 403, description = "`forbidden`", body = ProblemSchema, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`, `idempotency_key_reused`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn create_concert(
    State(state): State<Arc<AppState>>,
    Admin(admin): Admin,
    ask: Ask,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(&body)?;
    let title = fields.text("title", TITLE_CHARS_MAX).map(str::to_owned);
    let description = fields.optional("description", |fields, name| fields.text(name, DESCRIPTION_CHARS_MAX));
    let (title, description) = fields.finish(title.zip(description))?;
    let id = ConcertId(new_id(&admin, ask.key.as_ref(), "concert"));
    let description = description.map(str::to_owned);
    let concert = Concert { id, title, description, created_at: state.clock.now() };
    state.store.insert_concert(&concert).await?;
    // The row that is there counts: under a key it may be older than this request.
    let stored = state.store.concert(id).await?.ok_or_else(no_concert)?;
    if (&stored.title, &stored.description) != (&concert.title, &concert.description) {
        return Err(key_reused());
    }
    state.views.catalog_changed();
    Ok(created(format!("/v1/concerts/{id}"), ConcertObject::from(&stored)))
}

/// All concerts, newest first.
///
/// A concert made with an Idempotency-Key has no time in its id and stands anywhere.
#[utoipa::path(
    get,
    path = "/v1/concerts",
    tag = "catalog",
    security(()),
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Rows of the page, default 50"),
        ("after" = Option<String>, Query, format = "uuid", description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "One page", body = ConcertList),
    )
)]
pub async fn list_concerts(State(state): State<Arc<AppState>>, params: Params) -> Result<Json<ConcertList>, Problem> {
    let page = params.page(ConcertId)?;
    let rows = state.views.concerts(page).await?;
    let next = next_of(&rows, page.limit, |row| row.id.to_string());
    Ok(Json(ConcertList { concerts: rows.iter().map(Into::into).collect(), next }))
}

/// One concert.
#[utoipa::path(
    get,
    path = "/v1/concerts/{id}",
    tag = "catalog",
    security(()),
    params(("id" = String, Path, format = "uuid", description = "The concert")),
    responses(
        (status = 200, description = "The concert", body = ConcertObject),
        (status = 404, description = "`concert_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn get_concert(
    State(state): State<Arc<AppState>>,
    PathId(id): PathId,
) -> Result<Json<ConcertObject>, Problem> {
    let row = state.views.concert(ConcertId(id)).await?;
    Ok(Json(row.as_ref().as_ref().ok_or_else(no_concert)?.into()))
}

/// The dates of a concert; with `?available=true` only those that can be bought now.
#[utoipa::path(
    get,
    path = "/v1/concerts/{id}/schedules",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The concert"),
        ("available" = Option<bool>, Query, description = "Only those on sale with a free seat"),
    ),
    responses(
        (status = 200, description = "By their start", body = ScheduleList),
        (status = 404, description = "`concert_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn list_schedules(
    State(state): State<Arc<AppState>>,
    PathId(id): PathId,
    params: Params,
) -> Result<Json<ScheduleList>, Problem> {
    let available: bool = params.parsed("available")?.unwrap_or(false);
    let id = ConcertId(id);
    let views = state.views.dates(id).await?;
    if views.is_empty() && state.views.concert(id).await?.is_none() {
        return Err(no_concert());
    }
    let now = state.clock.now();
    let schedules = views.iter().filter(|view| !available || is_on_sale(view, now));
    Ok(Json(ScheduleList { schedules: schedules.map(Into::into).collect() }))
}

fn is_on_sale(view: &ScheduleView, now: LogTime) -> bool {
    let schedule = &view.schedule;
    let open = schedule.sales_open_at.is_none_or(|open| open <= now) && now < schedule.starts_at;
    open && view.sections.iter().any(|row| row.available > 0)
}

/// One date.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}",
    tag = "catalog",
    security(()),
    params(("id" = String, Path, format = "uuid", description = "The date")),
    responses(
        (status = 200, description = "The date", body = ScheduleObject),
        (status = 404, description = "`schedule_not_found`", body = ProblemSchema, content_type = "application/problem+json"),
    )
)]
pub async fn get_schedule(
    State(state): State<Arc<AppState>>,
    PathId(id): PathId,
) -> Result<Json<ScheduleObject>, Problem> {
    let view = state.views.schedule(ScheduleId(id)).await?;
    let missing = || Problem::new(SCHEDULE_NOT_FOUND, "there is no schedule with this id");
    Ok(Json(view.as_ref().as_ref().ok_or_else(missing)?.into()))
}
