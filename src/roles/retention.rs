//! Forgets decided requests and dead letters after their time, a small transaction at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Retention;
use crate::domain::LogTime;
use crate::runtime::clock::Clock;
use crate::store::{Store, StoreError};

/// Between two batches: commits of the partitions go first.
const PAUSE: Duration = Duration::from_millis(100);

/// Rounds until `shutdown`. A store that is away is tried again in the next round.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Clock,
    settings: Retention,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            forgotten = round(&*store, &clock, &settings) => match forgotten {
                Ok(0) => {}
                Ok(rows) => info!(rows, "forgot what is older than the retention"),
                Err(error) => warn!(%error, "the retention's round ended early"),
            },
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(settings.interval) => {}
        }
    }
}

async fn round(store: &dyn Store, clock: &Clock, settings: &Retention) -> Result<u64, StoreError> {
    let age_ms = i64::try_from(settings.age.as_millis()).unwrap_or(i64::MAX);
    let before = LogTime(clock.now().0.saturating_sub(age_ms));
    let mut total = 0;
    loop {
        let rows = store.forget_before(before, settings.batch_rows).await?;
        total += rows;
        if rows < u64::from(settings.batch_rows) {
            return Ok(total);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
