//! The front door's reads, a query a function.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::dialect::{Dialect, Query, Side, all, answers, first, query};
use super::loads::{self, LIVE, UNFINISHED};
use super::mapping::{queues, records, reservations, seats, wallets};
use super::names::Names;
use super::tables::{self, Table};
use super::value::{Value, int, signed, text, uuid};
use crate::domain::block::{Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, Wallet};
use crate::domain::{BlockName, LanePartition, PaymentId, RequestId, ReservationId, ScheduleId, UserId};
use crate::store::{BlockSeats, Page, ProgressView, Reads, RequestRow, StoreError};

/// A user's rows, those with the greatest `key` first, after the page's last one.
fn newest_of_user<'a>(
    table: &Table,
    key: &str,
    user: &'a UserId,
    after: Option<Value<'a>>,
    rows_max: u32,
) -> Query<'a> {
    let user = text(user.as_str());
    match after {
        None => {
            let rest = format!("where user_id = $1 order by {key} desc limit $2");
            query(table.select(&rest), vec![user, signed(rows_max)])
        }
        Some(after) => {
            let rest = format!("where user_id = $1 and {key} < $3 order by {key} desc limit $2");
            query(table.select(&rest), vec![user, signed(rows_max), after])
        }
    }
}

#[async_trait]
impl<D: Dialect> Reads for D {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read(Side::Command, query("select 1", Vec::new())).await.map(drop)
    }

    async fn requests(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        // Put in order here: on a table without statistics (new, or restored) PostgreSQL would rather walk the index on
        // `at`, 1.6 s among 2 million requests, than sort the few that there are.
        let sql = tables::REQUEST.select(&format!("where request_id {} and internal = false", D::IN_UUIDS));
        let ids = Value::Uuids(ids.iter().map(|id| id.0).collect());
        let mut rows = all(&self.read(Side::Command, query(sql, vec![ids])).await?, records::request)?;
        rows.sort_by_key(|row| (row.key.id, row.at, row.position.lane().as_str(), row.position.partition.partition));
        rows.dedup_by_key(|row| row.key.id);
        Ok(rows)
    }

    async fn next_offsets(&self) -> Result<Vec<(LanePartition, u64)>, StoreError> {
        let sql = "select lane, partition, next_offset from partition_progress";
        all(&self.read(Side::Command, query(sql, Vec::new())).await?, records::next_offset)
    }

    async fn progress_views(&self) -> Result<Vec<ProgressView>, StoreError> {
        // Sequence numbers have no gaps.
        let sql = "select lane, partition, epoch, owner, next_offset, last_time, \
                   next_outbox_seq - published_seq as outbox_pending, state_hash, \
                   cast(case when next_offset >= taken_end and published_seq >= taken_seq \
                   then 1 else 0 end as bigint) as caught_up from partition_progress";
        let mut views = all(&self.read(Side::Page, query(sql, Vec::new())).await?, records::progress_view)?;
        views.sort_by_key(|view| view.partition);
        Ok(views)
    }

    async fn seats(&self, schedule: ScheduleId) -> Result<Vec<BlockSeats>, StoreError> {
        let of = |table: &Table, order: &str| {
            query(table.select(&format!("where schedule_id = $1 order by {order}")), vec![uuid(schedule.0)])
        };
        let queries = vec![of(&tables::SECTION, "block, rank"), of(&tables::SEAT, "block, section, number")];
        let [section_rows, seat_rows] = answers(self.read_together(Side::Page, queries).await?)?;
        let mut names = Names::default();
        let mut blocks: BTreeMap<BlockName, BlockSeats> = BTreeMap::new();
        for row in &section_rows {
            let section = seats::section(row, &mut names)?;
            let block = section.key.block.clone();
            let empty = || BlockSeats { block, sections: Vec::new(), seats: Vec::new() };
            blocks.entry(section.key.block.clone()).or_insert_with(empty).sections.push(section);
        }
        for row in &seat_rows {
            let seat = seats::seat(row, &mut names)?;
            if let Some(of) = blocks.get_mut(&seat.key.block) {
                of.seats.push(seat);
            }
        }
        Ok(blocks.into_values().collect())
    }

    async fn reservations_by_id(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        loads::reservations_by_id(self, Side::Command, ids).await
    }

    async fn reservations(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        let query = newest_of_user(&tables::RESERVATION, "id", user, page.after.map(|id| uuid(id.0)), page.limit);
        let mut names = Names::default();
        all(&self.read(Side::Page, query).await?, |row| reservations::reservation(row, &mut names))
    }

    async fn unfinished_of(
        &self,
        user: &UserId,
        schedule: ScheduleId,
        blocks: &[BlockName],
    ) -> Result<Vec<Reservation>, StoreError> {
        // By the index of unfinished ones: a user may have thousands that have ended.
        let rest = format!("where block {} and schedule_id = $2 and user_id = $3 and {UNFINISHED}", D::IN_TEXTS);
        let blocks = Value::Texts(blocks.iter().map(BlockName::as_str).collect());
        let parameters = vec![blocks, uuid(schedule.0), text(user.as_str())];
        let rows = self.read(Side::Page, query(tables::RESERVATION.select(&rest), parameters)).await?;
        let mut names = Names::default();
        let mut rows = all(&rows, |row| reservations::reservation(row, &mut names))?;
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        Ok(rows)
    }

    async fn payments(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        let query = newest_of_user(&tables::PAYMENT, "id", user, page.after.map(|id| uuid(id.0)), page.limit);
        let mut names = Names::default();
        all(&self.read(Side::Page, query).await?, |row| reservations::payment(row, &mut names))
    }

    async fn wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        loads::wallets_of(self, Side::Page, users).await
    }

    async fn wallet_entries(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError> {
        let after = page.after.map(int).transpose()?;
        let query = newest_of_user(&tables::WALLET_ENTRY, "number", user, after, page.limit);
        all(&self.read(Side::Page, query).await?, wallets::entry)
    }

    async fn queue(&self, schedule: ScheduleId) -> Result<Option<Queue>, StoreError> {
        let sql = tables::QUEUE.select("where schedule_id = $1");
        first(&self.read(Side::Command, query(sql, vec![uuid(schedule.0)])).await?, queues::queue)
    }

    async fn tokens_changed(
        &self,
        schedule: ScheduleId,
        from: u64,
        live_only: bool,
        rows_max: u32,
    ) -> Result<Vec<Token>, StoreError> {
        let live = if live_only { format!("and {LIVE}") } else { String::new() };
        let rest = format!(
            "where schedule_id = $1 and changed_offset >= $2 {live} order by changed_offset, sequence limit $3"
        );
        let parameters = vec![uuid(schedule.0), int(from)?, signed(rows_max)];
        let rows = self.read(Side::Command, query(tables::QUEUE_TOKEN.select(&rest), parameters)).await?;
        all(&rows, queues::token)
    }

    async fn tokens_of(&self, schedule: ScheduleId, user: &UserId) -> Result<Vec<Token>, StoreError> {
        let rest = "where schedule_id = $1 and user_id = $2 order by sequence desc limit 10";
        let parameters = vec![uuid(schedule.0), text(user.as_str())];
        let rows = self.read(Side::Command, query(tables::QUEUE_TOKEN.select(rest), parameters)).await?;
        all(&rows, queues::token)
    }
}
