//! Outbox rows that the log refuses for good: kept as dead letters, and published as such.

use std::time::Duration;

use tracing::{error, warn};

use super::commit::Backoff;
use super::context::Context;
use crate::domain::LanePartition;
use crate::log::Topic;
use crate::store::{DeadLetter, OutboxRow};
use crate::telemetry::metrics::DEAD_LETTERS;
use crate::wire::headers::dead_letter_headers;

/// Keeps a row as a dead letter, however long the store is away; the row to publish in its place.
pub(super) async fn keep(context: &Context, partition: LanePartition, row: OutboxRow, reason: &str) -> OutboxRow {
    let letter = DeadLetter::unsent(partition, &row, reason, context.deps.clock.now());
    let mut backoff = Backoff::new();
    while let Err(error) = context.deps.store.keep_unsent(&letter).await {
        warn!(position = %letter.position, %error, "a dead letter is kept later");
        backoff.wait().await;
    }
    DEAD_LETTERS.with_label_values(&[partition.lane.as_str()]).inc();
    error!(position = %letter.position, key = row.key, kind = &*row.kind, reason = letter.reason, "dead letter");
    let headers = dead_letter_headers(&row.headers, &letter.position, &letter.reason);
    OutboxRow { topic: Topic::DeadLetters, headers, ..row }
}

/// How long a partition waits before it appends a refused row by itself: below 100 ms, another time than most others.
pub(super) fn spread(partition: LanePartition, refusals: u32) -> Duration {
    let own = (partition.lane as u64 * 13 + u64::from(partition.partition) * 7) % 47;
    Duration::from_millis(own * u64::from(refusals % 2 + 1))
}
