//! What operators and the program itself look after: dead letters, the log's identity, what is old.

use async_trait::async_trait;

use super::dialect::{Dialect, Query, Side, all, first, query};
use super::mapping::records;
use super::value::{position, signed, text, time};
use super::{json, tables};
use crate::domain::{LogTime, Position};
use crate::store::{DeadLetterView, DeadLetters, LogBinding, Page, RecordedLog, Retention, StoreError};

fn dead_letters_where(rest: &str) -> String {
    format!("select {}, replayed_at from dead_letter {rest}", tables::DEAD_LETTER.list())
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
        all(&self.read(Side::FrontDoor, query).await?, records::dead_letter)
    }

    async fn dead_letter(&self, at: Position) -> Result<Option<DeadLetterView>, StoreError> {
        let sql = dead_letters_where("where lane = $1 and partition = $2 and log_offset = $3");
        first(&self.read(Side::FrontDoor, query(sql, position(at)?.into())).await?, records::dead_letter)
    }

    async fn mark_replayed(&self, of: Position, at: LogTime) -> Result<(), StoreError> {
        let sql = "update dead_letter set replayed_at = $4 where lane = $1 and partition = $2 and log_offset = $3";
        let [lane, partition, offset] = position(of)?;
        self.write(query(sql, vec![lane, partition, offset, time(at)])).await.map(drop)
    }
}

#[async_trait]
impl<D: Dialect> LogBinding for D {
    async fn recorded_log(&self) -> Result<Option<RecordedLog>, StoreError> {
        let sql = "select log_id, topics, seats, wallets, queues, outcomes, dead_letters from log_identity";
        first(&self.read(Side::Owner, query(sql, Vec::new())).await?, records::recorded_log)
    }

    async fn record_log(&self, log: &RecordedLog) -> Result<(), StoreError> {
        let sql = "insert into log_identity \
                   (id, log_id, topics, seats, wallets, queues, outcomes, dead_letters) \
                   values (1, $1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing";
        let counts = &log.partitions;
        let topics = json::topics(&log.identity.topics);
        let parameters = vec![
            text(&log.identity.log_id),
            text(&topics),
            signed(counts.seats),
            signed(counts.wallets),
            signed(counts.queues),
            signed(counts.outcomes),
            signed(counts.dead_letters),
        ];
        self.write(query(sql, parameters)).await.map(drop)
    }
}

/// Deletes rows of one table that are older than `$1`, at most `$2`.
fn forget_query<D: Dialect>(table: &str, condition: &str, before: LogTime, limit: u32) -> Query<'static> {
    let (row, open, close) = D::ROW;
    let sql = format!(
        "delete from {table} where {row} {open}(select {row} from {table} where at < $1 {condition} \
         order by at limit $2){close} returning 1"
    );
    query(sql, vec![time(before), signed(limit)])
}

#[async_trait]
impl<D: Dialect> Retention for D {
    async fn forget_before(&self, before: LogTime, limit: u32) -> Result<u64, StoreError> {
        let requests = forget_query::<D>("request", "and status <> 'PENDING'", before, limit);
        let requests = self.write(requests).await?.len();
        let left = limit.saturating_sub(u32::try_from(requests).unwrap_or(u32::MAX));
        if left == 0 {
            return Ok(requests as u64);
        }
        let letters = self.write(forget_query::<D>("dead_letter", "", before, left)).await?.len();
        Ok((requests + letters) as u64)
    }
}
