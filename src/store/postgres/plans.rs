//! What a load visits, as the server counts it: what it gives, and no history. Run where
//! `TURNSTILE_TEST_DATABASE_URL` names a server.

use std::sync::{LazyLock, Mutex};

use serde_json::Value as Json;
use uuid::Uuid;

use super::*;
use crate::domain::block::{self, Payment, PaymentState, Reservation, ReservationState, Seat, SeatState, Waiting};
use crate::domain::queue::{self, Ending, Token, TokenState};
use crate::domain::wallet::{self, AnswerKind, Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{
    Amount, Arrival, Asking, Balance, BlockKey, Changes, Code, CommandKind, EntryId, Fingerprint, Lane, LanePartition,
    LogTime, PaymentId, RequestId, ReservationId, ScheduleId, SeatId,
};
use crate::store::sql::dialect::query;
use crate::store::{
    AggregateLoads, CommitBatch, Decided, Ownership, Progress, Reads, RequestKey, RequestRow, RequestState, Timers,
};

/// Rows of each kind that have ended. Below a few hundred pages PostgreSQL might rather read a table from end to end; with
/// 100,000 (`TURNSTILE_TEST_HISTORY`) the plans are the same.
static HISTORY: LazyLock<u128> = LazyLock::new(|| {
    let asked = std::env::var("TURNSTILE_TEST_HISTORY").ok();
    asked.map_or(5_000, |text| text.parse().expect("a number"))
});
/// Rows of each kind that have not.
const LIVE: u128 = 3;

/// Runs each query twice: as it is, and to count the rows that it visits.
struct Explained {
    store: PostgresStore,
    /// Query and rows visited.
    visits: Mutex<Vec<(String, u64)>>,
}

/// Rows that the scans of a plan looked at.
fn visited(plan: &Json) -> u64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let of_children: u64 = plan["Plans"].as_array().into_iter().flatten().map(visited).sum();
    if plan["Relation Name"].is_null() {
        return of_children;
    }
    let rows = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    of_children + (rows * number("Actual Loops")).ceil() as u64
}

impl Explained {
    async fn explain(&self, side: Side, explained: &Query<'_>) -> Result<(), StoreError> {
        let sql = format!("explain (analyze, format json) {}", explained.sql);
        let rows = self.store.read(side, query(sql, explained.parameters.clone())).await?;
        let text: &str = rows[0].try_get_unchecked(0).map_err(read_error)?;
        let plan: Json = serde_json::from_str(text).unwrap();
        let visits = visited(&plan[0]["Plan"]);
        self.visits.lock().unwrap().push((format!("{}\n{plan:#}", explained.sql), visits));
        Ok(())
    }
}

#[async_trait]
impl Dialect for Explained {
    type Row = PgRow;

    const IN_UUIDS: &'static str = PostgresStore::IN_UUIDS;
    const IN_TEXTS: &'static str = PostgresStore::IN_TEXTS;
    const IN_PAIRS: &'static str = PostgresStore::IN_PAIRS;
    const IN_REQUESTS: &'static str = PostgresStore::IN_REQUESTS;
    const IN_PARTITIONS: &'static str = PostgresStore::IN_PARTITIONS;
    const ROW: (&'static str, &'static str, &'static str) = PostgresStore::ROW;
    const AFTER_COMMITS: &'static str = PostgresStore::AFTER_COMMITS;
    const CAPTURED: Option<&'static str> = PostgresStore::CAPTURED;
    const NOW_MS: &'static str = PostgresStore::NOW_MS;

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.explain(side, &query).await?;
        self.store.read(side, query).await
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<PgRow>>, StoreError> {
        for query in &queries {
            self.explain(side, query).await?;
        }
        self.store.read_together(side, queries).await
    }

    async fn write(&self, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.store.write(query).await
    }

    async fn commit_together(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        self.store.commit_together(group).await
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn at(lane: Lane, number: u128) -> Arrival {
    let position = LanePartition { lane, partition: 0 }.at(u64::try_from(number).unwrap());
    Arrival { position, time: LogTime(1_700_000_000_000) }
}

fn key() -> BlockKey {
    BlockKey::main(ScheduleId(id(1)))
}

fn asking(number: u128) -> Asking {
    Asking { request_id: RequestId(id(number)), fingerprint: Fingerprint(1), by: None }
}

/// One reservation with its payment and a seat, ended or not.
fn sold(number: u128, ended: bool) -> [block::Row; 2] {
    let (user_id, amount): (crate::domain::UserId, _) = ("alice".parse().unwrap(), Amount::new(1).unwrap());
    let waiting = Waiting { ask_at: LogTime(1), interval_ms: 1 };
    let (state, paid) = match ended {
        true => (ReservationState::Expired, PaymentState::Failed(Code::InsufficientBalance)),
        false => (ReservationState::Paying(PaymentId(id(number))), PaymentState::Pending(waiting)),
    };
    let reservation = Reservation {
        id: ReservationId(id(number)),
        key: key(),
        user_id: user_id.clone(),
        by: None,
        seats: vec![SeatId { section: "A".parse().unwrap(), number: 1 }],
        amount,
        state,
        expires_at: LogTime(1),
        held: at(Lane::Seats, number),
        changed: at(Lane::Seats, number),
    };
    let payment = Payment {
        id: PaymentId(id(number)),
        key: key(),
        reservation_id: reservation.id,
        user_id,
        amount,
        state: paid,
        asking: asking(number),
        created_at: LogTime(1),
        changed: at(Lane::Seats, number),
    };
    [block::Row::Reservation(reservation), block::Row::Payment(payment)]
}

fn seat(block: &BlockKey, number: u128) -> block::Row {
    block::Row::Seat(Seat {
        key: block.clone(),
        id: SeatId { section: "A".parse().unwrap(), number: u32::try_from(number).unwrap() },
        state: SeatState::Available,
        remembered: None,
        checked: None,
        changed: at(Lane::Seats, number),
    })
}

fn token(number: u128, ended: bool) -> queue::Row {
    let state = if ended { TokenState::Ended { how: Ending::Left, turn: None } } else { TokenState::Waiting };
    queue::Row::Token(Token {
        schedule_id: ScheduleId(id(1)),
        sequence: u64::try_from(number).unwrap(),
        user_id: format!("user-{number}").parse().unwrap(),
        state,
        joined_at: LogTime(1),
        last_seen: queue::PresenceMs(1),
        sighted: false,
        follows: None,
        changed: at(Lane::Queues, number),
    })
}

fn entry(number: u128) -> wallet::Row {
    wallet::Row::Entry(Entry {
        id: EntryId(id(number)),
        user_id: "alice".parse().unwrap(),
        number: u64::try_from(number).unwrap(),
        kind: EntryKind::Charge,
        amount: Amount::new(1).unwrap(),
        balance_after: Balance::ZERO,
        reason: None,
        request_id: RequestId(id(number)),
        by: None,
        cause: id(number),
        at: at(Lane::Wallets, number),
    })
}

fn answer(number: u128) -> wallet::Row {
    wallet::Row::Answer(PaymentAnswer {
        payment_id: PaymentId(id(number)),
        user_id: "alice".parse().unwrap(),
        kind: AnswerKind::Debit,
        amount: Amount::new(1).unwrap(),
        answer: Ok(Balance::ZERO),
        at: at(Lane::Wallets, number),
    })
}

/// Somebody else's wallet.
fn another(number: u128) -> wallet::Row {
    let user_id = format!("user-{number}").parse().unwrap();
    wallet::Row::Wallet(Wallet { user_id, balance: Balance::ZERO, entries: 0, changed: at(Lane::Wallets, number) })
}

fn request(number: u128) -> RequestRow {
    RequestRow {
        key: RequestKey { id: RequestId(id(number)), internal: false },
        position: at(Lane::Seats, number).position,
        fingerprint: Fingerprint(1),
        command: CommandKind::HoldSeats,
        user_id: None,
        by: None,
        state: RequestState::Decided(Decided { succeeded: true, outcome: "{}".into(), at: LogTime(0) }),
        at: LogTime(1),
    }
}

async fn commit(store: &Explained, changes: Changes, requests: Vec<RequestRow>) {
    let lane = match changes {
        Changes::Seats(_) => Lane::Seats,
        Changes::Wallets(_) => Lane::Wallets,
        Changes::Queues(_) => Lane::Queues,
        Changes::Inbox => Lane::Inbox,
    };
    let partition = LanePartition { lane, partition: 0 };
    let before = store.acquire(partition, "worker").await.unwrap();
    let after = Progress { next_offset: before.next_offset + 1, ..before };
    let (completions, outbox, dead_letters, interventions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let batch =
        CommitBatch { partition, before, after, changes, requests, completions, outbox, dead_letters, interventions };
    assert_eq!(store.commit(&batch).await, Ok(Committed::Done));
}

async fn fill(store: &Explained) {
    let (all, ended) = (1..=*HISTORY + LIVE, |number| number <= *HISTORY);
    let other = BlockKey { block: "other".parse().unwrap(), ..key() };
    let seats = all.clone().map(|number| if ended(number) { seat(&other, number) } else { seat(&key(), number) });
    let rows = seats.chain(all.clone().flat_map(|number| sold(number, ended(number)))).collect();
    commit(store, Changes::Seats(rows), all.clone().map(request).collect()).await;
    let wallets = all.clone().flat_map(|number| [entry(number), answer(number), another(number)]).collect();
    commit(store, Changes::Wallets(wallets), Vec::new()).await;
    commit(store, Changes::Queues(all.map(|number| token(number, ended(number))).collect()), Vec::new()).await;
}

async fn load_everything(store: &Explained) {
    let partition = LanePartition { lane: Lane::Seats, partition: 0 };
    let (schedule, some) = (ScheduleId(id(1)), id(*HISTORY / 2));
    store.load_blocks(&[key(), BlockKey::main(ScheduleId(id(2)))]).await.unwrap();
    store.load_queue(schedule).await.unwrap();
    store.tokens_changed(schedule, 0, true, 10).await.unwrap();
    store.load_reservations(&[ReservationId(some)]).await.unwrap();
    store.load_payments(&[PaymentId(some)]).await.unwrap();
    store.load_entries(&[(EntryKind::Charge, some)]).await.unwrap();
    store.load_answers(&[PaymentId(some)]).await.unwrap();
    store.load_wallets(&["alice".parse().unwrap()]).await.unwrap();
    store.load_requests(partition, &[RequestKey { id: RequestId(some), internal: false }]).await.unwrap();
    store.request(RequestId(some)).await.unwrap();
    store.unfinished_of(&"alice".parse().unwrap(), schedule, &[key().block]).await.unwrap();
    store.due_blocks(0).await.unwrap();
    store.due_queues(0).await.unwrap();
}

#[tokio::test]
async fn loads_visit_no_history() {
    let Ok(url) = std::env::var("TURNSTILE_TEST_DATABASE_URL") else { return };
    let schema = format!("test_plans_{}", std::process::id());
    let settings = PostgresSettings {
        url,
        schema,
        connections_max: 3,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(60),
    };
    PostgresStore::migrate(&settings).await.unwrap();
    let store = Explained { store: PostgresStore::open(&settings).await.unwrap(), visits: Mutex::default() };
    fill(&store).await;
    let execute =
        async |sql: String| sqlx::raw_sql(AssertSqlSafe(sql)).execute(&store.store.pools.pages()).await.unwrap();
    // New or restored, a table has no statistics.
    load_everything(&store).await;
    execute("analyze".into()).await;
    load_everything(&store).await;
    execute(format!("drop schema {} cascade", settings.schema)).await;
    let visits = store.visits.into_inner().unwrap();
    assert!(visits.len() > 20);
    for (query, visited) in visits {
        // PostgreSQL rounds the rows of each loop: two blocks with three rows together may count as four.
        assert!(visited <= 2 * u64::try_from(LIVE).unwrap(), "{visited} rows were visited by {query}");
    }
}
