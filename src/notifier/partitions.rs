//! Changes of partitions: what owners say of them becomes events, in order, each once. The log says nothing of it, since a
//! partition that stands still decides nothing; so they are kept in the store, where the leader puts them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::client::Line;
use super::delivery::{Courier, Ended};
use super::event;
use crate::domain::{LanePartition, LogTime};
use crate::runtime::clock::Clock;
use crate::store::{
    NotifierStore, OwnedState, PARTITION_EVENTS, PartitionChange, PartitionEvent, PartitionStanding, ProcessView,
    ProgressState, ProgressView, StartFrom, StoreError, Webhook, WebhookContent,
};

/// Read at once; the store keeps hardly more.
const EVENTS_MAX: u32 = 2_000;
const RETRY: Duration = Duration::from_secs(1);
/// A process that was silent for longer may be gone; what it owned is not known to go on.
const SILENT_AFTER: Duration = Duration::from_millis(2_500);
/// A new owner needs a moment until it stands at the same record: one that decides nothing goes on only after so long.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// Whether an endpoint hears of partitions: they are about no date.
pub fn wanted(content: &WebhookContent) -> bool {
    content.schedule.is_none() && content.concert.is_none() && event::takes_partitions(content)
}

/// What has become of partitions, for all endpoints.
pub struct PartitionFeed {
    store: Arc<dyn NotifierStore>,
    /// Behind the last one.
    end: watch::Sender<u64>,
}

impl PartitionFeed {
    pub fn new(store: Arc<dyn NotifierStore>) -> Self {
        PartitionFeed { store, end: watch::Sender::new(0) }
    }

    pub fn has(&self, from: u64) -> bool {
        from < *self.end.borrow()
    }

    /// From this one on, each with its sequence: what is there.
    pub async fn read(&self, from: u64) -> Result<Vec<(u64, PartitionEvent)>, StoreError> {
        self.store.partition_events(from, EVENTS_MAX).await
    }

    async fn next(&self, from: u64) -> Result<Vec<(u64, PartitionEvent)>, StoreError> {
        // The sender is a part of this.
        let _ = self.end.subscribe().wait_for(|end| from < *end).await;
        self.read(from).await
    }
}

/// Of the leader.
#[derive(Default)]
pub struct PartitionWatch {
    /// What was parked, and since when it has looked well.
    well: BTreeMap<LanePartition, Instant>,
}

impl PartitionWatch {
    /// Keeps what has changed since.
    pub async fn look(&mut self, feed: &PartitionFeed, clock: &Clock) -> Result<(), StoreError> {
        let store = &feed.store;
        let (processes, mut last) = (store.processes().await?, store.last_partition_events().await?);
        let is_open = |event: &PartitionEvent| event.change == PartitionChange::Parked;
        if last.iter().any(|(_, event)| is_open(event)) || standings(&processes).any(|(_, of)| is_parked(&of)) {
            let before = last.iter().map(|(_, event)| (event.partition, event)).collect();
            let news = self.news(&processes, &store.progress_views().await?, &before, clock.now());
            for event in &news {
                let PartitionEvent { partition, change, next_offset, owner, reason, .. } = event;
                if store.keep_partition_event(event).await? {
                    tracing::info!(%partition, %change, next_offset, owner, reason, "endpoints are told of a partition");
                }
            }
            if !news.is_empty() {
                last = store.last_partition_events().await?;
            }
        }
        let end = last.last().map_or(0, |(seq, _)| seq + 1);
        feed.end.send_if_modified(|before| std::mem::replace(before, end) != end);
        Ok(())
    }

    /// `before`: the newest change of each partition.
    fn news(
        &mut self,
        processes: &[ProcessView],
        progress: &[ProgressView],
        before: &BTreeMap<LanePartition, &PartitionEvent>,
        now: LogTime,
    ) -> Vec<PartitionEvent> {
        let stands: BTreeMap<(&str, LanePartition), (&ProcessView, PartitionStanding)> =
            standings(processes).map(|(view, of)| ((view.process.name.as_str(), of.partition), (view, of))).collect();
        let mut news = Vec::new();
        for view in progress {
            let partition = view.partition;
            // Of one whose owner died the last that it said counts, until there is another owner.
            let standing = stands.get(&(view.owner.as_str(), partition));
            let before = before.get(&partition);
            let open = before.filter(|event| event.change == PartitionChange::Parked);
            let change = match (open, standing) {
                (Some(event), _) if view.next_offset > event.next_offset => Some(PartitionChange::Recovered),
                (Some(_), Some((process, of))) if of.state == OwnedState::Owned => {
                    let since = *self.well.entry(partition).or_insert_with(Instant::now);
                    let lives = process.silent_for <= SILENT_AFTER;
                    (lives && since.elapsed() >= WELL_AFTER).then_some(PartitionChange::Recovered)
                }
                (None, Some((_, of))) if is_parked(of) => Some(PartitionChange::Parked),
                _ => {
                    self.well.remove(&partition);
                    None
                }
            };
            let Some(change) = change else { continue };
            self.well.remove(&partition);
            let reason =
                standing.and_then(|(_, of)| of.reason.as_deref()).filter(|_| change == PartitionChange::Parked);
            news.push(PartitionEvent {
                partition,
                number: before.map_or(0, |event| event.number) + 1,
                change,
                next_offset: view.next_offset,
                owner: view.owner.clone(),
                reason: reason.map(lasting).unwrap_or_default().to_owned(),
                at: now,
            });
        }
        news
    }
}

fn standings(processes: &[ProcessView]) -> impl Iterator<Item = (&ProcessView, PartitionStanding)> {
    let of = |view| ProcessView::standings(view).map(move |standing| (view, standing));
    processes.iter().flat_map(of)
}

fn is_parked(of: &PartitionStanding) -> bool {
    of.state == OwnedState::Parked
}

/// Without for how long it has been so: that is over when it is read.
fn lasting(reason: &str) -> &str {
    reason.rsplit_once("; for ").map_or(reason, |(lasting, _)| lasting)
}

/// Where an endpoint begins. `anew`: with what its operator wants.
pub async fn begin(
    store: &dyn NotifierStore,
    webhook: &Webhook,
    anew: bool,
    state: &mut ProgressState,
) -> Result<(), StoreError> {
    if !wanted(&webhook.content) {
        state.cursors.remove(&PARTITION_EVENTS);
        return Ok(());
    }
    let known = state.cursors.contains_key(&PARTITION_EVENTS);
    let next_offset = match webhook.content.start.from {
        StartFrom::First if anew => 0,
        StartFrom::TimeMs(ms) if anew => from_on(store, |event| event.at.0 >= ms).await?,
        StartFrom::Position { partition: PARTITION_EVENTS, offset } if anew => offset,
        _ if !known => from_on(store, |_| false).await?,
        _ => return Ok(()),
    };
    let cursor = state.cursors.entry(PARTITION_EVENTS).or_default();
    cursor.next_offset = next_offset;
    cursor.failure = None;
    Ok(())
}

/// The first of those that are there, else behind them.
async fn from_on(store: &dyn NotifierStore, first: impl Fn(&PartitionEvent) -> bool) -> Result<u64, StoreError> {
    let events = store.partition_events(0, EVENTS_MAX).await?;
    let end = events.last().map_or(0, |(seq, _)| seq + 1);
    Ok(events.iter().find(|(_, event)| first(event)).map_or(end, |(seq, _)| *seq))
}

/// Tells one endpoint, event by event. Runs until it is stopped; the reason if the endpoint must be disabled.
pub async fn run(courier: Arc<Courier>, feed: Arc<PartitionFeed>) -> Option<String> {
    let mut line = Line::new(Arc::clone(&courier.settings.client));
    loop {
        let from = courier.cursors.next_offset(PARTITION_EVENTS);
        let next = tokio::select! {
            biased;
            () = courier.stop.cancelled() => return None,
            next = feed.next(from) => next,
        };
        let events = match next {
            Ok(events) => events,
            Err(error) => {
                let endpoint = &courier.target.webhook.name;
                tracing::warn!(endpoint, %error, "changes of partitions cannot be read");
                tokio::select! {
                    biased;
                    () = courier.stop.cancelled() => return None,
                    () = tokio::time::sleep(RETRY) => continue,
                }
            }
        };
        for (seq, change) in events {
            let event = event::of_partition(&change);
            if event.is_for(&courier.target.webhook.content) {
                courier.cursors.waiting(PARTITION_EVENTS, Some(change.at.0));
                match courier.deliver(&mut line, PARTITION_EVENTS, &courier.parcel(&event, seq), &mut || {}).await {
                    Ended::Done => {}
                    Ended::Stopped => return None,
                    Ended::Disable(reason) => return Some(reason),
                }
            }
            courier.cursors.advance(PARTITION_EVENTS, seq + 1);
            courier.cursors.waiting(PARTITION_EVENTS, None);
        }
    }
}
