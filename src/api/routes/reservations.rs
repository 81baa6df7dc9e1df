//! A user's reservations: listing and cancelling.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{Params, PathId, next_of};
use crate::api::http::problem::Problem;
use crate::api::http::schema::{Problem as ProblemSchema, RequestObject};
use crate::api::submission::submit::{Ask, submit};
use crate::domain::command::CancelReservation;
use crate::domain::section::Reservation;
use crate::domain::{Body, Code, ReservationId};
use crate::wire::seat_name;
use crate::wire::time::rfc3339;

/// A reservation as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReservationObject {
    #[schema(format = "uuid")]
    pub reservation_id: String,
    #[schema(format = "uuid")]
    pub schedule_id: String,
    pub section: String,
    /// Like `A-12`, ascending.
    pub seats: Vec<String>,
    /// For all seats, smallest currency unit.
    pub amount: i64,
    /// HELD, PAYING, CONFIRMED, EXPIRED, CANCELLED or REFUNDED.
    pub status: &'static str,
    #[schema(format = "date-time")]
    pub expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    pub payment_id: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// One page of reservations.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReservationList {
    pub reservations: Vec<ReservationObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<Reservation> for ReservationObject {
    fn from(row: Reservation) -> Self {
        ReservationObject {
            reservation_id: row.id.to_string(),
            schedule_id: row.schedule_id.to_string(),
            seats: row.seats.iter().map(|number| seat_name(&row.section, *number)).collect(),
            section: row.section.to_string(),
            amount: row.amount,
            status: row.status.as_str(),
            expires_at: rfc3339(row.expires_at),
            payment_id: row.payment.map(|id| id.to_string()),
            created_at: rfc3339(row.held.time),
        }
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
    ),
    responses((status = 200, description = "One page", body = ReservationList))
)]
pub async fn list_reservations(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    params: Params,
) -> Result<Json<ReservationList>, Problem> {
    // Outcomes are published after their commit, so whoever has seen an outcome finds its changes by a plain read of
    // the store: nothing here has to wait for a position.
    let page = params.page(ReservationId)?;
    let limit = page.limit;
    let rows = state.store.reservations(&caller.user, page).await?;
    let next = next_of(&rows, limit, |row| row.id.to_string());
    Ok(Json(ReservationList { reservations: rows.into_iter().map(Into::into).collect(), next }))
}

/// One reservation of the caller's.
#[utoipa::path(
    get,
    path = "/v1/reservations/{id}",
    tag = "reservations",
    params(("id" = String, Path, format = "uuid", description = "The reservation")),
    responses((status = 200, description = "The reservation", body = ReservationObject),
        (status = 404, description = "`reservation_not_found`", body = ProblemSchema, content_type = "application/problem+json"))
)]
pub async fn get_reservation(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<ReservationObject>, Problem> {
    Ok(Json(own(&state, &caller, ReservationId(id)).await?.into()))
}

/// Gives seats back; what was paid is refunded.
///
/// A refund is decided when the money is back: then the result has `balance` and the status REFUNDED.
#[utoipa::path(
    delete,
    path = "/v1/reservations/{id}",
    tag = "reservations",
    params(("id" = String, Path, format = "uuid", description = "The reservation")),
    responses((status = 200, description = "Decided while waiting, or earlier under this key", body = RequestObject)),
    extensions(("x-command" = json!("cancel_reservation")))
)]
pub async fn cancel_reservation(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    ask: Ask,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let Reservation { id: reservation_id, schedule_id, section, .. } = own(&state, &caller, ReservationId(id)).await?;
    let user_id = caller.user.clone();
    let cancel = CancelReservation { schedule_id, section, user_id, reservation_id };
    submit(&state, &caller, &ask, Body::CancelReservation(cancel)).await
}

/// The reservation, if it is the caller's. Somebody else's is not there, so that ids tell nothing.
pub async fn own(state: &AppState, caller: &Caller, id: ReservationId) -> Result<Reservation, Problem> {
    let row = state.store.reservation(id).await?;
    row.filter(|row| row.user_id == caller.user)
        .ok_or_else(|| Problem::refusal(Code::ReservationNotFound, "you have no reservation with this id"))
}
