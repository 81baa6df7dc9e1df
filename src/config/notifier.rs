//! Webhooks: `notifier.*`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::http::networks;
use super::layers::{ConfigError, Layers};
use super::read::duration;

const RETRY: &str = "notifier.retry";
const RETRIES_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifier {
    pub allow_http: bool,
    /// Networks that are not public and may be called nevertheless: first address, length of the prefix.
    pub allow_private: Vec<(IpAddr, u8)>,
    /// PEM, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Of one attempt.
    pub timeout: Duration,
    /// Pauses between attempts.
    pub retry: Vec<Duration>,
    pub disable_after: Duration,
    pub takeover_after: Duration,
}

impl Notifier {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let ca_file: Option<PathBuf> = layers.text_opt("notifier.ca_file")?.map(Into::into);
        if let Some(file) = ca_file.as_ref().filter(|file| !file.is_file()) {
            return Err(layers.refuse("notifier.ca_file", format_args!("is {}, which is no file", file.display())));
        }
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Ok(Notifier {
            allow_http: layers.flag("notifier.allow_http")?,
            allow_private: networks(layers, "notifier.allow_private")?,
            ca_file,
            timeout: layers.millis("notifier.timeout_ms", 100..=60_000)?,
            retry: retry(layers)?,
            disable_after: layers.duration("notifier.disable_after", Duration::from_secs(60)..=days(365))?,
            takeover_after: layers.millis("notifier.takeover_after_ms", 1_000..=600_000)?,
        })
    }
}

fn retry(layers: &Layers) -> Result<Vec<Duration>, ConfigError> {
    let text = layers.text(RETRY)?;
    let pauses: Option<Vec<Duration>> = text.split(',').map(|pause| duration(pause.trim())).collect();
    let right = |pauses: &Vec<Duration>| {
        pauses.len() <= RETRIES_MAX && pauses.iter().all(|pause| pause.as_secs() <= 7 * 86_400)
    };
    pauses.filter(right).ok_or_else(|| {
        let why = format_args!("is {text:?}, must be 1 to {RETRIES_MAX} durations of at most 7d, such as 5s, 5m, 2h");
        layers.refuse(RETRY, why)
    })
}
