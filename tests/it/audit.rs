//! F45: `turnstile audit` on a log and a store that real processes wrote, and on a store in which a byte was changed.

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::harness::server::command;
use crate::harness::{Offer, System, scenarios};

scenarios!(f45_the_audit_agrees_until_a_byte_is_changed);

/// A column, its row and two values of it: what the owner wrote, and what somebody made of it.
struct Change {
    table: &'static str,
    row: &'static str,
    /// The lane's name and the columns that say which command wrote the row.
    lane: &'static str,
    position: [&'static str; 2],
    spoil: &'static str,
    mend: &'static str,
}

const WROTE: [&str; 2] = ["changed_partition", "changed_offset"];

const CHANGES: [Change; 4] = [
    Change {
        table: "wallet",
        row: "user_id = 'bob'",
        lane: "wallets",
        position: WROTE,
        spoil: "balance = balance + 10",
        mend: "balance = balance - 10",
    },
    Change {
        table: "seat",
        row: "section = 'B' and number = 2",
        lane: "seats",
        position: WROTE,
        spoil: "status = 'HELD'",
        mend: "status = 'SOLD'",
    },
    Change {
        table: "request",
        row: "command = 'charge_wallet' and user_id = 'carol'",
        lane: "wallets",
        position: ["partition", "log_offset"],
        spoil: "outcome = replace(outcome, 'SUCCEEDED', 'SUCCEEDEd')",
        mend: "outcome = replace(outcome, 'SUCCEEDEd', 'SUCCEEDED')",
    },
    Change {
        table: "queue_token",
        row: "sequence = 2",
        lane: "queues",
        position: WROTE,
        spoil: "last_seen = last_seen + 1",
        mend: "last_seen = last_seen - 1",
    },
];

async fn f45_the_audit_agrees_until_a_byte_is_changed(system: &System) {
    sell(system).await;
    system.stop().await;
    assert_eq!(audit(system), (Some(0), None));
    let mut database = Database::of(system).await;
    for change in &CHANGES {
        let Change { table, row, lane, position: [partition, offset], spoil, mend } = change;
        database.change(format!("update {table} set {spoil} where {row}")).await;
        let (partition, offset) = database.pair(format!("select {partition}, {offset} from {table} where {row}")).await;
        let (code, found) = audit(system);
        let found = found.unwrap_or_else(|| panic!("{spoil} of {table} was not found"));
        assert_eq!((code, found.as_str()), (Some(1), format!("{lane}.{partition}.{offset}").as_str()), "{table}");
        database.change(format!("update {table} set {mend} where {row}")).await;
    }
    database.close().await;
    assert_eq!(audit(system), (Some(0), None));
    system.start().await;
}

/// Payments, one of them taken back, a refusal, and a queue, so that each lane and most tables have rows.
async fn sell(system: &System) {
    let client = &system.client;
    let limits = json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 100});
    let offer = Offer { sections: &[("A", 10, 1000), ("B", 10, 700)], queue: Some(limits), ..Offer::default() };
    let sale = offer.open(client).await;
    for (name, seat) in [("alice", "A-1"), ("bob", "B-2"), ("carol", "A-9")] {
        let user = client.user(name);
        user.start_with(5000).await;
        let token = user.joined(&sale).await.token;
        user.until_active(&sale, &token).await;
        let hold = user.hold(&sale, &[seat]).header("Queue-Token", &token).decide().await.result();
        let reservation = hold["reservation_id"].as_str().expect("an id");
        user.pay(reservation).decide().await.result();
        if name == "carol" {
            user.cancel(reservation).decide().await.result();
        }
    }
    let refused = client.user("alice").debit(1_000_000).decide().await;
    assert_eq!(refused.refused(), "insufficient_balance");
}

/// The exit code, and the position of the first difference if it names one.
fn audit(system: &System) -> (Option<i32>, Option<String>) {
    let output = command(&["audit"], system.env()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let agrees = said.contains("the store is what the log says");
    let first = said.split_once(" differences, the first at ").and_then(|(_, first)| first.split_once(": "));
    let first = first.map(|(position, _)| position.to_owned());
    assert!(agrees != first.is_some(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), first)
}

/// The store's database, behind the program's back.
enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Database {
    async fn of(system: &System) -> Database {
        let Some(services) = &system.services else {
            let options = SqliteConnectOptions::new().filename(system.data_dir().join("store.db"));
            return Database::Sqlite(options.connect().await.unwrap());
        };
        let mut connection = PgConnection::connect(&services.database_url).await.unwrap();
        let schema = AssertSqlSafe(format!("set search_path to {}", services.schema));
        sqlx::raw_sql(schema).execute(&mut connection).await.unwrap();
        Database::Postgres(connection)
    }

    /// Changes one row.
    async fn change(&mut self, sql: String) {
        let query = AssertSqlSafe(sql.clone());
        let rows = match self {
            Database::Sqlite(connection) => sqlx::query(query).execute(connection).await.unwrap().rows_affected(),
            Database::Postgres(connection) => sqlx::query(query).execute(connection).await.unwrap().rows_affected(),
        };
        assert_eq!(rows, 1, "{sql}");
    }

    async fn pair(&mut self, sql: String) -> (i64, i64) {
        let query = AssertSqlSafe(sql);
        match self {
            Database::Sqlite(connection) => sqlx::query_as(query).fetch_one(connection).await.unwrap(),
            Database::Postgres(connection) => sqlx::query_as(query).fetch_one(connection).await.unwrap(),
        }
    }

    /// So that the audit finds the file as a stopped program left it.
    async fn close(self) {
        match self {
            Database::Sqlite(connection) => connection.close().await.unwrap(),
            Database::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}
