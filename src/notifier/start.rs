//! Where an endpoint begins.

use std::time::Duration;

use uuid::Uuid;

use super::endpoint::Refused;
use crate::log::{Log, ReadError, Topic};
use crate::store::{PARTITION_EVENTS, StartFrom, WebhookStart};
use crate::wire::time::parse_rfc3339;

/// A record that should be there comes within this time; behind the last one of a partition may lie what is none.
const RECORD_WITHIN: Duration = Duration::from_secs(2);

/// A start as an operator writes it: `first`, a time, or a position such as `outcomes.3.1234`.
///
/// # Errors
/// It is none of them.
pub fn start_of(text: &str) -> Result<WebhookStart, Refused> {
    let position = || {
        let (partition, offset) = match text.strip_prefix("partitions.") {
            Some(offset) => (PARTITION_EVENTS, offset),
            None => {
                let (partition, offset) = text.strip_prefix("outcomes.")?.split_once('.')?;
                (partition.parse().ok().filter(|of| *of != PARTITION_EVENTS)?, offset)
            }
        };
        let offset = offset.parse().ok().filter(|offset| i64::try_from(*offset).is_ok())?;
        Some(StartFrom::Position { partition, offset })
    };
    let from = match text {
        "first" => Some(StartFrom::First),
        _ => position().or_else(|| Some(StartFrom::TimeMs(parse_rfc3339(text)?.0))),
    };
    let reason = || "must be first, a time (RFC 3339), or a position such as outcomes.3.1234".to_owned();
    let from = from.ok_or_else(|| Refused { field: "from", reason: reason() })?;
    Ok(WebhookStart { id: Uuid::now_v7(), from })
}

/// The offset of the first record of a partition that the log took at this time or later; its end if there is none. It
/// looks at few records: first near the end, where a new endpoint begins.
pub async fn offset_at(log: &dyn Log, partition: u32, time_ms: i64) -> Result<u64, ReadError> {
    let first = log.first_offset(Topic::Outcomes, partition).await?;
    let end = log.end_offset(Topic::Outcomes, partition).await?;
    // Every record before `low` is older, none from `high` on is.
    let (mut low, mut high) = (first, end);
    let mut step = 1;
    while low < high {
        let probe = high.saturating_sub(step).max(low);
        let older = match time_of(log, partition, probe).await? {
            Some((_, time)) => time < time_ms,
            None => false,
        };
        if older {
            low = probe + 1;
            break;
        }
        high = probe;
        step *= 2;
    }
    while low < high {
        let probe = low + (high - low) / 2;
        match time_of(log, partition, probe).await? {
            // The record may lie behind a gap.
            Some((offset, time)) if time < time_ms => low = offset.max(probe) + 1,
            _ => high = probe,
        }
    }
    Ok(low.min(end))
}

/// Offset and time of the first record from here on.
async fn time_of(log: &dyn Log, partition: u32, offset: u64) -> Result<Option<(u64, i64)>, ReadError> {
    let mut reader = log.read(Topic::Outcomes, partition, offset).await?;
    let Ok(read) = tokio::time::timeout(RECORD_WITHIN, reader.next(1, 1)).await else { return Ok(None) };
    Ok(read?.first().map(|record| (record.offset, record.timestamp.millis())))
}
