//! `turnstile trace`: a request's life, from the log and the store.

use std::fmt::Write as _;

use turnstile::api::ops::life::{Life, Sources};
use turnstile::api::ops::requests::Wanted;
use turnstile::assembly::backends;
use turnstile::config::Config;
use turnstile::runtime::clock::Clock;
use turnstile::wire::time::parse_rfc3339;

use crate::exit::Failure;
use crate::output::say;

#[derive(Debug, clap::Args)]
pub struct Trace {
    /// A request's id, or a position such as seats.3.1234
    request: String,
}

pub async fn run(Trace { request }: Trace, config: &Config) -> Result<(), Failure> {
    let wanted: Wanted = request.parse().map_err(|error: &str| Failure::Usage(error.to_owned()))?;
    let store = backends::open_store(config).await?;
    let opened = match backends::open_log(config, &Clock::System).await {
        Ok(opened) => Some(opened),
        Err(error) => {
            // The embedded log belongs to the running process.
            eprintln!("turnstile: the log cannot be read, the ops page of the server has more: {error}");
            None
        }
    };
    let seen = |_| Default::default();
    let sources = Sources { log: opened.as_ref().map(|(log, _)| &**log), store: &*store, seen: &seen };
    let life = match wanted {
        Wanted::Request(id) => sources.of_request(id).await,
        Wanted::At(position) => sources.of_position(position).await,
    };
    if let Some((_, Some(embedded))) = &opened {
        embedded.close().await;
    }
    match life.map_err(anyhow::Error::new)? {
        Some(life) => say(&text(&life)),
        None => Err(anyhow::anyhow!("nobody knows {request}").into()),
    }
}

fn text(life: &Life) -> String {
    let mut text = String::new();
    write(&mut text, life, 0);
    text
}

fn write(text: &mut String, life: &Life, depth: usize) {
    let (pad, below) = ("    ".repeat(depth), "    ".repeat(depth + 1));
    let ended = life.problem.as_deref().unwrap_or(life.status);
    let (command, position) = (life.command.as_deref().unwrap_or("?"), life.position.as_deref().unwrap_or("-"));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{pad}{command} {ended} {position} {}", life.request_id);
    let first = life.stages.first().and_then(|stage| parse_rfc3339(&stage.at));
    for stage in &life.stages {
        let after = first.zip(parse_rfc3339(&stage.at)).map_or(0, |(first, at)| at.0 - first.0);
        let _ = writeln!(text, "{below}{:11} {} +{after} ms", stage.stage, stage.at);
    }
    for note in &life.notes {
        let _ = writeln!(text, "{below}{note}");
    }
    for follow_up in &life.follow_ups {
        write(text, follow_up, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use turnstile::api::ops::life::Stage;

    use super::*;

    #[test]
    fn follow_ups_stand_below_their_cause() {
        let life = |command: &str, follow_ups| Life {
            request_id: "id".to_owned(),
            command: Some(command.to_owned()),
            user_id: None,
            by: None,
            status: "SUCCEEDED",
            problem: None,
            position: Some("seats.0.1".to_owned()),
            trace_id: None,
            stages: ["2026-11-21T07:00:00.100Z", "2026-11-21T07:00:00.123Z"]
                .map(|at| Stage { stage: "appended", at: at.to_owned() })
                .into(),
            follow_ups,
            notes: vec![],
        };
        let text = text(&life("pay_reservation", vec![life("debit_wallet", vec![])]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "pay_reservation SUCCEEDED seats.0.1 id");
        assert_eq!(lines[2], "    appended    2026-11-21T07:00:00.123Z +23 ms");
        assert_eq!(lines[3], "    debit_wallet SUCCEEDED seats.0.1 id");
    }
}
