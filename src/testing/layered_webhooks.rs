//! Webhooks of a store around another one.

use async_trait::async_trait;
use uuid::Uuid;

use super::layered_store::{Call, Layer, Layered};
use crate::store::{FailedEvent, Lease, PartitionEvent, StoreError, Webhook, WebhookNote, WebhookProgress, Webhooks};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl<L: Layer> Webhooks for Layered<L> {
    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.0.pass(Call::Read, self.0.below().webhooks()).await
    }

    async fn insert_webhook(&self, row: &Webhook) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().insert_webhook(row)).await
    }

    async fn change_webhook(&self, row: &Webhook) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().change_webhook(row)).await
    }

    async fn remove_webhook(&self, id: Uuid) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().remove_webhook(id)).await
    }

    async fn webhook_progress(&self) -> Result<Vec<WebhookProgress>> {
        self.0.pass(Call::Read, self.0.below().webhook_progress()).await
    }

    async fn failed_events(&self, webhook: Uuid, limit: u32) -> Result<Vec<FailedEvent>> {
        self.0.pass(Call::Read, self.0.below().failed_events(webhook, limit)).await
    }

    async fn notifier_lease(&self) -> Result<Option<Lease>> {
        self.0.pass(Call::Read, self.0.below().notifier_lease()).await
    }

    async fn take_notifier_lease(&self, owner: &str, seen: Option<&Lease>) -> Result<Option<u64>> {
        self.0.pass(Call::Write, self.0.below().take_notifier_lease(owner, seen)).await
    }

    async fn keep_notifier_lease(&self, epoch: u64) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().keep_notifier_lease(epoch)).await
    }

    async fn leave_notifier_lease(&self, epoch: u64) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().leave_notifier_lease(epoch)).await
    }

    async fn claim_webhook_progress(&self, epoch: u64) -> Result<Vec<WebhookProgress>> {
        self.0.pass(Call::Write, self.0.below().claim_webhook_progress(epoch)).await
    }

    async fn save_webhook_progress(&self, epoch: u64, row: &WebhookProgress) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().save_webhook_progress(epoch, row)).await
    }

    async fn keep_failed_event(&self, event: &FailedEvent) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().keep_failed_event(event)).await
    }

    async fn note_webhook(&self, note: &WebhookNote) -> Result<()> {
        self.0.pass(Call::Write, self.0.below().note_webhook(note)).await
    }

    async fn webhook_notes(&self, limit: u32) -> Result<Vec<WebhookNote>> {
        self.0.pass(Call::Read, self.0.below().webhook_notes(limit)).await
    }

    async fn keep_partition_event(&self, event: &PartitionEvent) -> Result<bool> {
        self.0.pass(Call::Write, self.0.below().keep_partition_event(event)).await
    }

    async fn partition_events(&self, from: u64, limit: u32) -> Result<Vec<(u64, PartitionEvent)>> {
        self.0.pass(Call::Read, self.0.below().partition_events(from, limit)).await
    }

    async fn last_partition_events(&self) -> Result<Vec<(u64, PartitionEvent)>> {
        self.0.pass(Call::Read, self.0.below().last_partition_events()).await
    }
}
