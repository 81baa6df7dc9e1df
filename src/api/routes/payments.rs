//! Paying a reservation, and the caller's payments.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::reservations::own;
use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{OptionalJsonBody, Params, PathId, next_of};
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::api::http::schema::{PaymentRequest, RequestObject};
use crate::api::submission::submit::{Ask, submit};
use crate::domain::command::PayReservation;
use crate::domain::section::{Payment, Reservation};
use crate::domain::{Body, Code, PaymentId, ReservationId};
use crate::wire::time::rfc3339;

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
