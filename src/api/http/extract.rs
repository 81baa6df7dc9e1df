//! Parts of a request, parsed once; whatever does not parse is a problem+json and never a 5xx.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::Value;
use uuid::Uuid;

use super::problem::{
    BODY_TOO_LARGE, INVALID_REQUEST, MALFORMED_JSON, Problem, REQUEST_TIMEOUT, UNSUPPORTED_MEDIA_TYPE,
};
use crate::api::AppState;
use crate::store::reads::Page;

/// Most rows of one page of a list.
pub const PAGE_MAX: u32 = 200;
const PAGE_DEFAULT: u32 = 50;

/// The `{id}` of a path.
pub struct PathId(pub Uuid);

impl FromRequestParts<Arc<AppState>> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map_err(|_| Problem::new(INVALID_REQUEST, "the path is not valid UTF-8"))?;
        let id =
            Uuid::try_parse(&text).map_err(|_| Problem::new(INVALID_REQUEST, "the id in the path is not a UUID"))?;
        Ok(PathId(id))
    }
}

/// The query's parameters; of a repeated one the last counts.
pub struct Params(HashMap<String, String>);

impl FromRequestParts<Arc<AppState>> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Problem> {
        match Query::<HashMap<String, String>>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(_) => Err(Problem::new(INVALID_REQUEST, "the query cannot be read")),
        }
    }
}

impl Params {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that a type reads; absent is `None`.
    pub fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| Problem::new(INVALID_REQUEST, format!("?{name}= cannot be read"))))
            .transpose()
    }

    /// `?limit=` (1..=[`PAGE_MAX`], default 50) and `?after=`.
    pub fn page<T: std::str::FromStr, Id>(&self, id: impl Fn(T) -> Id) -> Result<Page<Id>, Problem> {
        let limit = self.parsed("limit")?.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::new(INVALID_REQUEST, format!("?limit= must be 1 to {PAGE_MAX}")));
        }
        Ok(Page { after: self.parsed("after")?.map(id), limit })
    }
}

/// The id to go on after, if the page is full.
pub fn next_of<T>(rows: &[T], limit: u32, id: impl Fn(&T) -> String) -> Option<String> {
    if rows.len() < limit as usize { None } else { rows.last().map(id) }
}

/// A JSON body.
pub struct JsonBody(pub Value);

/// A JSON body, or none at all, which reads as `{}`.
pub struct OptionalJsonBody(pub Value);

impl FromRequest<Arc<AppState>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<AppState>) -> Result<Self, Problem> {
        expect_json(request.headers())?;
        let bytes = read_body(request, state).await?;
        Ok(JsonBody(parse_json(&bytes)?))
    }
}

impl FromRequest<Arc<AppState>> for OptionalJsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<AppState>) -> Result<Self, Problem> {
        let declared = expect_json(request.headers());
        let bytes = read_body(request, state).await?;
        if bytes.is_empty() {
            return Ok(OptionalJsonBody(Value::Object(serde_json::Map::new())));
        }
        declared?;
        Ok(OptionalJsonBody(parse_json(&bytes)?))
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = declared.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"))
}

async fn read_body(request: Request, state: &AppState) -> Result<Bytes, Problem> {
    let bytes_max = state.settings.body_bytes_max;
    let too_large = || Problem::new(BODY_TOO_LARGE, format!("the body may have at most {bytes_max} bytes"));
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let mut chunks = request.into_body().into_data_stream();
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Problem::new(INVALID_REQUEST, "the body broke off"))?;
            if body.len() + chunk.len() > bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(state.settings.body_timeout, whole).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

fn parse_json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(MALFORMED_JSON, format!("the body is not JSON: {error}")))
}

/// A header as text, if it is there exactly once.
pub fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text.trim())),
        _ => Err(Problem::new(INVALID_REQUEST, format!("the header {name} must be there once, as plain text"))),
    }
}
