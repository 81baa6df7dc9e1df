//! A user's reservations: listing and cancelling.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::acting_for_param;
use super::labels::answered;
use crate::api::cache::plans::Labels;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{Params, PathId, next_of};
use crate::api::http::positions::Decided;
use crate::api::http::problem::Problem;
use crate::api::submission::lookups::Lookups;
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::block::{CancelReservation, Command, Reservation, ReservationState};
use crate::domain::{Body, Code, ReservationId, UserId};
use crate::store::FrontStore;
use crate::wire::time::rfc3339;

/// A reservation as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReservationObject {
    #[schema(format = "uuid")]
    pub reservation_id: String,
    #[schema(format = "uuid")]
    pub schedule_id: String,
    pub block: String,
    /// Like `A-12`, ascending.
    pub seats: Vec<String>,
    /// The same as printed in the hall, if the date has a seating plan: `Parkett, row C, seat 12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// For all seats, smallest currency unit.
    pub amount: i64,
    /// HELD, PAYING, CONFIRMED, EXPIRED, CANCELLED or REFUNDED.
    pub status: &'static str,
    /// The hold ends, at the latest when the show starts.
    #[schema(format = "date-time")]
    pub expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    pub payment_id: Option<String>,
    /// Who held it for the user, if staff did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Its last change: held, paid, ended or given back.
    pub decided: Decided,
}

/// One page of reservations.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReservationList {
    pub reservations: Vec<ReservationObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl ReservationObject {
    /// A hold ends when the show starts, and an amendment of that rewrites no reservation.
    pub(super) async fn of(row: Reservation, labels: &Labels) -> Result<Self, Problem> {
        let mut expires_at = row.expires_at;
        if row.state == ReservationState::Held
            && let Some(facts) = labels.facts.latest(row.key.schedule_id).await?
            && let Some(starts_at) = facts.starts_at(&row.key.block)
        {
            expires_at = expires_at.min(starts_at);
        }
        let plan = labels.plan_of(row.key.schedule_id).await?;
        Ok(ReservationObject {
            reservation_id: row.id.to_string(),
            schedule_id: row.key.schedule_id.to_string(),
            block: row.key.block.to_string(),
            seats: row.seats.iter().map(ToString::to_string).collect(),
            labels: plan.map(|plan| row.seats.iter().map(|seat| plan.label(seat)).collect()),
            amount: row.amount.get(),
            status: row.state.status().as_str(),
            expires_at: rfc3339(expires_at),
            by: row.by.map(|user| user.to_string()),
            payment_id: row.state.payment().map(|id| id.to_string()),
            created_at: rfc3339(row.held.time),
            decided: row.changed.into(),
        })
    }
}

/// The caller's reservations, newest first.
#[utoipa::path(
    get,
    path = "/v1/reservations",
    tag = "reservations",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Rows of the page, default 50"),
        ("after" = Option<String>, Query, format = "uuid", description = "`next` of the page before"),
        ("user_id" = Option<String>, Query, description = "Whose, for the role `box_office`"),
    ),
    responses((status = 200, description = "One page", body = ReservationList), (status = 403, description = "`forbidden`"))
)]
pub async fn list_reservations(
    State(store): State<Arc<dyn FrontStore>>,
    State(labels): State<Arc<Labels>>,
    caller: Caller,
    params: Params,
) -> Result<Json<ReservationList>, Problem> {
    // Outcomes are published after their commit, so a client that has seen an outcome finds its changes by a plain read
    // of the store: nothing here has to wait for a position.
    let page = params.page(ReservationId)?;
    let limit = page.limit;
    let rows = store.reservations(&acting_for_param(&caller, &params)?, page).await?;
    let next = next_of(&rows, limit, |row| row.id.to_string());
    let mut reservations = Vec::with_capacity(rows.len());
    for row in rows {
        reservations.push(ReservationObject::of(row, &labels).await?);
    }
    Ok(Json(ReservationList { reservations, next }))
}

/// One reservation of the caller's.
#[utoipa::path(
    get,
    path = "/v1/reservations/{id}",
    tag = "reservations",
    params(
        ("id" = String, Path, format = "uuid", description = "The reservation"),
        ("user_id" = Option<String>, Query, description = "Whose it is, for the role `box_office`"),
    ),
    responses((status = 200, description = "The reservation", body = ReservationObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`reservation_not_found`"))
)]
pub async fn get_reservation(
    State(lookups): State<Arc<Lookups>>,
    State(labels): State<Arc<Labels>>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
) -> Result<Json<ReservationObject>, Problem> {
    let row = own(&lookups, &acting_for_param(&caller, &params)?, ReservationId(id)).await?;
    Ok(Json(ReservationObject::of(row, &labels).await?))
}

/// Gives seats back; what was paid is refunded.
///
/// A refund is decided when the money is back: then the result has `balance` and the status REFUNDED.
#[utoipa::path(
    delete,
    path = "/v1/reservations/{id}",
    tag = "reservations",
    params(
        ("id" = String, Path, format = "uuid", description = "The reservation"),
        ("user_id" = Option<String>, Query, description = "Whose it is, for the role `box_office`"),
    ),
    responses((status = 403, description = "`forbidden`, `not_reservation_owner`")),
    extensions(("x-command" = json!("cancel_reservation")))
)]
pub async fn cancel_reservation(
    State(lookups): State<Arc<Lookups>>,
    State(submission): State<Arc<Submission>>,
    State(labels): State<Arc<Labels>>,
    caller: Caller,
    options: SubmitOptions,
    PathId(id): PathId,
    params: Params,
) -> Result<Response, Problem> {
    let user_id = acting_for_param(&caller, &params)?;
    let Reservation { id: reservation_id, key, .. } = own(&lookups, &user_id, ReservationId(id)).await?;
    let cancel = Command::CancelReservation(CancelReservation { key, user_id, reservation_id });
    let answer = submission.submit(&caller.user, &options, Body::Seats(cancel)).await?;
    Ok(answered(&labels, answer, options.wait).await?)
}

/// The reservation, if it is this user's. Somebody else's answers 404, so that ids reveal nothing.
pub async fn own(lookups: &Lookups, user: &UserId, id: ReservationId) -> Result<Reservation, Problem> {
    let row = lookups.reservation(id).await?;
    row.filter(|row| row.user_id == *user)
        .ok_or_else(|| Problem::refusal(Code::ReservationNotFound, "you have no reservation with this id"))
}
