//! F45: `turnstile audit` on a log and a store that real processes wrote, and on a store in which a byte was changed.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use turnstile::domain::Lane;
use turnstile::log::{NewRecord, Topic};

use crate::harness::producer::{Producer, new_id};
use crate::harness::server::{command, run_to_end};
use crate::harness::{Offer, System, one_section, scenarios, text, unchecked, until};

scenarios!(f45_the_audit_agrees_until_a_byte_is_changed, f45_a_system_that_serves_is_audited);
unchecked!(
    &[];
    f45_what_nobody_asked_for_is_found_on_the_log,
);

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

/// While commands are decided; the embedded pair by a copy.
async fn f45_a_system_that_serves_is_audited(system: &System) {
    sell(system).await;
    let sale = one_section(&system.client, 300).await;
    let done = AtomicBool::new(false);
    let buying = (0..4).map(|n| {
        let (user, sale, done) = (system.client.user(format!("buyer{n}")), &sale, &done);
        async move {
            while !done.load(Ordering::Relaxed) {
                // On a busy machine some are not answered in time: they are decided all the same.
                user.charge(1_000).decide().await;
                let held = user.hold_best(sale, "A", 1).decide().await;
                if held.succeeded() {
                    let id = text(&held.result(), "reservation_id");
                    user.pay(&id).decide().await;
                    user.cancel(&id).decide().await;
                }
            }
        }
    });
    let auditing = async {
        for _ in 0..3 {
            let env = system.env().to_vec();
            let said = tokio::task::spawn_blocking(move || run_to_end(&["audit"], &env)).await.expect("it ends");
            assert!(said.contains("the store is what the log says"), "{said}");
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures_util::future::join_all(buying), auditing);
    let left = std::fs::read_dir(system.data_dir()).expect("it is there").flatten();
    assert!(
        !left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("audit-")),
        "no copy is left"
    );
}

/// Another service writes in the program's name, and tells followers what was never decided.
async fn f45_what_nobody_asked_for_is_found_on_the_log(system: &System) {
    sell(system).await;
    system.stop().await;
    assert_eq!(audit(system), (Some(0), None));
    let (log, embedded) = system.open_log().await;
    let value = br#"{"request_id":"0192e4b0-0000-7000-8000-000000000010","command":"charge_wallet","user_id":"bob",
        "status":"SUCCEEDED","result":{},"decided":{"lane":"wallets","partition":0,"offset":0,"at":"2026-11-21T07:00:00Z"}}"#;
    let told = NewRecord { key: "bob".into(), value: value.to_vec().into(), headers: Vec::new() };
    log.append(Topic::Outcomes, 0, told).await.expect("appended");
    if let Some(embedded) = embedded {
        embedded.close().await;
    }
    let said = audited(system);
    assert!(said.contains("1 differences") && said.contains("tells an outcome that was never decided"), "{said}");
    let mut producer = Producer::open(system).await;
    let forged =
        json!({"type": "complete_token", "schedule_id": new_id(), "user_id": "bob", "paid_at": "2030-01-01T00:00:00Z"});
    producer.command(Lane::Queues, &text(&forged, "schedule_id"), forged).await;
    producer.close().await;
    system.start().await;
    let store = system.open_store().await;
    until("the forged command to be decided", async || {
        let views = store.progress_views().await.map_err(|error| error.to_string())?;
        match views.iter().find(|view| !view.caught_up) {
            None => Ok(()),
            Some(view) => Err(format!("{view:?}")),
        }
    })
    .await;
    system.stop().await;
    let said = audited(system);
    assert!(said.contains("2 differences"), "{said}");
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

/// What it says of a store that disagrees.
fn audited(system: &System) -> String {
    let output = command(&["audit"], system.env()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
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
