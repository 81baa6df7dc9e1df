//! What an operator does about a record on which a partition stands still: an intervention, which its owner applies.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::system::{self, System};
use crate::api::http::auth::Admin;
use crate::api::http::extract::{JsonBody, PathText};
use crate::api::http::fields::Fields;
use crate::api::http::problem::{Kind, Problem};
use crate::api::openapi::bodies::{AcquireBody, SetTimeBody, SkipBody};
use crate::domain::{LanePartition, LogTime, UserId};
use crate::store::{Act, Intervention, Offsets};
use crate::wire::time::rfc3339;

const REASON_CHARS_MAX: usize = 500;

/// In the order in which they were given.
#[derive(Debug, Serialize, ToSchema)]
pub struct InterventionList {
    pub interventions: Vec<InterventionObject>,
}

/// An act of an operator on one partition.
#[derive(Debug, Serialize, ToSchema)]
pub struct InterventionObject {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(example = "seats.3")]
    pub partition: String,
    /// skip: the records are not decided; time: they have another log time; remember: how long requests count as seen;
    /// acquire: the parked partition is acquired again.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The last of the records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
    /// The log time given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub time: Option<String>,
    pub reason: String,
    pub by: String,
    #[schema(format = "date-time")]
    pub at: String,
    /// When the owner applied it; missing until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub applied_at: Option<String>,
}

impl From<&Intervention> for InterventionObject {
    fn from(row: &Intervention) -> Self {
        let offsets = row.act.offsets();
        let time = if let Act::Time { time, .. } = row.act { Some(rfc3339(time)) } else { None };
        InterventionObject {
            id: row.id.to_string(),
            partition: row.partition.to_string(),
            kind: row.act.kind().as_str(),
            offset: offsets.map(|offsets| offsets.first),
            through: offsets.map(|offsets| offsets.last),
            time,
            reason: row.reason.clone(),
            by: row.by.to_string(),
            at: rfc3339(row.at),
            applied_at: row.applied_at.map(rfc3339),
        }
    }
}

struct Wanted {
    offset: u64,
    through: Option<u64>,
    time: Option<LogTime>,
    reason: String,
}

fn wanted(body: &serde_json::Value, with_time: bool) -> Result<Wanted, Problem> {
    let mut fields = Fields::of(body)?;
    let offset = |fields: &mut Fields<'_>, name: &str| fields.integer(name, 0..=i64::MAX).map(i64::unsigned_abs);
    let first = offset(&mut fields, "offset");
    let through = fields.optional("through", offset);
    let time = if with_time { fields.optional("time", Fields::time) } else { Some(None) };
    let reason = fields.text("reason", REASON_CHARS_MAX).map(str::to_owned);
    let wanted = (|| Some(Wanted { offset: first?, through: through?, time: time?, reason: reason? }))();
    fields.finish(wanted)
}

/// Lets a partition go on behind the records that it cannot get past; each becomes a dead letter. The last resort.
#[utoipa::path(
    post,
    path = "/v1/ops/partitions/{partition}/skip",
    tag = "operations",
    params(("partition" = String, Path, description = "The partition", example = "seats.3")),
    request_body(content = SkipBody),
    responses(
        (status = 202, description = "Given to the owner, which applies it within about a second", body = InterventionObject),
        (status = 403, description = "`forbidden`"),
        (status = 409, description = "`not_possible`: the partition does not stand still there"),
    )
)]
pub async fn skip_records(
    State(system): State<Arc<System>>,
    Admin(admin): Admin,
    PathText(partition): PathText<LanePartition>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wanted = wanted(&body, false)?;
    give(&system, admin, partition, &wanted, |offsets, _| Ok(Act::Skip(offsets))).await
}

/// Gives records that wait for their log time another one: now, unless the body says otherwise.
#[utoipa::path(
    post,
    path = "/v1/ops/partitions/{partition}/time",
    tag = "operations",
    params(("partition" = String, Path, description = "The partition", example = "seats.3")),
    request_body(content = SetTimeBody),
    responses(
        (status = 202, description = "Given to the owner, which applies it within about a second", body = InterventionObject),
        (status = 403, description = "`forbidden`"),
        (status = 409, description = "`not_possible`: the partition does not stand still there"),
    )
)]
pub async fn set_time(
    State(system): State<Arc<System>>,
    Admin(admin): Admin,
    PathText(partition): PathText<LanePartition>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wanted = wanted(&body, true)?;
    let now = system.clock.now();
    let act = |offsets, before| {
        let act = Act::time(offsets, wanted.time, before, now);
        act.map_err(|refused| Problem::field("/time", refused.to_string()))
    };
    give(&system, admin, partition, &wanted, act).await
}

/// Only what stands still may be helped along: anything else is decided in a moment.
async fn give(
    system: &System,
    by: UserId,
    partition: LanePartition,
    wanted: &Wanted,
    act: impl FnOnce(Offsets, LogTime) -> Result<Act, Problem>,
) -> Result<Response, Problem> {
    let offsets = Offsets::new(wanted.offset, wanted.through).map_err(|error| Problem::field("/through", error))?;
    let now = system.now().await?;
    let of = now.partitions.iter().find(|of| of.partition == partition).ok_or_else(no_partition)?;
    let not_possible = |reason: String| Problem::new(Kind::NotPossible, reason);
    let next = of.progress.as_ref().map_or(0, |view| view.next_offset);
    if next != offsets.first {
        return Err(not_possible(format!("{partition} stands at {next}, not at {}", offsets.first)));
    }
    match of.state {
        system::State::Parked | system::State::Waiting => {}
        system::State::Owned => return Err(not_possible(format!("{partition} does not stand still"))),
        system::State::NoOwner => return Err(not_possible(format!("{partition} has no owner to apply it"))),
    }
    let end = of.end.ok_or_else(|| Problem::new(Kind::Unavailable, "the log does not say where it ends"))?;
    if offsets.last >= end {
        return Err(not_possible(format!("the log of {partition} ends at {end}")));
    }
    let before = of.progress.as_ref().map_or(LogTime(0), |view| view.last_time);
    keep(system, by, partition, act(offsets, before)?, &wanted.reason).await
}

async fn keep(
    system: &System,
    by: UserId,
    partition: LanePartition,
    act: Act,
    reason: &str,
) -> Result<Response, Problem> {
    let (id, at, reason) = (Uuid::now_v7(), system.clock.now(), reason.to_owned());
    let row = Intervention { id, partition, act, reason, by, at, applied_at: None };
    system.store.intervene(&row).await?;
    let offsets = act.offsets().map(|offsets| offsets.to_string());
    tracing::warn!(%partition, kind = %act.kind(), offsets, by = %row.by, reason = row.reason, "an operator acts");
    system.changed();
    Ok((StatusCode::ACCEPTED, Json(InterventionObject::from(&row))).into_response())
}

/// Has a parked partition acquired again now, not when its rest is over.
///
/// For when what stopped it is repaired. If it is not, the partition is parked again for the same reason.
#[utoipa::path(
    post,
    path = "/v1/ops/partitions/{partition}/acquire",
    tag = "operations",
    params(("partition" = String, Path, description = "The partition", example = "seats.3")),
    request_body(content = AcquireBody),
    responses(
        (status = 202, description = "Given to the owner, which acquires it within about a second", body = InterventionObject),
        (status = 403, description = "`forbidden`"),
        (status = 409, description = "`not_possible`: the partition is not parked"),
    )
)]
pub async fn acquire_again(
    State(system): State<Arc<System>>,
    Admin(admin): Admin,
    PathText(partition): PathText<LanePartition>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(&body)?;
    let reason = fields.text("reason", REASON_CHARS_MAX).map(str::to_owned);
    let reason = fields.finish(reason)?;
    let now = system.now().await?;
    let of = now.partitions.iter().find(|of| of.partition == partition).ok_or_else(no_partition)?;
    if of.state != system::State::Parked {
        return Err(Problem::new(Kind::NotPossible, format!("{partition} is not parked but {}", of.state)));
    }
    keep(&system, admin, partition, Act::Acquire, &reason).await
}

fn no_partition() -> Problem {
    Problem::new(Kind::InvalidRequest, "there is no such partition")
}

/// What operators did about the records of one partition.
#[utoipa::path(
    get,
    path = "/v1/ops/partitions/{partition}/interventions",
    tag = "operations",
    params(("partition" = String, Path, description = "The partition", example = "seats.3")),
    responses(
        (status = 200, description = "All of them", body = InterventionList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_interventions(
    State(system): State<Arc<System>>,
    _admin: Admin,
    PathText(partition): PathText<LanePartition>,
) -> Result<Json<InterventionList>, Problem> {
    let rows = system.store.interventions(partition, 0).await?;
    Ok(Json(InterventionList { interventions: rows.iter().map(InterventionObject::from).collect() }))
}
