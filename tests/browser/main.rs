//! The pages in a browser. Waits are for signals of the document only.

mod access;
mod alerts;
mod amending;
mod asleep;
mod buying;
mod dates;
mod desk;
mod door;
mod driver;
mod enlarging;
mod faults;
mod hooks;
mod mapping;
mod operating;
mod organizing;
mod returning;
mod rounds;
mod senses;
#[path = "../it/harness/server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod server;
mod sharing;
mod speed;
mod states;
mod tickets;
mod tour;
mod trouble;
mod waiting;
mod world;

use std::time::{Duration, Instant};

/// Asks again until the answer is `Ok`; panics after a minute and a half.
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
