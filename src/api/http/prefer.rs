//! `Prefer: wait=N` among the other preferences of RFC 7240.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Longest wait, in seconds; more is taken as this.
#[derive(Debug, Clone, Copy)]
pub struct WaitLimit(pub u64);

/// The request's wish to wait, if it has one.
#[derive(Debug, Clone, Copy)]
pub struct Preferred(pub Option<Wait>);

impl<S> FromRequestParts<S> for Preferred
where
    WaitLimit: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Preferred(Wait::from_headers(&parts.headers, WaitLimit::from_ref(state).0)))
    }
}

/// How long the client wants to wait for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// As applied, for `Preference-Applied`.
    pub seconds: u64,
}

impl Wait {
    /// The `wait` preference, at most `seconds_max`. What cannot be read is ignored, as RFC 7240 wants it; of repeated
    /// preferences the first counts.
    pub fn from_headers(headers: &HeaderMap, seconds_max: u64) -> Option<Wait> {
        let texts = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut preferences = texts.flat_map(|text| split_unquoted(text, ','));
        let value = preferences.find_map(|preference| {
            let preference = split_unquoted(preference, ';').next()?;
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
        })?;
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Too many digits for a number are still a wish to wait as long as possible.
        let seconds = value.parse().unwrap_or(u64::MAX).min(seconds_max);
        (seconds > 0).then_some(Wait { seconds })
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Tells the client that its preference was followed.
    pub fn note_in(self, response: &mut Response) {
        if let Ok(value) = HeaderValue::from_str(&format!("wait={}", self.seconds)) {
            response.headers_mut().insert(APPLIED, value);
        }
    }
}

/// The parts of `text` between separators that are not inside a quoted string.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return !quoted && c == separator,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        Wait::from_headers(&headers, 30).map(|wait| wait.seconds)
    }

    #[test]
    fn wait_is_found_among_other_preferences() {
        assert_eq!(wait(&["wait=5"]), Some(5));
        assert_eq!(wait(&["respond-async, wait=10"]), Some(10));
        assert_eq!(wait(&["respond-async", "Wait = \"7\""]), Some(7));
        assert_eq!(wait(&["foo=\"a, wait=3\"; bar=\"\\\"\", wait=4; x=y"]), Some(4));
        assert_eq!(wait(&["wait=1, wait=2"]), Some(1));
    }

    #[test]
    fn wait_is_bounded_and_nonsense_is_ignored() {
        assert_eq!(wait(&["wait=31"]), Some(30));
        assert_eq!(wait(&["wait=99999999999999999999999"]), Some(30));
        for none in ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=ten", "wait=0", "waiting=5", "x=\"wait=5", "=;,"]
        {
            assert_eq!(wait(&[none]), None, "{none}");
        }
        assert_eq!(wait(&[]), None);
    }
}
