//! How endpoints stand.

use std::fmt::Write as _;

use turnstile::domain::LogTime;
use turnstile::notifier::{described, shown_url};
use turnstile::store::{OnFailure, Store, Webhook, place};
use turnstile::wire::time::rfc3339;

const FAILED_SHOWN: u32 = 20;
const NOTES_SHOWN: u32 = 5;

pub(super) async fn list(store: &dyn Store) -> anyhow::Result<String> {
    let (webhooks, progress) = (store.webhooks().await?, store.webhook_progress().await?);
    let mut text = String::new();
    for webhook in &webhooks {
        let state = progress.iter().find(|row| row.webhook_id == webhook.id).map(|row| &row.state);
        let url = shown_url(&webhook.content.url, webhook.content.format);
        let _ = writeln!(text, "{}  {url}  {}", webhook.name, described(webhook, state));
    }
    if webhooks.is_empty() {
        text.push_str("no webhooks\n");
    }
    for note in store.webhook_notes(NOTES_SHOWN).await? {
        let _ = writeln!(text, "{}  {} {} by {}", rfc3339(note.at), note.name, note.act, note.by);
    }
    Ok(text)
}

pub(super) async fn one(store: &dyn Store, webhook: &Webhook) -> anyhow::Result<String> {
    let content = &webhook.content;
    let progress = store.webhook_progress().await?;
    let state = progress.iter().find(|row| row.webhook_id == webhook.id).map(|row| &row.state);
    let types = if content.types.is_empty() { "all".to_owned() } else { content.types.join(", ") };
    let mut text = format!(
        "name      {}\nurl       {}\nstate     {}\ncreated   {}\ntypes     {types}\n",
        webhook.name,
        shown_url(&content.url, content.format),
        described(webhook, state),
        rfc3339(LogTime(content.created_at_ms)),
    );
    if let Some(file) = &content.declared_in {
        let _ = writeln!(text, "declared  {file}");
    }
    if let Some(schedule) = content.schedule {
        let _ = writeln!(text, "schedule  {schedule}");
    }
    if let Some(concert) = content.concert {
        let _ = writeln!(text, "concert   {concert}");
    }
    let failing = if content.on_failure == OnFailure::Skip { "skips the event" } else { "stops the endpoint" };
    let users = if content.include_user { "named" } else { "not named" };
    let _ = writeln!(text, "users     {users}\nfailing   {failing}\nsecrets   {}", content.secrets.len());
    for (partition, cursor) in state.iter().flat_map(|state| &state.cursors) {
        let _ = write!(text, "cursor    {}, {} delivered", place(*partition, cursor.next_offset), cursor.delivered);
        if let Some(failure) = &cursor.failure {
            let again = rfc3339(LogTime(failure.retry_at_ms));
            let _ = write!(text, "; {} attempts failed, next at {again}: {}", failure.attempts, failure.last);
        }
        text.push('\n');
    }
    for event in store.failed_events(webhook.id, FAILED_SHOWN).await? {
        let at = rfc3339(event.at);
        let _ = writeln!(
            text,
            "given up  {at}  {}  {} {}: {}",
            place(event.partition, event.offset),
            event.event_type,
            event.event_id,
            event.reason
        );
    }
    Ok(text)
}
