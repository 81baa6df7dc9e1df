//! What an endpoint may be, and what events it takes.

use std::time::Duration;

use reqwest::Url;
use uuid::Uuid;

use super::event::{TYPES, takes};
use super::signature;
use crate::domain::LogTime;
use crate::store::{Webhook, WebhookFormat, WebhookSecret};

const NAME_CHARS_MAX: usize = 64;
const URL_BYTES_MAX: usize = 2048;
const TYPES_MAX: usize = 64;
/// More would not fit into a header that receivers read.
const SECRETS_MAX: usize = 3;

/// Why an endpoint is refused: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct Refused {
    pub field: &'static str,
    pub reason: String,
}

fn refused(field: &'static str, reason: impl Into<String>) -> Refused {
    Refused { field, reason: reason.into() }
}

/// A name for people and metrics: `A-Za-z0-9._-`.
///
/// # Errors
/// It is another text.
pub fn check_name(name: &str) -> Result<(), Refused> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(()),
        false => {
            Err(refused("name", format!("must be 1 to {NAME_CHARS_MAX} of A-Z, a-z, 0-9, dot, underscore, hyphen")))
        }
    }
}

/// A URL that may be called. The address is checked when it is dialed.
///
/// # Errors
/// It is none, of another scheme, or has a user in it.
pub fn check_url(url: &str, allow_http: bool) -> Result<Url, Refused> {
    if url.len() > URL_BYTES_MAX {
        return Err(refused("url", format!("is longer than {URL_BYTES_MAX} bytes")));
    }
    let parsed = Url::parse(url).map_err(|error| refused("url", format!("is no URL: {error}")))?;
    match parsed.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => return Err(refused("url", "must begin with https:// (notifier.allow_http)")),
        _ => return Err(refused("url", "must begin with https://")),
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(refused("url", "must have no user and no password"));
    }
    match parsed.host_str() {
        Some(host) if !host.is_empty() => Ok(parsed),
        _ => Err(refused("url", "names no host")),
    }
}

/// Event types, or all of one kind: `reservation.*`.
///
/// # Errors
/// One of them is unknown.
pub fn check_types(types: &[String]) -> Result<(), Refused> {
    if types.len() > TYPES_MAX {
        return Err(refused("types", format!("has more than {TYPES_MAX} entries")));
    }
    match types.iter().find(|wanted| !TYPES.iter().any(|(kind, _)| takes(wanted, kind))) {
        Some(unknown) => Err(refused("types", format!("has {unknown:?}, which no event is"))),
        None => Ok(()),
    }
}

/// A secret of 32 random bytes.
pub fn new_secret() -> WebhookSecret {
    // Two random UUIDs: 244 random bits.
    let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    WebhookSecret { text: signature::secret(&key), until_ms: None }
}

/// A secret as receivers and other senders know them.
///
/// # Errors
/// It is another text.
pub fn check_secret(text: &str) -> Result<(), Refused> {
    let reason = || "must be whsec_ and 24 to 64 bytes in base64".to_owned();
    signature::key(text).map(drop).ok_or_else(|| Refused { field: "secret", reason: reason() })
}

/// What a configuration file declares is changed there.
///
/// # Errors
/// It is such an endpoint; says which file.
pub fn check_changeable(webhook: &Webhook) -> Result<(), String> {
    match &webhook.content.declared_in {
        None => Ok(()),
        Some(file) => {
            Err(format!("{} is declared in {file}: change it there and start the notifier again", webhook.name))
        }
    }
}

/// A new secret before these, which go on to sign for `overlap`; those whose time is over go.
pub fn rotated(secrets: &[WebhookSecret], now: LogTime, overlap: Duration) -> Vec<WebhookSecret> {
    replaced(new_secret(), secrets, now, overlap)
}

/// The same with a given one, which may be among them.
pub fn replaced(new: WebhookSecret, secrets: &[WebhookSecret], now: LogTime, overlap: Duration) -> Vec<WebhookSecret> {
    let until = now.0.saturating_add(i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX));
    let signing = secrets.iter().filter(|secret| secret.until_ms.is_none_or(|until| until > now.0));
    let signing = signing.filter(|secret| secret.text != new.text);
    let former = signing.map(|secret| WebhookSecret {
        text: secret.text.clone(),
        until_ms: Some(secret.until_ms.map_or(until, |before| before.min(until))),
    });
    [new.clone()].into_iter().chain(former.filter(|secret| secret.until_ms > Some(now.0))).take(SECRETS_MAX).collect()
}

/// A URL as operators see it: that of a chat is a secret.
pub fn shown_url(url: &str, format: WebhookFormat) -> String {
    match (format, Url::parse(url)) {
        (WebhookFormat::Slack, Ok(url)) => format!("{}://{}/…", url.scheme(), url.host_str().unwrap_or_default()),
        (WebhookFormat::Slack, Err(_)) => "…".to_owned(),
        (WebhookFormat::Standard, _) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_without_users() {
        for good in
            ["https://a.example/x?y=1", "HTTPS://A.example", "https://[2606:4700::1111]:8443/", "https://1.1.1.1"]
        {
            assert!(check_url(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example",
            "ftp://a.example",
            "a.example",
            "https://",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://:p@a.example",
            "file:///etc/passwd",
            "gopher://a.example",
            "javascript:1",
        ] {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(check_url("http://a.example", true).is_ok() && check_url("ftp://a.example", true).is_err());
        assert!(check_url(&format!("https://a.example/{}", "x".repeat(2048)), false).is_err());
    }

    #[test]
    fn types_are_known_ones_or_all_of_a_kind() {
        let list = |types: &[&str]| types.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(check_types(&list(&["reservation.held", "payment.*", "*"])), Ok(()));
        for bad in ["", "reservation", "reservation.", "reservation.h*", "reservation.stolen", "seat.*"] {
            assert!(check_types(&list(&[bad])).is_err(), "{bad}");
        }
        assert!(takes("queue.*", "queue.joined") && !takes("queue.*", "payment.failed"));
    }

    #[test]
    fn a_rotated_secret_signs_until_its_time_is_over() {
        let first = vec![new_secret()];
        let both = rotated(&first, LogTime(1000), Duration::from_millis(500));
        assert_eq!((both.len(), &both[1].text, both[1].until_ms), (2, &first[0].text, Some(1500)));
        assert_ne!(both[0].text, first[0].text);
        assert_eq!(rotated(&both, LogTime(1500), Duration::ZERO).len(), 1, "at once, and the first one is over");
    }

    #[test]
    fn the_url_of_a_chat_is_not_shown() {
        let url = "https://hooks.slack.com/services/T0/B0/xyz";
        assert_eq!(shown_url(url, WebhookFormat::Slack), "https://hooks.slack.com/…");
        assert_eq!(shown_url(url, WebhookFormat::Standard), url);
    }
}
