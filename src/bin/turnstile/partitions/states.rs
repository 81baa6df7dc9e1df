//! How partitions stand, as the workers that own them say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use turnstile::config::Config;

/// How long the log and a process may take to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A check of `/readyz`.
#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    status: String,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Checks {
    checks: Vec<Check>,
}

/// State and reason of the partitions whose owners answer, by name.
pub type States = BTreeMap<String, (&'static str, String)>;

pub async fn states(at: &[String], config: &Config) -> States {
    let own = [format!("http://{}", config.http.listen)];
    let addresses = if at.is_empty() { &own[..] } else { at };
    let mut states = States::new();
    let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().unwrap_or_default();
    for address in addresses {
        let asked = http.get(format!("{}/readyz", address.trim_end_matches('/'))).header("accept", "application/json");
        let answer = async { asked.send().await?.json::<Checks>().await };
        match answer.await {
            Ok(Checks { checks }) => states.extend(checks.into_iter().filter_map(state)),
            // Nobody said that a process runs there.
            Err(_) if at.is_empty() => {}
            Err(error) => eprintln!("turnstile: {address} does not answer: {error}"),
        }
    }
    states
}

fn state(check: Check) -> Option<(String, (&'static str, String))> {
    let partition = check.name.strip_prefix("partition ")?.to_owned();
    let (state, reason) = match check.reason.split_once(": ") {
        Some(("parked", reason)) => ("parked", reason.to_owned()),
        Some(("waiting", reason)) => ("waiting", reason.to_owned()),
        _ if check.status == "ok" => ("owned", String::new()),
        _ => ("degraded", check.reason),
    };
    Some((partition, (state, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_state_and_reason() {
        let of = |name: &str, status: &str, reason: &str| {
            state(Check { name: name.into(), status: status.into(), reason: reason.into() })
        };
        assert_eq!(of("store", "ok", ""), None);
        assert_eq!(of("partition seats.3", "ok", ""), Some(("seats.3".into(), ("owned", String::new()))));
        let parked = of("partition seats.3", "degraded", "parked: commit: a corrupt row");
        assert_eq!(parked, Some(("seats.3".into(), ("parked", "commit: a corrupt row".into()))));
        let waiting = of("partition queues.0", "degraded", "waiting: no progress for 20 s while reading the log");
        assert_eq!(waiting.unwrap().1.0, "waiting");
    }
}
