//! Endpoints of webhooks, how far they are served, and who serves them.

use async_trait::async_trait;
use uuid::Uuid;

use super::cells::Cells;
use super::dialect::{Dialect, Side, all, first, query};
use super::json::{parse, to_text};
use super::tables;
use super::value::{int, lane_partition, owned, signed, text, time, uuid};
use crate::store::{
    FailedEvent, Lease, PARTITION_EVENTS_KEPT, PartitionEvent, StoreError, WEBHOOK_NOTES_KEPT, Webhook, WebhookNote,
    WebhookProgress, Webhooks,
};

type Result<T> = std::result::Result<T, StoreError>;

fn webhook(row: &impl Cells) -> Result<Webhook> {
    Ok(Webhook {
        id: row.uuid("id")?,
        name: row.string("name")?,
        version: row.int("version")?,
        content: parse("content", row.text("content")?)?,
    })
}

fn progress(row: &impl Cells) -> Result<WebhookProgress> {
    Ok(WebhookProgress { webhook_id: row.uuid("webhook_id")?, state: parse("content", row.text("content")?)? })
}

fn failed(row: &impl Cells) -> Result<FailedEvent> {
    Ok(FailedEvent {
        webhook_id: row.uuid("webhook_id")?,
        event_id: row.string("event_id")?,
        event_type: row.string("event_type")?,
        partition: row.int("partition")?,
        offset: row.int("log_offset")?,
        attempts: row.int("attempts")?,
        reason: row.string("reason")?,
        at: row.time("at")?,
    })
}

fn note(row: &impl Cells) -> Result<WebhookNote> {
    Ok(WebhookNote {
        id: row.uuid("id")?,
        name: row.string("name")?,
        act: row.parsed("act")?,
        by: row.parsed("by_user")?,
        at: row.time("at")?,
    })
}

fn partition_event(row: &impl Cells) -> Result<(u64, PartitionEvent)> {
    let event = PartitionEvent {
        partition: row.lane_partition()?,
        number: row.int("number")?,
        change: row.parsed("change")?,
        next_offset: row.int("next_offset")?,
        owner: row.string("owner")?,
        reason: row.string("reason")?,
        at: row.time("at")?,
    };
    Ok((row.int("seq")?, event))
}

fn lease(row: &impl Cells) -> Result<Lease> {
    Ok(Lease { epoch: row.int("epoch")?, owner: row.string("owner")?, beat: row.int("beat")? })
}

#[async_trait]
impl<D: Dialect> Webhooks for D {
    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let rows = self.read(Side::Page, query(tables::WEBHOOK.select("order by name"), Vec::new())).await?;
        all(&rows, webhook)
    }

    async fn insert_webhook(&self, row: &Webhook) -> Result<bool> {
        let sql = "insert into webhook (id, name, version, content) values ($1, $2, $3, $4) \
                   on conflict (name) do nothing returning 1";
        let values = vec![uuid(row.id), text(&row.name), int(row.version)?, owned(to_text(&row.content))];
        Ok(!self.write(query(sql, values)).await?.is_empty())
    }

    async fn change_webhook(&self, row: &Webhook) -> Result<bool> {
        let sql = "update webhook set version = version + 1, content = $3 where id = $1 and version = $2 returning 1";
        let values = vec![uuid(row.id), int(row.version)?, owned(to_text(&row.content))];
        Ok(!self.write(query(sql, values)).await?.is_empty())
    }

    async fn remove_webhook(&self, id: Uuid) -> Result<bool> {
        let removed = self.write(query("delete from webhook where id = $1 returning 1", vec![uuid(id)])).await?;
        for table in ["webhook_progress", "webhook_failed"] {
            self.write(query(format!("delete from {table} where webhook_id = $1 returning 1"), vec![uuid(id)])).await?;
        }
        Ok(!removed.is_empty())
    }

    async fn webhook_progress(&self) -> Result<Vec<WebhookProgress>> {
        let sql = "select webhook_id, content from webhook_progress order by webhook_id";
        all(&self.read(Side::Page, query(sql, Vec::new())).await?, progress)
    }

    async fn failed_events(&self, webhook: Uuid, limit: u32) -> Result<Vec<FailedEvent>> {
        let rest = "where webhook_id = $1 order by at desc, event_id limit $2";
        let query = query(tables::WEBHOOK_FAILED.select(rest), vec![uuid(webhook), signed(limit)]);
        all(&self.read(Side::Page, query).await?, failed)
    }

    async fn notifier_lease(&self) -> Result<Option<Lease>> {
        let query = query("select epoch, owner, beat from notifier", Vec::new());
        first(&self.read(Side::Page, query).await?, lease)
    }

    async fn take_notifier_lease(&self, owner: &str, seen: Option<&Lease>) -> Result<Option<u64>> {
        let query = match seen {
            None => query(
                "insert into notifier (id, epoch, owner, beat) values (1, 1, $1, 0) \
                 on conflict (id) do nothing returning epoch",
                vec![text(owner)],
            ),
            Some(Lease { epoch, owner: before, beat }) => query(
                "update notifier set epoch = epoch + 1, owner = $1, beat = 0 \
                 where epoch = $2 and owner = $3 and beat = $4 returning epoch",
                vec![text(owner), int(*epoch)?, text(before), int(*beat)?],
            ),
        };
        first(&self.write(query).await?, |row| row.int("epoch"))
    }

    async fn keep_notifier_lease(&self, epoch: u64) -> Result<bool> {
        let sql = "update notifier set beat = beat + 1 where epoch = $1 and owner <> '' returning 1";
        Ok(!self.write(query(sql, vec![int(epoch)?])).await?.is_empty())
    }

    async fn leave_notifier_lease(&self, epoch: u64) -> Result<()> {
        let sql = "update notifier set owner = '' where epoch = $1 returning 1";
        self.write(query(sql, vec![int(epoch)?])).await.map(drop)
    }

    async fn claim_webhook_progress(&self, epoch: u64) -> Result<Vec<WebhookProgress>> {
        let sql = "update webhook_progress set epoch = $1 where epoch <= $1 returning webhook_id, content";
        all(&self.write(query(sql, vec![int(epoch)?])).await?, progress)
    }

    async fn save_webhook_progress(&self, epoch: u64, row: &WebhookProgress) -> Result<bool> {
        // An endpoint that was removed meanwhile gets no progress back.
        let sql = "insert into webhook_progress (webhook_id, epoch, content) \
                   select $1, $2, $3 where exists (select 1 from webhook where id = $1) \
                   on conflict (webhook_id) do update set content = excluded.content \
                   where webhook_progress.epoch = excluded.epoch returning 1";
        let values = vec![uuid(row.webhook_id), int(epoch)?, owned(to_text(&row.state))];
        Ok(!self.write(query(sql, values)).await?.is_empty())
    }

    async fn keep_failed_event(&self, row: &FailedEvent) -> Result<()> {
        let values = vec![
            uuid(row.webhook_id),
            text(&row.event_id),
            text(&row.event_type),
            signed(row.partition),
            int(row.offset)?,
            signed(row.attempts),
            text(&row.reason),
            time(row.at),
        ];
        let sql = format!("{} returning 1", tables::WEBHOOK_FAILED.insert_one());
        self.write(query(sql, values)).await.map(drop)
    }

    async fn note_webhook(&self, row: &WebhookNote) -> Result<()> {
        let values = vec![uuid(row.id), text(&row.name), text(row.act.as_str()), text(row.by.as_str()), time(row.at)];
        let sql = format!("{} returning 1", tables::WEBHOOK_NOTE.insert_one());
        self.write(query(sql, values)).await?;
        let sql = "delete from webhook_note where id in (select id from webhook_note order by id desc \
                   limit 100 offset $1) returning 1";
        self.write(query(sql, vec![signed(WEBHOOK_NOTES_KEPT)])).await.map(drop)
    }

    async fn webhook_notes(&self, limit: u32) -> Result<Vec<WebhookNote>> {
        let query = query(tables::WEBHOOK_NOTE.select("order by id desc limit $1"), vec![signed(limit)]);
        all(&self.read(Side::Page, query).await?, note)
    }

    async fn keep_partition_event(&self, row: &PartitionEvent) -> Result<bool> {
        // Two at once give the same sequence, and the second waits for the first: none appears behind a later one.
        let sql = "insert into partition_event \
                   (seq, lane, partition, number, change, next_offset, owner, reason, at) \
                   select coalesce(max(seq), -1) + 1, $1, $2, $3, $4, $5, $6, $7, $8 from partition_event where true \
                   on conflict do nothing returning 1";
        let [lane, partition] = lane_partition(row.partition);
        let values = vec![
            lane,
            partition,
            int(row.number)?,
            text(row.change.as_str()),
            int(row.next_offset)?,
            text(&row.owner),
            text(&row.reason),
            time(row.at),
        ];
        let kept = !self.write(query(sql, values)).await?.is_empty();
        let sql = "delete from partition_event where seq <= (select max(seq) from partition_event) - $1 \
                   and exists (select 1 from partition_event as later where later.lane = partition_event.lane \
                   and later.partition = partition_event.partition and later.number > partition_event.number) \
                   returning 1";
        self.write(query(sql, vec![signed(PARTITION_EVENTS_KEPT)])).await?;
        Ok(kept)
    }

    async fn partition_events(&self, from: u64, limit: u32) -> Result<Vec<(u64, PartitionEvent)>> {
        let rest = "where seq >= $1 order by seq limit $2";
        let query = query(tables::PARTITION_EVENT.select(rest), vec![int(from)?, signed(limit)]);
        all(&self.read(Side::Page, query).await?, partition_event)
    }

    async fn last_partition_events(&self) -> Result<Vec<(u64, PartitionEvent)>> {
        let rest = "where not exists (select 1 from partition_event as later where later.lane = partition_event.lane \
                    and later.partition = partition_event.partition and later.number > partition_event.number) \
                    order by seq";
        let query = query(tables::PARTITION_EVENT.select(rest), Vec::new());
        all(&self.read(Side::Page, query).await?, partition_event)
    }
}
