//! E7: what waits for a worker is more than the database takes in one statement.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use turnstile::domain::Lane;

use crate::harness::producer::Producer;
use crate::harness::server::Server;
use crate::harness::services::Services;
use crate::harness::{self, Offer, Pair, System};

const HOLDS: usize = 2_000;
const SEATS_A_HOLD: usize = 100;
/// Longest time of a statement of the worker.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(400);
/// The database is made to take longer for more holds at once. A batch takes 50: no further record once 5,000 rows have
/// changed.
const HOLDS_IN_TIME: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e7_a_backlog_that_is_too_much_for_one_statement_is_decided_in_as_many_as_it_takes() {
    harness::run(Pair::Real, "large_batches", scenario).await;
}

async fn scenario(system: &System) {
    let services = system.services.as_ref().expect("the real pair");
    let sections = [("A", 100_000, 1000), ("B", 100_000, 1000)];
    let sale = Offer { sections: &sections, max_seats_per_user: 100, hold_ttl_seconds: 3_600, ..Offer::default() };
    let sale = sale.open(&system.client).await;
    system.stop().await;
    slow_down(services).await;
    let mut producer = Producer::open(system).await;
    for hold in 0..HOLDS {
        let (section, first) = (["A", "B"][hold % 2], hold / 2 * SEATS_A_HOLD + 1);
        let seats: Vec<String> = (first..first + SEATS_A_HOLD).map(|seat| format!("{section}-{seat}")).collect();
        let command = json!({"type": "hold_seats", "user_id": format!("user{hold}"), "schedule_id": sale.schedule,
            "block": "main", "seats": seats});
        producer.command(Lane::Seats, &format!("{}/main", sale.schedule), command).await;
    }
    producer.close().await;

    let mut env = system.env().to_vec();
    let timeout = STATEMENT_TIMEOUT.as_millis().to_string();
    env.push(("TURNSTILE__DATABASE__STATEMENT_TIMEOUT_MS".into(), timeout));
    system.servers().push(Server::start(&["worker"], &env));
    system.client.point_at(vec![system.start_role("api").await]);
    let began = Instant::now();
    // Another partition's command, in the middle of it.
    let other = system.client.user("bystander");
    other.start_with(1_000).await;
    assert!(held(services).await < HOLDS, "the backlog was decided too fast to be in anybody's way");
    harness::until("all holds", async || match held(services).await {
        HOLDS => Ok(()),
        so_far => Err(format!("{so_far} are held")),
    })
    .await;
    println!("{HOLDS} holds decided in {:?}", began.elapsed());
    let log = system.servers()[0].tail(400);
    assert!(log.contains("the batch is decided again in parts"), "no batch took too long:\n{log}");
    assert!(!log.contains("parked"), "{log}");
    assert_eq!(sale.count(&system.client, "HELD").await, HOLDS * SEATS_A_HOLD);
}

async fn connection(services: &Services) -> PgConnection {
    PgConnection::connect(&services.database_url).await.expect("the database")
}

async fn slow_down(services: &Services) {
    let schema = &services.schema;
    let sql = format!(
        "create function {schema}.slow() returns trigger language plpgsql as $$ begin \
         if (select count(*) from held) > {HOLDS_IN_TIME} then perform pg_sleep(60); end if; return null; end $$; \
         create trigger slow after insert on {schema}.reservation referencing new table as held \
         for each statement execute function {schema}.slow()"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection(services).await).await.expect("a slow database");
}

/// Reservations so far.
async fn held(services: &Services) -> usize {
    let sql = format!("select count(*) from {}.reservation", services.schema);
    let count: i64 =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection(services).await).await.expect("a count");
    usize::try_from(count).expect("a count")
}
