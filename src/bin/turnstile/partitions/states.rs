//! How partitions stand, as the workers that own them say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use turnstile::config::Config;
use turnstile::domain::LanePartition;
use turnstile::store::{PartitionStanding, ProcessCheck};

/// How long the log and a process may take to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What `/readyz` answers.
#[derive(Debug, Deserialize)]
struct Checks {
    checks: Vec<ProcessCheck>,
}

/// Of the partitions whose owners answer.
pub type States = BTreeMap<LanePartition, PartitionStanding>;

pub async fn states(at: &[String], config: &Config) -> States {
    let own = [format!("http://{}", config.http.ops_listen.unwrap_or(config.http.listen))];
    let addresses = if at.is_empty() { &own[..] } else { at };
    let mut states = States::new();
    let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().unwrap_or_default();
    for address in addresses {
        let asked = http.get(format!("{}/readyz", address.trim_end_matches('/'))).header("accept", "application/json");
        let answer = async { asked.send().await?.json::<Checks>().await };
        match answer.await {
            Ok(Checks { checks }) => {
                let standings = checks.iter().filter_map(ProcessCheck::standing);
                states.extend(standings.map(|standing| (standing.partition, standing)));
            }
            // Nobody said that a process runs there.
            Err(_) if at.is_empty() => {}
            Err(error) => eprintln!("turnstile: {address} does not answer: {error}"),
        }
    }
    states
}
