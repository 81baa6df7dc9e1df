//! Forgets decided requests and dead letters after their time, a small transaction at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Retention;
use crate::domain::LogTime;
use crate::log::embedded::EmbeddedLog;
use crate::log::{ReadError, Topic};
use crate::runtime::clock::Clock;
use crate::store::{Store, StoreError};

/// Between two batches: commits of the partitions go first.
const PAUSE: Duration = Duration::from_millis(100);

/// Rounds until `shutdown`. A store that is away is tried again in the next round.
pub async fn run(
    store: Arc<dyn Store>,
    embedded: Option<EmbeddedLog>,
    clock: Clock,
    settings: Retention,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let age_ms = i64::try_from(settings.age.as_millis()).unwrap_or(i64::MAX);
        let before = LogTime(clock.now().0.saturating_sub(age_ms));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = round(&*store, embedded.as_ref(), before, settings.batch_rows) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(settings.interval) => {}
        }
    }
}

async fn round(store: &dyn Store, embedded: Option<&EmbeddedLog>, before: LogTime, batch_rows: u32) {
    match forget(store, before, batch_rows).await {
        Ok(0) => {}
        Ok(rows) => info!(rows, "forgot requests and dead letters older than the retention"),
        Err(error) => warn!(%error, "the retention's round ended early"),
    }
    // The lanes stay whole: an audit decides them again from their beginning.
    for topic in [Topic::Outcomes, Topic::DeadLetters] {
        let Some(log) = embedded else { continue };
        match trim(log, topic, before, batch_rows).await {
            Ok(0) => {}
            Ok(records) => info!(%topic, records, "trimmed what is older than the retention"),
            Err(error) => warn!(%topic, %error, "the topic could not be trimmed"),
        }
    }
}

async fn forget(store: &dyn Store, before: LogTime, batch_rows: u32) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let rows = store.forget_before(before, batch_rows).await?;
        total += rows;
        if rows < u64::from(batch_rows) {
            return Ok(total);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn trim(log: &EmbeddedLog, topic: Topic, before: LogTime, limit: u32) -> Result<u64, ReadError> {
    let mut total = 0;
    loop {
        let records = log.trim(topic, before, u64::from(limit)).await?;
        total += records;
        if records == 0 {
            return Ok(total);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
