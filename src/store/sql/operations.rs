//! What operators and the program itself look after: dead letters, the log's identity, what is old.

use async_trait::async_trait;

use super::cells::Cells;
use super::dialect::{Dialect, Side, all, first, query};
use super::mapping::{interventions, records};
use super::value::{int, lane_partition, position, signed, text, time};
use super::{json, tables};
use crate::domain::{LanePartition, LogTime, Position};
use crate::store::{
    DeadLetterView, DeadLetters, DoneBy, Intervention, Interventions, LogBinding, Page, RecordedLog, Retention,
    StoreError,
};

fn dead_letters_where(rest: &str) -> String {
    format!(
        "select {}, replayed_at, replayed_by, dismissed_at, dismissed_by from dead_letter {rest}",
        tables::DEAD_LETTER.list()
    )
}

#[async_trait]
impl<D: Dialect> DeadLetters for D {
    async fn dead_letters(&self, page: Page<Position>) -> Result<Vec<DeadLetterView>, StoreError> {
        let order = "order by at desc, lane desc, partition desc, log_offset desc";
        let query = match page.after {
            None => query(dead_letters_where(&format!("{order} limit $1")), vec![signed(page.limit)]),
            Some(after) => {
                let sql = dead_letters_where(&format!(
                    "where (at, lane, partition, log_offset) < (select at, lane, partition, log_offset \
                     from dead_letter where lane = $1 and partition = $2 and log_offset = $3) {order} limit $4"
                ));
                let [lane, partition, offset] = position(after)?;
                query(sql, vec![lane, partition, offset, signed(page.limit)])
            }
        };
        all(&self.read(Side::Page, query).await?, records::dead_letter)
    }

    async fn dead_letter(&self, at: Position) -> Result<Option<DeadLetterView>, StoreError> {
        let sql = dead_letters_where("where lane = $1 and partition = $2 and log_offset = $3");
        first(&self.read(Side::Page, query(sql, position(at)?.into())).await?, records::dead_letter)
    }

    async fn open_dead_letters(&self, limit: u32) -> Result<u32, StoreError> {
        let sql = "select count(*) as open from (select 1 from dead_letter \
                   where coalesce(replayed_at, dismissed_at) is null limit $1) as letters";
        let open = first(&self.read(Side::Page, query(sql, vec![signed(limit)])).await?, |row| row.int("open"))?;
        Ok(open.unwrap_or(0))
    }

    async fn mark_replayed(&self, of: Position, done: &DoneBy) -> Result<(), StoreError> {
        let sql = "update dead_letter set replayed_at = $4, replayed_by = $5 \
                   where lane = $1 and partition = $2 and log_offset = $3";
        let [lane, partition, offset] = position(of)?;
        self.write(query(sql, vec![lane, partition, offset, time(done.at), text(done.by.as_str())])).await.map(drop)
    }

    async fn dismiss(&self, which: Position, done: &DoneBy) -> Result<bool, StoreError> {
        let sql = "update dead_letter set dismissed_at = $4, dismissed_by = $5 \
                   where lane = $1 and partition = $2 and log_offset = $3 returning 1";
        let [lane, partition, offset] = position(which)?;
        let rows = self.write(query(sql, vec![lane, partition, offset, time(done.at), text(done.by.as_str())])).await?;
        Ok(!rows.is_empty())
    }
}

#[async_trait]
impl<D: Dialect> Interventions for D {
    async fn intervene(&self, row: &Intervention) -> Result<(), StoreError> {
        let table = &tables::INTERVENTION;
        let places: Vec<String> = (1..=table.columns.len()).map(|place| format!("${place}")).collect();
        let sql = format!("insert into {} ({}) values ({})", table.name, table.list(), places.join(", "));
        self.write(query(sql, interventions::values(row)?.into())).await.map(drop)
    }

    async fn interventions(&self, partition: LanePartition, from: u64) -> Result<Vec<Intervention>, StoreError> {
        let rest = "where lane = $1 and partition = $2 and (through is null or through >= $3) order by id";
        let [lane, partition] = lane_partition(partition);
        let query = query(tables::INTERVENTION.select(rest), vec![lane, partition, int(from)?]);
        all(&self.read(Side::Owner, query).await?, interventions::row)
    }
}

#[async_trait]
impl<D: Dialect> LogBinding for D {
    async fn recorded_log(&self) -> Result<Option<RecordedLog>, StoreError> {
        let sql = "select remember_ms, log_id, topics, seats, wallets, queues, inbox, outcomes, dead_letters from log_identity";
        first(&self.read(Side::Owner, query(sql, Vec::new())).await?, records::recorded_log)
    }

    async fn record_log(&self, log: &RecordedLog) -> Result<(), StoreError> {
        let sql = "insert into log_identity \
                   (id, log_id, topics, seats, wallets, queues, inbox, outcomes, dead_letters, remember_ms) \
                   values (1, $1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing";
        let counts = &log.partitions;
        let topics = json::topics(&log.identity.topics);
        let parameters = vec![
            text(&log.identity.log_id),
            text(&topics),
            signed(counts.seats),
            signed(counts.wallets),
            signed(counts.queues),
            signed(counts.inbox),
            signed(counts.outcomes),
            signed(counts.dead_letters),
            signed(log.remember_ms),
        ];
        self.write(query(sql, parameters)).await.map(drop)
    }
}

/// Deletes rows of one table that meet the condition, at most `$4`. `$1` to `$3`: lane, partition, time.
async fn forget<D: Dialect>(
    store: &D,
    (table, condition, order): (&str, &str, &str),
    of: LanePartition,
    before: LogTime,
    limit: u32,
) -> Result<u64, StoreError> {
    let (row, open, close) = D::ROW;
    let sql = format!(
        "delete from {table} where {row} {open}(select {row} from {table} where lane = $1 and partition = $2 \
         and {condition} order by {order} limit $4){close} returning 1"
    );
    let [lane, partition] = lane_partition(of);
    let deleted = store.write(query(sql, vec![lane, partition, time(before), signed(limit)])).await?;
    Ok(deleted.len() as u64)
}

#[async_trait]
impl<D: Dialect> Retention for D {
    async fn forget_requests(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64, StoreError> {
        let old = ("request", "status <> 'PENDING' and decided_at < $3", "decided_at");
        forget(self, old, of, before, limit).await
    }

    async fn forget_dead_letters(&self, of: LanePartition, before: LogTime, limit: u32) -> Result<u64, StoreError> {
        let dealt_with = "coalesce(replayed_at, dismissed_at) is not null and coalesce(replayed_at, dismissed_at) < $3";
        forget(self, ("dead_letter", dealt_with, "log_offset"), of, before, limit).await
    }
}
