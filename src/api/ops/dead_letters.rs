//! `/v1/ops/dead-letters`: records that could not be applied; looking at them, replaying and dismissing them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::replay::{ReplayError, Replayed, replay};
use super::system::System;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{Params, PathText, next_of};
use crate::api::http::problem::{Kind, Problem};
use crate::domain::Position;
use crate::log::AppendError;
use crate::store::{DeadLetterView, DoneBy};
use crate::wire::headers::Header;
use crate::wire::time::rfc3339;

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterList {
    pub dead_letters: Vec<DeadLetterSummary>,
    /// `?after=` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A record that could not be applied.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterSummary {
    /// Where the log has it; of an outbox row that the log refused, a number beyond all offsets.
    #[schema(example = "seats.3.1234")]
    pub position: String,
    pub reason: String,
    #[schema(format = "date-time")]
    pub at: String,
    /// The topic that refused it, if the program itself was to append it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsent_to: Option<&'static str>,
    /// Of key and value.
    pub bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<DoneObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dismissed: Option<DoneObject>,
}

/// Who did something, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoneObject {
    pub by: String,
    #[schema(format = "date-time")]
    pub at: String,
}

/// A dead letter with what the record holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterObject {
    #[serde(flatten)]
    pub summary: DeadLetterSummary,
    /// Null: it has none.
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<HeaderObject>,
}

/// Bytes: as text where they are UTF-8, else as base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    Text(String),
    Base64(String),
}

/// A header of a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeaderObject {
    pub name: String,
    pub value: Bytes,
}

/// Where a replayed record lies now.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayObject {
    #[schema(example = "seats")]
    pub topic: &'static str,
    pub partition: u32,
    pub offset: u64,
}

impl From<&DoneBy> for DoneObject {
    fn from(done: &DoneBy) -> Self {
        DoneObject { by: done.by.to_string(), at: rfc3339(done.at) }
    }
}

impl From<&DeadLetterView> for DeadLetterSummary {
    fn from(view: &DeadLetterView) -> Self {
        let letter = &view.letter;
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        DeadLetterSummary {
            position: letter.position.to_string(),
            reason: letter.reason.clone(),
            at: rfc3339(letter.at),
            unsent_to: letter.unsent_to.map(|topic| topic.as_str()),
            bytes: size(&letter.key) + size(&letter.value),
            replayed: view.replayed.as_ref().map(DoneObject::from),
            dismissed: view.dismissed.as_ref().map(DoneObject::from),
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes)
            .map_or_else(|_| Bytes::Base64(STANDARD.encode(bytes)), |text| Bytes::Text(text.to_owned()))
    }
}

impl From<&DeadLetterView> for DeadLetterObject {
    fn from(view: &DeadLetterView) -> Self {
        let letter = &view.letter;
        let header = |(name, value): &Header| HeaderObject { name: name.to_string(), value: value[..].into() };
        DeadLetterObject {
            summary: view.into(),
            key: letter.key.as_deref().map(Bytes::from),
            value: letter.value.as_deref().map(Bytes::from),
            headers: letter.headers.iter().map(header).collect(),
        }
    }
}

fn missing() -> Problem {
    Problem::new(Kind::DeadLetterNotFound, "there is no dead letter at this position")
}

/// Records that could not be applied, newest first.
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters",
    tag = "operations",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, default 50"),
        ("after" = Option<String>, Query, description = "Go on after this position"),
    ),
    responses(
        (status = 200, description = "A page", body = DeadLetterList),
        (status = 403, description = "`forbidden`"),
    )
)]
pub async fn list_dead_letters(
    State(system): State<Arc<System>>,
    _admin: Admin,
    params: Params,
) -> Result<Json<DeadLetterList>, Problem> {
    let page = params.page(|position: Position| position)?;
    let views = system.store.dead_letters(page).await?;
    let next = next_of(&views, page.limit, |view| view.letter.position.to_string());
    Ok(Json(DeadLetterList { dead_letters: views.iter().map(DeadLetterSummary::from).collect(), next }))
}

/// One of them, with key, value and headers.
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters/{position}",
    tag = "operations",
    params(("position" = String, Path, description = "Where it lay", example = "seats.3.1234")),
    responses(
        (status = 200, description = "The dead letter", body = DeadLetterObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`dead_letter_not_found`"),
    )
)]
pub async fn get_dead_letter(
    State(system): State<Arc<System>>,
    _admin: Admin,
    PathText(position): PathText<Position>,
) -> Result<Json<DeadLetterObject>, Problem> {
    let view = system.store.dead_letter(position).await?;
    view.as_ref().map(|view| Json(view.into())).ok_or_else(missing)
}

/// Appends it to its lane again, under the caller's name: after an upgrade that understands it, say. A second replay is
/// harmless.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/{position}/replay",
    tag = "operations",
    params(("position" = String, Path, description = "Where it lay", example = "seats.3.1234")),
    responses(
        (status = 200, description = "It is on the log again", body = ReplayObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`dead_letter_not_found`"),
        (status = 409, description = "`not_possible`: it has no value, or the log refuses it"),
    )
)]
pub async fn replay_dead_letter(
    State(system): State<Arc<System>>,
    Admin(admin): Admin,
    PathText(position): PathText<Position>,
) -> Result<Json<ReplayObject>, Problem> {
    let replayed = replay(&*system.log, &*system.store, &system.clock, position, &admin).await;
    let Replayed { topic, partition, offset } = replayed.map_err(|error| match error {
        ReplayError::Missing(_) => missing(),
        ReplayError::NoValue(_) => Problem::new(Kind::NotPossible, "it has no value to replay"),
        ReplayError::Append(AppendError::Refused(reason)) => {
            Problem::new(Kind::NotPossible, format!("the log refuses it: {reason}"))
        }
        ReplayError::Append(error) => Problem::new(Kind::Unavailable, error.to_string()),
        ReplayError::Store(error) => error.into(),
    })?;
    tracing::info!(%position, by = %admin, offset, "a dead letter is replayed");
    system.changed();
    Ok(Json(ReplayObject { topic: topic.as_str(), partition, offset }))
}

/// Says that nobody needs it: it goes when its retention is over.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/{position}/dismiss",
    tag = "operations",
    params(("position" = String, Path, description = "Where it lay", example = "seats.3.1234")),
    responses(
        (status = 200, description = "The dead letter", body = DeadLetterObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`dead_letter_not_found`"),
    )
)]
pub async fn dismiss_dead_letter(
    State(system): State<Arc<System>>,
    Admin(admin): Admin,
    PathText(position): PathText<Position>,
) -> Result<Json<DeadLetterObject>, Problem> {
    let done = DoneBy { by: admin, at: system.clock.now() };
    if !system.store.dismiss(position, &done).await? {
        return Err(missing());
    }
    tracing::info!(%position, by = %done.by, "a dead letter is dismissed");
    system.changed();
    let view = system.store.dead_letter(position).await?;
    view.as_ref().map(|view| Json(view.into())).ok_or_else(missing)
}
