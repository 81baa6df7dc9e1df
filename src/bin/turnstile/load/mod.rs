//! `turnstile load`: sends requests at a fixed rate, regardless of response times, and reports latencies.
//!
//! Open loop: request `i` is due at `start + i / rate` and its latency counts from then, so the latencies include the
//! requests that would have arrived during a stall.

mod args;
mod histogram;
mod mix;
mod plan;
mod plot;
mod report;
mod sale;
mod sender;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

pub use self::args::LoadArgs;
use self::plan::Plan;
use self::report::{Outcome, Report};
use self::sender::Sender;

/// Most requests in one run.
const REQUESTS_MAX: u64 = 20_000_000;
/// Timeout of a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(35);

/// Runs the load and returns the report as text.
///
/// # Errors
/// The server is on another machine (unless allowed) or cannot be reached, or a file cannot be written.
pub async fn run(args: LoadArgs) -> anyhow::Result<String> {
    let requests = u64::from(args.rate) * u64::from(args.duration);
    if requests > REQUESTS_MAX {
        bail!("{requests} requests are more than {REQUESTS_MAX}; lower --rate or --duration");
    }
    if !args.allow_remote && !is_loopback(&args.url)? {
        bail!("{} is not on this machine; add --allow-remote if you may load it", args.url);
    }
    if args.mix.is_of_a_queue() && args.mix.is_of_seats() {
        bail!("--mix: with a waiting queue holds need active tokens; use hold, charge, pay or join, poll");
    }
    let sender = Arc::new(Sender::new(&args.url, ANSWER_WITHIN)?);
    let sale = sale::open(&sender, &args).await.context("preparing the run")?;
    let report = drive(&args, sender, Plan::new(&args, sale)).await;
    if let Some(path) = &args.csv {
        std::fs::write(path, report.csv()).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if let Some(path) = &args.html {
        std::fs::write(path, plot::page(&report)).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(format!("{}\n{}", report.table(), plot::text(&report)))
}

fn is_loopback(url: &str) -> anyhow::Result<bool> {
    let url = reqwest::Url::parse(url).with_context(|| format!("{url:?} is not a URL"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    Ok(host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// Sends each request when due and collects the responses.
async fn drive(args: &LoadArgs, sender: Arc<Sender>, plan: Plan) -> Report {
    let plan = Arc::new(plan);
    let permits = Arc::new(Semaphore::new(args.in_flight as usize));
    let total = u64::from(args.rate) * u64::from(args.duration);
    let mut report = Report::new(args.rate, args.duration);
    let mut answers: JoinSet<Outcome> = JoinSet::new();
    let mut progress = interval(Duration::from_secs(1));
    progress.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = Instant::now();
    let mut next = 0;
    while next < total || !answers.is_empty() {
        let due = start + Duration::from_nanos(next * 1_000_000_000 / u64::from(args.rate));
        tokio::select! {
            biased;
            Some(answer) = answers.join_next(), if !answers.is_empty() => {
                if let Ok(outcome) = answer {
                    report.add(&outcome);
                }
            }
            _ = progress.tick() => show_progress(&report, start.elapsed(), total, answers.len(), false),
            () = sleep_until(due), if next < total => {
                let second = (due - start).as_secs();
                match permits.clone().try_acquire_owned() {
                    Ok(permit) => {
                        let (sender, plan, turn) = (sender.clone(), plan.clone(), next);
                        answers.spawn(async move {
                            let outcome = plan.send(&sender, turn, second, due).await;
                            drop(permit);
                            outcome
                        });
                    }
                    Err(_) => report.add(&plan.not_sent(next, second)),
                }
                next += 1;
            }
        }
    }
    show_progress(&report, start.elapsed(), total, 0, true);
    report
}

fn show_progress(report: &Report, elapsed: Duration, total: u64, under_way: usize, last: bool) {
    let terminal = std::io::stderr().is_terminal();
    let done = report.count();
    let filled = usize::try_from(done * 30 / total.max(1)).unwrap_or(30).min(30);
    let bar: String = "#".repeat(filled) + &"-".repeat(30 - filled);
    let line = format!(
        "[{bar}] {done}/{total}  {:.0} s  {under_way} in flight  {} failed  p99 {}",
        elapsed.as_secs_f64(),
        report.failed(),
        report::millis(report.overall().percentile(99.0)),
    );
    let mut out = std::io::stderr().lock();
    // A failed progress line does not stop the run.
    let _ = match (terminal, last) {
        (true, false) => write!(out, "\r{line}\x1b[K"),
        (true, true) => writeln!(out, "\r{line}\x1b[K"),
        (false, _) => writeln!(out, "{line}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loaded_unless_allowed() {
        for (url, here) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:1", true),
            ("http://[::1]:8080", true),
            ("http://10.0.0.1:8080", false),
            ("https://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(url).unwrap(), here, "{url}");
        }
    }
}
