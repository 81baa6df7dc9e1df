//! `GET /v1/ops/sales`: what the dates of the newest concerts have sold.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::sold::SaleObject;
use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::problem::Problem;

/// By concert, newest first, then by start.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleList {
    pub dates: Vec<SaleObject>,
}

/// What has been sold. The organizer's page has the sections and categories of a date.
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
