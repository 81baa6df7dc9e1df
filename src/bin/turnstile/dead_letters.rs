//! `turnstile dead-letters`: lists, shows, replays and dismisses dead letters.

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Subcommand;
use turnstile::api::ops::replay::{Replayed, replay};
use turnstile::assembly::backends::{self, Backends};
use turnstile::config::Config;
use turnstile::domain::Position;
use turnstile::runtime::clock::Clock;
use turnstile::store::{DeadLetterView, DeadLetters as Letters, DoneBy, Page};
use turnstile::wire::time::rfc3339;

use crate::by::By;
use crate::exit::Failure;
use crate::output::say;

#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, newest first, one line each
    List {
        /// Most lines to print
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print those before this one (next page)
        #[arg(long, value_name = "POSITION")]
        after: Option<Position>,
    },
    /// Show one with its key, headers and value
    Show {
        /// lane.partition.offset, e.g. seats.3.1234
        position: Position,
    },
    /// Say that one is not needed: it goes when its retention is over
    Dismiss {
        /// lane.partition.offset, e.g. seats.3.1234
        position: Position,
        #[command(flatten)]
        by: By,
    },
    /// Append one to its lane again, e.g. after an upgrade that understands it
    Replay {
        /// lane.partition.offset, e.g. seats.3.1234
        position: Position,
        #[command(flatten)]
        by: By,
    },
}

pub async fn run(command: DeadLetters, config: &Config) -> Result<(), Failure> {
    let clock = Clock::System;
    let text = match command {
        DeadLetters::List { limit, after } => list(&*backends::open_store(config).await?, limit, after).await?,
        DeadLetters::Show { position } => show(&*backends::open_store(config).await?, position).await?,
        DeadLetters::Dismiss { position, by: By { by } } => {
            let store = backends::open_store(config).await?;
            let done = DoneBy { by, at: clock.now() };
            if !store.dismiss(position, &done).await.map_err(anyhow::Error::new)? {
                return Err(none(position).into());
            }
            format!("{position} is dismissed\n")
        }
        DeadLetters::Replay { position, by: By { by } } => {
            let opened = Backends::open(config, &clock).await?;
            let replayed = replay(&*opened.log, &*opened.store, &clock, position, &by).await;
            opened.close(config.log.delivery_timeout).await;
            let Replayed { topic, partition, offset } = replayed.map_err(anyhow::Error::new)?;
            format!("{position} is on the log again as {topic}.{partition}.{offset}\n")
        }
    };
    say(&text)
}

/// One line each, newest first, and the command for the next page.
async fn list(store: &dyn Letters, limit: u32, after: Option<Position>) -> anyhow::Result<String> {
    let views = store.dead_letters(Page { after, limit }).await?;
    let mut text = String::new();
    for view in &views {
        let letter = &view.letter;
        let dealt = match (&view.replayed, &view.dismissed) {
            (Some(_), _) => " (replayed)",
            (None, Some(_)) => " (dismissed)",
            (None, None) => "",
        };
        let _ = writeln!(text, "{}  {}  {}{dealt}", rfc3339(letter.at), letter.position, letter.reason);
    }
    match views.last() {
        None => text.push_str("no dead letters\n"),
        Some(last) if views.len() == limit as usize => {
            let _ = writeln!(text, "more: turnstile dead-letters list --after {}", last.letter.position);
        }
        Some(_) => {}
    }
    Ok(text)
}

async fn show(store: &dyn Letters, position: Position) -> anyhow::Result<String> {
    let view = find(store, position).await?;
    let letter = &view.letter;
    let mut text = format!("position  {position}\nat        {}\nreason    {}\n", rfc3339(letter.at), letter.reason);
    for (what, done) in [("replayed ", &view.replayed), ("dismissed", &view.dismissed)] {
        if let Some(DoneBy { by, at }) = done {
            let _ = writeln!(text, "{what} {} by {by}", rfc3339(*at));
        }
    }
    if let Some(topic) = letter.unsent_to {
        let _ = writeln!(text, "unsent to {topic}");
    }
    let _ = writeln!(text, "key       {}", readable(letter.key.as_deref()));
    for (name, value) in &letter.headers {
        let _ = writeln!(text, "header    {name}: {}", readable(Some(value)));
    }
    let _ = writeln!(text, "value     {}", readable(letter.value.as_deref()));
    Ok(text)
}

async fn find(store: &dyn Letters, position: Position) -> anyhow::Result<DeadLetterView> {
    store.dead_letter(position).await?.ok_or_else(|| none(position))
}

fn none(position: Position) -> anyhow::Error {
    anyhow!("there is no dead letter {position}")
}

/// Text unchanged, other bytes escaped: control characters must not reach the terminal.
fn readable(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "(none)".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
            _ => format!("{} (escaped)", bytes.escape_ascii()),
        },
    }
}
