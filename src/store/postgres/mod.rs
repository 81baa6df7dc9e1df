//! The store beyond one machine: PostgreSQL, one statement a commit.

mod columns;
mod commit;
mod connection;
mod error;
#[cfg(test)]
mod plans;
mod pooler;
mod query;
mod servers;
mod settings;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection, Error, Executor, Postgres, Row};
use tracing::warn;

use self::connection::{connect_options, open_session, plain, session, unprotected};
use self::error::{read_error, write_error};
use self::query::arguments;
use self::servers::{Check, Servers, watched};
pub use self::settings::PostgresSettings;
use super::sql::cells::Cells;
use super::sql::dialect::{Dialect, Query, Side};
use super::sql::migrations;
use super::{CommitGroup, Committed, StoreError};

const SNAPSHOT: &str = "begin isolation level repeatable read read only";
/// Owners load a block or a queue whole. That cannot be split as a commit can: with the time limit of a commit, a slow
/// database would keep a partition of 150,000 sold seats from ever starting.
const LOAD: &str = "begin isolation level repeatable read read only; set local statement_timeout = '60s'";

/// One for most commits, one for those that are large by themselves.
const COMMIT_CONNECTIONS: u32 = 2;
/// A commit's parts find their rows by key, one by one; any other plan would be one of old statistics. It is planned once
/// a connection: its parameters are too large for a plan of their own to pay.
const COMMIT_SESSION: &str =
    "set enable_hashjoin = off; set enable_mergejoin = off; set plan_cache_mode = force_generic_plan; ";

/// See the module.
pub struct PostgresStore {
    /// Commits have connections of their own, so that each of their statements is planned once on each.
    commits: PgPool,
    owners: PgPool,
    commands: PgPool,
    pages: PgPool,
    servers: Arc<Servers>,
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
        let for_pages = (settings.connections_max / 6).max(1);
        let for_commands = (settings.connections_max / 3).saturating_sub(for_pages).max(1);
        let for_owners = settings.connections_max.saturating_sub(for_pages + for_commands).max(1);
        let for_commits = COMMIT_CONNECTIONS.min(for_owners / 2);
        let servers = Arc::new(Servers::new());
        let pool = |session: &str, check, connections_max| {
            watched(&servers, session, check, connections_max, settings.acquire_timeout)
                .connect_lazy_with(options.clone())
        };
        let owners = pool(&session, Check::EachSecond, for_owners - for_commits);
        let commits = match for_commits {
            0 => owners.clone(),
            some => pool(&(COMMIT_SESSION.to_owned() + &session), Check::EachSecond, some),
        };
        let (commands, pages) =
            (pool(&session, Check::EachUse, for_commands), pool(&session, Check::EachUse, for_pages));
        Ok(PostgresStore { commits, owners, commands, pages, servers })
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
        tokio::join!(self.commits.close(), self.owners.close(), self.commands.close(), self.pages.close());
    }

    async fn connection(&self, side: Side) -> Result<PoolConnection<Postgres>, StoreError> {
        let pool = match side {
            Side::Owner => &self.owners,
            Side::Command => &self.commands,
            Side::Page => &self.pages,
        };
        self.connection_of(pool).await
    }

    async fn connection_of(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
        pool.acquire().await.map_err(|error| match error {
            Error::PoolTimedOut if self.servers.is_read_only() => StoreError::Unavailable(error::READ_ONLY.into()),
            error => read_error(error),
        })
    }

    fn failed_read(&self, error: Error) -> StoreError {
        self.servers.failed(&error);
        read_error(error)
    }

    fn failed_write(&self, error: Error) -> StoreError {
        self.servers.failed(&error);
        write_error(error)
    }
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
        let (sql, arguments) = arguments(query)?;
        let mut connection = self.connection(side).await?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *connection).await;
        rows.map_err(|error| self.failed_read(error))
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<PgRow>>, StoreError> {
        let begin = match side {
            Side::Owner => LOAD,
            Side::Command | Side::Page => SNAPSHOT,
        };
        let mut connection = self.connection(side).await?;
        let mut transaction = connection.begin_with(begin).await.map_err(read_error)?;
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
        let mut connection = self.connection(Side::Owner).await?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *connection).await;
        rows.map_err(|error| self.failed_write(error))
    }

    async fn commit_together(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        if group.batches.is_empty() && group.published.is_empty() {
            return Ok(Vec::new());
        }
        let (sql, arguments) = commit::statement(group)?;
        let mut connection = self.connection_of(&self.commits).await?;
        // To the end of the answer, not only to its row: the server commits after that.
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *connection).await;
        let rows = rows.map_err(|error| self.failed_write(error))?;
        let flags: Vec<bool> = match rows.first() {
            Some(row) => row.try_get("flags").map_err(read_error)?,
            None => return Err(StoreError::Failed("the fence gave no flags".into())),
        };
        let committed = |passed: bool| if passed { Committed::Done } else { Committed::Fenced };
        Ok(flags.into_iter().map(committed).collect())
    }
}
