//! `GET /v1/ops/requests/{id}`: a request's life.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::life::{Life, Sources};
use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::extract::PathText;
use crate::api::http::problem::{Kind, Problem};
use crate::api::submission::lives::Lives;
use crate::domain::{Position, RequestId};

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
