//! `turnstile trace`: a request's life, from the log and the store; while another process has the log, from that one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use turnstile::api::ops::life::{Life, Sources};
use turnstile::api::ops::requests::Wanted;
use turnstile::assembly::backends;
use turnstile::config::{AuthMode, Config};
use turnstile::runtime::clock::Clock;
use turnstile::wire::time::parse_rfc3339;

use crate::exit::Failure;
use crate::output::say;

const ANSWER_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
pub struct Trace {
    /// A request's id, or a position such as seats.3.1234
    request: String,
    /// On one machine, where the running server has the log: its address for operations; default: as configured
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// Bearer token of an admin, for the running server; without it the header `X-User-Id: admin` is sent (auth.mode "dev")
    #[arg(long, env = "TURNSTILE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub async fn run(args: Trace, config: &Config) -> Result<(), Failure> {
    let wanted: Wanted = args.request.parse().map_err(|error: &str| Failure::Usage(error.to_owned()))?;
    let opened = match backends::open_log(config, &Clock::System).await {
        Ok(opened) => Some(opened),
        // The embedded log belongs to the running process.
        Err(error) => match from_server(&args, config).await {
            Ok(Some(life)) => return say(&text(&life)),
            Ok(None) => return Err(unknown(&args.request)),
            Err(why) => {
                eprintln!("turnstile: {error}; the server that has the log does not say more: {why:#}");
                None
            }
        },
    };
    let store = backends::open_store(config).await?;
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
        Some(life) => say(&text(&Told::from(life))),
        None => Err(unknown(&args.request)),
    }
}

fn unknown(request: &str) -> Failure {
    anyhow::anyhow!("nobody knows {request}").into()
}

/// A life as the API tells it.
#[derive(Deserialize)]
struct Told {
    request_id: String,
    command: Option<String>,
    status: String,
    problem: Option<String>,
    position: Option<String>,
    stages: Vec<ToldStage>,
    follow_ups: Vec<Told>,
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct ToldStage {
    stage: String,
    at: String,
}

impl From<Life> for Told {
    fn from(life: Life) -> Self {
        let stages = life.stages.into_iter().map(|of| ToldStage { stage: of.stage.to_owned(), at: of.at });
        Told {
            request_id: life.request_id,
            command: life.command,
            status: life.status.to_owned(),
            problem: life.problem,
            position: life.position,
            stages: stages.collect(),
            follow_ups: life.follow_ups.into_iter().map(Told::from).collect(),
            notes: life.notes,
        }
    }
}

/// `None`: nobody knows the request.
async fn from_server(args: &Trace, config: &Config) -> anyhow::Result<Option<Told>> {
    let own = || format!("http://{}", reachable(config.http.ops_listen.unwrap_or(config.http.listen)));
    let at = args.at.clone().unwrap_or_else(own);
    let url = format!("{}/v1/ops/requests/{}", at.trim_end_matches('/'), args.request);
    let asked = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?.get(url);
    let asked = match &args.token {
        Some(token) => asked.bearer_auth(token),
        None if config.auth.mode == AuthMode::Dev => asked.header("x-user-id", "admin"),
        None => anyhow::bail!("it asks for an admin's token (--token, TURNSTILE_TOKEN)"),
    };
    let answer = asked.send().await?;
    match answer.status().as_u16() {
        404 => Ok(None),
        _ => Ok(Some(answer.error_for_status()?.json().await?)),
    }
}

/// An address of all interfaces is reached here by the one that only this machine has.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

fn text(life: &Told) -> String {
    let mut text = String::new();
    write(&mut text, life, 0);
    text
}

fn write(text: &mut String, life: &Told, depth: usize) {
    let (pad, below) = ("    ".repeat(depth), "    ".repeat(depth + 1));
    let ended = life.problem.as_deref().unwrap_or(&life.status);
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
        let text = text(&Told::from(life("pay_reservation", vec![life("debit_wallet", vec![])])));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "pay_reservation SUCCEEDED seats.0.1 id");
        assert_eq!(lines[2], "    appended    2026-11-21T07:00:00.123Z +23 ms");
        assert_eq!(lines[3], "    debit_wallet SUCCEEDED seats.0.1 id");
    }
}
