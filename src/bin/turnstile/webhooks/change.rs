//! Changes of endpoints. A notifier sees each within a second or two.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use turnstile::config::Config;
use turnstile::domain::UserId;
use turnstile::notifier::{NewWebhook, WEBHOOKS_MAX, rotated, send_test, shown_url, start_of};
use turnstile::runtime::clock::Clock;
use turnstile::store::{Disabled, Store, Webhook, WebhookAct, WebhookFormat, Why};

use super::args::Add;
use super::note::note;
use crate::exit::Failure;
use crate::server::settings::webhook_client;

fn usage(refused: impl std::fmt::Display) -> Failure {
    Failure::Usage(refused.to_string())
}

pub(super) async fn add(store: &dyn Store, config: &Config, clock: &Clock, add: Add) -> Result<String, Failure> {
    let wanted = NewWebhook {
        name: add.name,
        url: add.url,
        types: add.types,
        schedule: add.schedule,
        concert: add.concert,
        include_user: add.include_user,
        format: add.format.into(),
        on_failure: add.on_failure.into(),
    };
    let webhook = wanted.checked(clock.now(), config.notifier.allow_http).map_err(usage)?;
    let known = store.webhooks().await.map_err(anyhow::Error::new)?;
    if known.len() >= WEBHOOKS_MAX {
        return Err(usage(format_args!("there are {WEBHOOKS_MAX} webhooks already")));
    }
    let taken = || usage(format_args!("there is a webhook {:?} already", webhook.name));
    if known.iter().any(|other| other.name == webhook.name) {
        return Err(taken());
    }
    note(store, clock, &webhook.name, WebhookAct::Added, &add.by.by).await?;
    if !store.insert_webhook(&webhook).await.map_err(anyhow::Error::new)? {
        return Err(taken());
    }
    let (name, content) = (&webhook.name, &webhook.content);
    let shown = shown_url(&content.url, content.format);
    Ok(match content.format {
        WebhookFormat::Slack => format!("{name} posts to {shown}\n"),
        WebhookFormat::Standard => {
            format!("{name} calls {shown}; its secret, shown only here:\n{}\n", secret_of(&webhook))
        }
    })
}

/// The one that signs from now on.
fn secret_of(webhook: &Webhook) -> &str {
    webhook.content.secrets.first().map(|secret| secret.text.as_str()).unwrap_or_default()
}

/// Stores a change; refused if another one came first.
async fn store_change(store: &dyn Store, webhook: &Webhook) -> Result<(), Failure> {
    match store.change_webhook(webhook).await.map_err(anyhow::Error::new)? {
        true => Ok(()),
        false => Err(anyhow!("{} was changed by another one meanwhile; look again", webhook.name).into()),
    }
}

pub(super) async fn disable(
    store: &dyn Store,
    clock: &Clock,
    mut webhook: Webhook,
    by: &UserId,
) -> Result<String, Failure> {
    webhook.content.disabled = Some(Disabled { at_ms: clock.now().0, why: Why::By(by.to_string()) });
    store_change(store, &webhook).await?;
    Ok(format!("{} is disabled; what is decided waits on the log\n", webhook.name))
}

pub(super) async fn enable(store: &dyn Store, mut webhook: Webhook) -> Result<String, Failure> {
    webhook.content.disabled = None;
    store_change(store, &webhook).await?;
    Ok(format!("{} is enabled\n", webhook.name))
}

pub(super) async fn rotate(
    store: &dyn Store,
    clock: &Clock,
    mut webhook: Webhook,
    overlap_hours: u32,
) -> Result<String, Failure> {
    let overlap = Duration::from_secs(u64::from(overlap_hours) * 3600);
    webhook.content.secrets = rotated(&webhook.content.secrets, clock.now(), overlap);
    store_change(store, &webhook).await?;
    let (name, secret) = (&webhook.name, secret_of(&webhook));
    Ok(format!(
        "the new secret of {name}, shown only here; the former one signs for {overlap_hours} h more:\n{secret}\n"
    ))
}

pub(super) async fn replay(store: &dyn Store, mut webhook: Webhook, from: &str) -> Result<String, Failure> {
    webhook.content.start = start_of(from).map_err(usage)?;
    store_change(store, &webhook).await?;
    Ok(format!("{} gets again what was decided, from {from} on; events have the ids they had\n", webhook.name))
}

pub(super) async fn remove(store: &dyn Store, webhook: Webhook) -> Result<String, Failure> {
    store.remove_webhook(webhook.id).await.map_err(anyhow::Error::new)?;
    Ok(format!("{} is removed\n", webhook.name))
}

pub(super) async fn test(config: &Config, clock: &Clock, webhook: Webhook) -> Result<String, Failure> {
    let client = Arc::new(webhook_client(config).map_err(usage)?);
    let answer =
        send_test(client, &webhook, clock.now()).await.map_err(|error| anyhow!("{}: {error}", webhook.name))?;
    match answer.is_success() {
        true => Ok(format!("{} answered {}\n", webhook.name, answer.status)),
        false => Err(anyhow!("{} answered {}: {}", webhook.name, answer.status, answer.text.escape_debug()).into()),
    }
}
