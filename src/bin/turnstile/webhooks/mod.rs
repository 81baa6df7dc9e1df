//! `turnstile webhooks`: endpoints of other services that hear what was decided.

mod args;
mod change;
mod show;

use turnstile::assembly::backends;
use turnstile::config::Config;
use turnstile::runtime::clock::Clock;
use turnstile::store::{Store, Webhook};

pub use self::args::Webhooks;
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
        Webhooks::Disable { name } => change::disable(store, &clock, find(store, &name).await?).await?,
        Webhooks::Enable { name } => change::enable(store, find(store, &name).await?).await?,
        Webhooks::Rotate(rotate) => {
            let webhook = find(store, &rotate.name).await?;
            change::rotate(store, &clock, webhook, rotate.overlap_hours).await?
        }
        Webhooks::Replay(replay) => {
            let webhook = find(store, &replay.name).await?;
            change::replay(store, webhook, &replay.from).await?
        }
        Webhooks::Remove { name } => change::remove(store, find(store, &name).await?).await?,
        Webhooks::Test { name } => change::test(config, &clock, find(store, &name).await?).await?,
    };
    say(&text)
}

async fn find(store: &dyn Store, name: &str) -> Result<Webhook, Failure> {
    let all = store.webhooks().await.map_err(anyhow::Error::new)?;
    let found = all.into_iter().find(|webhook| webhook.name == name);
    found.ok_or_else(|| Failure::Usage(format!("there is no webhook {name:?}")))
}
