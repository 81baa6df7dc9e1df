//! Runs each scenario against the real program, once on the embedded pair and once on Kafka and PostgreSQL.

pub mod client;
pub mod feed;
pub mod gate;
pub mod invariants;
pub mod producer;
pub mod prometheus;
pub mod sale;
pub mod server;
pub mod services;
mod system;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

pub use client::{Answer, Ask, Client, Outcome, Place, User, at_once};
pub use sale::{Offer, Sale, in_seconds, one_section, refusals, successes, text};
pub use system::System;

/// Which log and store a system runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    Embedded,
    Real,
}

/// Makes of each `async fn name(system: &System)` the tests `name::embedded` and `name::real`.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                let scenario = async |system: &crate::harness::System| super::$name(system).await;
                crate::harness::run(crate::harness::Pair::Embedded, stringify!($name), scenario).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn real() {
                let scenario = async |system: &crate::harness::System| super::$name(system).await;
                crate::harness::run(crate::harness::Pair::Real, stringify!($name), scenario).await;
            }
        }
    )+};
}
pub(crate) use scenarios;

/// The same as [`scenarios`] without the checks at the end, for what they cannot explain: another log, forgotten requests.
macro_rules! unchecked {
    ($further:expr; $($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                let scenario = async |system: &crate::harness::System| super::$name(system).await;
                crate::harness::run_unchecked(crate::harness::Pair::Embedded, stringify!($name), $further, scenario).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn real() {
                let scenario = async |system: &crate::harness::System| super::$name(system).await;
                crate::harness::run_unchecked(crate::harness::Pair::Real, stringify!($name), $further, scenario).await;
            }
        }
    )+};
}
pub(crate) use unchecked;

/// Starts a system with further settings, runs the scenario and removes what it left.
pub async fn run_unchecked(pair: Pair, name: &str, further: &[(&str, &str)], scenario: impl AsyncFnOnce(&System)) {
    let further = further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let Some(system) = System::prepare(pair, name, further).await else { return };
    let whole = async {
        system.start().await;
        scenario(&system).await;
        system.stop().await;
    };
    let result = AssertUnwindSafe(whole).catch_unwind().await;
    if result.is_err() {
        system.print_logs();
    }
    system.remove().await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Starts a system, runs the scenario, checks the invariants, stops the system and removes what it left.
pub async fn run(pair: Pair, name: &str, scenario: impl AsyncFnOnce(&System)) {
    run_with(pair, name, async |system: &System| system.start().await, scenario).await;
}

/// The same with another way to start.
pub async fn run_with(pair: Pair, name: &str, start: impl AsyncFnOnce(&System), scenario: impl AsyncFnOnce(&System)) {
    run_set(pair, name, Vec::new(), start, scenario).await;
}

/// The same with further settings: names and values of environment variables.
pub async fn run_set(
    pair: Pair,
    name: &str,
    further: Vec<(String, String)>,
    start: impl AsyncFnOnce(&System),
    scenario: impl AsyncFnOnce(&System),
) {
    let Some(system) = System::prepare(pair, name, further).await else { return };
    let whole = async {
        start(&system).await;
        scenario(&system).await;
        system.finish().await;
    };
    let result = AssertUnwindSafe(whole).catch_unwind().await;
    if result.is_err() {
        system.print_logs();
    }
    system.remove().await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Asks again until the answer is `Ok`; for what no long poll or stream can signal. Panics after a minute and a half.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(last) => assert!(began.elapsed() < Duration::from_secs(90), "waited in vain for {what}: {last}"),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
