//! `GET /v1/schedules/{id}/me`: all that a page asks after it was away, in one answer. And `GET /v1/time`, for its
//! countdowns.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::queue_position::{PositionObject, left};
use super::reservations::ReservationObject;
use super::schedules::no_schedule;
use crate::api::AppState;
use crate::api::cache::plans::Labels;
use crate::api::cache::schedule_facts::Facts;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::auth::Caller;
use crate::api::http::extract::PathId;
use crate::api::http::problem::{Problem, ProblemCode};
use crate::api::http::rate_limit::RateLimiter;
use crate::api::queue::places::Places;
use crate::api::queue::token::{Claim, QueueToken, Signer};
use crate::domain::block::{Reservation, ReservationState};
use crate::domain::{Code, ScheduleId, UserId};
use crate::runtime::clock::Clock;
use crate::store::{FrontStore, Page};
use crate::wire::time::rfc3339;

/// Of the user's newest reservations so many are looked through for ended ones of the date.
const NEWEST_MAX: u32 = 50;

/// The server's clock.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeObject {
    #[schema(format = "date-time")]
    pub now: String,
}

/// What the caller has in a date.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeObject {
    #[schema(format = "uuid")]
    pub schedule_id: String,
    /// The server's clock.
    #[schema(format = "date-time")]
    pub now: String,
    /// The caller's place, if the date has a queue and the caller joined it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<OwnPlace>,
    pub seats: OwnSeats,
    /// Newest first: all unfinished ones, and those of the caller's newest 50 that have ended.
    pub reservations: Vec<ReservationObject>,
}

/// The caller's place in the queue, with its token.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnPlace {
    pub token: String,
    #[serde(flatten)]
    pub place: PositionObject,
}

/// How many seats of the date the caller has.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct OwnSeats {
    pub held: usize,
    /// A payment is under way.
    pub paying: usize,
    pub confirmed: usize,
}

impl OwnSeats {
    fn of(reservations: &[Reservation]) -> Self {
        let mut seats = OwnSeats::default();
        for reservation in reservations {
            let count = reservation.seats.len();
            match reservation.state {
                ReservationState::Held => seats.held += count,
                ReservationState::Paying(_) => seats.paying += count,
                ReservationState::Confirmed { .. } => seats.confirmed += count,
                ReservationState::Expired | ReservationState::Cancelled { .. } | ReservationState::Refunded { .. } => {}
            }
        }
        seats
    }
}

/// The server's clock, for countdowns.
#[utoipa::path(
    get,
    path = "/v1/time",
    tag = "catalog",
    security(()),
    responses((status = 200, description = "Now", body = TimeObject))
)]
pub async fn get_time(State(clock): State<Clock>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(TimeObject { now: rfc3339(clock.now()) })).into_response()
}

/// What the answer is made of.
#[derive(Clone)]
pub struct Own {
    store: Arc<dyn FrontStore>,
    labels: Arc<Labels>,
    places: Arc<Places>,
    snapshots: Arc<Snapshots>,
    signer: Arc<Signer>,
    limiter: Arc<RateLimiter>,
    clock: Clock,
}

impl FromRef<AppState> for Own {
    fn from_ref(state: &AppState) -> Self {
        Own {
            store: state.store.clone(),
            labels: state.labels.clone(),
            places: state.places.clone(),
            snapshots: state.snapshots.clone(),
            signer: state.signer.clone(),
            limiter: state.limiter.clone(),
            clock: state.clock.clone(),
        }
    }
}

/// The caller's place in the queue, seats and reservations of one date.
///
/// Read from the store: whoever has seen an outcome finds it here. Asking counts as being present in the queue.
#[utoipa::path(
    get,
    path = "/v1/schedules/{id}/me",
    tag = "reservations",
    params(("id" = String, Path, format = "uuid", description = "The date")),
    responses(
        (status = 200, description = "What the caller has", body = MeObject),
        (status = 404, description = "`schedule_not_found`"),
        (status = 429, description = "`rate_limited`"),
    )
)]
pub async fn get_me(State(own): State<Own>, caller: Caller, PathId(id): PathId) -> Result<Response, Problem> {
    own.limiter.take(&caller.user)?;
    let id = ScheduleId(id);
    let facts = own.labels.facts.of(id).await?.ok_or_else(no_schedule)?;
    // The place first: a hold that was paid meanwhile has ended the turn, and both are shown.
    let queue = if facts.queue { own.place(&caller.user, id).await? } else { None };
    let reservations = own.reservations(&caller.user, id, &facts).await?;
    let seats = OwnSeats::of(&reservations);
    let mut shown = Vec::with_capacity(reservations.len());
    for reservation in reservations {
        shown.push(ReservationObject::of(reservation, &own.labels).await?);
    }
    let now = rfc3339(own.clock.now());
    let me = MeObject { schedule_id: id.to_string(), now, queue, seats, reservations: shown };
    Ok(([(CACHE_CONTROL, "no-store")], Json(me)).into_response())
}

impl Own {
    /// `None` for a user who never joined.
    async fn place(&self, user: &UserId, schedule_id: ScheduleId) -> Result<Option<OwnPlace>, Problem> {
        let holder = self.places.holder(schedule_id, Some(user), &QueueToken(None))?;
        let slot = self.places.open(schedule_id).await?;
        match self.places.place(&holder, &slot).await {
            Ok(place) => {
                let claim = Claim { schedule_id, user_id: user.clone(), sequence: place.position };
                let place = PositionObject::of(place, left(&self.snapshots, schedule_id).await);
                Ok(Some(OwnPlace { token: self.signer.sign(&claim), place }))
            }
            Err(problem) if problem.code == ProblemCode::Refusal(Code::TokenNotFound) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn reservations(&self, user: &UserId, id: ScheduleId, facts: &Facts) -> Result<Vec<Reservation>, Problem> {
        let blocks: Vec<_> = facts.blocks().cloned().collect();
        let newest = Page { after: None, limit: NEWEST_MAX };
        // In this order: what ends in between is in the second list as it is then.
        let unfinished = self.store.unfinished_of(user, id, &blocks).await?;
        let mut all = self.store.reservations(user, newest).await?;
        all.retain(|row| row.key.schedule_id == id);
        let known: HashSet<_> = all.iter().map(|row| row.id).collect();
        all.extend(unfinished.into_iter().filter(|row| !known.contains(&row.id)));
        all.sort_by_key(|reservation| std::cmp::Reverse(reservation.id));
        Ok(all)
    }
}
