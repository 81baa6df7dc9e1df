//! Serves the description.

use axum::Extension;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use super::document::document;
use super::page::render;
use crate::api::http::public_url;

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";

/// The description of all routes, made once.
pub struct Documentation {
    document: Value,
    text: String,
    page: String,
}

impl Documentation {
    /// `api`: what the handlers say of themselves.
    pub fn of(api: OpenApi) -> Self {
        let document = document(api);
        Documentation { text: format!("{document:#}\n"), page: render(&document), document }
    }

    /// The OpenAPI 3.1 document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The same, as indented JSON text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Value))
)]
pub async fn get_openapi(Extension(documentation): Extension<&'static Documentation>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json")];
    let Some(base) = public_url::base() else { return (headers, documentation.text()).into_response() };
    let mut document = documentation.document().clone();
    document["servers"] = json!([{ "url": &*base }]);
    (headers, format!("{document:#}\n")).into_response()
}

/// This page.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "operations",
    security(()),
    responses((status = 200, description = "HTML", body = String, content_type = "text/html"))
)]
pub async fn get_docs(Extension(documentation): Extension<&'static Documentation>) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)];
    let link = format!("href=\"{}\"", public_url::link(DOCUMENT));
    (headers, documentation.page.replace(&format!("href=\"{DOCUMENT}\""), &link)).into_response()
}
