//! Whether a strategy was right: money adds up, no seat is held twice, a repeat changes nothing.

use anyhow::{Context, bail, ensure};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row, SqliteConnection};

use crate::connection::{Answer, Connection, Post};
use crate::load::Counts;
use crate::patterns::Pattern;
use crate::services::env;
use crate::strategy::Strategy;
use crate::system::System;

/// What the load was told, over all measurements of a system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers {
    /// Requests that changed something: charges or holds, and payments.
    pub succeeded: u64,
    /// May have changed something.
    pub unsure: u64,
}

impl Answers {
    pub fn add(&mut self, counts: &Counts) {
        self.succeeded += counts.succeeded;
        self.unsure += counts.undecided + counts.failed + counts.overload;
    }
}

/// The same key twice: the same answer, and one change.
pub async fn repeats(system: &System, pattern: Pattern, schedule: &str) -> anyhow::Result<u64> {
    let hold = format!("/v1/schedules/{schedule}/holds");
    let (path, body) = match pattern.is_of_seats() {
        // The load never asks for the last seat of the last section before this.
        true => (hold.as_str(), r#"{"seats":["S49-7"]}"#),
        false => ("/v1/wallet/charges", r#"{"amount":5}"#),
    };
    let post = Post { path, user: "repeater", key: Some("once"), body };
    let mut connection = Connection::open(system.address).await?;
    let first = connection.post(&post).await?;
    let second = connection.post(&post).await?;
    let told = |answer: &Answer| (answer.status, answer.field("entry_id"), answer.field("reservation_id"));
    ensure!(told(&first) == told(&second), "{}: a repeat got another answer: {:?}", system.strategy, told(&second));
    Ok(u64::from(first.status == 200))
}

/// Compares what is stored with what was answered. The system has stopped.
pub async fn stored(system: &System, pattern: Pattern, answers: Answers, prepared: u64) -> anyhow::Result<()> {
    let mut store = Store::open(system).await?;
    let money = store
        .numbers(
            "select cast((select coalesce(sum(balance), 0) from wallet) as bigint), \
             cast((select coalesce(sum(case when kind = 'CHARGE' then amount else -amount end), 0) from wallet_entry) as bigint), \
             (select count(*) from wallet where balance < 0), (select count(*) from wallet_entry)",
        )
        .await?;
    ensure!(money[0] == money[1], "balances add up to {}, entries to {}", money[0], money[1]);
    ensure!(money[2] == 0, "{} balances are negative", money[2]);
    let changed = if pattern.is_of_seats() {
        let seats = seats(&mut store, system.strategy).await?;
        if pattern == Pattern::HoldAndPay { money[3] as u64 - prepared } else { seats }
    } else {
        money[3] as u64 - prepared
    };
    let (least, most) = (answers.succeeded, answers.succeeded + answers.unsure);
    ensure!(
        (least..=most).contains(&changed),
        "{} {pattern}: {changed} changes are stored, {least} to {most} were answered",
        system.strategy
    );
    Ok(())
}

/// Number of live reservations; each seat belongs to one of them at most.
async fn seats(store: &mut Store, strategy: Strategy) -> anyhow::Result<u64> {
    let seat = if strategy.is_rival() { "section, number" } else { "seats" };
    let live = "from reservation where status in ('HELD', 'PAYING', 'CONFIRMED')";
    let numbers = store
        .numbers(&format!(
            "select (select count(*) from (select 1 {live} group by schedule_id, {seat} having count(*) > 1) as twice), \
             (select count(*) {live}), (select count(*) from seat where status <> 'AVAILABLE'), 0"
        ))
        .await?;
    ensure!(numbers[0] == 0, "{} seats are held twice", numbers[0]);
    ensure!(numbers[1] == numbers[2], "{} reservations have {} seats", numbers[1], numbers[2]);
    Ok(numbers[1] as u64)
}

enum Store {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

impl Store {
    async fn open(system: &System) -> anyhow::Result<Store> {
        if !system.strategy.needs_postgres() {
            let path = format!("sqlite://{}", system.data_dir.path().join("store.db").display());
            return Ok(Store::Sqlite(Box::new(SqliteConnection::connect(&path).await?)));
        }
        let mut connection = PgConnection::connect(&env("TURNSTILE_TEST_DATABASE_URL")?).await?;
        let path = AssertSqlSafe(format!("set search_path = {}", system.schema));
        sqlx::raw_sql(path).execute(&mut connection).await?;
        Ok(Store::Postgres(Box::new(connection)))
    }

    /// The four numbers of a row.
    async fn numbers(&mut self, statement: &str) -> anyhow::Result<[i64; 4]> {
        let statement = AssertSqlSafe(statement.to_owned());
        let mut numbers = [0; 4];
        match self {
            Store::Postgres(connection) => {
                let row = sqlx::query(statement).fetch_one(&mut **connection).await.context("a check")?;
                for (at, number) in numbers.iter_mut().enumerate().take(row.len()) {
                    *number = row.try_get::<i64, _>(at).or_else(|_| row.try_get::<i32, _>(at).map(i64::from))?;
                }
            }
            Store::Sqlite(connection) => {
                let row = sqlx::query(statement).fetch_one(&mut **connection).await.context("a check")?;
                for (at, number) in numbers.iter_mut().enumerate().take(row.len()) {
                    *number = row.try_get(at)?;
                }
            }
        }
        if numbers.iter().any(|number| *number < 0) {
            bail!("a check found {numbers:?}");
        }
        Ok(numbers)
    }
}
