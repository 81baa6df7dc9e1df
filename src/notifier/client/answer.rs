//! How a call ends.

use std::time::Duration;

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub text: String,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer. The text names no URL: that of a chat is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("the address {0} is not public (notifier.allow_private)")]
    Closed(std::net::IpAddr),
    #[error("plain http is not allowed (notifier.allow_http)")]
    Plain,
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("no answer: {0}")]
    Broken(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}
