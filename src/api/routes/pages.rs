//! The pages for people. One document for each kind of reader; the path says what it shows.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::api::AppState;
use crate::api::http::pages::Pages;
use crate::api::http::problem::Problem;

type OfPages = State<Arc<Pages>>;

/// Paths of people. They are no part of the API and not in its description.
pub fn pages() -> Router<AppState> {
    let customer = || get(customer);
    Router::new()
        .route("/", customer())
        .route("/c/{concert}", customer())
        .route("/s/{schedule}", customer())
        .route("/me", customer())
        .route("/t/{reservation}", customer())
        .route("/organizer", get(organizer))
        .route("/door", get(door))
        .merge(operators_page())
}

/// The operators' page, with the files that all pages are made of.
pub fn operators_page() -> Router<AppState> {
    Router::new()
        .route("/ops", get(operator))
        .route("/favicon.ico", get(icon))
        .route("/web/facts.json", get(facts))
        .route("/web/{*path}", get(asset))
}

async fn customer(State(pages): OfPages, headers: HeaderMap) -> Result<Response, Problem> {
    pages.document("index.html", &headers).await
}

async fn organizer(State(pages): OfPages, headers: HeaderMap) -> Result<Response, Problem> {
    pages.document("organizer.html", &headers).await
}

async fn door(State(pages): OfPages, headers: HeaderMap) -> Result<Response, Problem> {
    pages.document("door.html", &headers).await
}

async fn operator(State(pages): OfPages, headers: HeaderMap) -> Result<Response, Problem> {
    pages.document("ops.html", &headers).await
}

async fn icon(State(pages): OfPages, headers: HeaderMap) -> Result<Response, Problem> {
    pages.document("icon.svg", &headers).await
}

async fn asset(State(pages): OfPages, Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    pages.document(&path, &headers).await
}

async fn facts(State(pages): OfPages) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Json(pages.facts.clone())).into_response()
}
