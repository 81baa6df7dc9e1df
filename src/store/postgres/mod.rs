//! The store beyond one machine: PostgreSQL, one statement a commit.

mod columns;
mod commit;
mod connection;
mod error;
#[cfg(test)]
mod plans;
mod pooler;
mod pools;
mod query;
mod servers;
mod settings;
mod snapshot;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Error, Executor, Row};
use tracing::warn;

use self::connection::{connect_options, open_session, plain, session, unprotected};
use self::error::{is_silent, read_error, write_error};
use self::pools::{For, Lent, Pools};
use self::query::arguments;
pub use self::settings::PostgresSettings;
use super::sql::cells::Cells;
use super::sql::dialect::{Dialect, Query, Side};
use super::sql::migrations;
use super::{CommitGroup, Committed, StoreError};

const SNAPSHOT: &str = "begin isolation level repeatable read read only";
/// Owners load a block or a queue whole. That cannot be split as a commit can: with the time limit of a commit, a slow
/// database would keep a partition of 150,000 sold seats from ever starting.
const LOAD: &str = "begin isolation level repeatable read read only; set local statement_timeout = '60s'";
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How much longer than its statement may take an answer is waited for.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// See the module.
pub struct PostgresStore {
    pools: Pools,
    statement_timeout: Duration,
}

impl PostgresStore {
    /// Connects, and sees that the tables are there and not older than this program. Newer ones will do: a migration
    /// only ever adds, so that the version before works on while the new one is rolled out.
    pub async fn open(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let options = connect_options(settings)?;
        pooler::refuse_transaction_mode(&options, settings.acquire_timeout).await?;
        if let Some(host) = unprotected(&options) {
            warn!(host, "the connection to the database may be in plain text; sslmode=verify-full protects it");
        }
        let session = session(&settings.schema, settings.statement_timeout)?;
        let mut connection = open_session(&options, &session, settings.acquire_timeout).await?;
        check(&mut connection).await?;
        connection.close().await.map_err(read_error)?;
        let statement_timeout = settings.statement_timeout;
        Ok(PostgresStore { pools: Pools::new(options, settings)?, statement_timeout })
    }

    /// Creates the schema and brings its tables up to date. Safe to run from several places at once.
    pub async fn migrate(settings: &PostgresSettings) -> Result<(), StoreError> {
        let options = connect_options(settings)?;
        pooler::refuse_transaction_mode(&options, settings.acquire_timeout).await?;
        // Building an index may take longer than any statement of a commit.
        let session = session(&settings.schema, Duration::ZERO)?;
        let mut connection = open_session(&options, &session, settings.acquire_timeout).await?;
        let create = format!("create schema if not exists {}", plain(&settings.schema)?);
        connection.execute(AssertSqlSafe(create)).await.map_err(read_error)?;
        let migrator = migrations::migrator(migrations::POSTGRES).await.map_err(migrate_error)?;
        migrator.run(&mut connection).await.map_err(migrate_error)?;
        connection.close().await.map_err(read_error)
    }

    /// Waits until all connections are closed.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    async fn rows(&self, whose: For, query: (String, PgArguments)) -> Result<Vec<PgRow>, Refused> {
        let mut lent = self.pools.connection(whose).await.map_err(Refused::NotSent)?;
        // To the end of the answer, not only to a first row: the server commits after that.
        let asked = sqlx::query_with(AssertSqlSafe(query.0), query.1).fetch_all(&mut *lent.connection);
        let answer = answered(self.statement_timeout, asked).await;
        self.judged(lent, answer).map_err(Refused::Sent)
    }

    /// A connection that says nothing is closed at once: its pool would ask it whether it is well, and wait.
    fn judged<T>(&self, lent: Lent, answer: Result<T, Error>) -> Result<T, Error> {
        answer.inspect_err(|error| {
            self.pools.failed(error, lent.generation);
            if is_silent(error) {
                drop(lent.connection.detach());
            }
        })
    }
}

/// Why a statement has no answer.
enum Refused {
    NotSent(StoreError),
    Sent(Error),
}

impl Refused {
    fn of_read(self) -> StoreError {
        match self {
            Refused::NotSent(error) => error,
            Refused::Sent(error) => read_error(error),
        }
    }

    fn of_write(self) -> StoreError {
        match self {
            Refused::NotSent(error) => error,
            Refused::Sent(error) => write_error(error),
        }
    }
}

/// A server ends what takes longer than this by itself. One that says nothing is gone, or hangs: without this its
/// connections would be waited for until TCP gives up, which may be never.
async fn answered<T>(timeout: Duration, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(timeout + ANSWER_GRACE, asked).await.unwrap_or_else(|_| Err(error::silent()))
}

async fn read_at_once(
    connection: &mut PgConnection,
    (begin, timeout): (&'static str, Duration),
    queries: Vec<(String, PgArguments)>,
) -> Result<Vec<Vec<PgRow>>, Error> {
    let mut transaction = answered(timeout, connection.begin_with(begin)).await?;
    let mut answers = Vec::with_capacity(queries.len());
    for (sql, arguments) in queries {
        let asked = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *transaction);
        answers.push(answered(timeout, asked).await?);
    }
    answered(timeout, transaction.commit()).await?;
    Ok(answers)
}

/// Refuses to run on tables that are not there, are older than the program, or would forget what was answered.
async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let advice = "run `turnstile migrate`";
    let sql = "select coalesce(to_regclass('_sqlx_migrations')::text, '') as migrations, \
               current_setting('synchronous_commit') as durability, \
               current_setting('transaction_isolation') as isolation";
    let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(read_error)?;
    if row.text("durability")? == "off" {
        let reason = "synchronous_commit is off: a crash would lose what was answered; set it to on for this role";
        return Err(StoreError::Failed(reason.into()));
    }
    if row.text("isolation")? != "read committed" {
        let reason = "default_transaction_isolation is not read committed: a commit that waited for another owner's would \
                      fail instead of being fenced; set it for this role";
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
    const IN_REQUESTS: &'static str = "in (select * from unnest($1::uuid[], $2::boolean[], $3::text[], $4::bigint[]))";
    const IN_PARTITIONS: &'static str = "in (select * from unnest($1::text[], $2::bigint[]))";
    const ROW: (&'static str, &'static str, &'static str) = ("ctid", "= any(array", ")");
    // A commit whose connection broke may still be running in the server. Without this lock its owner would read the old
    // offset, commit again, and be fenced by its own first attempt.
    const AFTER_COMMITS: &'static str = "for share";
    const CAPTURED: Option<&'static str> = Some(
        "select (pg_current_wal_lsn() - '0/0')::bigint as wal_end, (confirmed_flush_lsn - '0/0')::bigint as confirmed, \
         coalesce(active, false) as active, coalesce(wal_status = 'lost', false) as lost \
         from (select 1) as always left join pg_replication_slots \
         on slot_name = $1 and slot_type = 'logical' and database = current_database()",
    );
    const NOW_MS: &'static str = "(extract(epoch from clock_timestamp()) * 1000)::bigint";

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.rows(For::Side(side), arguments(query)?).await.map_err(Refused::of_read)
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<PgRow>>, StoreError> {
        let begin = match side {
            Side::Owner => (LOAD, LOAD_TIMEOUT),
            Side::Command | Side::Page => (SNAPSHOT, self.statement_timeout),
        };
        let queries = queries.into_iter().map(arguments).collect::<Result<_, _>>()?;
        let mut lent = self.pools.connection(For::Side(side)).await?;
        let answers = read_at_once(&mut lent.connection, begin, queries).await;
        self.judged(lent, answers).map_err(read_error)
    }

    async fn write(&self, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.rows(For::Side(Side::Owner), arguments(query)?).await.map_err(Refused::of_write)
    }

    async fn commit_together(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        if group.batches.is_empty() && group.published.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows(For::Commits, commit::statement(group)?).await.map_err(Refused::of_write)?;
        let flags: Vec<bool> = match rows.first() {
            Some(row) => row.try_get("flags").map_err(read_error)?,
            None => return Err(StoreError::Failed("the fence gave no flags".into())),
        };
        let committed = |passed: bool| if passed { Committed::Done } else { Committed::Fenced };
        Ok(flags.into_iter().map(committed).collect())
    }
}
