//! Log time: what a record says, within bounds. No decision depends on the owner's clock; it only delays one.

use crate::domain::{Lane, LogTime};
use crate::log::{Record, Timestamp};
use crate::wire::time::rfc3339;

/// A record further ahead of the owner's clock waits: a clock that has jumped, the log's or the owner's, must not end all
/// holds and close the sale.
pub(super) const AHEAD_MAX_MS: i64 = 60_000;

/// The time this record says; the one before it may be later.
///
/// # Errors
/// Why the record has to wait.
pub(super) fn said(lane: Lane, record: &Record, now: LogTime) -> Result<LogTime, String> {
    let offset = record.offset;
    match record.timestamp {
        // Nothing is decided there.
        timestamp if lane == Lane::Inbox => Ok(LogTime(timestamp.millis())),
        Timestamp::LogAppend(ms) if ms.saturating_sub(now.0) > AHEAD_MAX_MS => {
            let (said, now) = (rfc3339(LogTime(ms)), rfc3339(now));
            Err(format!("offset {offset} has log time {said}, this machine's clock says {now}"))
        }
        Timestamp::LogAppend(ms) => Ok(LogTime(ms)),
        Timestamp::Create(_) => Err(format!(
            "offset {offset} has its producer's time, not the log's: the topic needs \
             message.timestamp.type=LogAppendTime"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(timestamp: Timestamp) -> Record {
        Record { offset: 7, timestamp, key: None, value: None, headers: Vec::new(), unreadable_headers: 0 }
    }

    #[test]
    fn a_record_more_than_a_minute_ahead_waits_and_one_behind_does_not() {
        let now = LogTime(1_700_000_000_000);
        for ms in [i64::MIN, 0, now.0, now.0 + 60_000] {
            assert_eq!(said(Lane::Seats, &record(Timestamp::LogAppend(ms)), now), Ok(LogTime(ms)));
        }
        for ms in [now.0 + 60_001, i64::MAX] {
            assert!(said(Lane::Seats, &record(Timestamp::LogAppend(ms)), now).is_err(), "{ms}");
        }
        let reason =
            said(Lane::Seats, &record(Timestamp::LogAppend(now.0 + 86_400_000)), now).expect_err("a day ahead");
        let (said_at, clock) = ("2023-11-15T22:13:20.000Z", "2023-11-14T22:13:20.000Z");
        assert_eq!(reason, format!("offset 7 has log time {said_at}, this machine's clock says {clock}"));
    }

    #[test]
    fn a_producers_time_is_no_log_time() {
        let now = LogTime(1_700_000_000_000);
        assert!(said(Lane::Seats, &record(Timestamp::Create(now.0)), now).is_err());
    }
}
