//! Headers in one text, as the outbox keeps them: a relay of another make passes them on in one header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::headers::Header;

/// The header with all others: the column `headers` of the outbox.
pub const FOLDED: &str = "turnstile-headers";

#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderValue {
    Text(String),
    Bytes { base64: String },
}

/// The headers as the worker's own relay would have published them: those of [`FOLDED`], then the others. A text that is
/// none is left as it is.
pub fn unfolded(headers: Vec<Header>) -> Vec<Header> {
    let Some(at) = headers.iter().position(|(name, _)| name == FOLDED) else { return headers };
    let Some(mut all) = parse(&headers[at].1) else { return headers };
    all.extend(headers.into_iter().enumerate().filter(|(place, _)| *place != at).map(|(_, header)| header));
    all
}

fn parse(text: &[u8]) -> Option<Vec<Header>> {
    let pairs: Vec<(String, HeaderValue)> = serde_json::from_slice(text).ok()?;
    let bytes = |value| match value {
        HeaderValue::Text(text) => Some(text.into_bytes()),
        HeaderValue::Bytes { base64 } => STANDARD.decode(base64).ok(),
    };
    pairs.into_iter().map(|(name, value)| Some((name.into(), bytes(value)?.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &[u8]) -> Header {
        (name.to_owned().into(), value.to_vec().into())
    }

    #[test]
    fn one_header_unfolds_to_those_of_the_record_and_keeps_what_the_relay_adds() {
        let text = br#"[["ce_id","7"],["raw",{"base64":"/wD+"}],["ce_id","8"]]"#;
        let folded = vec![header("id", b"7"), header(FOLDED, text)];
        let expected =
            vec![header("ce_id", b"7"), header("raw", &[0xff, 0, 0xfe]), header("ce_id", b"8"), header("id", b"7")];
        assert_eq!(unfolded(folded), expected);
    }

    #[test]
    fn other_headers_stay_as_they_are() {
        for value in [&b"[[1,2]]"[..], b"", b"{}", br#"[["raw",{"base64":"?"}]]"#, &[0xff]] {
            let headers = vec![header("a", b"b"), header(FOLDED, value)];
            assert_eq!(unfolded(headers.clone()), headers);
        }
        assert_eq!(unfolded(vec![header("a", b"b")]), [header("a", b"b")]);
    }
}
