//! Parts of a request, parsed once; whatever does not parse is a problem+json and never a 5xx.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::Value;
use uuid::Uuid;

use super::problem::{Kind, Problem};
use crate::store::Page;

/// Most rows of one page of a list.
const PAGE_MAX: u32 = 200;
const PAGE_DEFAULT: u32 = 50;
/// A schedule's body may describe 500 sections with their rows and categories; the command made of it has this limit.
const LARGE_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bounds of a request's body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub bytes_max: usize,
    /// It must have arrived within this time.
    pub within: Duration,
}

/// The `{id}` of a path.
pub struct PathId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map_err(|_| Problem::new(Kind::InvalidRequest, "the path is not valid UTF-8"))?;
        let id = Uuid::try_parse(&text)
            .map_err(|_| Problem::new(Kind::InvalidRequest, "the id in the path is not a UUID"))?;
        Ok(PathId(id))
    }
}

/// The one segment of a path that is not an id.
pub struct PathText<T>(pub T);

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for PathText<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let text = text.map_err(|_| Problem::new(Kind::InvalidRequest, "the path is not valid UTF-8"))?;
        text.parse().map(PathText).map_err(|error| Problem::new(Kind::InvalidRequest, format!("the path: {error}")))
    }
}

/// The query's parameters; of a repeated one the last counts.
pub struct Params(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<HashMap<String, String>>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(_) => Err(Problem::new(Kind::InvalidRequest, "the query cannot be read")),
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
            .map(|text| {
                text.parse().map_err(|_| Problem::new(Kind::InvalidRequest, format!("?{name}= cannot be read")))
            })
            .transpose()
    }

    /// `?limit=` (1..=[`PAGE_MAX`], default 50) and `?after=`.
    pub fn page<T: std::str::FromStr, Id>(&self, id: impl Fn(T) -> Id) -> Result<Page<Id>, Problem> {
        let limit = self.parsed("limit")?.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::new(Kind::InvalidRequest, format!("?limit= must be 1 to {PAGE_MAX}")));
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

/// A JSON body of up to 1 MiB.
pub struct LargeJsonBody(pub Value);

/// A JSON body, or none at all, which reads as `{}`.
pub struct OptionalJsonBody(pub Value);

impl<S> FromRequest<S> for JsonBody
where
    BodyLimits: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read_json(request, BodyLimits::from_ref(state)).await.map(JsonBody)
    }
}

impl<S> FromRequest<S> for LargeJsonBody
where
    BodyLimits: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limits = BodyLimits::from_ref(state);
        let bytes_max = limits.bytes_max.max(LARGE_BODY_BYTES_MAX);
        read_json(request, BodyLimits { bytes_max, ..limits }).await.map(LargeJsonBody)
    }
}

impl<S> FromRequest<S> for OptionalJsonBody
where
    BodyLimits: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let declared = expect_json(request.headers());
        let bytes = read_body(request, BodyLimits::from_ref(state)).await?;
        if bytes.is_empty() {
            return Ok(OptionalJsonBody(Value::Object(serde_json::Map::new())));
        }
        declared?;
        Ok(OptionalJsonBody(parse_json(&bytes)?))
    }
}

async fn read_json(request: Request, limits: BodyLimits) -> Result<Value, Problem> {
    expect_json(request.headers())?;
    let bytes = read_body(request, limits).await?;
    parse_json(&bytes)
}

fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = declared.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(Kind::UnsupportedMediaType, "Content-Type must be application/json"))
}

/// The bytes of a body of whatever media type.
pub async fn read_body(request: Request, limits: BodyLimits) -> Result<Bytes, Problem> {
    let BodyLimits { bytes_max, within } = limits;
    let too_large = || Problem::new(Kind::BodyTooLarge, format!("the body may have at most {bytes_max} bytes"));
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let mut chunks = request.into_body().into_data_stream();
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Problem::new(Kind::InvalidRequest, "the body broke off"))?;
            if body.len() + chunk.len() > bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(within, whole).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(Kind::RequestTimeout, "the body did not arrive in time")),
    }
}

fn parse_json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(Kind::MalformedJson, format!("the body is not JSON: {error}")))
}

/// Whether the client has this `ETag` already.
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    // A tag is quoted and may have a comma inside.
    headers.get_all(IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(|tags| tags.contains(tag)))
}

/// A header as text; it may be given once.
pub fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text.trim())),
        _ => Err(Problem::new(Kind::InvalidRequest, format!("the header {name} must be given once, as plain text"))),
    }
}
