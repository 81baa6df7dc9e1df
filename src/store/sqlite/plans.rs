//! Every read, asked how it would be done: by an index, or by a look at a small table.

use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::domain::wallet::EntryKind;
use crate::domain::{
    BlockKey, ConcertId, Lane, LanePartition, LogTime, PaymentId, RequestId, ReservationId, ScheduleId,
};
use crate::store::sql::dialect::query;
use crate::store::{
    AggregateLoads, Catalog, DeadLetters, DoneBy, LogBinding, Operations, Outbox, Ownership, Page, Reads, RequestKey,
    Retention, Timers,
};

/// Notes the plan of each query before it runs.
struct Explained {
    store: SqliteStore,
    plans: Mutex<Vec<String>>,
}

impl Explained {
    async fn explain(&self, query_text: &str) {
        let rows = self.store.read(Side::Owner, query(format!("explain query plan {query_text}"), Vec::new())).await;
        let rows = rows.unwrap();
        let lines: Vec<&str> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        self.plans.lock().unwrap().push(format!("{query_text}\n  {}", lines.join("\n  ")));
    }
}

#[async_trait]
impl Dialect for Explained {
    type Row = SqliteRow;

    const IN_UUIDS: &'static str = SqliteStore::IN_UUIDS;
    const IN_TEXTS: &'static str = SqliteStore::IN_TEXTS;
    const IN_PAIRS: &'static str = SqliteStore::IN_PAIRS;
    const IN_REQUESTS: &'static str = SqliteStore::IN_REQUESTS;
    const IN_PARTITIONS: &'static str = SqliteStore::IN_PARTITIONS;
    const ROW: (&'static str, &'static str, &'static str) = SqliteStore::ROW;
    const AFTER_COMMITS: &'static str = SqliteStore::AFTER_COMMITS;
    const CAPTURED: Option<&'static str> = SqliteStore::CAPTURED;
    const NOW_MS: &'static str = SqliteStore::NOW_MS;

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        self.explain(&query.sql).await;
        self.store.read(side, query).await
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<SqliteRow>>, StoreError> {
        for query in &queries {
            self.explain(&query.sql).await;
        }
        self.store.read_together(side, queries).await
    }

    async fn write(&self, query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        self.explain(&query.sql).await;
        self.store.write(query).await
    }

    async fn commit_together(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        self.store.commit_together(group).await
    }
}

/// Each read once; what it gives does not matter.
async fn read_everything(store: &Explained) -> Result<(), StoreError> {
    let (id, partition) = (Uuid::nil(), LanePartition { lane: Lane::Seats, partition: 0 });
    let user = "alice".parse().unwrap();
    let (schedule, position) = (ScheduleId(id), partition.at(0));
    store.progress(partition).await?;
    store.load_blocks(&[BlockKey::main(schedule)]).await?;
    store.load_reservations(&[ReservationId(id)]).await?;
    store.load_payments(&[PaymentId(id)]).await?;
    store.load_answers(&[PaymentId(id)]).await?;
    store.load_entries(&[(EntryKind::Charge, id)]).await?;
    store.load_wallets(std::slice::from_ref(&user)).await?;
    store.load_queue(schedule).await?;
    store.load_requests(partition, &[RequestKey { id: RequestId(id), internal: false }]).await?;
    store.due_blocks(0).await?;
    store.due_queues(0).await?;
    store.recorded_log().await?;
    store.outbox(partition, 0, 10).await?;
    store.note_end(partition, 0, 1).await?;
    store.forget_requests(partition, LogTime(0), 10).await?;
    store.forget_dead_letters(partition, LogTime(0), 10).await?;
    store.request(RequestId(id)).await?;
    store.next_offsets().await?;
    store.progress_views().await?;
    store.concerts(Page { after: None, limit: 10 }).await?;
    store.concerts(Page { after: Some(ConcertId(id)), limit: 10 }).await?;
    store.concert(ConcertId(id)).await?;
    for from in [None, Some(LogTime(0))] {
        store.schedules(ConcertId(id), from, Page { after: None, limit: 10 }).await?;
        store.schedules(ConcertId(id), from, Page { after: Some(schedule), limit: 10 }).await?;
    }
    store.plans(Page { after: None, limit: 10 }).await?;
    store.plans(Page { after: Some("x".to_owned()), limit: 10 }).await?;
    store.plan("x").await?;
    store.schedule(schedule).await?;
    store.seats(schedule).await?;
    store.reservation(ReservationId(id)).await?;
    store.unfinished_of(&user, schedule, &[crate::domain::BlockName::main()]).await?;
    store.wallet(&user).await?;
    store.queue(schedule).await?;
    store.tokens_of(schedule, &user).await?;
    for first in [true, false] {
        let after = (!first).then_some(id);
        store.reservations(&user, Page { after: after.map(ReservationId), limit: 10 }).await?;
        store.payments(&user, Page { after: after.map(PaymentId), limit: 10 }).await?;
        store.wallet_entries(&user, Page { after: after.map(|_| 1), limit: 10 }).await?;
        store.dead_letters(Page { after: after.map(|_| position), limit: 10 }).await?;
        store.tokens_changed(schedule, 5, first, 10).await?;
    }
    store.dead_letter(position).await?;
    store.mark_replayed(position, &DoneBy { by: user, at: LogTime(0) }).await?;
    store.open_dead_letters(10).await?;
    store.processes().await?;
    store.requests_under(&[RequestId(id)]).await?;
    store.sale_counts(&[ScheduleId(id)]).await?;
    store.last_audit().await.map(drop)
}

#[tokio::test]
async fn every_read_uses_an_index() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).await.unwrap();
    let store = Explained { store, plans: Mutex::default() };
    read_everything(&store).await.unwrap();

    let plans = store.plans.into_inner().unwrap();
    // Lists of parameters, tables of a few rows, a page of an index in its order.
    let may_be_scanned = |line: &str| {
        let small = ["json_each", "p", "partition_progress", "log_identity", "process", "last_audit"];
        small.contains(&line.split(' ').nth(1).unwrap_or_default())
            || line == "SCAN concert USING INDEX sqlite_autoindex_concert_1"
            || line == "SCAN plan USING INDEX plan_created"
            || line == "SCAN dead_letter USING INDEX dead_letter_at"
            || line == "SCAN dead_letter USING INDEX dead_letter_open"
            || line == "SCAN letters"
    };
    for plan in &plans {
        for line in plan.lines().map(str::trim).filter(|line| line.starts_with("SCAN ")) {
            assert!(may_be_scanned(line), "{plan}");
        }
    }
    let uses = |part_of_query: &str, part_of_plan: &str| {
        let of_query: Vec<&String> = plans.iter().filter(|plan| plan.contains(part_of_query)).collect();
        assert!(!of_query.is_empty() && of_query.iter().all(|plan| plan.contains(part_of_plan)), "{of_query:#?}");
    };
    uses("select max(block.starts_at)", "schedule_concert (concert_id=?");
    uses("order by sequence desc", "queue_token_user (schedule_id=? AND user_id=?)");
    uses(
        "in ('WAITING', 'ABSENT', 'ACTIVE') order by changed_offset",
        "queue_token_live (schedule_id=? AND changed_offset>?)",
    );
    uses("where schedule_id = $1 and status in ('WAITING', 'ABSENT', 'ACTIVE')", "queue_token_live (schedule_id=?)");
    uses("from seat where (schedule_id, block)", "PRIMARY KEY (schedule_id=? AND block=?)");
    uses("from reservation where (schedule_id, block)", "reservation_unfinished (schedule_id=? AND block=?)");
    uses("from payment where (schedule_id, block)", "payment_unfinished (schedule_id=? AND block=?)");
    uses("from block where changed_partition", "block_due (changed_partition=?)");
    uses("from queue where changed_partition", "queue_due (changed_partition=?)");
    uses("where (cause, kind)", "wallet_entry_cause (cause=? AND kind=?)");
    uses("from reservation where user_id", "reservation_user (user_id=?");
    uses("and user_id = $3", "reservation_unfinished (schedule_id=? AND block=? AND user_id=?)");
    uses("from payment where user_id", "payment_user (user_id=?");
    uses("from request where request_id in", "sqlite_autoindex_request_1 (request_id=?");
    uses("from seat where schedule_id in", "PRIMARY KEY (schedule_id=?)");
    uses("sum(amount)", "reservation_unfinished (schedule_id=?)");
    uses("delete from request", "request_decided (lane=? AND partition=? AND decided_at<?)");
    uses("delete from dead_letter", "dead_letter_done (lane=? AND partition=?)");
}
