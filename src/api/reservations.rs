//! A user's reservations and payments: listing, cancelling, paying.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::auth::Caller;
use super::extract::{OptionalJsonBody, Params, PathId};
use super::fields::Fields;
use super::problem::Problem;
use super::schema::{PaymentRequest, Problem as ProblemSchema, RequestObject};
use super::submit::{Ask, submit};
use crate::domain::command::{CancelReservation, PayReservation};
use crate::domain::section::{Payment, Reservation};
use crate::domain::{Body, Code, PaymentId, ReservationId};
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

/// One attempt to pay a reservation.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentObject {
    #[schema(format = "uuid")]
    pub payment_id: String,
    #[schema(format = "uuid")]
    pub reservation_id: String,
    /// Smallest currency unit.
    pub amount: i64,
    /// PENDING, COMPLETED, FAILED or REFUNDED.
    pub status: &'static str,
    /// The refusal's code, when FAILED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'static str>,
    #[schema(format = "uuid")]
    pub request_id: String,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// One page of payments.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentList {
    pub payments: Vec<PaymentObject>,
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

impl From<Payment> for PaymentObject {
    fn from(row: Payment) -> Self {
        PaymentObject {
            payment_id: row.id.to_string(),
            reservation_id: row.reservation_id.to_string(),
            amount: row.amount,
            status: row.status.as_str(),
            failure: row.failure.map(Code::as_str),
            request_id: row.request_id.to_string(),
            created_at: rfc3339(row.created_at),
        }
    }
}

/// The id to go on after, if the page is full.
pub fn next_of<T>(rows: &[T], limit: u32, id: impl Fn(&T) -> String) -> Option<String> {
    if rows.len() < limit as usize { None } else { rows.last().map(id) }
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

/// Pays a reservation from the caller's wallet.
///
/// Result: `{payment_id, reservation_id, amount, status: "COMPLETED", balance}`. A refused payment leaves the hold as
/// it was until it runs out.
#[utoipa::path(
    post,
    path = "/v1/reservations/{id}/payment",
    tag = "reservations",
    params(("id" = String, Path, format = "uuid", description = "The reservation")),
    request_body(content = Option<PaymentRequest>, example = json!({"amount": 1000})),
    responses((status = 200, description = "Decided while waiting, or earlier under this key", body = RequestObject)),
    extensions(("x-command" = json!("pay_reservation")))
)]
pub async fn pay_reservation(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    ask: Ask,
    PathId(id): PathId,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(&body)?;
    let amount = fields.optional("amount", Fields::amount);
    let amount = fields.finish(amount)?;
    let Reservation { id: reservation_id, schedule_id, section, .. } = own(&state, &caller, ReservationId(id)).await?;
    let user_id = caller.user.clone();
    let pay = PayReservation { schedule_id, section, user_id, reservation_id, amount };
    submit(&state, &caller, &ask, Body::PayReservation(pay)).await
}

/// The caller's payments, newest first, FAILED ones included.
#[utoipa::path(
    get,
    path = "/v1/payments",
    tag = "reservations",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Rows of the page, default 50"),
        ("after" = Option<String>, Query, format = "uuid", description = "`next` of the page before"),
    ),
    responses((status = 200, description = "One page", body = PaymentList))
)]
pub async fn list_payments(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    params: Params,
) -> Result<Json<PaymentList>, Problem> {
    let page = params.page(PaymentId)?;
    let limit = page.limit;
    let rows = state.store.payments(&caller.user, page).await?;
    let next = next_of(&rows, limit, |row| row.id.to_string());
    Ok(Json(PaymentList { payments: rows.into_iter().map(Into::into).collect(), next }))
}

/// The reservation, if it is the caller's. Somebody else's is not there, so that ids tell nothing.
async fn own(state: &AppState, caller: &Caller, id: ReservationId) -> Result<Reservation, Problem> {
    let row = state.store.reservation(id).await?;
    row.filter(|row| row.user_id == caller.user)
        .ok_or_else(|| Problem::refusal(Code::ReservationNotFound, "you have no reservation with this id"))
}
