//! `GET /v1/ops/sales`: what the dates of the newest concerts have sold; one of them in parts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::sale_parts::SaleParts;
use super::sold::SaleObject;
use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::extract::PathId;
use crate::api::http::problem::{Kind, Problem};
use crate::domain::ScheduleId;

/// By concert, newest first, then by start.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleList {
    pub dates: Vec<SaleObject>,
}

/// What has been sold.
#[utoipa::path(
    get,
    path = "/v1/ops/sales",
    tag = "operations",
    responses(
        (status = 200, description = "20 dates each of the 20 newest concerts", body = SaleList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_sales(State(system): State<Arc<System>>, _admin: Admin) -> Result<Json<SaleList>, Problem> {
    let dates = system.sales.now(&*system.store).await?;
    Ok(Json(SaleList { dates: dates.iter().map(|date| date.shown.clone()).collect() }))
}

/// What a date has sold, by section and category.
#[utoipa::path(
    get,
    path = "/v1/ops/sales/{id}",
    tag = "operations",
    params(("id" = String, Path, format = "uuid")),
    responses(
        (status = 200, description = "At most 3 s old", body = SaleParts),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`schedule_not_found`"),
    )
)]
pub async fn get_sale(
    State(system): State<Arc<System>>,
    _admin: Admin,
    PathId(id): PathId,
) -> Result<Json<SaleParts>, Problem> {
    let parts = system.parts.of(&*system.store, ScheduleId(id), system.clock.now()).await?;
    let parts = (*parts).clone();
    parts.map(Json).ok_or_else(|| Problem::new(Kind::ScheduleNotFound, "there is no schedule with this id"))
}
