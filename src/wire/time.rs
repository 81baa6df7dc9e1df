//! Times as text: RFC 3339 UTC with milliseconds.

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, UtcOffset};

use crate::domain::LogTime;

/// 0000-01-01T00:00:00.000Z, the first time the text can say.
const FIRST_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last one.
const LAST_MS: i64 = 253_402_300_799_999;

/// Julian day of 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// `2026-11-21T07:00:00.123Z`. A time outside of the years 0 to 9999 is written as the nearest one inside.
pub fn rfc3339(time: LogTime) -> String {
    let ms = time.0.clamp(FIRST_MS, LAST_MS);
    let at =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let mut text = String::with_capacity(24);
    digits(&mut text, year.unsigned_abs(), 1_000);
    for (before, number) in [('-', month.into()), ('-', day), ('T', hour), (':', minute), (':', second)] {
        text.push(before);
        digits(&mut text, number.into(), 10);
    }
    text.push('.');
    digits(&mut text, at.millisecond().into(), 100);
    text.push('Z');
    text
}

/// As many digits as `unit` has. Each outcome has two times: the formatting of the standard library takes four times as
/// long.
fn digits(text: &mut String, number: u32, mut unit: u32) {
    while unit > 0 {
        text.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

/// Reads RFC 3339 with any offset and any precision; what is finer than a millisecond is cut off.
pub fn parse_rfc3339(text: &str) -> Option<LogTime> {
    if let Some(time) = own_form(text.as_bytes()) {
        return Some(time);
    }
    // The longest sensible text; a cap so that a stranger's megabyte of digits costs nothing.
    if text.len() > 64 {
        return None;
    }
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    let ms = i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
    (FIRST_MS..=LAST_MS).contains(&ms).then_some(LogTime(ms))
}

/// As [`rfc3339`] writes it: every API process reads the time of every outcome, and the general parser takes half a
/// microsecond for it. `None`: another form, or no time.
fn own_form(text: &[u8]) -> Option<LogTime> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, b'.', f1, f2, f3, b'Z'] =
        *text
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |all, digit| digit.is_ascii_digit().then(|| all * 10 + i64::from(digit - b'0')))
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let month = Month::try_from(u8::try_from(number(&[m1, m2])?).ok()?).ok()?;
    let day = Date::from_calendar_date(year, month, u8::try_from(number(&[d1, d2])?).ok()?).ok()?;
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (i64::from(day.to_julian_day() - EPOCH_JULIAN_DAY) * 24 + hour) * 3_600 + minute * 60 + second;
    Some(LogTime(seconds * 1_000 + number(&[f1, f2, f3])?))
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

    #[test]
    fn its_own_form_is_read_as_any_other_is() {
        let days = (FIRST_MS..=LAST_MS).step_by(86_400_000 * 97 + 12_345_678);
        for ms in days.chain([FIRST_MS, -1, 0, 1, 951_782_400_000, LAST_MS]) {
            let text = rfc3339(LogTime(ms));
            assert_eq!(own_form(text.as_bytes()), Some(LogTime(ms)), "{text}");
            let general = text.replace('Z', "+00:00");
            assert_eq!(own_form(general.as_bytes()), None);
            assert_eq!(parse_rfc3339(&general), Some(LogTime(ms)), "{text}");
        }
        for text in [
            "2026-02-29T07:00:00.123Z",
            "2026-11-21T24:00:00.123Z",
            "2026-11-21T07:00:0x.123Z",
            "2026-11-21 07:00:00.123Z",
        ] {
            assert_eq!(own_form(text.as_bytes()), None, "{text}");
        }
    }
}
