//! `GET /v1/ops/requests/{id}`: a request's life; `?of=` finds the requests of a reservation or a user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::life::{Life, Sources};
use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{Params, PathText};
use crate::api::http::problem::{Kind, Problem};
use crate::api::submission::lives::Lives;
use crate::domain::block::Reservation;
use crate::domain::wallet::Entry;
use crate::domain::{Arrival, Position, RequestId, ReservationId, UserId};
use crate::store::{OpsStore, Page, StoreError};
use crate::wire::time::rfc3339;

/// A request, or a place on the log.
pub enum Wanted {
    Request(RequestId),
    At(Position),
}

impl std::str::FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = uuid::Uuid::try_parse(text) {
            return Ok(Wanted::Request(RequestId(id)));
        }
        text.parse().map(Wanted::At).map_err(|_| "neither a request's id nor a position such as seats.3.1234")
    }
}

/// From the client over the log to the outcome and back, with all that it led to.
///
/// Takes a position, such as `seats.3.1234`, in place of the id: of a record that became a dead letter, say.
#[utoipa::path(
    get,
    path = "/v1/ops/requests/{id}",
    tag = "operations",
    params(("id" = String, Path, description = "The request, or where the log has it")),
    responses(
        (status = 200, description = "Its life", body = Life),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`request_not_found`"),
    )
)]
pub async fn get_life(
    State(system): State<Arc<System>>,
    State(lives): State<Arc<Lives>>,
    _admin: Admin,
    PathText(wanted): PathText<Wanted>,
) -> Result<Json<Life>, Problem> {
    let seen = |id| lives.of(id);
    let sources = Sources { log: Some(&*system.log), store: &*system.store, seen: &seen };
    let life = match wanted {
        Wanted::Request(id) => sources.of_request(id).await?,
        Wanted::At(position) => sources.of_position(position).await?,
    };
    life.map(Json).ok_or_else(|| Problem::new(Kind::RequestNotFound, "nobody knows this request"))
}

/// Reservations, and entries of a wallet, that are looked at.
const EACH_MAX: u32 = 20;

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraceList {
    pub requests: Vec<TraceObject>,
}

/// What a command did to a reservation or a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraceObject {
    /// For people.
    #[schema(example = "0192e4b0-0000-7000-8000-000000000010 CONFIRMED: A-12 A-13")]
    pub what: String,
    #[schema(format = "date-time")]
    pub at: String,
    /// Of the command; its life is at `/v1/ops/requests/{position}`.
    #[schema(example = "seats.3.1234")]
    pub position: String,
}

/// What was done, by which command.
struct Trace {
    what: String,
    by: Arrival,
}

impl Trace {
    /// The hold, and what changed the reservation last.
    fn of_reservation(row: &Reservation) -> Vec<Self> {
        let seats: Vec<String> = row.seats.iter().map(ToString::to_string).collect();
        let trace = |status: &str, by| Trace { what: format!("{} {status}: {}", row.id, seats.join(" ")), by };
        let mut traces = vec![trace("HELD", row.held)];
        if row.changed.position != row.held.position {
            traces.push(trace(row.state.status().as_str(), row.changed));
        }
        traces
    }

    fn of_entry(row: &Entry) -> Self {
        Trace { what: format!("wallet {} {}", row.kind.as_str(), row.amount.get()), by: row.at }
    }
}

async fn traces(store: &dyn OpsStore, of: &str) -> Result<Vec<Trace>, StoreError> {
    if let Ok(id) = uuid::Uuid::try_parse(of)
        && let Some(row) = store.reservation(ReservationId(id)).await?
    {
        return Ok(Trace::of_reservation(&row));
    }
    let Ok(user) = of.parse::<UserId>() else { return Ok(Vec::new()) };
    let reservations = store.reservations(&user, Page { after: None, limit: EACH_MAX }).await?;
    let entries = store.wallet_entries(&user, Page { after: None, limit: EACH_MAX }).await?;
    let of_reservations = reservations.iter().flat_map(Trace::of_reservation);
    Ok(of_reservations.chain(entries.iter().map(Trace::of_entry)).collect())
}

/// Commands that made or changed a reservation, or what a user has.
#[utoipa::path(
    get,
    path = "/v1/ops/requests",
    tag = "operations",
    params(("of" = String, Query, description = "A reservation's id, or a user")),
    responses(
        (status = 200, description = "Of a user the newest 20 reservations and 20 entries of the wallet", body = TraceList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn find_requests(
    State(system): State<Arc<System>>,
    _admin: Admin,
    params: Params,
) -> Result<Json<TraceList>, Problem> {
    let of = params.get("of").map(str::trim).filter(|of| !of.is_empty());
    let of = of.ok_or_else(|| Problem::new(Kind::InvalidRequest, "?of= must be a reservation or a user"))?;
    let mut found = traces(&*system.store, of).await?;
    found.sort_by_key(|trace| std::cmp::Reverse((trace.by.time, trace.by.position)));
    let object = |Trace { what, by }| TraceObject { what, at: rfc3339(by.time), position: by.position.to_string() };
    Ok(Json(TraceList { requests: found.into_iter().map(object).collect() }))
}
