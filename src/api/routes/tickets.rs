//! Tickets of sold seats, the keys that prove them, and the door that checks them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::acting_for_param;
use super::labels::answered;
use super::reservations::own;
use crate::api::AppState;
use crate::api::cache::plans::Labels;
use crate::api::http::auth::{Caller, Role};
use crate::api::http::extract::{JsonBody, Params, PathId};
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::api::openapi::bodies::CheckRequest;
use crate::api::submission::lookups::Lookups;
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::api::tickets::code::Ticket;
use crate::api::tickets::keys::{PublicKey, TicketKeys};
use crate::domain::block::{CheckTicket, Command, Reservation, ReservationState};
use crate::domain::{BlockKey, Body, Code, ReservationId};

const CODE_CHARS_MAX: usize = 1_000;

/// The tickets of a reservation.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketList {
    #[schema(format = "uuid")]
    pub reservation_id: String,
    #[schema(format = "uuid")]
    pub schedule_id: String,
    /// As of the reservation: only what is CONFIRMED has tickets.
    pub status: &'static str,
    /// By seat, ascending.
    pub tickets: Vec<TicketObject>,
}

/// One sold seat.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketObject {
    #[schema(example = "A-12")]
    pub seat: String,
    /// As printed in the hall, if the date has a seating plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Parkett, row C, seat 12")]
    pub label: Option<String>,
    /// What the ticket shows, as a QR code say: `TS1.` and base64url.
    pub code: String,
}

/// Public keys of tickets, as a JSON Web Key Set.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketKeySet {
    pub keys: Vec<PublicKey>,
}

/// What tickets are made of and checked with.
#[derive(Clone)]
pub struct Tickets {
    lookups: Arc<Lookups>,
    labels: Arc<Labels>,
    keys: Arc<TicketKeys>,
    submission: Arc<Submission>,
}

impl FromRef<AppState> for Tickets {
    fn from_ref(state: &AppState) -> Self {
        Tickets {
            lookups: state.lookups.clone(),
            labels: state.labels.clone(),
            keys: state.ticket_keys.clone(),
            submission: state.submission.clone(),
        }
    }
}

/// The tickets of a reservation of the caller's: a signed code for each sold seat.
///
/// The same reservation has the same codes as long as it is CONFIRMED and the same key signs.
#[utoipa::path(
    get,
    path = "/v1/reservations/{id}/tickets",
    tag = "tickets",
    params(
        ("id" = String, Path, format = "uuid", description = "The reservation"),
        ("user_id" = Option<String>, Query, description = "Whose it is, for the role `box_office`"),
    ),
    responses((status = 200, description = "The tickets", body = TicketList),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`reservation_not_found`"))
)]
pub async fn get_tickets(
    State(tickets): State<Tickets>,
    caller: Caller,
    PathId(id): PathId,
    params: Params,
) -> Result<Json<TicketList>, Problem> {
    let user = acting_for_param(&caller, &params)?;
    let row = own(&tickets.lookups, &user, ReservationId(id)).await?;
    Ok(Json(tickets.of(row).await?))
}

impl Tickets {
    async fn of(&self, row: Reservation) -> Result<TicketList, Problem> {
        let schedule = row.key.schedule_id;
        let plan = self.labels.plan_of(schedule).await?;
        let ticket = |serial| {
            let (keys, plan) = (&self.keys, plan.as_ref());
            move |seat: &crate::domain::SeatId| TicketObject {
                seat: seat.to_string(),
                label: plan.map(|plan| plan.label(seat)),
                code: keys.sign(&Ticket { schedule, reservation: row.id, seat: seat.clone(), serial }),
            }
        };
        let tickets = match row.state {
            ReservationState::Confirmed { serial, .. } => row.seats.iter().map(ticket(serial)).collect(),
            _ => Vec::new(),
        };
        Ok(TicketList {
            reservation_id: row.id.to_string(),
            schedule_id: schedule.to_string(),
            status: row.state.status().as_str(),
            tickets,
        })
    }
}

/// The public keys of tickets, the one that signs first.
///
/// With them a door checks the signature of a code without a connection. Only `POST /v1/tickets/check` knows whether it
/// was used before, or paid back.
#[utoipa::path(
    get,
    path = "/v1/tickets/keys",
    tag = "tickets",
    security(()),
    responses((status = 200, description = "A JSON Web Key Set", body = TicketKeySet))
)]
pub async fn get_keys(State(tickets): State<Tickets>) -> Json<TicketKeySet> {
    Json(TicketKeySet { keys: tickets.keys.public() })
}

/// Admits the holder of a ticket, once.
///
/// Result: `{schedule_id, block, reservation_id, seat, admitted_at, label?}`. A second scan is `ticket_used`, with the position
/// and time of the first as `used`. Whoever repeats a scan because the answer was lost does so with the same
/// Idempotency-Key.
#[utoipa::path(
    post,
    path = "/v1/tickets/check",
    tag = "tickets",
    request_body(content = CheckRequest, example = json!({"code": "TS1.AUl0..."})),
    responses((status = 403, description = "`forbidden`")),
    extensions(("x-command" = json!("check_ticket")))
)]
pub async fn check_ticket(
    State(tickets): State<Tickets>,
    caller: Caller,
    options: SubmitOptions,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    caller.needs(Role::Door, "checking tickets")?;
    let mut fields = Fields::of(&body)?;
    let code = fields.text("code", CODE_CHARS_MAX);
    let code = fields.finish(code)?;
    let invalid = || Problem::refusal(Code::TicketInvalid, "this is no ticket of this house");
    let ticket = tickets.keys.verify(code.trim()).ok_or_else(invalid)?;
    let facts = tickets.labels.facts.with_sections(ticket.schedule, [&ticket.seat.section]).await?;
    let block = facts.as_ref().and_then(|facts| facts.block_of(&ticket.seat.section)).ok_or_else(invalid)?;
    let check = Command::CheckTicket(CheckTicket {
        key: BlockKey { schedule_id: ticket.schedule, block: block.clone() },
        user_id: caller.user.clone(),
        reservation_id: ticket.reservation,
        seat: ticket.seat,
        serial: ticket.serial,
    });
    let answer = tickets.submission.submit(&caller.user, &options, Body::Seats(check)).await?;
    Ok(answered(&tickets.labels, answer, options.wait).await?)
}
