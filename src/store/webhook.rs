//! Webhooks: endpoints, how far each has been served, and who serves them.
//!
//! Times in the types that are stored as JSON are milliseconds since 1970 UTC.
//!
//! Operators write endpoints; only the notifier that leads writes how far they are. Its epoch fences an older one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::texts::texts;
use crate::domain::{LogTime, UserId};

/// An endpoint, as operators made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// Counts the changes: a change names the version it was made from.
    pub version: u64,
    pub content: WebhookContent,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookContent {
    pub url: String,
    pub format: WebhookFormat,
    /// The newest first; all that still sign.
    pub secrets: Vec<WebhookSecret>,
    /// Event types, or `reservation.*`; empty: all.
    pub types: Vec<String>,
    /// Only events about this date.
    pub schedule: Option<Uuid>,
    /// Only events about dates of this concert.
    pub concert: Option<Uuid>,
    /// Whether events name users.
    pub include_user: bool,
    pub on_failure: OnFailure,
    /// The configuration file that declares it. What the file says is changed there alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_in: Option<String>,
    pub created_at_ms: i64,
    /// `None`: enabled.
    pub disabled: Option<Disabled>,
    /// Where it begins, or was last told to begin again.
    pub start: WebhookStart,
}

/// Without the URL and the secrets: a Slack URL is a secret too.
impl std::fmt::Debug for WebhookContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let WebhookContent { format, types, schedule, concert, disabled, start, .. } = self;
        write!(f, "webhook {format:?} {types:?} {schedule:?} {concert:?} {disabled:?} {start:?}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// One event a request, signed as Standard Webhooks says.
    Standard,
    /// One message with many events for a chat, at most one a second.
    Slack,
}

/// What happens to an event when its last attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is listed as failed, and those behind it go on.
    Skip,
    /// The endpoint is disabled.
    Stop,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// `whsec_` and base64.
    pub text: String,
    /// Signs until then; `None`: the current one.
    pub until_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    pub at_ms: i64,
    pub why: Why,
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Somebody of this name did it.
    By(String),
    /// The notifier did it, for this reason.
    Failed(String),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::By(name) => write!(f, "by {name}"),
            Why::Failed(reason) => f.write_str(reason),
        }
    }
}

/// Where an endpoint begins in the outcomes. Another id than the one it last began by: it begins again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookStart {
    pub id: Uuid,
    pub from: StartFrom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartFrom {
    /// The oldest outcome that the log still has.
    First,
    /// The first outcome that the log has taken at this time or later.
    TimeMs(i64),
    /// One partition of the outcomes, or [`PARTITION_EVENTS`]; the others go on.
    Position { partition: u32, offset: u64 },
}

/// Stands in the place of a partition of the outcomes: the changes of partitions, by their sequence.
pub const PARTITION_EVENTS: u32 = u32::MAX;

/// A place as operators write it: `outcomes.3.1234`, or `partitions.12`.
pub fn place(partition: u32, offset: u64) -> String {
    match partition {
        PARTITION_EVENTS => format!("partitions.{offset}"),
        partition => format!("outcomes.{partition}.{offset}"),
    }
}

/// How far an endpoint has been served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookProgress {
    pub webhook_id: Uuid,
    pub state: ProgressState,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProgressState {
    /// [`WebhookStart::id`] of the start it has taken.
    pub started: Uuid,
    pub cursors: BTreeMap<u32, Cursor>,
    /// Since when nothing at all has been delivered although something was tried.
    pub failing_since_ms: Option<i64>,
}

/// Of one partition of the outcomes, or of [`PARTITION_EVENTS`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything before is delivered, or not for this endpoint.
    pub next_offset: u64,
    /// Events delivered since the endpoint was made.
    pub delivered: u64,
    /// The event under way, if it has failed before.
    pub failure: Option<Failure>,
}

/// An event that has not been delivered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Attempts so far.
    pub attempts: u32,
    pub since_ms: i64,
    /// When it is tried again.
    pub retry_at_ms: i64,
    /// Status of the answer, or why there was none.
    pub last: String,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEvent {
    pub webhook_id: Uuid,
    /// Its `webhook-id`.
    pub event_id: String,
    pub event_type: String,
    /// Where its outcome lies.
    pub partition: u32,
    pub offset: u64,
    pub attempts: u32,
    pub reason: String,
    pub at: LogTime,
}

texts! {
    /// What somebody did about an endpoint.
    pub enum WebhookAct ("an act on a webhook") {
        Added = "added",
        /// By the configuration file that declares it.
        Changed = "changed",
        Enabled = "enabled",
        Disabled = "disabled",
        Replayed = "replayed",
        Rotated = "rotated",
        Tested = "tested",
        Removed = "removed",
    }
}

/// Who wanted what of an endpoint. It is written before it is done, and stays when the endpoint is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookNote {
    /// Of version 7: in the order in which they were wanted.
    pub id: Uuid,
    /// Of the endpoint.
    pub name: String,
    pub act: WebhookAct,
    pub by: UserId,
    pub at: LogTime,
}

/// Older notes are deleted.
pub const WEBHOOK_NOTES_KEPT: u32 = 1_000;

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub epoch: u64,
    /// Empty: nobody, whoever led has left.
    pub owner: String,
    /// Changes while the owner lives.
    pub beat: u64,
}
