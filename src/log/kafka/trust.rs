//! Why a broker that speaks TLS does not answer: to librdkafka one that is not trusted is one that is away, and it says the
//! difference in its log lines alone.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::client::{KafkaSettings, Telling};
use super::error::ConnectError;
use super::failover::Failover;

/// What librdkafka says of a certificate that does not fit, whether by its name or by who signed it.
const NOT_VERIFIED: &str = "certificate verify failed";
/// A handshake has failed by then, if it does.
const ASKED_FOR: Duration = Duration::from_secs(5);
const ASK: Duration = Duration::from_millis(500);

/// The error with what a client of its own hears, if TLS is spoken. Blocks.
pub(super) fn explained(error: ConnectError, settings: &KafkaSettings) -> ConnectError {
    let ConnectError::Unreachable { brokers, .. } = &error else { return error };
    if !settings.extra.get("security.protocol").is_some_and(|protocol| protocol.to_ascii_lowercase().contains("ssl")) {
        return error;
    }
    let brokers = brokers.clone();
    match heard(settings) {
        Some(said) if said.contains(NOT_VERIFIED) => {
            let reason = said.split(": broker certificate could not").next().unwrap_or(&said).to_owned();
            ConnectError::Certificate { brokers, reason }
        }
        Some(said) => ConnectError::Unreachable { brokers, reason: format!("TLS: {said}") },
        None => error,
    }
}

fn heard(settings: &KafkaSettings) -> Option<String> {
    let noticed = Failover::default();
    let telling = Telling::new("reader", settings, &noticed);
    let asking: BaseConsumer<Telling> = settings.reader().create_with_context(telling).ok()?;
    let until = Instant::now() + ASKED_FOR;
    while noticed.tls_failure().is_none() && Instant::now() < until {
        // It connects when it is asked something, and hands out its log lines when it is polled.
        let _ = asking.client().fetch_metadata(None, ASK);
        drop(asking.poll(ASK));
    }
    noticed.tls_failure()
}
