//! Endpoints that a configuration file declares: put into the store when a notifier starts, beside those that operators
//! made, and taken away by the same file once it declares them no longer.

use std::time::Duration;

use uuid::Uuid;

use super::endpoint::{Refused, check_secret, replaced};
use super::standing::{NewWebhook, WEBHOOKS_MAX};
use crate::domain::{LogTime, UserId};
use crate::runtime::clock::Clock;
use crate::store::{NotifierStore, StoreError, Webhook, WebhookAct, WebhookFormat, WebhookNote, WebhookSecret};

/// So long a former secret signs beside a new one, as after `turnstile webhooks rotate`.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// A change is made again if another one came first.
const TRIES: usize = 5;
/// Who does it, in the notes.
const BY: &str = "configuration";

/// What a file declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its path: endpoints are marked with it.
    pub file: String,
    pub webhooks: Vec<DeclaredWebhook>,
}

/// One endpoint of it.
#[derive(Clone)]
pub struct DeclaredWebhook {
    pub wanted: NewWebhook,
    /// What signs; of a chat nothing does.
    pub secret: Option<String>,
}

impl std::fmt::Debug for DeclaredWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "declared webhook {:?}", self.wanted.name)
    }
}

impl DeclaredWebhook {
    /// # Errors
    /// A field is wrong.
    pub fn check(&self, allow_http: bool) -> Result<(), Refused> {
        self.clone().webhook(LogTime(0), "", allow_http).map(drop)
    }

    fn webhook(self, now: LogTime, file: &str, allow_http: bool) -> Result<Webhook, Refused> {
        let secrets = match (self.wanted.format, self.secret) {
            (WebhookFormat::Standard, Some(text)) => {
                check_secret(&text)?;
                vec![WebhookSecret { text, until_ms: None }]
            }
            (WebhookFormat::Standard, None) => {
                let reason = "is missing: whsec_ and 24 to 64 bytes in base64, here or in secret_file".to_owned();
                return Err(Refused { field: "secret", reason });
            }
            (WebhookFormat::Slack, None) => Vec::new(),
            (WebhookFormat::Slack, Some(_)) => {
                let reason = "has no use for a chat, for which nothing is signed".to_owned();
                return Err(Refused { field: "secret", reason });
            }
        };
        let mut webhook = self.wanted.checked(now, allow_http)?;
        webhook.content.secrets = secrets;
        webhook.content.declared_in = Some(file.to_owned());
        Ok(webhook)
    }
}

impl Declared {
    /// Makes the store's endpoints those of the file: adds, changes, removes. Those that operators made or other files
    /// declare stay, unless they have the name of one here: that one is the file's from now on. Whether an endpoint is
    /// paused and how far it is stays as it is.
    ///
    /// # Errors
    /// The store does not answer; to be repeated.
    pub async fn apply(&self, store: &dyn NotifierStore, clock: &Clock) -> Result<(), StoreError> {
        for declared in &self.webhooks {
            let made = declared.clone().webhook(clock.now(), &self.file, true);
            match made {
                Ok(webhook) => self.put(store, clock, webhook).await?,
                Err(refused) => tracing::error!(endpoint = declared.wanted.name, %refused, "a webhook is not used"),
            }
        }
        for webhook in store.webhooks().await? {
            let ours = webhook.content.declared_in.as_ref() == Some(&self.file);
            if ours && self.webhooks.iter().all(|declared| declared.wanted.name != webhook.name) {
                note(store, clock, &webhook.name, WebhookAct::Removed).await?;
                store.remove_webhook(webhook.id).await?;
                tracing::warn!(
                    endpoint = webhook.name,
                    file = self.file,
                    "a webhook is declared no longer and removed"
                );
            }
        }
        Ok(())
    }

    async fn put(&self, store: &dyn NotifierStore, clock: &Clock, wanted: Webhook) -> Result<(), StoreError> {
        let (name, file) = (&wanted.name, &self.file);
        for _ in 0..TRIES {
            let known = store.webhooks().await?;
            let Some(before) = known.iter().find(|webhook| webhook.name == *name) else {
                if known.len() >= WEBHOOKS_MAX {
                    tracing::error!(endpoint = name, "a webhook is not used: there are {WEBHOOKS_MAX} already");
                    return Ok(());
                }
                note(store, clock, name, WebhookAct::Added).await?;
                if store.insert_webhook(&wanted).await? {
                    tracing::info!(endpoint = name, file, "a webhook is declared");
                    return Ok(());
                }
                continue;
            };
            let changed = changed(before, &wanted, clock.now());
            if changed == *before {
                return Ok(());
            }
            note(store, clock, name, WebhookAct::Changed).await?;
            if store.change_webhook(&changed).await? {
                tracing::info!(endpoint = name, file, "a webhook is as declared now");
                return Ok(());
            }
        }
        Err(StoreError::Unavailable(format!("others change the webhook {name} at the same time")))
    }
}

/// The endpoint as the file wants it, with what operators and the notifier know of it.
fn changed(before: &Webhook, wanted: &Webhook, now: LogTime) -> Webhook {
    let mut content = wanted.content.clone();
    content.created_at_ms = before.content.created_at_ms;
    content.disabled.clone_from(&before.content.disabled);
    content.start.clone_from(&before.content.start);
    if let Some(secret) = content.secrets.first() {
        let same = before.content.secrets.first().is_some_and(|before| before.text == secret.text);
        let kept = if same {
            before.content.secrets.clone()
        } else {
            replaced(secret.clone(), &before.content.secrets, now, OVERLAP)
        };
        content.secrets = kept;
    }
    Webhook { content, ..before.clone() }
}

async fn note(store: &dyn NotifierStore, clock: &Clock, name: &str, act: WebhookAct) -> Result<(), StoreError> {
    let by: UserId = BY.parse().expect("it is a name");
    store.note_webhook(&WebhookNote { id: Uuid::now_v7(), name: name.to_owned(), act, by, at: clock.now() }).await
}
