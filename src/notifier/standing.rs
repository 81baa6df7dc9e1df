//! New endpoints, and how one stands, for operators.

use serde::Serialize;
use uuid::Uuid;

use super::endpoint::{Refused, check_name, check_types, check_url, new_secret};
use crate::domain::LogTime;
use crate::store::{OnFailure, ProgressState, StartFrom, Webhook, WebhookContent, WebhookFormat, WebhookStart};
use crate::wire::time::rfc3339;

/// Most endpoints: each may hold a piece of every partition in memory.
pub const WEBHOOKS_MAX: usize = 100;

/// An endpoint as an operator wants it.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    pub name: String,
    pub url: String,
    pub types: Vec<String>,
    pub schedule: Option<Uuid>,
    pub concert: Option<Uuid>,
    pub include_user: bool,
    pub format: WebhookFormat,
    pub on_failure: OnFailure,
}

impl NewWebhook {
    /// The endpoint with a new secret; it begins now.
    ///
    /// # Errors
    /// A field is wrong.
    pub fn checked(self, now: LogTime, allow_http: bool) -> Result<Webhook, Refused> {
        check_name(&self.name)?;
        check_url(&self.url, allow_http)?;
        check_types(&self.types)?;
        let content = WebhookContent {
            url: self.url,
            format: self.format,
            secrets: vec![new_secret()],
            types: self.types,
            schedule: self.schedule,
            concert: self.concert,
            include_user: self.include_user,
            on_failure: self.on_failure,
            declared_in: None,
            created_at_ms: now.0,
            disabled: None,
            start: WebhookStart { id: Uuid::now_v7(), from: StartFrom::TimeMs(now.0) },
        };
        Ok(Webhook { id: Uuid::now_v7(), name: self.name, version: 1, content })
    }
}

/// How an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Disabled,
    /// No notifier has begun with it.
    NotBegun,
    /// Nothing was delivered lately although something was tried.
    Failing,
    Delivering,
}

impl Standing {
    pub fn of(webhook: &Webhook, state: Option<&ProgressState>) -> Self {
        match (&webhook.content.disabled, state) {
            (Some(_), _) => Standing::Disabled,
            (None, None) => Standing::NotBegun,
            (None, Some(state)) if state.failing_since_ms.is_some() => Standing::Failing,
            (None, Some(_)) => Standing::Delivering,
        }
    }
}

/// Events that it has taken.
pub fn delivered(state: Option<&ProgressState>) -> u64 {
    state.iter().flat_map(|state| state.cursors.values()).map(|cursor| cursor.delivered).sum()
}

/// How it stands, in words.
pub fn described(webhook: &Webhook, state: Option<&ProgressState>) -> String {
    let delivered = delivered(state);
    let since = |ms: i64| rfc3339(LogTime(ms));
    match (Standing::of(webhook, state), &webhook.content.disabled) {
        (_, Some(disabled)) => format!("disabled since {}: {}", since(disabled.at_ms), disabled.why),
        (Standing::Failing, _) => {
            let ms = state.and_then(|state| state.failing_since_ms).unwrap_or_default();
            format!("failing since {}, {delivered} delivered before", since(ms))
        }
        (Standing::NotBegun, _) => "not begun: is a notifier running?".to_owned(),
        _ => format!("{delivered} delivered"),
    }
}
