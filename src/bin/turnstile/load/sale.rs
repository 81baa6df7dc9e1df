//! Setup of a run: a schedule of its own and money in every wallet.

use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use turnstile::domain::LogTime;
use turnstile::runtime::clock::Clock;
use turnstile::wire::time::rfc3339;
use uuid::Uuid;

use super::args::LoadArgs;
use super::sender::{Answer, Sender};

const PRICE: i64 = 1000;
const FIRST_CHARGE: i64 = 1_000_000;
/// Wallets charged concurrently during setup.
const CHARGES_AT_ONCE: usize = 64;
/// Users joining concurrently during setup.
const JOINS_AT_ONCE: usize = 1_000;

/// The schedule created for this run.
#[derive(Debug, Clone)]
pub struct Sale {
    pub schedule_id: String,
    pub sections: Vec<String>,
    /// Users are `{prefix}-{n}`; each run has its own.
    pub prefix: String,
    /// Waiting users with their tokens.
    pub places: Vec<(u32, String)>,
}

impl Sale {
    pub fn user(&self, number: u32) -> String {
        format!("{}-{number}", self.prefix)
    }

    pub fn queue_path(&self) -> String {
        format!("/v1/schedules/{}/queue", self.schedule_id)
    }
}

pub async fn open(sender: &Arc<Sender>, args: &LoadArgs) -> anyhow::Result<Sale> {
    let concert = id_of(sender.post("admin", "/v1/concerts", &json!({"title": "Load"})).await, "a concert")?;
    let names: Vec<String> = (1..=args.sections).map(|number| format!("L{number}")).collect();
    // A block each, so that the sections have owners of their own.
    let section = |name: &String| json!({"name": name, "seats": args.seats, "price": PRICE, "block": name});
    let listed: Vec<Value> = names.iter().map(section).collect();
    let starts_at = rfc3339(LogTime(Clock::System.now().0 + 30 * 24 * 60 * 60 * 1000));
    let mut schedule = json!({"starts_at": starts_at, "sections": listed, "max_seats_per_user": 100});
    if args.mix.is_of_a_queue() {
        schedule["queue"] = json!({"max_active": 1, "active_ttl_seconds": 86_400, "max_waiting": 1_000_000,
            "abandon_after_seconds": 86_400, "claim_after_seconds": 86_400});
    }
    let path = format!("/v1/concerts/{concert}/schedules");
    let schedule_id = id_of(sender.post("admin", &path, &schedule).await, "a schedule")?;
    let run = Uuid::new_v4().simple().to_string();
    let mut sale = Sale { schedule_id, sections: names, prefix: format!("load-{}", &run[..8]), places: Vec::new() };
    if args.mix.is_of_seats() {
        charge_all(sender, &sale, args.users).await?;
    }
    if args.mix.is_of_a_queue() {
        sale.places = join_all(sender, &sale, args.users, args.waiting).await?;
    }
    Ok(sale)
}

/// `count` users join, numbered from `first`; returns their places.
async fn join_all(sender: &Arc<Sender>, sale: &Sale, first: u32, count: u32) -> anyhow::Result<Vec<(u32, String)>> {
    let mut joins = JoinSet::new();
    let mut places = Vec::new();
    for number in first..first.saturating_add(count) {
        if joins.len() >= JOINS_AT_ONCE
            && let Some(joined) = joins.join_next().await
        {
            places.extend(joined.ok().flatten());
        }
        let (sender, user, path) = (sender.clone(), sale.user(number), sale.queue_path());
        joins.spawn(async move {
            let answer = sender.post(&user, &path, &json!({})).await;
            answer.body["result"]["token"].as_str().map(|token| (number, token.to_owned()))
        });
    }
    while let Some(joined) = joins.join_next().await {
        places.extend(joined.ok().flatten());
    }
    match places.len() {
        joined if joined == count as usize => Ok(places),
        joined => bail!("only {joined} of {count} users could join the queue"),
    }
}

fn id_of(answer: Answer, what: &str) -> anyhow::Result<String> {
    let Some(status) = answer.status else { bail!("{what}: the server does not answer") };
    let id = answer.body["id"].as_str().map(str::to_owned);
    id.with_context(|| format!("{what} was not created: {status} {}", answer.body))
}

async fn charge_all(sender: &Arc<Sender>, sale: &Sale, users: u32) -> anyhow::Result<()> {
    let mut charges = JoinSet::new();
    let mut failures = 0u32;
    for number in 0..users {
        if charges.len() >= CHARGES_AT_ONCE
            && let Some(charged) = charges.join_next().await
        {
            failures += u32::from(!charged.unwrap_or(false));
        }
        let (sender, user) = (sender.clone(), sale.user(number));
        charges.spawn(async move {
            let body = json!({"amount": FIRST_CHARGE});
            let answer = sender.post(&user, "/v1/wallet/charges", &body).await;
            answer.status.is_some_and(|status| status.is_success())
        });
    }
    while let Some(charged) = charges.join_next().await {
        failures += u32::from(!charged.unwrap_or(false));
    }
    match failures {
        0 => Ok(()),
        failures => bail!("{failures} of {users} wallets could not be charged"),
    }
}
