//! Endpoints of webhooks as operators see them: without secrets, and without the URL of a chat, which is one.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::LogTime;
use crate::notifier::{Standing, delivered, described, shown_url};
use crate::store::{Disabled, FailedEvent, OnFailure, ProgressState, Webhook, WebhookFormat, WebhookNote, Why, place};
use crate::wire::time::rfc3339;

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookObject {
    #[schema(example = "shop")]
    name: String,
    /// Of a chat without its path.
    url: String,
    #[schema(example = "standard", pattern = "^(standard|slack)$")]
    format: &'static str,
    /// Empty: all.
    types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    schedule_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    concert_id: Option<String>,
    include_user: bool,
    #[schema(example = "skip", pattern = "^(skip|stop)$")]
    on_failure: &'static str,
    /// The configuration file that declares it, and in which alone it is changed; missing: an operator made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/etc/turnstile/turnstile.toml")]
    declared_in: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    /// `disabled`, `not_begun`, `failing` or `delivering`.
    #[schema(value_type = String, example = "delivering")]
    standing: Standing,
    /// The same in words, with the reason.
    standing_text: String,
    /// Missing: it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<DisabledObject>,
    /// Since when nothing was delivered although something was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    failing_since: Option<String>,
    /// Age of the oldest outcome that it has not got, also while it is disabled; null: none waits, or the log does not
    /// say.
    lag_seconds: Option<f64>,
    /// Events that it has taken.
    delivered: u64,
    /// Where each partition of the outcomes is.
    cursors: Vec<CursorObject>,
    /// Events that were given up, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedEventObject>,
    /// What signs from now on. Only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

/// Since when and why it gets nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisabledObject {
    #[schema(format = "date-time")]
    at: String,
    /// Who disabled it; missing: the notifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Why the notifier did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answered 410 Gone")]
    reason: Option<String>,
}

/// One partition of the outcomes for one endpoint, or `partitions`: what has become of partitions.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorObject {
    /// The next outcome to deliver.
    #[schema(example = "outcomes.3.1234")]
    position: String,
    /// Attempts that have failed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    retry_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answered 500")]
    last_failure: Option<String>,
}

/// An event that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailedEventObject {
    id: String,
    #[schema(example = "payment.failed")]
    r#type: String,
    #[schema(example = "outcomes.3.1234")]
    position: String,
    attempts: u32,
    reason: String,
    #[schema(format = "date-time")]
    at: String,
}

/// All endpoints, in order of name.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    pub webhooks: Vec<WebhookObject>,
    /// What was done about endpoints lately, also about those that were removed; the newest first, 20 at most.
    pub notes: Vec<WebhookNoteObject>,
}

/// Who did what about an endpoint, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookNoteObject {
    /// Of the endpoint.
    #[schema(example = "shop")]
    name: String,
    #[schema(example = "rotated", pattern = "^(added|changed|enabled|disabled|replayed|rotated|tested|removed)$")]
    act: &'static str,
    by: String,
    #[schema(format = "date-time")]
    at: String,
}

/// What an endpoint answered to a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTest {
    /// Whether it counts as taken: any 2xx.
    pub taken: bool,
    /// Left out: there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 200)]
    pub status: Option<u16>,
    /// The beginning of its answer, or why there was none.
    pub text: String,
}

impl WebhookObject {
    pub fn of(
        webhook: &Webhook,
        state: Option<&ProgressState>,
        lag_seconds: Option<f64>,
        failed: Vec<FailedEvent>,
    ) -> Self {
        let content = &webhook.content;
        WebhookObject {
            name: webhook.name.clone(),
            url: shown_url(&content.url, content.format),
            format: match content.format {
                WebhookFormat::Standard => "standard",
                WebhookFormat::Slack => "slack",
            },
            types: content.types.clone(),
            schedule_id: content.schedule.map(|id| id.to_string()),
            concert_id: content.concert.map(|id| id.to_string()),
            include_user: content.include_user,
            on_failure: match content.on_failure {
                OnFailure::Skip => "skip",
                OnFailure::Stop => "stop",
            },
            declared_in: content.declared_in.clone(),
            created_at: rfc3339(LogTime(content.created_at_ms)),
            standing: Standing::of(webhook, state),
            standing_text: described(webhook, state),
            disabled: content.disabled.as_ref().map(DisabledObject::from),
            failing_since: state.and_then(|state| state.failing_since_ms).map(|ms| rfc3339(LogTime(ms))),
            lag_seconds,
            delivered: delivered(state),
            cursors: state.map(cursors).unwrap_or_default(),
            failed: failed.into_iter().map(FailedEventObject::from).collect(),
            secret: None,
        }
    }

    /// The same with the secret that signs from now on.
    pub fn with_secret(mut self, webhook: &Webhook) -> Self {
        let signs = webhook.content.format == WebhookFormat::Standard;
        let secret = webhook.content.secrets.first().filter(|_| signs);
        self.secret = secret.map(|secret| secret.text.clone());
        self
    }
}

fn cursors(state: &ProgressState) -> Vec<CursorObject> {
    let object = |(partition, cursor): (&u32, &crate::store::Cursor)| CursorObject {
        position: place(*partition, cursor.next_offset),
        attempts: cursor.failure.as_ref().map(|failure| failure.attempts),
        retry_at: cursor.failure.as_ref().map(|failure| rfc3339(LogTime(failure.retry_at_ms))),
        last_failure: cursor.failure.as_ref().map(|failure| failure.last.clone()),
    };
    state.cursors.iter().map(object).collect()
}

impl From<&Disabled> for DisabledObject {
    fn from(disabled: &Disabled) -> Self {
        let (by, reason) = match &disabled.why {
            Why::By(name) => (Some(name.clone()), None),
            Why::Failed(reason) => (None, Some(reason.clone())),
        };
        DisabledObject { at: rfc3339(LogTime(disabled.at_ms)), by, reason }
    }
}

impl From<&WebhookNote> for WebhookNoteObject {
    fn from(note: &WebhookNote) -> Self {
        WebhookNoteObject {
            name: note.name.clone(),
            act: note.act.as_str(),
            by: note.by.to_string(),
            at: rfc3339(note.at),
        }
    }
}

impl From<FailedEvent> for FailedEventObject {
    fn from(event: FailedEvent) -> Self {
        FailedEventObject {
            position: place(event.partition, event.offset),
            id: event.event_id,
            r#type: event.event_type,
            attempts: event.attempts,
            reason: event.reason,
            at: rfc3339(event.at),
        }
    }
}
