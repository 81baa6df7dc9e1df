//! Partition owners, relay and retention: `worker.*`, `outbox.*`, `retention.*`.

use std::time::Duration;

use super::layers::{ConfigError, Layers};
use super::read::duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// `None`: host name and process id.
    pub name: Option<String>,
    /// Static name in the group, kept across restarts.
    pub instance_id: Option<String>,
    pub batch_max_records: usize,
    pub batch_max_bytes: usize,
    pub session_timeout: Duration,
    pub drain_deadline: Duration,
    pub cache_rows_max: usize,
    /// The replication slot by which something else publishes the outbox; `None`: the worker does.
    pub capture_slot: Option<String>,
    pub relay_in_flight_max: usize,
}

impl WorkerConfig {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let session_timeout = layers.millis("worker.session_timeout_ms", 1_000..=300_000)?;
        let drain_deadline = layers.millis("worker.drain_deadline_ms", 50..=150_000)?;
        // A worker that drains longer may be declared dead while it still works.
        if drain_deadline * 2 >= session_timeout {
            let why = format_args!(
                "is {} ms, must be below half of worker.session_timeout_ms ({} ms)",
                drain_deadline.as_millis(),
                session_timeout.as_millis()
            );
            return Err(layers.refuse("worker.drain_deadline_ms", why));
        }
        Ok(Self {
            name: layers.text_opt("worker.name")?.map(str::to_owned),
            instance_id: layers.text_opt("worker.instance_id")?.map(str::to_owned),
            batch_max_records: layers.count("worker.batch_max_records", 1..=65_536)?,
            batch_max_bytes: layers.count("worker.batch_max_bytes", 65_536..=67_108_864)?,
            session_timeout,
            drain_deadline,
            cache_rows_max: layers.count("worker.cache_rows_max", 1000..=100_000_000)?,
            capture_slot: capture_slot(layers)?,
            relay_in_flight_max: layers.count("outbox.in_flight_max", 1..=100_000)?,
        })
    }
}

fn capture_slot(layers: &Layers) -> Result<Option<String>, ConfigError> {
    let external = layers.choice("outbox.relay", &[("worker", false), ("external", true)])?;
    let slot = layers.text_opt("outbox.slot")?;
    match slot {
        None if external => {
            let why = "is empty, but with outbox.relay \"external\" rows are deleted when a replication slot has \
                       confirmed them; name it (docs/postgresql.md)";
            Err(layers.refuse("outbox.slot", why))
        }
        Some(slot) if !external => {
            let why = format_args!("is {slot:?}, but outbox.relay is \"worker\": nothing is read from a slot");
            Err(layers.refuse("outbox.slot", why))
        }
        Some(slot) if slot.len() > 63 || !slot.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) => {
            Err(layers.refuse("outbox.slot", format_args!("is {slot:?}, must be up to 63 of a-z, 0-9 and _")))
        }
        slot => Ok(slot.map(str::to_owned)),
    }
}

const AFTER_MIN: Duration = Duration::from_secs(60);
const AFTER_MAX: Duration = Duration::from_secs(3_650 * 86_400);

/// How long requests may be remembered: a number with its unit, such as `12h` or `7d`, within bounds.
pub fn age(text: &str) -> Option<Duration> {
    duration(text).filter(|age| (AFTER_MIN..=AFTER_MAX).contains(age))
}

/// How long requests are remembered, and how those that are not any more are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// At first start. The store keeps it from then on.
    pub after: Duration,
    pub batch_rows: u32,
    pub interval: Duration,
}

impl Retention {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            after: layers.duration("retention.after", AFTER_MIN..=AFTER_MAX)?,
            batch_rows: layers.count("retention.batch_rows", 1..=100_000)?,
            interval: layers.seconds("retention.interval_seconds", 1..=86_400)?,
        })
    }
}
