//! Polls are no commands, so the rules learn from coarse reports who is still there.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::api::submission::keys::fresh_request_id;
use crate::domain::queue::{self, Seen};
use crate::domain::{Body, Command, Lane, ScheduleId};
use crate::log::{Log, NewRecord, Topic};
use crate::telemetry::metrics;
use crate::wire::{command, routing};

/// Reports of one date are at least this far apart.
pub const REPORT_EVERY: Duration = Duration::from_secs(15);
const APPEND_WITHIN: Duration = Duration::from_secs(5);

/// Waiting tokens whose holders were seen since the last report. At most as many as wait.
#[derive(Default)]
pub struct Presence(Mutex<BTreeSet<u64>>);

impl Presence {
    pub fn note(&self, sequence: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(sequence);
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }

    /// Reports to the rules; returns the sequences reported. A report that the log does not take is dropped: a user who
    /// is still there polls again long before they would count as gone.
    pub async fn report(&self, log: &dyn Log, schedule_id: ScheduleId) -> Vec<u64> {
        let mut reported = Vec::new();
        for sequences in self.take().chunks(command::SEEN_MAX) {
            let body = Body::Queues(queue::Command::Seen(Seen { schedule_id, sequences: sequences.to_vec() }));
            let key = body.routing_key().to_string();
            let topic = Topic::Lane(Lane::Queues);
            let partition = routing::partition_for(&key, log.partitions().of(topic));
            let value = command::encode(&Command { request_id: fresh_request_id(), by: None, body });
            let record = NewRecord { key: Bytes::from(key), value: Bytes::from(value), headers: Vec::new() };
            match timeout(APPEND_WITHIN, log.append(topic, partition, record)).await {
                Ok(Ok(_)) => reported.extend_from_slice(sequences),
                Ok(Err(error)) => tracing::warn!(%schedule_id, %error, "a report of who was seen was not taken"),
                Err(_) => tracing::warn!(%schedule_id, "a report of who was seen was not acknowledged in time"),
            }
        }
        metrics::QUEUE_SEEN.with_label_values::<&str>(&[]).inc_by(reported.len() as u64);
        reported
    }
}
