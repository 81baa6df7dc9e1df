//! Paying a reservation, and the caller's payments.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::acting_for;
use super::reservations::own;
use crate::api::http::auth::Caller;
use crate::api::http::extract::{OptionalJsonBody, Params, PathId, next_of};
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::api::openapi::bodies::PaymentRequest;
use crate::api::submission::lookups::Lookups;
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::block::{Command, PayReservation, Payment, PaymentState, Reservation};
use crate::domain::{Body, PaymentId, ReservationId};
use crate::store::FrontStore;
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
            amount: row.amount.get(),
            status: row.state.status().as_str(),
            failure: match row.state {
                PaymentState::Failed(code) => Some(code.as_str()),
                _ => None,
            },
            request_id: row.asking.request_id.to_string(),
            created_at: rfc3339(row.created_at),
        }
    }
}

/// Pays a reservation from the caller's wallet, or with the role `box_office` a customer's from theirs.
///
/// Result: `{payment_id, reservation_id, amount, status: "COMPLETED", balance}`. A refused payment leaves the hold as
/// it was until it ends. A reservation that costs nothing is confirmed without a payment.
#[utoipa::path(
    post,
    path = "/v1/reservations/{id}/payment",
    tag = "reservations",
    params(("id" = String, Path, format = "uuid", description = "The reservation")),
    request_body(content = Option<PaymentRequest>, example = json!({"amount": 1000})),
    responses((status = 403, description = "`forbidden`, `not_reservation_owner`")),
    extensions(("x-command" = json!("pay_reservation")))
)]
pub async fn pay_reservation(
    State(lookups): State<Arc<Lookups>>,
    State(submission): State<Arc<Submission>>,
    caller: Caller,
    options: SubmitOptions,
    PathId(id): PathId,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(&body)?;
    let amount = fields.optional("amount", Fields::total);
    let user_id = fields.optional("user_id", Fields::parsed);
    let (amount, user_id) = fields.finish(amount.zip(user_id))?;
    let user_id = acting_for(&caller, user_id)?;
    let Reservation { id: reservation_id, key, .. } = own(&lookups, &user_id, ReservationId(id)).await?;
    let pay = Command::PayReservation(PayReservation { key, user_id, reservation_id, amount });
    Ok(submission.submit(&caller.user, &options, Body::Seats(pay)).await?.respond(options.wait))
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
    State(store): State<Arc<dyn FrontStore>>,
    caller: Caller,
    params: Params,
) -> Result<Json<PaymentList>, Problem> {
    let page = params.page(PaymentId)?;
    let limit = page.limit;
    let rows = store.payments(&caller.user, page).await?;
    let next = next_of(&rows, limit, |row| row.id.to_string());
    Ok(Json(PaymentList { payments: rows.into_iter().map(Into::into).collect(), next }))
}
