//! Concerts. Everybody may read them, admins add them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::cache::snapshots::Snapshots;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{JsonBody, Params, PathId, next_of};
use crate::api::http::fields::Fields;
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::public_url::link;
use crate::api::http::representation::open;
use crate::api::openapi::bodies::ConcertRequest;
use crate::api::submission::keys::IdempotencyKey;
use crate::api::submission::options::SubmitOptions;
use crate::domain::{Code, ConcertId, LogTime, UserId};
use crate::runtime::clock::Clock;
use crate::store::{Concert, FrontStore};
use crate::wire::time::rfc3339;

const TITLE_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 5_000;
/// The longest names have 32.
const TIME_ZONE_CHARS_MAX: usize = 64;

/// A concert.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcertObject {
    #[schema(format = "uuid")]
    pub id: String,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// ISO 4217: what all amounts of the concert are counted in, in its smallest unit. For people; nothing is converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "KRW")]
    pub currency: Option<String>,
    /// IANA: where the concert takes place. For people; all times are UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Asia/Seoul")]
    pub time_zone: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// One page of concerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcertList {
    pub concerts: Vec<ConcertObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<&Concert> for ConcertObject {
    fn from(row: &Concert) -> Self {
        ConcertObject {
            id: row.id.to_string(),
            title: row.title.clone(),
            description: row.description.clone(),
            currency: row.currency.clone(),
            time_zone: row.time_zone.clone(),
            created_at: rfc3339(row.created_at),
        }
    }
}

/// The id of something new: with a key the one that this admin's key always gives, so that a repeat finds it.
pub fn new_id(user: &UserId, key: Option<&IdempotencyKey>, what: &str) -> Uuid {
    key.map_or_else(Uuid::now_v7, |key| key.part(what).request_id(user).0)
}

/// 201 with where it is.
pub fn created(path: String, body: impl Serialize) -> Response {
    (StatusCode::CREATED, [(LOCATION, link(&path))], Json(body)).into_response()
}

pub fn key_reused() -> Problem {
    Problem::refusal(Code::IdempotencyKeyReused, "this Idempotency-Key was used for another request")
}

pub fn no_concert() -> Problem {
    Problem::new(Kind::ConcertNotFound, "there is no concert with this id")
}

/// Adds a concert.
#[utoipa::path(
    post,
    path = "/v1/concerts",
    tag = "catalog",
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat with it answers alike")),
    request_body(content = ConcertRequest, example = json!({"title": "Requiem", "description": "Mozart"})),
    responses(
        (status = 201, description = "Added, at `Location`", body = ConcertObject),
        (status = 403, description = "`forbidden`"),
        (status = 422, description = "`invalid_fields`, `idempotency_key_reused`"),
    )
)]
pub async fn create_concert(
    State(store): State<Arc<dyn FrontStore>>,
    State(snapshots): State<Arc<Snapshots>>,
    State(clock): State<Clock>,
    Admin(admin): Admin,
    options: SubmitOptions,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = ConcertId(new_id(&admin, options.key.as_ref(), "concert"));
    let concert = read_concert(&body, id, clock.now())?;
    store.insert_concert(&concert).await?;
    // The stored row counts: under a key it may be older than this request.
    let stored = store.concert(id).await?.ok_or_else(no_concert)?;
    if stored != (Concert { created_at: stored.created_at, ..concert }) {
        return Err(key_reused());
    }
    snapshots.catalog_changed();
    Ok(created(format!("/v1/concerts/{id}"), ConcertObject::from(&stored)))
}

fn read_concert(body: &Value, id: ConcertId, created_at: LogTime) -> Result<Concert, Problem> {
    let mut fields = Fields::of(body)?;
    let title = fields.text("title", TITLE_CHARS_MAX);
    let description = fields.optional("description", |fields, name| fields.text(name, DESCRIPTION_CHARS_MAX));
    let currency = fields.optional("currency", |fields, name| match fields.text(name, 3)? {
        code if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => Some(code),
        _ => fields.reject(name, "must be a currency of ISO 4217, like KRW"),
    });
    let time_zone = fields.optional("time_zone", |fields, name| match fields.text(name, TIME_ZONE_CHARS_MAX)? {
        zone if is_time_zone(zone) => Some(zone),
        _ => fields.reject(name, "must be a time zone of the IANA, like Asia/Seoul"),
    });
    let concert = (|| {
        Some(Concert {
            id,
            title: title?.to_owned(),
            description: description?.map(str::to_owned),
            currency: currency?.map(str::to_owned),
            time_zone: time_zone?.map(str::to_owned),
            created_at,
        })
    })();
    fields.finish(concert)
}

/// Whether it looks like one: the list of them changes several times a year, and nothing is computed with it.
fn is_time_zone(text: &str) -> bool {
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
        part.starts_with(|first: char| first.is_ascii_alphabetic()) && part.bytes().all(fits)
    };
    text.split('/').count() <= 3 && text.split('/').all(is_part)
}

/// All concerts, newest first.
///
/// A concert made with an Idempotency-Key has no time in its id and stands anywhere.
#[utoipa::path(
    get,
    path = "/v1/concerts",
    tag = "catalog",
    security(()),
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Rows of the page, default 50"),
        ("after" = Option<String>, Query, format = "uuid", description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "One page", body = ConcertList),
    )
)]
pub async fn list_concerts(State(snapshots): State<Arc<Snapshots>>, params: Params) -> Result<Response, Problem> {
    let page = params.page(ConcertId)?;
    let rows = snapshots.concerts(page).await?;
    let next = next_of(&rows, page.limit, |row| row.id.to_string());
    Ok(open(Json(ConcertList { concerts: rows.iter().map(Into::into).collect(), next })))
}

/// One concert.
#[utoipa::path(
    get,
    path = "/v1/concerts/{id}",
    tag = "catalog",
    security(()),
    params(("id" = String, Path, format = "uuid", description = "The concert")),
    responses(
        (status = 200, description = "The concert", body = ConcertObject),
        (status = 404, description = "`concert_not_found`"),
    )
)]
pub async fn get_concert(State(snapshots): State<Arc<Snapshots>>, PathId(id): PathId) -> Result<Response, Problem> {
    let row = snapshots.concert(ConcertId(id)).await?;
    Ok(open(Json(ConcertObject::from(row.as_ref().as_ref().ok_or_else(no_concert)?))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn read(body: &Value) -> Result<Concert, Problem> {
        read_concert(body, ConcertId(Uuid::nil()), LogTime(0))
    }

    #[test]
    fn f11_a_concert_may_say_its_currency_and_time_zone() {
        let body = json!({"title": "Requiem", "currency": "EUR", "time_zone": "America/Argentina/Buenos_Aires"});
        let concert = read(&body).unwrap();
        assert_eq!(concert.currency.as_deref(), Some("EUR"));
        assert_eq!(concert.time_zone.as_deref(), Some("America/Argentina/Buenos_Aires"));
        for zone in ["UTC", "Etc/GMT+9", "Asia/Seoul", "EST5EDT", "America/Port-au-Prince"] {
            assert!(read(&json!({"title": "x", "time_zone": zone})).is_ok(), "{zone}");
        }
        assert_eq!(read(&json!({"title": "x", "currency": null})).unwrap().currency, None);
    }

    #[test]
    fn a_wrong_concert_is_refused_with_a_pointer() {
        let with = |name: &str, value: Value| json!({"title": "x", name: value});
        for (body, pointer) in [
            (json!({}), "/title"),
            (with("title", json!("")), "/title"),
            (with("currency", json!("eur")), "/currency"),
            (with("currency", json!("EURO")), "/currency"),
            (with("currency", json!("E1R")), "/currency"),
            (with("currency", json!(978)), "/currency"),
            (with("time_zone", json!("+09:00")), "/time_zone"),
            (with("time_zone", json!("Asia//Seoul")), "/time_zone"),
            (with("time_zone", json!("Asia/Seoul ")), "/time_zone"),
            (with("time_zone", json!("a/b/c/d")), "/time_zone"),
        ] {
            let problem = read(&body).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.errors[0].pointer.as_str()), (422, pointer), "{body}");
        }
    }
}
