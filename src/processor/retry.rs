//! Calls that are repeated until log or store answer: while they are away nothing is parked.

use tracing::warn;

use super::commit::Backoff;
use super::standing::{Standing, Step};
use crate::domain::LanePartition;
use crate::log::ReadError;
use crate::store::StoreError;

/// Asks the log until it answers: a broker that is away for a moment is no reason to park the partition.
pub(super) async fn readable<T, F>(
    partition: LanePartition,
    standing: &Standing,
    ask: impl Fn() -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(ReadError::Unavailable(reason)) => {
                warn!(%partition, reason, "the log cannot be read");
                standing.failed(Step::Acquire, reason);
                backoff.wait().await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Repeats a read until the store answers.
pub(super) async fn retried<T, F>(
    what: &str,
    partition: LanePartition,
    standing: &Standing,
    attempt: impl Fn() -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(StoreError::Failed(reason)) => return Err(format!("{what}: {reason}")),
            Err(error) => {
                warn!(%partition, %error, what, "repeated until the store answers");
                standing.failed(Step::Acquire, format!("{what}: {error}"));
                backoff.wait().await;
            }
        }
    }
}
