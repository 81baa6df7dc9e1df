//! Times as text: RFC 3339 UTC with milliseconds.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::domain::LogTime;

/// 0000-01-01T00:00:00.000Z, the first time the text can say.
const FIRST_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last one.
const LAST_MS: i64 = 253_402_300_799_999;

/// `2026-11-21T07:00:00.123Z`. A time outside of the years 0 to 9999 is written as the nearest one inside.
pub fn rfc3339(time: LogTime) -> String {
    let ms = time.0.clamp(FIRST_MS, LAST_MS);
    let at =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Reads RFC 3339 with any offset and any precision; what is finer than a millisecond is cut off.
pub fn parse_rfc3339(text: &str) -> Option<LogTime> {
    // The longest sensible text; a cap so that a stranger's megabyte of digits costs nothing.
    if text.len() > 64 {
        return None;
    }
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    let ms = i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
    (FIRST_MS..=LAST_MS).contains(&ms).then_some(LogTime(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(LogTime(1_795_244_400_123)), "2026-11-21T07:00:00.123Z");
        assert_eq!(rfc3339(LogTime(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(LogTime(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(LogTime(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(LogTime(i64::MIN)), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn times_are_read_with_any_offset_and_precision() {
        let seven = LogTime(1_795_244_400_000);
        for text in ["2026-11-21T07:00:00Z", "2026-11-21T07:00:00.000Z", "2026-11-21T16:00:00+09:00"] {
            assert_eq!(parse_rfc3339(text), Some(seven), "{text}");
        }
        assert_eq!(parse_rfc3339("2026-11-21T07:00:00.123999Z"), Some(LogTime(1_795_244_400_123)));
        for text in ["", "2026-11-21", "2026-11-21T07:00:00", "2026-13-01T00:00:00Z", "now", "10000-01-01T00:00:00Z"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn a_written_time_reads_back() {
        for ms in [FIRST_MS, -1, 0, 1, 1_795_244_400_123, LAST_MS] {
            assert_eq!(parse_rfc3339(&rfc3339(LogTime(ms))), Some(LogTime(ms)));
        }
    }
}
