//! A chat: one message for all that has happened, at most one a second, as Slack's incoming webhooks want it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::client::Line;
use super::delivery::{Courier, Ended, Parcel};
use super::event::{self, Event};
use super::feed::{Feed, Piece};
use super::message::message;
use super::partitions::{PartitionFeed, wanted};
use crate::store::PARTITION_EVENTS;

/// Between two messages.
const BETWEEN: Duration = Duration::from_secs(1);

/// What one message takes along.
#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    /// Where each partition is once the message is delivered.
    next: BTreeMap<u32, u64>,
}

/// Runs until it is stopped; the reason if the endpoint must be disabled. The failure of a message is kept with the first
/// partition.
pub async fn run(courier: Arc<Courier>, feeds: Vec<Arc<Feed>>, partitions: Arc<PartitionFeed>) -> Option<String> {
    let mut line = Line::new(Arc::clone(&courier.settings.client));
    let mut earliest = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = courier.stop.cancelled() => return None,
            () = sleep_until(earliest) => {}
        }
        earliest = Instant::now() + BETWEEN;
        let gathered = tokio::select! {
            biased;
            () = courier.stop.cancelled() => return None,
            gathered = gather(&courier, &feeds, &partitions) => gathered,
        };
        let Some(first) = gathered.next.first_key_value().map(|(partition, _)| *partition) else { continue };
        if !gathered.events.is_empty() {
            let parcel = parcel(&gathered);
            match courier.deliver(&mut line, first, &parcel, &mut || {}).await {
                Ended::Done => {}
                Ended::Stopped => return None,
                Ended::Disable(reason) => return Some(reason),
            }
            earliest = Instant::now() + BETWEEN;
        }
        for (partition, next) in gathered.next {
            courier.cursors.advance(partition, next);
            courier.cursors.waiting(partition, None);
        }
    }
}

/// What has happened since, one piece a partition at most.
async fn gather(courier: &Courier, feeds: &[Arc<Feed>], partitions: &PartitionFeed) -> Gathered {
    let mut gathered = Gathered::default();
    for feed in feeds {
        let (partition, from) = (feed.partition, courier.cursors.next_offset(feed.partition));
        if !feed.has(from) {
            continue;
        }
        match feed.next(from).await {
            Ok(Piece::Records(records)) => {
                courier.cursors.waiting(partition, records.first().map(|record| record.timestamp.millis()));
                for record in records {
                    // Stopped: what it is at is read again.
                    let Some(events) = courier.wanted(&record).await else { return Gathered::default() };
                    gathered.events.extend(events);
                    gathered.next.insert(partition, record.offset + 1);
                }
            }
            Ok(Piece::Gap { to }) => {
                gathered.events.push(event::gap(partition, from, to, courier.clock.now()));
                gathered.next.insert(partition, to);
            }
            Err(error) => {
                tracing::warn!(endpoint = courier.target.webhook.name, partition, %error, "outcomes cannot be read");
            }
        }
    }
    gather_changes(courier, partitions, &mut gathered).await;
    gathered
}

/// What has become of partitions.
async fn gather_changes(courier: &Courier, partitions: &PartitionFeed, gathered: &mut Gathered) {
    let from = courier.cursors.next_offset(PARTITION_EVENTS);
    let content = &courier.target.webhook.content;
    if !wanted(content) || !partitions.has(from) {
        return;
    }
    match partitions.read(from).await {
        Ok(changes) => {
            courier.cursors.waiting(PARTITION_EVENTS, changes.first().map(|(_, change)| change.at.0));
            for (seq, change) in changes {
                gathered.events.extend(Some(event::of_partition(&change)).filter(|event| event.is_for(content)));
                gathered.next.insert(PARTITION_EVENTS, seq + 1);
            }
        }
        Err(error) => {
            tracing::warn!(endpoint = courier.target.webhook.name, %error, "changes of partitions cannot be read");
        }
    }
}

fn parcel(gathered: &Gathered) -> Parcel {
    let id = gathered.events.first().map(|event| event.id.clone()).unwrap_or_default();
    let offset = gathered.next.first_key_value().map_or(0, |(_, next)| next.saturating_sub(1));
    let events = gathered.events.len() as u64;
    Parcel { id, kind: "turnstile.message", body: message(&gathered.events), offset, events, traceparent: None }
}
