//! The store beyond one machine: PostgreSQL, one statement a commit.

mod commit;
mod error;
#[cfg(test)]
mod plans;
mod query;

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

use self::error::{read_error, write_error};
use self::query::arguments;
use super::sql::cells::Cells;
use super::sql::dialect::{Dialect, Query, Side};
use super::sql::migrations;
use super::{CommitBatch, Committed, StoreError};

/// Longest time for one statement. A commit of the largest batch takes a few hundred milliseconds; an acquire waits
/// for at most one commit of the owner before.
const STATEMENT_TIMEOUT: &str = "10s";
/// Longest time a snapshot of several reads may stand between two of them.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "5s";

/// Where the tables are and how many connections to them there may be.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgres://…`
    pub url: String,
    /// Holds the tables; a plain lower-case name.
    pub schema: String,
    /// Of this process, at least 2. A third of them serve the front door, the others the owners of partitions.
    pub connections_max: u32,
    /// Longest wait for a free connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
}

/// See the module.
pub struct PostgresStore {
    owners: PgPool,
    door: PgPool,
}

impl PostgresStore {
    /// Connects, and sees that the tables are there and not older than this program. Newer ones will do: a migration
    /// only ever adds, so that the version before works on while the new one is rolled out.
    pub async fn open(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let options = connect_options(settings)?;
        let mut connection = connect(&options, settings.acquire_timeout).await?;
        check(&mut connection).await?;
        connection.close().await.map_err(read_error)?;
        let for_door = (settings.connections_max / 3).max(1);
        let for_owners = settings.connections_max.saturating_sub(for_door).max(1);
        let pool = |connections_max| {
            PgPoolOptions::new().max_connections(connections_max).acquire_timeout(settings.acquire_timeout)
        };
        // An owner that meets a dead connection tries again anyway, and saves the round trip of a ping each time.
        let owners = pool(for_owners).test_before_acquire(false).connect_lazy_with(options.clone());
        Ok(PostgresStore { owners, door: pool(for_door).connect_lazy_with(options) })
    }

    /// Creates the schema and brings its tables up to date. Safe to run from several places at once.
    pub async fn migrate(settings: &PostgresSettings) -> Result<(), StoreError> {
        // Building an index may take longer than any statement of a commit.
        let options = connect_options(settings)?.options([("statement_timeout", "0")]);
        let mut connection = connect(&options, settings.acquire_timeout).await?;
        let create = format!("create schema if not exists {}", plain(&settings.schema)?);
        connection.execute(AssertSqlSafe(create)).await.map_err(read_error)?;
        let migrator = migrations::migrator(migrations::POSTGRES).await.map_err(migrate_error)?;
        migrator.run(&mut connection).await.map_err(migrate_error)?;
        connection.close().await.map_err(read_error)
    }

    /// Waits until all connections are closed.
    pub async fn close(&self) {
        tokio::join!(self.owners.close(), self.door.close());
    }

    fn pool(&self, side: Side) -> &PgPool {
        match side {
            Side::Owner => &self.owners,
            Side::FrontDoor => &self.door,
        }
    }
}

/// The schema's name goes into SQL text, so it is checked once more here.
fn plain(schema: &str) -> Result<&str, StoreError> {
    let is_plain = !schema.is_empty()
        && schema.len() <= 60
        && !schema.starts_with(|first: char| first.is_ascii_digit())
        && schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_plain.then_some(schema).ok_or_else(|| StoreError::Failed(format!("{schema:?} is no plain schema name")))
}

fn connect_options(settings: &PostgresSettings) -> Result<PgConnectOptions, StoreError> {
    // The parser's error may quote the password.
    let options = PgConnectOptions::from_str(&settings.url)
        .map_err(|_| StoreError::Failed("the database's url cannot be understood".into()))?;
    Ok(options
        .application_name("turnstile")
        .options([
            ("search_path", plain(&settings.schema)?),
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
            // Every query is a few index look-ups: starting workers or compiling code for one costs more than it takes.
            ("max_parallel_workers_per_gather", "0"),
            ("jit", "off"),
            // Where a block has most rows of its table, by statistics that are old or of another day, PostgreSQL would
            // read the table from end to end instead, with the seats of every date there ever was.
            ("enable_seqscan", "off"),
        ])
        .disable_statement_logging())
}

async fn connect(options: &PgConnectOptions, longest: Duration) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(longest, options.connect()).await {
        Ok(connected) => connected.map_err(read_error),
        Err(_) => Err(StoreError::Unavailable("the database does not answer".into())),
    }
}

/// Refuses to run on tables that are not there, are older than the program, or would forget what was answered.
async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let advice = "run `turnstile migrate`";
    let sql = "select coalesce(to_regclass('_sqlx_migrations')::text, '') as migrations, \
               current_setting('synchronous_commit') as durability";
    let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(read_error)?;
    if row.text("durability")? == "off" {
        let reason = "synchronous_commit is off: a crash would lose what was answered; set it to on for this role";
        return Err(StoreError::Failed(reason.into()));
    }
    if row.text("migrations")?.is_empty() {
        return Err(StoreError::Failed(format!("the tables are not there; {advice}")));
    }
    let rows = sqlx::query("select version from _sqlx_migrations where success").fetch_all(connection).await;
    let applied: Vec<i64> = rows
        .map_err(read_error)?
        .iter()
        .map(|row| row.try_get("version").map_err(read_error))
        .collect::<Result<_, _>>()?;
    match migrations::POSTGRES.iter().find(|migration| !applied.contains(&migration.version)) {
        None => Ok(()),
        Some(missing) => {
            let reason = format!("the tables are older than this program ({}); {advice}", missing.description);
            Err(StoreError::Failed(reason))
        }
    }
}

fn migrate_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => read_error(error),
        error => StoreError::Failed(error.to_string()),
    }
}

#[async_trait]
impl Dialect for PostgresStore {
    type Row = PgRow;

    const IN_UUIDS: &'static str = "= any($1::uuid[])";
    const IN_TEXTS: &'static str = "= any($1::text[])";
    const IN_PAIRS: &'static str = "in (select * from unnest($1::uuid[], $2::text[]))";
    const ROW: (&'static str, &'static str, &'static str) = ("ctid", "= any(array", ")");
    // A commit whose connection broke may still be running in the server. Without this lock its owner would read the old
    // offset, commit again, and be fenced by its own first attempt.
    const AFTER_COMMITS: &'static str = "for share";

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        let (sql, arguments) = arguments(query)?;
        sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(self.pool(side)).await.map_err(read_error)
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<PgRow>>, StoreError> {
        let begin = "begin isolation level repeatable read read only";
        let mut transaction = self.pool(side).begin_with(begin).await.map_err(read_error)?;
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            let (sql, arguments) = arguments(query)?;
            let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *transaction).await;
            answers.push(rows.map_err(read_error)?);
        }
        transaction.commit().await.map_err(read_error)?;
        Ok(answers)
    }

    async fn write(&self, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        let (sql, arguments) = arguments(query)?;
        let mut connection = self.owners.acquire().await.map_err(read_error)?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *connection).await;
        rows.map_err(write_error)
    }

    async fn commit_batch(&self, batch: &CommitBatch) -> Result<Committed, StoreError> {
        let (sql, arguments) = commit::statement(batch)?;
        let mut connection = self.owners.acquire().await.map_err(read_error)?;
        // To the end of the answer, not only to its row: the server commits after that.
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *connection).await;
        let rows = rows.map_err(write_error)?;
        match rows.first().map(|row| row.signed("fenced")).transpose()? {
            Some(1) => Ok(Committed::Done),
            Some(0) => Ok(Committed::Fenced),
            other => Err(StoreError::Failed(format!("the fence hit {other:?} rows"))),
        }
    }
}
