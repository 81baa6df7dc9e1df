//! Record headers: CloudEvents in binary mode on outcomes, trace context and hop counts on commands.
//!
//! `log` owns the type of a record's headers; here they are read as a slice of it.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use bytes::Bytes;
use uuid::Uuid;

use super::outcome::OutcomeRecord;
use super::time::{parse_rfc3339, rfc3339};
use super::values::{fingerprint, uuid};
use crate::domain::{Fingerprint, Lane, LogTime, Position, RequestId, ScheduleId};

/// Name and value.
pub type Header = (Cow<'static, str>, Bytes);

/// More than this on one record is not taken, in bytes of names and values.
pub const BYTES_MAX: usize = 16 * 1024;

/// W3C trace context, passed on from a command to its outcome and follow-ups.
pub const TRACEPARENT: &str = "traceparent";
/// How often a record was forwarded to another partition, as decimal text.
pub const HOPS: &str = "turnstile-hops";

/// Of a record that was a dead letter: the user who appended it again.
pub const REPLAYED_BY: &str = "turnstile-replayed-by";

/// Of an outcome: the request it decides.
pub const REQUEST_ID: &str = "turnstile-request-id";
/// Of an outcome: hash of the content of the command that asked, 16 hex digits.
pub const FINGERPRINT: &str = "turnstile-fingerprint";
/// Of an outcome: the date it is about; missing on those of wallets.
pub const SCHEDULE: &str = "turnstile-schedule";

/// Of an outcome: when its decision was committed, ms since 1970 UTC by the owner's clock. Another attempt to publish it says
/// another time.
pub const COMMITTED_AT: &str = "turnstile-committed-at";

/// Of a dead letter: where the record lay, `{lane}.{partition}.{offset}`.
pub const POSITION: &str = "turnstile-position";
/// Of a dead letter: why it could not be applied, one line of text.
pub const REASON: &str = "turnstile-reason";

/// The headers of an outcome record. `key` is its routing key; `id` must be the same on every attempt to publish. With
/// request, fingerprint and date a front door knows without the value whether anybody waits for it.
pub fn outcome_headers(id: Uuid, key: &str, o: &OutcomeRecord<'_>, traceparent: Option<Bytes>) -> Vec<Header> {
    let partition = o.decided.position.partition;
    let ending = if o.outcome.is_ok() { "succeeded" } else { "rejected" };
    let mut values = Values { text: String::with_capacity(320), ends: Vec::with_capacity(10) };
    values.add("ce_specversion", "1.0");
    values.add("ce_id", id.hyphenated());
    values.add("ce_source", format_args!("/turnstile/{}/{}", partition.lane, partition.partition));
    values.add("ce_type", format_args!("turnstile.{}.{ending}", o.command));
    values.add("ce_subject", key);
    values.add("ce_time", rfc3339(o.decided.time));
    values.add("content-type", "application/json");
    values.add(REQUEST_ID, o.request_id);
    values.add(FINGERPRINT, format_args!("{:016x}", o.fingerprint.0));
    if let Some(schedule_id) = o.schedule_id {
        values.add(SCHEDULE, schedule_id);
    }
    let mut headers = values.headers();
    headers.extend(traceparent.map(|value| (TRACEPARENT.into(), value)));
    headers
}

/// Values of headers one behind the other: they share one allocation.
struct Values {
    text: String,
    ends: Vec<(&'static str, usize)>,
}

impl Values {
    fn add(&mut self, name: &'static str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
        self.ends.push((name, self.text.len()));
    }

    fn headers(self) -> Vec<Header> {
        let text = Bytes::from(self.text);
        let mut headers = Vec::with_capacity(self.ends.len() + 1);
        let mut from = 0;
        for (name, end) in self.ends {
            headers.push((name.into(), text.slice(from..end)));
            from = end;
        }
        headers
    }
}

/// Bytes of names and values, for [`BYTES_MAX`].
pub fn bytes(headers: &[Header]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a Bytes> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn find_text<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    std::str::from_utf8(find(headers, name)?).ok()
}

/// The request an outcome record decides, if the header is there and readable.
pub fn request_id_of(headers: &[Header]) -> Option<RequestId> {
    uuid(find_text(headers, REQUEST_ID)?).map(RequestId)
}

/// The fingerprint of the command that asked, if the header is there and readable.
pub fn fingerprint_of(headers: &[Header]) -> Option<Fingerprint> {
    fingerprint(find_text(headers, FINGERPRINT)?)
}

/// The date an outcome record is about, if the header is there and readable.
pub fn schedule_of(headers: &[Header]) -> Option<ScheduleId> {
    uuid(find_text(headers, SCHEDULE)?).map(ScheduleId)
}

/// The lane and the log time of the command that decided an outcome record, if the headers are there and readable.
pub fn decided_of(headers: &[Header]) -> Option<(Lane, LogTime)> {
    let (lane, _) = find_text(headers, "ce_source")?.strip_prefix("/turnstile/")?.split_once('/')?;
    Some((lane.parse().ok()?, parse_rfc3339(find_text(headers, "ce_time")?)?))
}

/// When an outcome was committed, as its record says.
pub fn committed_of(headers: &[Header]) -> Option<LogTime> {
    find_text(headers, COMMITTED_AT)?.parse().ok().map(LogTime)
}

/// The headers of an outcome that was committed at this time.
pub fn with_committed(mut headers: Vec<Header>, at: LogTime) -> Vec<Header> {
    headers.push((COMMITTED_AT.into(), at.0.to_string().into()));
    headers
}

/// Whether an outcome record says that its command was refused, and so changed nothing.
pub fn is_refusal(headers: &[Header]) -> bool {
    find_text(headers, "ce_type").is_some_and(|kind| kind.ends_with(".rejected"))
}

/// Whether an outcome record is of an amendment.
pub fn is_amendment(headers: &[Header]) -> bool {
    find_text(headers, "ce_type").is_some_and(|kind| kind.starts_with("turnstile.amend_block."))
}

/// The trace context a record carries.
pub fn traceparent(headers: &[Header]) -> Option<Bytes> {
    // The one length the W3C text has; anything else is not passed on.
    find(headers, TRACEPARENT).filter(|value| value.len() == 55 && value.is_ascii()).cloned()
}

/// The headers of a command caused by one that carried this trace context.
pub fn with_traceparent(traceparent: Bytes) -> Vec<Header> {
    vec![(TRACEPARENT.into(), traceparent)]
}

/// How often a record was forwarded. A header that is not a number counts as the highest, so that a record with a
/// broken one cannot be forwarded forever.
pub fn hops(headers: &[Header]) -> u32 {
    match find(headers, HOPS) {
        None => 0,
        Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX),
    }
}

/// The same headers with this count of hops in place of their own.
pub fn with_hops(mut headers: Vec<Header>, hops: u32) -> Vec<Header> {
    headers.retain(|(name, _)| name != HOPS);
    headers.push((HOPS.into(), hops.to_string().into()));
    headers
}

/// The headers of a dead letter: the record's own ones, where it lay, and why it could not be applied.
pub fn dead_letter_headers(headers: &[Header], position: &Position, reason: &str) -> Vec<Header> {
    let own = [POSITION, REASON];
    let mut headers: Vec<Header> = headers.iter().filter(|(name, _)| !own.contains(&&**name)).cloned().collect();
    headers.push((POSITION.into(), position.to_string().into()));
    headers.push((REASON.into(), Bytes::copy_from_slice(reason.as_bytes())));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wire::samples;

    #[test]
    fn an_outcome_is_a_cloud_event_in_binary_mode() {
        let outcome = samples::outcomes().into_iter().find(|outcome| outcome.name == "block_opened").unwrap();
        let trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = outcome_headers(Uuid::from_u128(7), "käy", &outcome.record(), Some(Bytes::from_static(trace)));
        let text: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (&**name, std::str::from_utf8(value).unwrap())).collect();
        assert_eq!(
            text,
            [
                ("ce_specversion", "1.0"),
                ("ce_id", "00000000-0000-0000-0000-000000000007"),
                ("ce_source", "/turnstile/seats/3"),
                ("ce_type", "turnstile.open_block.succeeded"),
                ("ce_subject", "käy"),
                ("ce_time", "2026-11-21T07:00:00.123Z"),
                ("content-type", "application/json"),
                ("turnstile-request-id", "0192e4b0-0000-7000-8000-000000000010"),
                ("turnstile-fingerprint", "0000000000000abc"),
                ("turnstile-schedule", "0192e4b0-0000-7000-8000-00000000005c"),
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ]
        );
        let record = outcome.record();
        assert_eq!(request_id_of(&headers), Some(record.request_id));
        assert_eq!(fingerprint_of(&headers), Some(record.fingerprint));
        assert_eq!(schedule_of(&headers), record.schedule_id);
        assert_eq!(decided_of(&headers), Some((Lane::Seats, record.decided.time)));
        assert_eq!(committed_of(&headers), None);
        assert_eq!(committed_of(&with_committed(headers.clone(), LogTime(-5))), Some(LogTime(-5)));
        assert_eq!(traceparent(&headers).as_deref(), Some(&trace[..]));
        assert_eq!(bytes(&headers[..1]), "ce_specversion1.0".len());
    }

    #[test]
    fn a_refusal_is_another_type_and_a_wallets_outcome_has_no_date() {
        let outcome =
            samples::outcomes().into_iter().find(|outcome| outcome.name == "rejected_insufficient_balance").unwrap();
        let headers = outcome_headers(Uuid::nil(), "alice", &outcome.record(), None);
        assert_eq!(find_text(&headers, "ce_type"), Some("turnstile.debit_wallet.rejected"));
        assert!(is_refusal(&headers) && !is_refusal(&[]));
        assert_eq!((schedule_of(&headers), traceparent(&headers)), (None, None));
    }

    #[test]
    fn hops_count_up_and_a_broken_count_is_the_highest() {
        assert_eq!(hops(&[]), 0);
        let once = with_hops(vec![("a".into(), Bytes::new())], 1);
        assert_eq!(hops(&once), 1);
        let twice = with_hops(once, 2);
        assert_eq!((hops(&twice), twice.len()), (2, 2), "the old count is replaced");
        assert_eq!(hops(&[(HOPS.into(), Bytes::from_static(b"\xff"))]), u32::MAX);
    }

    #[test]
    fn a_dead_letter_keeps_the_records_headers_and_adds_where_and_why() {
        let position = Position::new(Lane::Seats, 3, 1234);
        let forged = vec![("a".into(), Bytes::from_static(&[7])), (REASON.into(), Bytes::new())];
        let headers = dead_letter_headers(&forged, &position, "not UTF-8");
        let expected = [("a", &[7][..]), (POSITION, b"seats.3.1234"), (REASON, b"not UTF-8")];
        assert_eq!(headers, expected.map(|(name, value)| (name.into(), Bytes::from_static(value))));
    }

    #[test]
    fn broken_headers_are_not_believed() {
        let bad: [&'static [u8]; 6] =
            [b"", b"abc", b"zzzzzzzzzzzzzzzz", b"+123456789abcdef", b"0123456789ABCDEF", &[0xff; 16]];
        for bad in bad {
            let headers: Vec<Header> = [REQUEST_ID, FINGERPRINT, SCHEDULE, TRACEPARENT]
                .map(|name| (name.into(), Bytes::from_static(bad)))
                .into();
            assert_eq!((request_id_of(&headers), fingerprint_of(&headers)), (None, None));
            assert_eq!((schedule_of(&headers), traceparent(&headers)), (None, None));
        }
    }
}
