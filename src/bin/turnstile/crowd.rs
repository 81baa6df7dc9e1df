//! `turnstile demo-crowd`: people who go through the queue of a date and buy, to see a sale move.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use turnstile::runtime::clock::Clock;
use turnstile::wire::time::rfc3339;

use crate::exit::Failure;
use crate::output::say;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// More than any pair of seats of the demo costs.
const PURSE: i64 = 1_000_000;

/// Whom to send where. Needs auth.mode "dev", where any name is a login.
#[derive(Debug, Clone, Args)]
pub struct CrowdArgs {
    /// Address of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The date; without it the first one that has a queue
    #[arg(long, value_name = "ID")]
    schedule: Option<String>,
    /// People to send
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    people: u32,
    /// Those who still wait after so many minutes go home
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=240))]
    minutes: u64,
}

/// How it went for all.
#[derive(Default)]
struct Tally {
    bought: AtomicUsize,
    refused: AtomicUsize,
    went_home: AtomicUsize,
}

/// What every person needs.
struct Crowd {
    http: reqwest::Client,
    url: String,
    schedule: String,
    until: Instant,
    tally: Tally,
}

pub async fn run(args: &CrowdArgs) -> Result<(), Failure> {
    let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().context("no HTTP client")?;
    let url = args.url.trim_end_matches('/').to_owned();
    let schedule = match &args.schedule {
        Some(id) => id.clone(),
        None => with_queue(&http, &url).await?,
    };
    say(&format!("{} people go to {url}/s/{schedule}\n", args.people))?;
    let until = Instant::now() + Duration::from_secs(args.minutes * 60);
    let crowd = Arc::new(Crowd { http, url, schedule, until, tally: Tally::default() });
    let mut people = JoinSet::new();
    for number in 0..args.people {
        let crowd = crowd.clone();
        people.spawn(async move { crowd.visit(number).await });
    }
    while let Some(visit) = people.join_next().await {
        visit.context("a person's task failed")??;
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let tally = &crowd.tally;
    let (bought, refused, home) = (count(&tally.bought), count(&tally.refused), count(&tally.went_home));
    say(&format!("{bought} bought, {refused} were refused, {home} went home\n"))
}

/// The newest concert's first date to come that has a queue.
async fn with_queue(http: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let now = rfc3339(Clock::System.now());
    let concerts = read(http, &format!("{url}/v1/concerts")).await?;
    for concert in concerts["concerts"].as_array().into_iter().flatten() {
        let id = concert["id"].as_str().unwrap_or_default();
        let dates = read(http, &format!("{url}/v1/concerts/{id}/schedules?from={now}")).await?;
        let queued = dates["schedules"].as_array().into_iter().flatten().find(|date| date["queue"] == true);
        if let Some(id) = queued.and_then(|date| date["id"].as_str()) {
            return Ok(id.to_owned());
        }
    }
    bail!("{url} has no date with a queue; `turnstile demo-data` makes one")
}

async fn read(http: &reqwest::Client, url: &str) -> anyhow::Result<Value> {
    let answer = http.get(url).send().await.with_context(|| format!("GET {url}"))?;
    answer.json().await.with_context(|| format!("GET {url}"))
}

impl Crowd {
    /// One person's way: join, wait, choose for a while, pay.
    async fn visit(&self, number: u32) -> anyhow::Result<()> {
        let name = format!("crowd-{number}");
        // They arrive over ten seconds.
        tokio::time::sleep(Duration::from_millis(u64::from(number) * 7_919 % 10_000)).await;
        let queue = format!("/v1/schedules/{}/queue", self.schedule);
        let Some(joined) = self.ask(&name, &queue, json!({}), None).await? else { return Ok(()) };
        let token = joined["token"].as_str().context("a join gives a token")?.to_owned();
        if !self.admitted(&name, &token).await? {
            self.tally.went_home.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2 + u64::from(number) % 9)).await;
        let holds = format!("/v1/schedules/{}/holds", self.schedule);
        let wanted = json!({"best_available": 1 + number % 3});
        let Some(hold) = self.ask(&name, &holds, wanted, Some(&token)).await? else { return Ok(()) };
        let reservation = hold["reservation_id"].as_str().context("a hold has an id")?;
        let charge = json!({"amount": PURSE, "reason": "demo"});
        let payment = format!("/v1/reservations/{reservation}/payment");
        if self.ask(&name, "/v1/wallet/charges", charge, None).await?.is_some() {
            tokio::time::sleep(Duration::from_secs(1 + u64::from(number) % 4)).await;
            if self.ask(&name, &payment, json!({}), None).await?.is_some() {
                self.tally.bought.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// The result of a command; `None` if it was refused, which is counted.
    async fn ask(&self, name: &str, path: &str, body: Value, token: Option<&str>) -> anyhow::Result<Option<Value>> {
        let url = format!("{}{path}", self.url);
        let request = self.http.post(&url).header("X-User-Id", name).header("Prefer", "wait=30").json(&body);
        let request = token.into_iter().fold(request, |request, token| request.header("Queue-Token", token));
        let answer = request.send().await.with_context(|| format!("POST {url}"))?;
        let body: Value = answer.json().await.with_context(|| format!("POST {url}"))?;
        if body["status"] == "SUCCEEDED" {
            return Ok(Some(body["result"].clone()));
        }
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }

    /// Asks for the place as often as the server says. False: the time is over, or the place is.
    async fn admitted(&self, name: &str, token: &str) -> anyhow::Result<bool> {
        let url = format!("{}/v1/schedules/{}/queue/position", self.url, self.schedule);
        while Instant::now() < self.until {
            let request = self.http.get(&url).header("X-User-Id", name).header("Queue-Token", token);
            let place: Value = request.send().await.with_context(|| format!("GET {url}"))?.json().await?;
            match place["status"].as_str() {
                Some("ACTIVE") => return Ok(true),
                Some("COMPLETED" | "EXPIRED" | "LEFT") => return Ok(false),
                _ => {}
            }
            let wait = place["poll_after_ms"].as_u64().unwrap_or(1_000).clamp(200, 10_000);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        Ok(false)
    }
}
