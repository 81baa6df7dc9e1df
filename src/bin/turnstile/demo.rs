//! `turnstile demo-data`: creates a demo concert through the HTTP API.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use turnstile::domain::LogTime;
use turnstile::plan::demo::Hall;
use turnstile::plan::{self, Format};
use turnstile::runtime::clock::Clock;
use turnstile::wire::time::rfc3339;

use crate::exit::Failure;
use crate::output::say;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Creating a schedule waits until its blocks are open; the owners may have just started.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server and the credentials.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Address of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Bearer token of an admin; without it the header `X-User-Id: admin` is sent (auth.mode "dev")
    #[arg(long, env = "TURNSTILE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// What was created.
pub struct Demo {
    pub concert_id: String,
    /// The first date has no waiting queue, the second has one.
    pub open_schedule: String,
    pub queued_schedule: String,
}

pub async fn run(target: &Target) -> Result<(), Failure> {
    let made = make(target, &Clock::System).await?;
    say(&invitation(target, &made))
}

/// Creates the concert and its two dates in the theater.
pub async fn make(target: &Target, clock: &Clock) -> anyhow::Result<Demo> {
    let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build()?;
    let title = "Sequential Nights";
    let concert = json!({"title": title, "description": "Two evenings to try Turnstile with."});
    let concert_id = post(&http, target, "/v1/concerts", &concert).await?;
    let hall: Value = serde_json::from_str(&plan::write(&Hall::Theater.plan(), Format::Turnstile))?;
    let plan = post(&http, target, "/v1/plans", &hall).await?;
    let path = format!("/v1/concerts/{concert_id}/schedules");
    let open_schedule = post(&http, target, &path, &schedule(clock.now(), &plan, 30, false)).await?;
    let queued_schedule = post(&http, target, &path, &schedule(clock.now(), &plan, 31, true)).await?;
    Ok(Demo { concert_id, open_schedule, queued_schedule })
}

/// `plan`: the theater's id.
fn schedule(now: LogTime, plan: &str, days: i64, queue: bool) -> Value {
    let mut schedule = json!({
        "starts_at": rfc3339(LogTime(now.0 + days * DAY_MS)),
        "plan": plan,
        "prices": {"R": 12_000, "S": 9_000, "A": 6_000},
    });
    if queue {
        schedule["queue"] = json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 10_000});
    }
    schedule
}

/// Returns the id of the created object.
async fn post(http: &reqwest::Client, target: &Target, path: &str, body: &Value) -> anyhow::Result<String> {
    let url = format!("{}{path}", target.url.trim_end_matches('/'));
    let request = http.post(&url).json(body);
    let request = match &target.token {
        Some(token) => request.bearer_auth(token),
        None => request.header("X-User-Id", "admin"),
    };
    let response = request.send().await.with_context(|| format!("POST {url}"))?;
    let status = response.status();
    let text = response.text().await.with_context(|| format!("POST {url}"))?;
    if !status.is_success() {
        bail!("POST {url} returned {status}: {text}");
    }
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("POST {url} returned {text:?}"))?;
    match answer["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => bail!("POST {url} returned no id: {text}"),
    }
}

/// What to try next, for a user at a terminal.
pub fn invitation(target: &Target, demo: &Demo) -> String {
    let url = target.url.trim_end_matches('/');
    let user = match target.token {
        Some(_) => "-H \"Authorization: Bearer $TOKEN\"",
        None => "-H 'X-User-Id: alice'",
    };
    format!(
        "A concert to play with is at {url}/c/{} (open it in a browser).\n\
         Its first date is on sale, {url}/s/{}\n\
         its second date has a waiting queue, {url}/s/{}\n\
         The same by hand, two neighboring seats:\n  \
         curl -s {url}/v1/schedules/{}/holds {user} -H 'Prefer: wait=5' \\\n    \
         -H 'Content-Type: application/json' -d '{{\"best_available\":2}}'\n",
        demo.concert_id, demo.open_schedule, demo.queued_schedule, demo.open_schedule
    )
}
