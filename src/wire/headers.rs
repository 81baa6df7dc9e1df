//! Record headers: CloudEvents in binary mode on outcomes, trace context and hop counts on commands.

use uuid::Uuid;

use super::outcome::OutcomeRecord;
use super::time::rfc3339;
use crate::domain::{Position, Verdict};

/// Header names and values, as the log takes them.
pub type Headers = Vec<(String, Vec<u8>)>;

/// W3C trace context, passed on from a command to its outcome and follow-ups.
pub const TRACEPARENT: &str = "traceparent";
/// How often a record was forwarded to another partition, as decimal text.
pub const HOPS: &str = "turnstile-hops";
/// Hash of the content of the command that an outcome decides, 16 hex digits.
pub const FINGERPRINT: &str = "turnstile-fingerprint";

/// Of a dead letter: where the record lay, `{lane}.{partition}.{offset}`.
pub const POSITION: &str = "turnstile-position";
/// Of a dead letter: why it could not be applied, one line of text.
pub const REASON: &str = "turnstile-reason";

/// The headers of an outcome record. `key` is its routing key; `id` must be the same on every attempt to publish.
pub fn headers(id: Uuid, key: &str, o: &OutcomeRecord<'_>, fingerprint: u64, traceparent: Option<&[u8]>) -> Headers {
    let position = o.decided.position;
    let ending = match o.verdict {
        Verdict::Succeeded(_) => "succeeded",
        Verdict::Rejected(_) => "rejected",
        Verdict::Pending => "pending",
    };
    let text = |name: &str, value: String| (name.to_owned(), value.into_bytes());
    let mut headers = vec![
        text("ce_specversion", "1.0".to_owned()),
        text("ce_id", id.hyphenated().to_string()),
        text("ce_source", format!("/turnstile/{}/{}", position.lane, position.partition)),
        text("ce_type", format!("turnstile.{}.{ending}", o.command)),
        text("ce_subject", key.to_owned()),
        text("ce_time", rfc3339(o.decided.time)),
        text("content-type", "application/json".to_owned()),
        text(FINGERPRINT, format!("{fingerprint:016x}")),
    ];
    headers.extend(traceparent.map(|value| (TRACEPARENT.to_owned(), value.to_vec())));
    headers
}

fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
}

/// The fingerprint of the command an outcome record decides, if the header is there and readable.
pub fn fingerprint_of(headers: &Headers) -> Option<u64> {
    let text = std::str::from_utf8(find(headers, FINGERPRINT)?).ok()?;
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}

/// The trace context a record carries.
pub fn traceparent(headers: &Headers) -> Option<&[u8]> {
    // The one length the W3C text has; anything else is not passed on.
    find(headers, TRACEPARENT).filter(|value| value.len() == 55 && value.is_ascii())
}

/// The headers of a command caused by one that carried this trace context.
pub fn with_traceparent(traceparent: &[u8]) -> Headers {
    vec![(TRACEPARENT.to_owned(), traceparent.to_vec())]
}

/// How often a record was forwarded. A header that is not a number counts as the highest, so that a record with a
/// broken one cannot go round for ever.
pub fn hops(headers: &Headers) -> u32 {
    match find(headers, HOPS) {
        None => 0,
        Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX),
    }
}

/// The same headers, saying that the record was forwarded so many times.
pub fn with_hops(mut headers: Headers, hops: u32) -> Headers {
    headers.retain(|(name, _)| name != HOPS);
    headers.push((HOPS.to_owned(), hops.to_string().into_bytes()));
    headers
}

/// The headers of a dead letter: the record's own ones, where it lay, and why it could not be applied.
pub fn dead_letter_headers(headers: &Headers, position: &Position, reason: &str) -> Headers {
    let own = [POSITION, REASON];
    let mut headers: Headers = headers.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect();
    headers.push((POSITION.to_owned(), position.to_string().into_bytes()));
    headers.push((REASON.to_owned(), reason.as_bytes().to_vec()));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;
    use crate::testing::wire::samples;

    #[test]
    fn an_outcome_is_a_cloud_event_in_binary_mode() {
        let (_, outcome) = &samples::outcomes()[0];
        let trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = headers(Uuid::from_u128(7), "key", &outcome.record(), 0xabc, Some(trace));
        let text: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect();
        assert_eq!(
            text,
            [
                ("ce_specversion", "1.0"),
                ("ce_id", "00000000-0000-0000-0000-000000000007"),
                ("ce_source", "/turnstile/seats/3"),
                ("ce_type", "turnstile.open_section.succeeded"),
                ("ce_subject", "key"),
                ("ce_time", "2026-11-21T07:00:00.123Z"),
                ("content-type", "application/json"),
                ("turnstile-fingerprint", "0000000000000abc"),
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ]
        );
        assert_eq!(fingerprint_of(&headers), Some(0xabc));
        assert_eq!(traceparent(&headers), Some(&trace[..]));
    }

    #[test]
    fn hops_count_up_and_a_broken_count_is_the_highest() {
        assert_eq!(hops(&vec![]), 0);
        let once = with_hops(vec![("a".to_owned(), vec![])], 1);
        assert_eq!(hops(&once), 1);
        let twice = with_hops(once, 2);
        assert_eq!((hops(&twice), twice.len()), (2, 2), "the old count is replaced");
        assert_eq!(hops(&vec![(HOPS.to_owned(), b"\xff".to_vec())]), u32::MAX);
    }

    #[test]
    fn a_dead_letter_keeps_the_records_headers_and_adds_where_and_why() {
        let position = Position { lane: Lane::Seats, partition: 3, offset: 1234 };
        let forged = vec![("a".to_owned(), vec![7]), (REASON.to_owned(), vec![])];
        let headers = dead_letter_headers(&forged, &position, "not UTF-8");
        let expected = [("a", &[7][..]), (POSITION, b"seats.3.1234"), (REASON, b"not UTF-8")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    }

    #[test]
    fn broken_fingerprints_and_traces_are_not_believed() {
        for bad in
            [&b""[..], b"abc", b"zzzzzzzzzzzzzzzz", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(fingerprint_of(&vec![(FINGERPRINT.to_owned(), bad.to_vec())]), None);
            assert_eq!(traceparent(&vec![(TRACEPARENT.to_owned(), bad.to_vec())]), None);
        }
    }
}
