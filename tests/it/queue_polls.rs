//! Q9: a crowd that waits and polls costs the front door no reads of the store.

use std::time::Instant;

use crate::harness::{System, scenarios, server};

scenarios!(q9_polls_read_no_database);

/// `name` from the environment, for the figure at full size: 100,000 waiting, 11,000 polls a second for 30 s.
fn size(name: &str, small: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}

/// How often a replica is brought up to date while somebody asks, and the statements that takes at most.
const REFRESHES_A_SECOND: u64 = 5;
const STATEMENTS: u64 = 2;

async fn q9_polls_read_no_database(system: &System) {
    let waiting = size("TURNSTILE_TEST_WAITING", 1_000).to_string();
    let (rate, seconds) = (size("TURNSTILE_TEST_POLLS", 300), size("TURNSTILE_TEST_SECONDS", 4));
    let base = system.servers()[0].base.clone();
    let began = Instant::now();
    let (polls_a_second, duration) = (rate.to_string(), seconds.to_string());
    let load = ["load", "--url", &base, "--mix", "poll=1", "--in-flight", "20000", "--waiting", &waiting];
    let arguments: Vec<String> =
        load.into_iter().chain(["--rate", &polls_a_second, "--duration", &duration]).map(str::to_owned).collect();
    let run = tokio::task::spawn_blocking(move || {
        server::run_to_end(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    });
    let report = run.await.expect("the load runs to its end");
    println!("{:?}: {report}", system.pair);
    assert_eq!(report.lines().nth(1), Some(format!("succeeded {}", rate * seconds).as_str()), "no errors: {report}");
    let lasted = began.elapsed().as_secs() + 1;
    let polls = counted(system, "turnstile_queue_polls_total").await;
    let refreshes = counted(system, "turnstile_queue_refreshes_total").await;
    println!("{:?}: {polls} polls, {refreshes} refreshes of the replica in {lasted} s", system.pair);
    assert!(polls >= rate * seconds, "{polls}");
    assert!(refreshes <= REFRESHES_A_SECOND * STATEMENTS * lasted, "{refreshes} refreshes in {lasted} s");
}

/// The sum of a counter over its labels.
async fn counted(system: &System, name: &str) -> u64 {
    let base = system.servers()[0].base.clone();
    let answer = system.client.http().get(format!("{base}/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("metrics are text");
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}
