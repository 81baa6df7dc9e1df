//! E9: a worker that is stopped in the middle of its work keeps no successor waiting: whatever the server has of it ends by
//! itself, and nothing is open between two statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use turnstile::domain::Lane;

use crate::harness::producer::Producer;
use crate::harness::services::Services;
use crate::harness::{self, Pair, System};

const ROUNDS: u32 = 50;
const USERS: usize = 300;
const COMMANDS_MAX: usize = 200_000;
/// A commit of this load takes milliseconds; the rest is for a machine that compiles meanwhile. A lock that is left
/// behind lasts until the worker goes on, which is after the wait.
const ONE_COMMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e9_a_stopped_worker_leaves_no_lock_behind() {
    harness::run(Pair::Real, "frozen_worker", scenario).await;
}

async fn scenario(system: &System) {
    let services = system.services.as_ref().expect("the real pair");
    system.stop().await;
    system.start_role("worker").await;
    system.client.point_at(vec![system.start_role("api").await]);
    let ended = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(produce(Producer::open(system).await, Arc::clone(&ended)));

    let mut database = PgConnection::connect(&services.database_url).await.expect("the database");
    let (mut decided, mut in_statement, mut longest) = (0, 0, Duration::ZERO);
    for round in 0..ROUNDS {
        decided = progress_after(&mut database, services, decided).await;
        system.servers()[0].signal("STOP");
        in_statement += u32::from(is_in_statement(&mut database).await);
        let waited = lock_all(&mut database, services).await;
        system.servers()[0].signal("CONT");
        let waited = waited.unwrap_or_else(|error| panic!("round {round}: a successor would still wait: {error}"));
        longest = longest.max(waited);
    }
    println!("{ROUNDS} stops, {in_statement} of them in a statement; the longest wait was {longest:?}");
    ended.store(true, Ordering::Relaxed);
    let sent = load.await.expect("the load goes on to its end");
    harness::until("all charges", async || match charges(services).await {
        done if done == sent => Ok(()),
        done => Err(format!("{done} of {sent}")),
    })
    .await;
}

/// Charges of many users, on all partitions, until it is told to end. How many.
async fn produce(mut producer: Producer, ended: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !ended.load(Ordering::Relaxed) && sent < COMMANDS_MAX {
        let user = format!("user{}", sent % USERS);
        let command = json!({"type": "charge_wallet", "user_id": user, "amount": 1});
        producer.command(Lane::Wallets, &user, command).await;
        sent += 1;
    }
    producer.close().await;
    sent
}

/// Waits until more is decided; how much.
async fn progress_after(database: &mut PgConnection, services: &Services, before: i64) -> i64 {
    let sql = format!("select sum(next_offset)::bigint from {}.partition_progress", services.schema);
    let began = Instant::now();
    loop {
        let sum = sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_one(&mut *database).await;
        let sum: Option<i64> = sum.expect("the progress");
        match sum {
            Some(sum) if sum > before => return sum,
            _ => assert!(began.elapsed() < Duration::from_secs(90), "no progress after {before}"),
        }
    }
}

/// Whether the server works on a commit.
async fn is_in_statement(database: &mut PgConnection) -> bool {
    let sql = "select exists (select from pg_stat_activity where application_name = 'turnstile' \
               and state = 'active' and query like 'with claim%')";
    sqlx::query_scalar(sql).fetch_one(database).await.expect("the activity")
}

/// What an acquire of every partition would wait for, and how long that took.
async fn lock_all(database: &mut PgConnection, services: &Services) -> Result<Duration, sqlx::Error> {
    let sql = format!(
        "begin; set local lock_timeout = {}; \
         select 1 from {}.partition_progress order by lane, partition for update; rollback",
        ONE_COMMIT.as_millis(),
        services.schema
    );
    let began = Instant::now();
    let locked = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *database).await;
    let waited = began.elapsed();
    if locked.is_err() {
        sqlx::raw_sql("rollback").execute(database).await?;
    }
    locked.map(|_| waited)
}

async fn charges(services: &Services) -> usize {
    let sql = format!("select count(*) from {}.wallet_entry", services.schema);
    let mut database = PgConnection::connect(&services.database_url).await.expect("the database");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut database).await.expect("a count");
    usize::try_from(count).expect("a count")
}
