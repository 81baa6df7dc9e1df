//! Webhooks, for admins: adding, watching, changing, testing. The notifier sees a change within a second or two.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRef, Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use uuid::Uuid;

use super::system::System;
use super::webhook_object::{WebhookList, WebhookNoteObject, WebhookObject, WebhookTest};
use crate::api::AppState;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{JsonBody, OptionalJsonBody};
use crate::api::http::fields::Fields;
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::public_url::link;
use crate::api::openapi::webhooks::{SecretRequest, WebhookChange, WebhookRequest};
use crate::domain::{LogTime, UserId};
use crate::notifier::{Client, NewWebhook, Refused, WEBHOOKS_MAX, check_changeable, rotated, send_test, start_of};
use crate::runtime::clock::Clock;
use crate::store::{
    Disabled, FrontStore, OnFailure, ProgressState, Webhook, WebhookAct, WebhookContent, WebhookFormat, WebhookNote,
    Why,
};

const FAILED_SHOWN: u32 = 50;
const NOTES_SHOWN: u32 = 20;
/// Changes are made again if another one came first.
const TRIES: usize = 5;
const TEXT_CHARS_MAX: usize = 2048;

/// What these routes use.
#[derive(Clone)]
pub struct Operating {
    store: Arc<dyn FrontStore>,
    clock: Clock,
    client: Arc<Client>,
    system: Arc<System>,
}

impl FromRef<AppState> for Operating {
    fn from_ref(state: &AppState) -> Self {
        Operating {
            store: state.store.clone(),
            clock: state.clock.clone(),
            client: state.settings.webhook_client.clone(),
            system: state.system.clone(),
        }
    }
}

fn refused(refused: Refused) -> Problem {
    Problem::field(&format!("/{}", refused.field), refused.reason)
}

impl Operating {
    async fn find(&self, name: &str) -> Result<Webhook, Problem> {
        let found = self.store.webhooks().await?.into_iter().find(|webhook| webhook.name == name);
        found.ok_or_else(|| Problem::new(Kind::WebhookNotFound, "there is no webhook of this name"))
    }

    /// The same, unless a configuration file declares it.
    async fn changeable(&self, name: &str) -> Result<Webhook, Problem> {
        let webhook = self.find(name).await?;
        check_changeable(&webhook).map_err(|reason| Problem::new(Kind::NotPossible, reason))?;
        Ok(webhook)
    }

    async fn object(&self, webhook: &Webhook) -> Result<WebhookObject, Problem> {
        let progress = self.store.webhook_progress().await?;
        let state = progress.iter().find(|row| row.webhook_id == webhook.id).map(|row| &row.state);
        let failed = self.store.failed_events(webhook.id, FAILED_SHOWN).await?;
        let lags = self.lags(&[state]).await;
        Ok(WebhookObject::of(webhook, state, lags.into_iter().next().flatten(), failed))
    }

    /// In seconds, of each of them.
    async fn lags(&self, states: &[Option<&ProgressState>]) -> Vec<Option<f64>> {
        let since = self.system.undelivered.since(states).await;
        let now = self.clock.now();
        let lag = |since: LogTime| (now.0 - since.0).max(0) as f64 / 1_000.0;
        since.into_iter().map(|since| since.map(lag)).collect()
    }

    /// Before it is done: what was wanted stays known, whatever becomes of it.
    async fn note(&self, name: &str, act: WebhookAct, by: &UserId) -> Result<(), Problem> {
        let note = WebhookNote { id: Uuid::now_v7(), name: name.to_owned(), act, by: by.clone(), at: self.clock.now() };
        self.store.note_webhook(&note).await?;
        tracing::info!(endpoint = name, %act, %by, "an operator acts on a webhook");
        Ok(())
    }

    /// Changes an endpoint as it is now.
    async fn change(&self, name: &str, change: impl Fn(&mut WebhookContent)) -> Result<Webhook, Problem> {
        for _ in 0..TRIES {
            let mut webhook = self.find(name).await?;
            change(&mut webhook.content);
            if self.store.change_webhook(&webhook).await? {
                return Ok(webhook);
            }
        }
        Err(Problem::new(Kind::Unavailable, "others change this webhook at the same time"))
    }
}

/// The endpoints, in order of name.
#[utoipa::path(
    get,
    path = "/v1/ops/webhooks",
    tag = "operations",
    responses((status = 200, description = "All of them", body = WebhookList), (status = 403, description = "`forbidden`"))
)]
pub async fn list_webhooks(State(operating): State<Operating>, Admin(_): Admin) -> Result<Json<WebhookList>, Problem> {
    let (webhooks, progress) = (operating.store.webhooks().await?, operating.store.webhook_progress().await?);
    let state_of = |webhook: &Webhook| progress.iter().find(|row| row.webhook_id == webhook.id).map(|row| &row.state);
    let states: Vec<Option<&ProgressState>> = webhooks.iter().map(state_of).collect();
    let lags = operating.lags(&states).await;
    let rows = webhooks.iter().zip(states).zip(lags);
    let notes = operating.store.webhook_notes(NOTES_SHOWN).await?;
    Ok(Json(WebhookList {
        webhooks: rows.map(|((webhook, state), lag)| WebhookObject::of(webhook, state, lag, Vec::new())).collect(),
        notes: notes.iter().map(WebhookNoteObject::from).collect(),
    }))
}

/// Adds an endpoint. It gets what is decided from now on.
///
/// The answer has the secret, once. What is delivered and how it is verified: docs/webhooks.md.
#[utoipa::path(
    post,
    path = "/v1/ops/webhooks",
    tag = "operations",
    request_body(content = WebhookRequest),
    responses(
        (status = 201, description = "Added, at `Location`; with `secret`", body = WebhookObject),
        (status = 403, description = "`forbidden`"),
        (status = 422, description = "`invalid_fields`"),
    )
)]
pub async fn add_webhook(
    State(operating): State<Operating>,
    Admin(admin): Admin,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let webhook = wanted(&body)?.checked(operating.clock.now(), operating.client.allows_http()).map_err(refused)?;
    let known = operating.store.webhooks().await?;
    if known.len() >= WEBHOOKS_MAX {
        return Err(Problem::field("", format!("there are {WEBHOOKS_MAX} webhooks already")));
    }
    let taken = || Problem::field("/name", "is the name of another webhook");
    if known.iter().any(|other| other.name == webhook.name) {
        return Err(taken());
    }
    operating.note(&webhook.name, WebhookAct::Added, &admin).await?;
    if !operating.store.insert_webhook(&webhook).await? {
        return Err(taken());
    }
    let object = operating.object(&webhook).await?.with_secret(&webhook);
    let at = link(&format!("/v1/ops/webhooks/{}", webhook.name));
    Ok((StatusCode::CREATED, [(LOCATION, at)], Json(object)).into_response())
}

fn wanted(body: &Value) -> Result<NewWebhook, Problem> {
    let mut fields = Fields::of(body)?;
    let (name, url) = (fields.text("name", TEXT_CHARS_MAX), fields.text("url", TEXT_CHARS_MAX));
    let list = |fields: &mut Fields<'_>, name: &str| fields.strings(name, 64, |text| Ok(text.to_owned()));
    let types = fields.optional("types", list);
    let schedule = fields.optional("schedule_id", |fields, name| fields.parsed(name));
    let concert = fields.optional("concert_id", |fields, name| fields.parsed(name));
    let include_user = fields.optional("include_user", |fields, name| fields.boolean(name));
    let format = fields.optional("format", |fields, name| match fields.text(name, 64)? {
        "standard" => Some(WebhookFormat::Standard),
        "slack" => Some(WebhookFormat::Slack),
        _ => fields.reject(name, "must be standard or slack"),
    });
    let on_failure = fields.optional("on_failure", |fields, name| match fields.text(name, 64)? {
        "skip" => Some(OnFailure::Skip),
        "stop" => Some(OnFailure::Stop),
        _ => fields.reject(name, "must be skip or stop"),
    });
    let read = || {
        Some(NewWebhook {
            name: name?.to_owned(),
            url: url?.to_owned(),
            types: types?.unwrap_or_default(),
            schedule: schedule?,
            concert: concert?,
            include_user: include_user?.unwrap_or(false),
            format: format?.unwrap_or(WebhookFormat::Standard),
            on_failure: on_failure?.unwrap_or(OnFailure::Skip),
        })
    };
    let read = read();
    fields.finish(read)
}

/// An endpoint: how far it is, and what has failed.
#[utoipa::path(
    get,
    path = "/v1/ops/webhooks/{name}",
    tag = "operations",
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "The endpoint", body = WebhookObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub async fn get_webhook(
    State(operating): State<Operating>,
    Admin(_): Admin,
    Path(name): Path<String>,
) -> Result<Json<WebhookObject>, Problem> {
    let webhook = operating.find(&name).await?;
    operating.object(&webhook).await.map(Json)
}

/// Enables or disables an endpoint, or delivers again.
///
/// What is decided while an endpoint is disabled waits on the log, as long as its retention is.
#[utoipa::path(
    patch,
    path = "/v1/ops/webhooks/{name}",
    tag = "operations",
    params(("name" = String, Path)),
    request_body(content = WebhookChange, example = json!({"enabled": true})),
    responses(
        (status = 200, description = "Changed", body = WebhookObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`webhook_not_found`"),
        (status = 422, description = "`invalid_fields`"),
    )
)]
pub async fn change_webhook(
    State(operating): State<Operating>,
    Admin(admin): Admin,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<WebhookObject>, Problem> {
    let mut fields = Fields::of(&body)?;
    let enabled = fields.optional("enabled", |fields, name| fields.boolean(name));
    let start = fields.optional("replay_from", |fields, name| match start_of(fields.text(name, 64)?) {
        Ok(start) => Some(start),
        Err(refused) => fields.reject(name, refused.reason),
    });
    let (enabled, start) = fields.finish(enabled.zip(start))?;
    operating.find(&name).await?;
    let acts = [
        enabled.map(|enabled| if enabled { WebhookAct::Enabled } else { WebhookAct::Disabled }),
        start.as_ref().map(|_| WebhookAct::Replayed),
    ];
    for act in acts.into_iter().flatten() {
        operating.note(&name, act, &admin).await?;
    }
    let now = operating.clock.now();
    let change = |content: &mut WebhookContent| {
        match enabled {
            Some(true) => content.disabled = None,
            Some(false) => {
                let by = || Disabled { at_ms: now.0, why: Why::By(admin.to_string()) };
                content.disabled.get_or_insert_with(by);
            }
            None => {}
        }
        if let Some(start) = &start {
            content.start = start.clone();
        }
    };
    let webhook = operating.change(&name, change).await?;
    operating.object(&webhook).await.map(Json)
}

/// Removes an endpoint with all that is known of it.
#[utoipa::path(
    delete,
    path = "/v1/ops/webhooks/{name}",
    tag = "operations",
    params(("name" = String, Path)),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`webhook_not_found`"),
        (status = 409, description = "`not_possible`: a configuration file declares it"),
    )
)]
pub async fn remove_webhook(
    State(operating): State<Operating>,
    Admin(admin): Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let webhook = operating.changeable(&name).await?;
    operating.note(&name, WebhookAct::Removed, &admin).await?;
    operating.store.remove_webhook(webhook.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives an endpoint a new secret. The former one signs beside it for a while.
#[utoipa::path(
    post,
    path = "/v1/ops/webhooks/{name}/secret",
    tag = "operations",
    params(("name" = String, Path)),
    request_body(content = SecretRequest, example = json!({"overlap_hours": 24})),
    responses(
        (status = 200, description = "With `secret`, once", body = WebhookObject),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`webhook_not_found`"),
        (status = 409, description = "`not_possible`: a configuration file declares it"),
        (status = 422, description = "`invalid_fields`"),
    )
)]
pub async fn rotate_secret(
    State(operating): State<Operating>,
    Admin(admin): Admin,
    Path(name): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<WebhookObject>, Problem> {
    let mut fields = Fields::of(&body)?;
    let hours = fields.optional("overlap_hours", |fields, name| fields.integer(name, 0..=720));
    let hours = fields.finish(hours)?.unwrap_or(24).unsigned_abs();
    operating.changeable(&name).await?;
    operating.note(&name, WebhookAct::Rotated, &admin).await?;
    let (now, overlap) = (operating.clock.now(), Duration::from_secs(hours * 3600));
    let change = |content: &mut WebhookContent| content.secrets = rotated(&content.secrets, now, overlap);
    let webhook = operating.change(&name, change).await?;
    Ok(Json(operating.object(&webhook).await?.with_secret(&webhook)))
}

/// Sends a test event to an endpoint, once, from this process.
#[utoipa::path(
    post,
    path = "/v1/ops/webhooks/{name}/test",
    tag = "operations",
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "What it answered", body = WebhookTest),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub async fn test_webhook(
    State(operating): State<Operating>,
    Admin(admin): Admin,
    Path(name): Path<String>,
) -> Result<Json<WebhookTest>, Problem> {
    let webhook = operating.find(&name).await?;
    operating.note(&name, WebhookAct::Tested, &admin).await?;
    Ok(Json(match send_test(operating.client.clone(), &webhook, operating.clock.now()).await {
        Ok(answer) => WebhookTest { taken: answer.is_success(), status: Some(answer.status), text: answer.text },
        Err(error) => WebhookTest { taken: false, status: None, text: error.to_string() },
    }))
}
