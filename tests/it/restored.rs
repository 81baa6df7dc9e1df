//! P10: a store restored from a copy older than `retention.after`, while retention runs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use turnstile::domain::RequestId;

use crate::harness::server::run_to_end;
use crate::harness::services::Services;
use crate::harness::{Sale, System, User, one_section, text, unchecked, until};

unchecked!(
    &[("TURNSTILE__RETENTION__AFTER", "1m"), ("TURNSTILE__RETENTION__INTERVAL_SECONDS", "1")];
    p10_a_restored_store_repeats_nothing,
);

/// Longest until the requests of the sale are forgotten: they are a minute old then.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(150);

async fn p10_a_restored_store_repeats_nothing(system: &System) {
    let client = &system.client;
    let sale = one_section(client, 50).await;
    let user = client.user("alice");
    user.charge(10_000).decide().await.result();
    let kept = user.held(&sale, &["A-1"]).await;
    let given_back = user.held(&sale, &["A-2"]).await;
    system.stop().await;
    let copy = Copy::of(system).await;
    system.start().await;

    // All this lies behind the copy, in few records: pay and settlement will be read in one batch.
    user.pay(&kept).decide().await.result();
    user.pay(&given_back).decide().await.result();
    user.cancel(&given_back).decide().await.result();
    user.charge(500).decide().await.result();
    user.debit(40).decide().await.result();
    let before = State::of(&user).await;
    let payment = text(&user.payments().await[0], "payment_id");
    forgotten(system, &sale).await;
    assert_eq!(State::of(&user).await, before);

    system.stop().await;
    copy.restore(system).await;
    system.start().await;
    all_decided(system).await;
    // Behind whatever the restored store has published again.
    assert_eq!(user.charge(1).decide().await.result()["balance"], before.balance + 1);
    let after = State::of(&user).await;
    assert_eq!((after.balance, &after.entries[1..]), (before.balance + 1, &before.entries[..]));
    assert_eq!((&after.reservations, &after.payments), (&before.reservations, &before.payments));
    assert!(after.payments.iter().any(|found| found["payment_id"] == payment.as_str()));
    system.stop().await;
    run_to_end(&["audit"], system.env());
    system.start().await;
}

/// Waits until no record is undecided.
pub async fn all_decided(system: &System) {
    until("everything to be decided again", async || {
        let views = system.open_store().await.progress_views().await.map_err(|error| error.to_string())?;
        match views.iter().find(|view| !view.caught_up) {
            None => Ok(()),
            Some(behind) => Err(format!("{behind:?}")),
        }
    })
    .await;
}

/// Keeps the log going until retention has deleted what the users did so far.
async fn forgotten(system: &System, sale: &Sale) {
    let first = system.client.seen.lock().unwrap().requests.iter().next().cloned().expect("some request");
    let id = RequestId(first.parse().expect("a UUID"));
    let (store, began) = (system.open_store().await, Instant::now());
    let others: Vec<User> = (0..9).map(|n| system.client.user(format!("other{n}"))).collect();
    loop {
        for other in &others {
            other.charge(1).decide().await.result();
        }
        let held = others[0].held(sale, &["A-9"]).await;
        others[0].cancel(&held).decide().await.result();
        if store.request(id).await.expect("the store answers").is_none() {
            return;
        }
        assert!(began.elapsed() < FORGOTTEN_WITHIN, "{first} is remembered for ever");
    }
}

#[derive(Debug, PartialEq)]
struct State {
    balance: i64,
    entries: Vec<Value>,
    reservations: Vec<Value>,
    payments: Vec<Value>,
}

impl State {
    async fn of(user: &User) -> State {
        let (entries, reservations) = (user.entries().await, user.reservations().await);
        State { balance: user.balance().await, entries, reservations, payments: user.payments().await }
    }
}

/// The store as it was, of a system whose workers have stopped.
pub enum Copy {
    Files(tempfile::TempDir),
    /// Another schema of the same database.
    Schema(String),
}

const FILES: [&str; 3] = ["store.db", "store.db-wal", "store.db-shm"];

impl Copy {
    pub async fn of(system: &System) -> Copy {
        let Some(services) = &system.services else {
            let copy = tempfile::tempdir().expect("a directory");
            copy_files(system.data_dir(), copy.path());
            return Copy::Files(copy);
        };
        let (from, to) = (&services.schema, format!("{}_copy", services.schema));
        let mut database = connect(services).await;
        let tables = sqlx::query("select tablename::text from pg_tables where schemaname = $1").bind(from);
        let mut statements = format!("create schema {to};");
        for row in tables.fetch_all(&mut database).await.expect("its tables") {
            let table: String = row.get(0);
            statements += &format!(
                "create table {to}.{table} (like {from}.{table} including all);
                 insert into {to}.{table} select * from {from}.{table};"
            );
        }
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut database).await.expect("copied");
        Copy::Schema(to)
    }

    pub async fn restore(self, system: &System) {
        match (self, &system.services) {
            (Copy::Files(copy), _) => {
                for file in FILES {
                    let _ = std::fs::remove_file(system.data_dir().join(file));
                }
                copy_files(copy.path(), system.data_dir());
            }
            (Copy::Schema(copy), Some(services)) => {
                let schema = &services.schema;
                let statements = format!("drop schema {schema} cascade; alter schema {copy} rename to {schema};");
                let mut database = connect(services).await;
                sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut database).await.expect("restored");
            }
            (Copy::Schema(copy), None) => panic!("{copy} is of another system"),
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in FILES {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).expect("copied");
        }
    }
}

async fn connect(services: &Services) -> PgConnection {
    PgConnection::connect(&services.database_url).await.expect("the database answers")
}
