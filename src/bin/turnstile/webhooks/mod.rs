//! `turnstile webhooks`: endpoints of other services that hear what was decided.

mod args;
mod change;
mod note;
mod show;

use turnstile::assembly::backends;
use turnstile::config::Config;
use turnstile::notifier::check_changeable;
use turnstile::runtime::clock::Clock;
use turnstile::store::{Store, Webhook, WebhookAct};

use self::args::Named;
pub use self::args::Webhooks;
use self::note::note;
use crate::by::By;
use crate::exit::Failure;
use crate::output::say;

pub async fn run(command: Webhooks, config: &Config) -> Result<(), Failure> {
    let clock = Clock::System;
    let store = backends::open_store(config).await?;
    let store = &*store;
    let text = match command {
        Webhooks::Add(add) => change::add(store, config, &clock, add).await?,
        Webhooks::List => show::list(store).await?,
        Webhooks::Show { name } => show::one(store, &find(store, &name).await?).await?,
        Webhooks::Disable(Named { name, by: By { by } }) => {
            let webhook = find(store, &name).await?;
            note(store, &clock, &name, WebhookAct::Disabled, &by).await?;
            change::disable(store, &clock, webhook, &by).await?
        }
        Webhooks::Enable(Named { name, by: By { by } }) => {
            let webhook = find(store, &name).await?;
            note(store, &clock, &name, WebhookAct::Enabled, &by).await?;
            change::enable(store, webhook).await?
        }
        Webhooks::Rotate(rotate) => {
            let webhook = find(store, &rotate.name).await?;
            check_changeable(&webhook).map_err(Failure::Usage)?;
            note(store, &clock, &rotate.name, WebhookAct::Rotated, &rotate.by.by).await?;
            change::rotate(store, &clock, webhook, rotate.overlap_hours).await?
        }
        Webhooks::Replay(replay) => {
            let webhook = find(store, &replay.name).await?;
            note(store, &clock, &replay.name, WebhookAct::Replayed, &replay.by.by).await?;
            change::replay(store, webhook, &replay.from).await?
        }
        Webhooks::Remove(Named { name, by: By { by } }) => {
            let webhook = find(store, &name).await?;
            check_changeable(&webhook).map_err(Failure::Usage)?;
            note(store, &clock, &name, WebhookAct::Removed, &by).await?;
            change::remove(store, webhook).await?
        }
        Webhooks::Test(Named { name, by: By { by } }) => {
            let webhook = find(store, &name).await?;
            note(store, &clock, &name, WebhookAct::Tested, &by).await?;
            change::test(config, &clock, webhook).await?
        }
    };
    say(&text)
}

async fn find(store: &dyn Store, name: &str) -> Result<Webhook, Failure> {
    let all = store.webhooks().await.map_err(anyhow::Error::new)?;
    let found = all.into_iter().find(|webhook| webhook.name == name);
    found.ok_or_else(|| Failure::Usage(format!("there is no webhook {name:?}")))
}
