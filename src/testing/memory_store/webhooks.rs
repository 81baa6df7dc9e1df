//! Webhooks over the maps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryStore;
use crate::store::{
    FailedEvent, Lease, PARTITION_EVENTS_KEPT, PartitionEvent, StoreError, WEBHOOK_NOTES_KEPT, Webhook, WebhookNote,
    WebhookProgress, Webhooks,
};

type Result<T> = std::result::Result<T, StoreError>;

/// The newest of each partition.
fn newest_of(events: &BTreeMap<u64, PartitionEvent>) -> BTreeSet<u64> {
    events.iter().map(|(seq, event)| (event.partition, *seq)).collect::<BTreeMap<_, _>>().into_values().collect()
}

#[async_trait]
impl Webhooks for MemoryStore {
    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.read(|state| {
            let mut rows: Vec<Webhook> = state.webhooks.values().cloned().collect();
            rows.sort_by(|a, b| a.name.cmp(&b.name));
            rows
        })
    }

    async fn insert_webhook(&self, row: &Webhook) -> Result<bool> {
        self.write(|state| {
            let free = state.webhooks.values().all(|other| other.name != row.name);
            if free {
                state.webhooks.insert(row.id, row.clone());
            }
            free
        })
    }

    async fn change_webhook(&self, row: &Webhook) -> Result<bool> {
        self.write(|state| match state.webhooks.get_mut(&row.id).filter(|before| before.version == row.version) {
            None => false,
            Some(before) => {
                before.content = row.content.clone();
                before.version += 1;
                true
            }
        })
    }

    async fn remove_webhook(&self, id: Uuid) -> Result<bool> {
        self.write(|state| {
            state.webhook_progress.remove(&id);
            state.failed_events.retain(|(webhook, _), _| *webhook != id);
            state.webhooks.remove(&id).is_some()
        })
    }

    async fn webhook_progress(&self) -> Result<Vec<WebhookProgress>> {
        self.read(|state| state.webhook_progress.values().map(|(_, row)| row.clone()).collect())
    }

    async fn failed_events(&self, webhook: Uuid, limit: u32) -> Result<Vec<FailedEvent>> {
        self.read(|state| {
            let of = state.failed_events.values().filter(|event| event.webhook_id == webhook);
            let mut rows: Vec<FailedEvent> = of.cloned().collect();
            rows.sort_by_key(|event| Reverse(event.at));
            rows.truncate(limit as usize);
            rows
        })
    }

    async fn notifier_lease(&self) -> Result<Option<Lease>> {
        self.read(|state| state.notifier.clone())
    }

    async fn take_notifier_lease(&self, owner: &str, seen: Option<&Lease>) -> Result<Option<u64>> {
        self.write(|state| {
            if state.notifier.as_ref() != seen {
                return None;
            }
            let epoch = seen.map_or(0, |lease| lease.epoch) + 1;
            state.notifier = Some(Lease { epoch, owner: owner.to_owned(), beat: 0 });
            Some(epoch)
        })
    }

    async fn keep_notifier_lease(&self, epoch: u64) -> Result<bool> {
        self.write(|state| match &mut state.notifier {
            Some(lease) if lease.epoch == epoch && !lease.owner.is_empty() => {
                lease.beat += 1;
                true
            }
            _ => false,
        })
    }

    async fn leave_notifier_lease(&self, epoch: u64) -> Result<()> {
        self.write(|state| {
            if let Some(lease) = state.notifier.as_mut().filter(|lease| lease.epoch == epoch) {
                lease.owner.clear();
            }
        })
    }

    async fn claim_webhook_progress(&self, epoch: u64) -> Result<Vec<WebhookProgress>> {
        self.write(|state| {
            let claimed = state.webhook_progress.values_mut().filter(|(of, _)| *of <= epoch);
            let claim = |(of, row): &mut (u64, WebhookProgress)| {
                *of = epoch;
                row.clone()
            };
            claimed.map(claim).collect()
        })
    }

    async fn save_webhook_progress(&self, epoch: u64, row: &WebhookProgress) -> Result<bool> {
        self.write(|state| {
            if !state.webhooks.contains_key(&row.webhook_id) {
                return false;
            }
            let (of, before) = state.webhook_progress.entry(row.webhook_id).or_insert_with(|| (epoch, row.clone()));
            let mine = *of == epoch;
            if mine {
                before.clone_from(row);
            }
            mine
        })
    }

    async fn keep_failed_event(&self, event: &FailedEvent) -> Result<()> {
        self.write(|state| {
            let key = (event.webhook_id, event.event_id.clone());
            state.failed_events.entry(key).or_insert_with(|| event.clone());
        })
    }

    async fn note_webhook(&self, note: &WebhookNote) -> Result<()> {
        self.write(|state| {
            state.webhook_notes.insert(note.id, note.clone());
            while state.webhook_notes.len() > WEBHOOK_NOTES_KEPT as usize {
                state.webhook_notes.pop_first();
            }
        })
    }

    async fn webhook_notes(&self, limit: u32) -> Result<Vec<WebhookNote>> {
        self.read(|state| state.webhook_notes.values().rev().take(limit as usize).cloned().collect())
    }

    async fn keep_partition_event(&self, event: &PartitionEvent) -> Result<bool> {
        self.write(|state| {
            let events = &mut state.partition_events;
            let free = events.values().all(|of| (of.partition, of.number) != (event.partition, event.number));
            if free {
                let seq = events.last_key_value().map_or(0, |(seq, _)| seq + 1);
                events.insert(seq, event.clone());
                let newest = newest_of(events);
                events.retain(|of, _| of + u64::from(PARTITION_EVENTS_KEPT) > seq || newest.contains(of));
            }
            free
        })
    }

    async fn partition_events(&self, from: u64, limit: u32) -> Result<Vec<(u64, PartitionEvent)>> {
        self.read(|state| {
            let rows = state.partition_events.range(from..).take(limit as usize);
            rows.map(|(seq, event)| (*seq, event.clone())).collect()
        })
    }

    async fn last_partition_events(&self) -> Result<Vec<(u64, PartitionEvent)>> {
        self.read(|state| {
            let newest = newest_of(&state.partition_events);
            newest.into_iter().map(|seq| (seq, state.partition_events[&seq].clone())).collect()
        })
    }
}
