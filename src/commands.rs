//! What each command does. Roles run until they are told to stop; the rest ends by itself.

pub mod audit;
pub mod dead_letters;
pub mod demo;

use crate::api::openapi;
use crate::cli::{Command, DeadLetters, Failure, Target};
use crate::config::{self, Config, Layers, Needs};
use crate::load;
use crate::roles::backends::{self, Backends};
use crate::roles::{self, Roles};
use crate::runtime::clock::Clock;

/// Runs one command to its end.
pub async fn run(command: Option<Command>, layers: &Layers, config: Config) -> Result<(), Failure> {
    let Some(command) = command else {
        return role(Roles::ALL, layers, config).await;
    };
    match command {
        Command::Api => role(Roles::API, layers, config).await,
        Command::Worker => role(Roles::WORKER, layers, config).await,
        Command::Migrate => migrate(&config).await,
        Command::Topics => say(&backends::make_topics(&config).await?),
        Command::DemoData(target) => demo_data(&target).await,
        Command::DeadLetters(command) => dead_letters(command, &config).await,
        Command::Load(args) => say(&load::run(args).await?),
        Command::Openapi => say(openapi::document::text()),
        Command::Audit => audit_store(&config).await,
        Command::Config => say(&config::show(layers)),
    }
}

async fn role(roles: Roles, layers: &Layers, config: Config) -> Result<(), Failure> {
    config.check(layers, Needs { http: roles.api, shared: roles != Roles::ALL })?;
    roles::run(roles, config).await
}

/// Standard output, which may be closed at any time (`turnstile config | head`).
fn say(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(anyhow::Error::new(error).into()),
        _ => Ok(()),
    }
}

async fn migrate(config: &Config) -> Result<(), Failure> {
    backends::migrate(config).await?;
    say("the tables are up to date\n")
}

async fn demo_data(target: &Target) -> Result<(), Failure> {
    let made = demo::make(target, &Clock::System).await?;
    say(&demo::invitation(target, &made))
}

async fn dead_letters(command: DeadLetters, config: &Config) -> Result<(), Failure> {
    let clock = Clock::System;
    let text = match command {
        DeadLetters::List { limit, after } => {
            dead_letters::list(&*backends::open_store(config).await?, limit, after).await?
        }
        DeadLetters::Show { position } => dead_letters::show(&*backends::open_store(config).await?, position).await?,
        DeadLetters::Replay { position } => {
            let opened = Backends::open(config, &clock).await?;
            let replayed = dead_letters::replay(&*opened.log, &*opened.store, &clock, position).await;
            opened.close(config.log.delivery_timeout).await;
            replayed?
        }
    };
    say(&text)
}

async fn audit_store(config: &Config) -> Result<(), Failure> {
    let clock = Clock::System;
    let opened = Backends::open(config, &clock).await?;
    let keep_ms = i64::try_from(config.retention.age.as_millis()).unwrap_or(i64::MAX);
    let older_than = clock.now().plus_ms(-keep_ms);
    let audited = audit::run(&*opened.log, &*opened.store, older_than).await;
    opened.close(config.log.delivery_timeout).await;
    let (report, took) = audited.map_err(anyhow::Error::new)?;
    say(&audit::say(&report, took))?;
    if report.is_clean() { Ok(()) } else { Err(Failure::Disagreement) }
}
