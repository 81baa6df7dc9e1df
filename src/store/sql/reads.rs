//! The front door's reads, a query a function.

use async_trait::async_trait;

use super::tables::{self, Table};
use super::values::{self, Value, int, signed, text, uuid};
use super::{Dialect, Side, all, cells, first, query};
use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Payment, Reservation, Seat};
use crate::domain::wallet::{Entry, Wallet};
use crate::domain::{ConcertId, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId, UserId};
use crate::store::reads::{Concert, DeadLetterView, Page, ProgressView, Reads, Schedule, ScheduleView};
use crate::store::{RequestRow, StoreError};

fn limit(limit: u32) -> Value<'static> {
    signed(limit.into())
}

/// A user's rows, those with the greatest `key` first, after the page's last one.
fn newest_of_user<'a>(
    table: &Table,
    key: &str,
    user: &'a UserId,
    after: Option<Value<'a>>,
    rows_max: u32,
) -> super::Query<'a> {
    let user = text(user.as_str());
    match after {
        None => {
            let rest = format!("where user_id = $1 order by {key} desc limit $2");
            query(table.select(&rest), vec![user, limit(rows_max)])
        }
        Some(after) => {
            let rest = format!("where user_id = $1 and {key} < $3 order by {key} desc limit $2");
            query(table.select(&rest), vec![user, limit(rows_max), after])
        }
    }
}

/// A catalog row, unless its id is there already.
fn insert<'a>(table: &Table, row: Vec<Value<'a>>) -> super::Query<'a> {
    let places: Vec<String> = (1..=row.len()).map(|n| format!("${n}")).collect();
    let (list, places, end) = (table.list(), places.join(", "), table.on_conflict());
    query(format!("insert into {} ({list}) values ({places}) {end}", table.name), row)
}

/// Schedules as chosen by `condition` on `$1`, with their sections.
async fn schedule_views<D: Dialect>(
    store: &D,
    condition: &str,
    parameter: Value<'_>,
) -> Result<Vec<ScheduleView>, StoreError> {
    let schedules = tables::SCHEDULE.select(&format!("where {condition} order by starts_at, id"));
    let sections = format!(
        "select {} from schedule join section on section.schedule_id = schedule.id where {condition} \
         order by section.name",
        tables::SECTION.qualified_list()
    );
    let queries = vec![query(schedules, vec![parameter.clone()]), query(sections, vec![parameter])];
    let rows = store.read_together(Side::FrontDoor, queries).await?;
    let [schedules, sections] = rows.as_slice() else {
        return Err(StoreError::Failed("two queries gave another number of answers".into()));
    };
    let mut views: Vec<ScheduleView> = all(schedules, cells::schedule)?
        .into_iter()
        .map(|schedule| ScheduleView { schedule, sections: Vec::new() })
        .collect();
    let places: std::collections::HashMap<ScheduleId, usize> =
        views.iter().enumerate().map(|(place, view)| (view.schedule.id, place)).collect();
    for section in all(sections, cells::section)? {
        if let Some(place) = places.get(&section.schedule_id) {
            views[*place].sections.push(section);
        }
    }
    Ok(views)
}

fn dead_letters_where(rest: &str) -> String {
    format!("select {}, replayed_at from dead_letter {rest}", tables::DEAD_LETTER.list())
}

fn position(position: Position) -> Result<Vec<Value<'static>>, StoreError> {
    Ok(vec![text(position.lane.as_str()), signed(position.partition.into()), int(position.offset)?])
}

#[async_trait]
impl<D: Dialect> Reads for D {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read(Side::FrontDoor, query("select 1", Vec::new())).await.map(drop)
    }

    async fn request(&self, id: RequestId) -> Result<Option<RequestRow>, StoreError> {
        // No limit: on a table without statistics (new, or restored) PostgreSQL would rather walk the index on `at` for
        // one row, 1.6 s among 2 million requests, than sort the one or two that there are.
        let sql = tables::REQUEST.select("where request_id = $1 order by at, lane, partition");
        first(&self.read(Side::FrontDoor, query(sql, vec![uuid(id.0)])).await?, cells::request)
    }

    async fn progress_views(&self) -> Result<Vec<ProgressView>, StoreError> {
        // Sequence numbers have no gaps, so the lowest one left tells the count without counting.
        let sql = "select lane, partition, epoch, owner, next_offset, last_time, \
                   coalesce(next_outbox_seq - (select min(seq) from outbox \
                   where outbox.lane = p.lane and outbox.partition = p.partition), 0) as outbox_pending \
                   from partition_progress as p";
        let mut views = all(&self.read(Side::FrontDoor, query(sql, Vec::new())).await?, cells::progress_view)?;
        views.sort_by_key(|view| view.partition);
        Ok(views)
    }

    async fn insert_concert(&self, concert: &Concert) -> Result<(), StoreError> {
        self.write(insert(&tables::CONCERT, values::concert(concert))).await.map(drop)
    }

    async fn insert_schedule(&self, schedule: &Schedule) -> Result<(), StoreError> {
        self.write(insert(&tables::SCHEDULE, values::schedule(schedule))).await.map(drop)
    }

    async fn concerts(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        let query = match page.after {
            None => query(tables::CONCERT.select("order by id desc limit $1"), vec![limit(page.limit)]),
            Some(after) => {
                let sql = tables::CONCERT.select("where id < $2 order by id desc limit $1");
                query(sql, vec![limit(page.limit), uuid(after.0)])
            }
        };
        all(&self.read(Side::FrontDoor, query).await?, cells::concert)
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        let sql = tables::CONCERT.select("where id = $1");
        first(&self.read(Side::FrontDoor, query(sql, vec![uuid(id.0)])).await?, cells::concert)
    }

    async fn schedules(&self, concert: ConcertId) -> Result<Vec<ScheduleView>, StoreError> {
        schedule_views(self, "schedule.concert_id = $1", uuid(concert.0)).await
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Option<ScheduleView>, StoreError> {
        Ok(schedule_views(self, "schedule.id = $1", uuid(id.0)).await?.pop())
    }

    async fn seats(&self, schedule: ScheduleId) -> Result<Vec<Seat>, StoreError> {
        let sql = tables::SEAT.select("where schedule_id = $1 order by section, number");
        all(&self.read(Side::FrontDoor, query(sql, vec![uuid(schedule.0)])).await?, cells::seat)
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        let sql = tables::RESERVATION.select("where id = $1");
        first(&self.read(Side::FrontDoor, query(sql, vec![uuid(id.0)])).await?, cells::reservation)
    }

    async fn reservations(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        let query = newest_of_user(&tables::RESERVATION, "id", user, page.after.map(|id| uuid(id.0)), page.limit);
        all(&self.read(Side::FrontDoor, query).await?, cells::reservation)
    }

    async fn payments(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        let query = newest_of_user(&tables::PAYMENT, "id", user, page.after.map(|id| uuid(id.0)), page.limit);
        all(&self.read(Side::FrontDoor, query).await?, cells::payment)
    }

    async fn wallet(&self, user: &UserId) -> Result<Option<Wallet>, StoreError> {
        let sql = tables::WALLET.select("where user_id = $1");
        first(&self.read(Side::FrontDoor, query(sql, vec![text(user.as_str())])).await?, cells::wallet)
    }

    async fn wallet_entries(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError> {
        let after = page.after.map(int).transpose()?;
        let query = newest_of_user(&tables::WALLET_ENTRY, "number", user, after, page.limit);
        all(&self.read(Side::FrontDoor, query).await?, cells::wallet_entry)
    }

    async fn queue(&self, schedule: ScheduleId) -> Result<Option<Queue>, StoreError> {
        let sql = tables::QUEUE.select("where schedule_id = $1");
        first(&self.read(Side::FrontDoor, query(sql, vec![uuid(schedule.0)])).await?, cells::queue)
    }

    async fn tokens_changed(
        &self,
        schedule: ScheduleId,
        from: u64,
        live_only: bool,
        rows_max: u32,
    ) -> Result<Vec<Token>, StoreError> {
        let live = if live_only { "and status in ('WAITING', 'ACTIVE')" } else { "" };
        let rest = format!(
            "where schedule_id = $1 and changed_offset >= $2 {live} order by changed_offset, sequence limit $3"
        );
        let parameters = vec![uuid(schedule.0), int(from)?, limit(rows_max)];
        let rows = self.read(Side::FrontDoor, query(tables::QUEUE_TOKEN.select(&rest), parameters)).await?;
        all(&rows, cells::token)
    }

    async fn tokens_of(&self, schedule: ScheduleId, user: &UserId) -> Result<Vec<Token>, StoreError> {
        let rest = "where schedule_id = $1 and user_id = $2 order by sequence desc limit 10";
        let parameters = vec![uuid(schedule.0), text(user.as_str())];
        let rows = self.read(Side::FrontDoor, query(tables::QUEUE_TOKEN.select(rest), parameters)).await?;
        all(&rows, cells::token)
    }

    async fn dead_letters(&self, page: Page<Position>) -> Result<Vec<DeadLetterView>, StoreError> {
        let order = "order by at desc, lane desc, partition desc, log_offset desc";
        let query = match page.after {
            None => query(dead_letters_where(&format!("{order} limit $1")), vec![limit(page.limit)]),
            Some(after) => {
                let sql = dead_letters_where(&format!(
                    "where (at, lane, partition, log_offset) < (select at, lane, partition, log_offset \
                     from dead_letter where lane = $1 and partition = $2 and log_offset = $3) {order} limit $4"
                ));
                let mut parameters = position(after)?;
                parameters.push(limit(page.limit));
                query(sql, parameters)
            }
        };
        all(&self.read(Side::FrontDoor, query).await?, cells::dead_letter)
    }

    async fn dead_letter(&self, at: Position) -> Result<Option<DeadLetterView>, StoreError> {
        let sql = dead_letters_where("where lane = $1 and partition = $2 and log_offset = $3");
        first(&self.read(Side::FrontDoor, query(sql, position(at)?)).await?, cells::dead_letter)
    }

    async fn mark_replayed(&self, at: Position, time: LogTime) -> Result<(), StoreError> {
        let sql = "update dead_letter set replayed_at = $4 where lane = $1 and partition = $2 and log_offset = $3";
        let mut parameters = position(at)?;
        parameters.push(signed(time.0));
        self.write(query(sql, parameters)).await.map(drop)
    }
}
