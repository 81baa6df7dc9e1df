//! Seating plans: importing, listing, and reading them in any format. A plan never changes; its id is its hash.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::concerts::created;
use super::enlarging::seat_counts;
use super::plan_object::{PlanList, PlanObject, PlanSummaryObject};
use super::schedules::no_schedule;
use crate::api::AppState;
use crate::api::cache::plans::{Known, Labels, Plans};
use crate::api::cache::schedule_facts::ScheduleFacts;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{BodyLimits, Params, PathId, has, next_of, read_body};
use crate::api::http::problem::{Kind, Problem};
use crate::domain::ScheduleId;
use crate::plan::{self, FILE_BYTES_MAX, Format, Read, SeatCounts};
use crate::runtime::clock::Clock;
use crate::store::{FrontStore, PlanRow, PlanSummary};

/// Files read at once: each may take 16 MiB and a second of a core.
static IMPORTS: Semaphore = Semaphore::const_new(2);
/// Of a plan under its own id.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// What importing uses.
#[derive(Clone)]
pub struct Importing {
    store: Arc<dyn FrontStore>,
    plans: Arc<Plans>,
    limits: BodyLimits,
    clock: Clock,
}

impl FromRef<AppState> for Importing {
    fn from_ref(state: &AppState) -> Self {
        let limits = BodyLimits { bytes_max: FILE_BYTES_MAX, ..BodyLimits::from_ref(state) };
        Importing { store: state.store.clone(), plans: state.plans.clone(), limits, clock: state.clock.clone() }
    }
}

/// Imports a seating plan: JSON of Turnstile or pretix, or CSV.
///
/// The format of JSON is told by its content. What is odd in the file is listed as `warnings`. The same file again is
/// the same plan.
///
/// With `extends` the file is a larger drawing of the hall of a date: its seats keep their numbers, so that the plan can be
/// given in an amendment of the date. Further rows, seats beside rows and sections come after them. Refused is what would
/// change a seat that the date has: its guid, label, section, category, or who it is made for.
#[utoipa::path(
    post,
    path = "/v1/plans",
    tag = "catalog",
    params(
        ("check" = Option<bool>, Query, description = "Only say what is in the file; nothing is kept"),
        ("name" = Option<String>, Query, description = "Of a plan whose file has none"),
        ("extends" = Option<String>, Query, format = "uuid", description = "The date that it is for"),
    ),
    request_body(content((Value = "application/json"), (String = "text/csv")), description = "At most 16 MiB"),
    responses(
        (status = 200, description = "With `check`: what is in the file", body = PlanObject),
        (status = 201, description = "Kept, at `Location`", body = PlanObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`schedule_not_found`; `plan_not_found`: the date was made without one"),
        (status = 422, description = "`invalid_fields`: the file is no plan, or none that extends the date's; `errors` says where, as a pointer or a line"),
        (status = 503, description = "`overloaded`: other imports are under way; `unavailable`"),
    )
)]
pub async fn import_plan(
    State(importing): State<Importing>,
    Admin(_): Admin,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let check: bool = params.parsed("check")?.unwrap_or(false);
    let is_csv = is_csv(request.headers())?;
    let busy = |_| Problem::new(Kind::Overloaded, "other plans are being imported");
    let _permit = IMPORTS.try_acquire().map_err(busy)?;
    let file = read_body(request, importing.limits).await?;
    let name = params.get("name").unwrap_or("Plan").to_owned();
    let date = match params.parsed("extends")? {
        Some(id) => Some(importing.drawn(ScheduleId(id)).await?),
        None => None,
    };
    let (read, known) = parsed(file, is_csv, name, date).await?;
    let object = PlanObject::of(&read.plan, &read.warnings);
    if check {
        return Ok(Json(object).into_response());
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let summary = PlanSummary {
        id: object.id.clone(),
        name: object.name.clone(),
        sections: count(object.sections.len()),
        seats: count(read.plan.seats()),
        created_at: importing.clock.now(),
    };
    importing.store.insert_plan(&PlanRow { summary, content: known.text.to_vec() }).await?;
    Ok(created(format!("/v1/plans/{}", object.id), object))
}

/// The plan of a date, and how many seats of it each section has.
type Drawn = (Arc<Known>, SeatCounts);

impl Importing {
    async fn drawn(&self, id: ScheduleId) -> Result<Drawn, Problem> {
        let view = self.store.schedule(id).await?.ok_or_else(no_schedule)?;
        let known = find(&self.plans, view.schedule.drawn_by().unwrap_or_default()).await?;
        Ok((known.ok_or_else(no_plan)?, seat_counts(&view)))
    }
}

/// What the request says of its body.
fn is_csv(headers: &HeaderMap) -> Result<bool, Problem> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "text/csv" => Ok(true),
        "application/json" => Ok(false),
        _ => Err(Problem::new(Kind::UnsupportedMediaType, "Content-Type must be application/json or text/csv")),
    }
}

async fn parsed(file: Bytes, is_csv: bool, name: String, date: Option<Drawn>) -> Result<(Read, Known), Problem> {
    let read = move || {
        let format = if is_csv { Format::Csv } else { Format::of(&file) };
        if format == Format::Csv && !is_csv {
            return Err(Problem::new(Kind::MalformedJson, "the body is not JSON"));
        }
        let read = plan::read(&file, Some(format), &name);
        let mut read = read.map_err(|error| Problem::field(&error.at, error.message))?;
        if let Some((old, has)) = date {
            let extended = plan::extended(&old.plan, &has, &read.plan);
            read.plan = extended.map_err(|error| Problem::field(&error.at, error.message))?;
        }
        let known = Known::of(read.plan.clone());
        Ok((read, known))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an import failed");
        Err(Problem::new(Kind::Internal, "the file could not be read"))
    })
}

/// All plans, newest first.
#[utoipa::path(
    get,
    path = "/v1/plans",
    tag = "catalog",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Rows of the page, default 50"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "One page", body = PlanList), (status = 403, description = "`forbidden`"))
)]
pub async fn list_plans(
    State(store): State<Arc<dyn FrontStore>>,
    Admin(_): Admin,
    params: Params,
) -> Result<Json<PlanList>, Problem> {
    let page = params.page(|id: String| id)?;
    let limit = page.limit;
    let rows = store.plans(page).await?;
    let next = next_of(&rows, limit, |row| row.id.clone());
    Ok(Json(PlanList { plans: rows.into_iter().map(PlanSummaryObject::from).collect(), next }))
}

/// A plan as a file.
///
/// Turnstile's format has everything; what the others cannot hold is lost.
#[utoipa::path(
    get,
    path = "/v1/plans/{id}",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, description = "64 hexadecimal digits"),
        ("format" = Option<String>, Query, pattern = "^(turnstile|pretix|csv)$", description = "turnstile (the default), pretix or csv"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that the client has"),
    ),
    responses(
        (status = 200, description = "The file; it never changes", content((Value = "application/json"), (String = "text/csv"))),
        (status = 304, description = "The client has it"),
        (status = 404, description = "`plan_not_found`"),
    )
)]
pub async fn get_plan(
    State(labels): State<Arc<Labels>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = params.parsed("format")?.unwrap_or(Format::Turnstile);
    let known = find(&labels.plans, &id).await?.ok_or_else(no_plan)?;
    answer(known, format, &headers, FOREVER).await
}

/// The seating plan of a date, in Turnstile's format.
///
/// The same file as under the plan's id, which the date has as `plan`. A larger one may take its place.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/plan",
    tag = "catalog",
    security(()),
    params(
        ("id" = String, Path, format = "uuid", description = "The date"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that the client has"),
    ),
    responses(
        (status = 200, description = "The file", body = Value),
        (status = 304, description = "The client has it"),
        (status = 404, description = "`schedule_not_found`; `plan_not_found`: the date was made without one"),
    )
)]
pub async fn get_schedule_plan(
    State(labels): State<Arc<Labels>>,
    State(facts): State<Arc<ScheduleFacts>>,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = ScheduleId(id);
    facts.of(id).await?.ok_or_else(no_schedule)?;
    let known = labels.plan_of(id).await?.ok_or_else(no_plan)?;
    answer(known, Format::Turnstile, &headers, "public, no-cache").await
}

async fn find(plans: &Plans, id: &str) -> Result<Option<Arc<Known>>, Problem> {
    match id.parse() {
        Ok(id) => Ok(plans.get(id).await?),
        Err(_) => Ok(None),
    }
}

fn no_plan() -> Problem {
    Problem::new(Kind::PlanNotFound, "there is no such plan")
}

async fn answer(
    known: Arc<Known>,
    format: Format,
    headers: &HeaderMap,
    cached: &'static str,
) -> Result<Response, Problem> {
    let id = known.plan.id();
    let tag = if format == Format::Turnstile { format!("\"{id}\"") } else { format!("\"{id}-{format}\"") };
    let common = [(ETAG, tag.clone()), (CACHE_CONTROL, cached.to_owned())];
    if has(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let media_type = if format == Format::Csv { "text/csv; charset=utf-8" } else { "application/json" };
    let text = match format {
        Format::Turnstile => known.text.clone(),
        Format::Pretix | Format::Csv => {
            let written = tokio::task::spawn_blocking(move || plan::write(&known.plan, format)).await;
            let failed = |_| Problem::new(Kind::Internal, "the plan could not be written");
            written.map(Bytes::from).map_err(failed)?
        }
    };
    Ok((common, [(CONTENT_TYPE, media_type)], text).into_response())
}
