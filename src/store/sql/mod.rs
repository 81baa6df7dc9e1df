//! What the SQL stores share: tables, queries, mapping. Both read `$1` as a parameter, so most queries are one text;
//! where the dialects differ, [`Dialect`] has a name for the difference.

pub(super) mod batch;
pub(super) mod cells;
mod json;
pub(super) mod migrations;
mod pages;
mod reads;
pub(super) mod tables;
pub(super) mod values;

use async_trait::async_trait;

use self::cells::Cells;
use self::values::{Value, int, signed, text, uuid};
use super::{
    AggregateLoads, CommitBatch, Committed, OutboxRow, Progress, RecordedLog, RequestRow, StateTable, Store,
    StoreError, assemble,
};
use crate::domain::queue::{Queue, Token};
use crate::domain::section::{Reservation, Section};
use crate::domain::wallet::Wallet;
use crate::domain::{Change, LogTime, RequestId, ReservationId, ScheduleId, SectionName, UserId};
use crate::log::LanePartition;

/// SQL text with its parameters.
pub(super) struct Query<'a> {
    pub sql: String,
    pub parameters: Vec<Value<'a>>,
}

pub(super) fn query(sql: impl Into<String>, parameters: Vec<Value<'_>>) -> Query<'_> {
    Query { sql: sql.into(), parameters }
}

/// On whose behalf a query runs. Owners have connections of their own, so that no crowd of readers holds up a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Owner,
    FrontDoor,
}

/// One SQL database: how to run queries, and how it says what the two say differently.
#[async_trait]
pub(super) trait Dialect: Send + Sync + 'static {
    type Row: Cells + Send;

    /// What follows a column that must be in `$1`, a [`Value::Uuids`].
    const IN_UUIDS: &'static str;
    /// What follows a column that must be in `$1`, a [`Value::Texts`].
    const IN_TEXTS: &'static str;
    /// What follows a pair of columns that must be in `$1` (and `$2`), a [`Value::Pairs`].
    const IN_PAIRS: &'static str;
    /// A row's address, and how to compare it with those a query gives: `{ROW.0} {ROW.1} (query) {ROW.2}`.
    const ROW: (&'static str, &'static str, &'static str);
    /// What makes a read of the progress wait for a commit that is under way, whoever sent it.
    const AFTER_COMMITS: &'static str;

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<Self::Row>, StoreError>;

    /// Several queries on one snapshot.
    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<Self::Row>>, StoreError>;

    /// One changing statement in a transaction of its own; gives what it returns.
    async fn write(&self, query: Query<'_>) -> Result<Vec<Self::Row>, StoreError>;

    async fn commit_batch(&self, batch: &CommitBatch) -> Result<Committed, StoreError>;
}

fn all<Row, T>(rows: &[Row], map: impl Fn(&Row) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(map).collect()
}

fn first<Row, T>(rows: &[Row], map: impl Fn(&Row) -> Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    rows.first().map(map).transpose()
}

const PROGRESS: &str = "epoch, next_offset, last_time, next_outbox_seq, state_hash";

/// The first statement of a commit: locks the partition's row and moves it on. Not exactly one row means fenced.
pub(super) const FENCE: &str = "update partition_progress \
     set next_offset = $1, last_time = $2, next_outbox_seq = $3, state_hash = $4 \
     where lane = $5 and partition = $6 and epoch = $7 and next_offset = $8";

pub(super) fn fence(batch: &CommitBatch) -> Result<Query<'static>, StoreError> {
    let parameters = vec![
        int(batch.next_offset)?,
        signed(batch.last_time.0),
        int(batch.next_outbox_seq)?,
        values::bits(batch.state_hash),
        text(batch.partition.lane.as_str()),
        signed(batch.partition.partition.into()),
        int(batch.epoch)?,
        int(batch.from_offset)?,
    ];
    Ok(query(FENCE, parameters))
}

/// As `Reservation::is_unfinished` says it, in a form that uses the index on the status.
const UNFINISHED: &str = "reservation.status in ('HELD', 'PAYING', 'CONFIRMED', 'CANCELLED') \
     and (reservation.status <> 'CANCELLED' or reservation.payment_id is not null)";

/// Sections, their seats, unfinished reservations and those reservations' unfinished payments: four queries.
fn section_queries<D: Dialect>(keys: &[(ScheduleId, SectionName)]) -> Vec<Query<'_>> {
    let in_pairs = D::IN_PAIRS;
    let of =
        |sql: String| query(sql, vec![Value::Pairs(keys.iter().map(|(id, name)| (id.0, name.as_str())).collect())]);
    let payments = format!(
        "select {} from reservation join payment on payment.id = reservation.payment_id \
         where (reservation.schedule_id, reservation.section) {in_pairs} and {UNFINISHED} \
         and payment.status in ('PENDING', 'COMPLETED')",
        tables::PAYMENT.qualified_list()
    );
    vec![
        of(tables::SECTION.select(&format!("where (schedule_id, name) {in_pairs}"))),
        of(tables::SEAT.select(&format!("where (schedule_id, section) {in_pairs} order by number"))),
        of(tables::RESERVATION.select(&format!("where (schedule_id, section) {in_pairs} and {UNFINISHED}"))),
        of(payments),
    ]
}

/// Deletes rows of one table that are older than `$1`, at most `$2`.
fn forget_query<D: Dialect>(table: &str, condition: &str, before: LogTime, limit: u32) -> Query<'static> {
    let (row, open, close) = D::ROW;
    let sql = format!(
        "delete from {table} where {row} {open}(select {row} from {table} where at < $1 {condition} \
         order by at limit $2){close} returning 1"
    );
    query(sql, vec![signed(before.0), signed(limit.into())])
}

#[async_trait]
impl<D: Dialect> AggregateLoads for D {
    async fn load_sections(&self, keys: &[(ScheduleId, SectionName)]) -> Result<Vec<Section>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.read_together(Side::Owner, section_queries::<D>(keys)).await?;
        let [sections, seats, reservations, payments] = rows.as_slice() else {
            return Err(StoreError::Failed("four queries gave another number of answers".into()));
        };
        assemble::sections(
            all(sections, cells::section)?,
            all(seats, cells::seat)?,
            all(reservations, cells::reservation)?,
            all(payments, cells::payment)?,
        )
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = tables::RESERVATION.select(&format!("where id {}", D::IN_UUIDS));
        let parameters = vec![Value::Uuids(ids.iter().map(|id| id.0).collect())];
        all(&self.read(Side::Owner, query(sql, parameters)).await?, cells::reservation)
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let sql = tables::WALLET.select(&format!("where user_id {}", D::IN_TEXTS));
        let parameters = vec![Value::Texts(users.iter().map(UserId::as_str).collect())];
        all(&self.read(Side::Owner, query(sql, parameters)).await?, cells::wallet)
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        let of = |sql| query(sql, vec![uuid(schedule.0)]);
        // Sorted here: to have it sorted, SQLite would go through the tokens that have ended as well.
        let live = "where schedule_id = $1 and status in ('WAITING', 'ACTIVE')";
        let queries = vec![of(tables::QUEUE.select("where schedule_id = $1")), of(tables::QUEUE_TOKEN.select(live))];
        let rows = self.read_together(Side::Owner, queries).await?;
        let [queues, tokens] = rows.as_slice() else {
            return Err(StoreError::Failed("two queries gave another number of answers".into()));
        };
        let Some(queue) = first(queues, cells::queue)? else { return Ok(None) };
        let mut live = all(tokens, cells::token)?;
        live.sort_unstable_by_key(|token| token.sequence);
        Ok(Some((queue, live)))
    }

    async fn load_requests(&self, partition: LanePartition, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let of = format!("where request_id {} and lane = $2 and partition = $3", D::IN_UUIDS);
        let parameters = vec![
            Value::Uuids(ids.iter().map(|id| id.0).collect()),
            text(partition.lane.as_str()),
            signed(partition.partition.into()),
        ];
        all(&self.read(Side::Owner, query(tables::REQUEST.select(&of), parameters)).await?, cells::request)
    }
}

#[async_trait]
impl<D: Dialect> Store for D {
    async fn acquire(&self, partition: LanePartition, owner: &str) -> Result<Progress, StoreError> {
        let sql = format!(
            "insert into partition_progress as p \
             (lane, partition, epoch, owner, next_offset, last_time, next_outbox_seq, state_hash) \
             values ($1, $2, 1, $3, 0, 0, 0, 0) \
             on conflict (lane, partition) do update set epoch = p.epoch + 1, owner = excluded.owner \
             returning {PROGRESS}"
        );
        let parameters = vec![text(partition.lane.as_str()), signed(partition.partition.into()), text(owner)];
        let rows = self.write(query(sql, parameters)).await?;
        first(&rows, cells::progress)?.ok_or_else(|| StoreError::Failed("acquire gave no row".into()))
    }

    async fn progress(&self, partition: LanePartition) -> Result<Option<Progress>, StoreError> {
        let wait = D::AFTER_COMMITS;
        let sql = format!("select {PROGRESS} from partition_progress where lane = $1 and partition = $2 {wait}");
        let parameters = vec![text(partition.lane.as_str()), signed(partition.partition.into())];
        first(&self.read(Side::Owner, query(sql, parameters)).await?, cells::progress)
    }

    async fn commit(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        self.commit_batch(batch).await
    }

    async fn held_sections(&self) -> Result<Vec<(ScheduleId, SectionName, LogTime)>, StoreError> {
        let sql = "select schedule_id, section, min(expires_at) as due from reservation where status = 'HELD' \
                   group by schedule_id, section order by schedule_id, section";
        all(&self.read(Side::Owner, query(sql, Vec::new())).await?, cells::held_section)
    }

    async fn live_queues(&self) -> Result<Vec<ScheduleId>, StoreError> {
        let sql = "select schedule_id from queue where exists (select 1 from queue_token as token \
                   where token.schedule_id = queue.schedule_id and token.status in ('WAITING', 'ACTIVE')) \
                   order by schedule_id";
        all(&self.read(Side::Owner, query(sql, Vec::new())).await?, |row| row.schedule_id())
    }

    async fn outbox(&self, partition: LanePartition, from: u64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = tables::OUTBOX.select("where lane = $1 and partition = $2 and seq >= $3 order by seq limit $4");
        let parameters =
            vec![text(partition.lane.as_str()), signed(partition.partition.into()), int(from)?, signed(limit.into())];
        all(&self.read(Side::Owner, query(sql, parameters)).await?, cells::outbox)
    }

    async fn delete_outbox(&self, partition: LanePartition, before: u64) -> Result<(), StoreError> {
        let sql = "delete from outbox where lane = $1 and partition = $2 and seq < $3";
        let parameters = vec![text(partition.lane.as_str()), signed(partition.partition.into()), int(before)?];
        self.write(query(sql, parameters)).await.map(drop)
    }

    async fn recorded_log(&self) -> Result<Option<RecordedLog>, StoreError> {
        let sql = "select log_id, topics, seats, wallets, queues, outcomes, dead_letters from log_identity";
        first(&self.read(Side::Owner, query(sql, Vec::new())).await?, cells::recorded_log)
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
            signed(counts.seats.into()),
            signed(counts.wallets.into()),
            signed(counts.queues.into()),
            signed(counts.outcomes.into()),
            signed(counts.dead_letters.into()),
        ];
        self.write(query(sql, parameters)).await.map(drop)
    }

    async fn state_page(
        &self,
        table: StateTable,
        after: Option<&Change>,
        limit: u32,
    ) -> Result<Vec<Change>, StoreError> {
        pages::state(self, table, after, limit).await
    }

    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>, StoreError> {
        pages::requests(self, after, limit).await
    }

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
