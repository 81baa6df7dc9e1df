//! The store on one machine: an SQLite file in WAL mode, durable at each commit.

mod bulk;
mod error;
#[cfg(test)]
mod plans;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use self::bulk::{Statement, Statements};
use self::error::store_error;
use self::writer::Writer;
use super::sql::cells::Cells;
use super::sql::dialect::{Dialect, Query, Side};
use super::sql::migrations;
use super::sql::ownership::claims;
use super::{CommitGroup, Committed, StoreError};

/// Connections that read for owners: prefetches of a few partitions at once, each well below a millisecond.
const OWNER_READERS: u32 = 2;
/// Connections that read what commands need, and those for all that is only looked at. Two cores: with two of each a
/// lookup that finds nothing is answered 20,300 times a second, with four 29,900 times.
const COMMAND_READERS: u32 = 4;
const PAGE_READERS: u32 = 4;
/// Longest wait for a free reader before the store counts as unavailable.
const READER_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for a lock held by another process, a backup for instance.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// See the module.
pub struct SqliteStore {
    writer: Writer,
    owners: SqlitePool,
    commands: SqlitePool,
    pages: SqlitePool,
}

impl SqliteStore {
    /// Opens or creates the file and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = options(path).statement_cache_capacity(bulk::STATEMENTS);
        let opening = alone(path).await?;
        // KiB. The default of 2 MiB holds less than what a few batches of spread wallets touch.
        let writes = options.clone().pragma("cache_size", "-65536");
        let mut connection = writes.connect().await.map_err(store_error)?;
        migrate(&mut connection).await?;
        drop(opening);
        let readers = options.clone().create_if_missing(false).pragma("query_only", "on");
        let pool = |connections| {
            let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(READER_WAIT);
            pool.connect_lazy_with(readers.clone())
        };
        let (owners, commands, pages) = (pool(OWNER_READERS), pool(COMMAND_READERS), pool(PAGE_READERS));
        Ok(SqliteStore { writer: Writer::start(connection, writes), owners, commands, pages })
    }

    /// Copies a store that may be in use, also by another process, as it is at one moment. The copy is one read
    /// transaction: it never starts again, however much is written meanwhile, as SQLite's backup interface would from
    /// another process. Until it ends the WAL keeps what is written.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        let mut connection = options(from).create_if_missing(false).connect().await.map_err(store_error)?;
        let to = to.to_string_lossy().into_owned();
        sqlx::query("vacuum into $1").bind(to).execute(&mut connection).await.map_err(store_error)?;
        connection.close().await.map_err(store_error)
    }

    fn readers(&self, side: Side) -> &SqlitePool {
        match side {
            Side::Owner => &self.owners,
            Side::Command => &self.commands,
            Side::Page => &self.pages,
        }
    }
}

/// FULL: the WAL is synced at each commit, so that what was answered survives a power cut.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_WAIT)
        // Pages: 64 MiB. A page that many commits change is written to the database once.
        .pragma("wal_autocheckpoint", "16384")
        // After a burst the WAL shrinks to this again.
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// One process at a time makes or changes the tables: SQLite has no lock that spans several migrations, and two that
/// found a new file together would both create it. The lock goes with the returned file.
async fn alone(path: &Path) -> Result<File, StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-opening");
    let file = File::options().create(true).truncate(false).write(true).open(&beside);
    let file = file.map_err(|error| StoreError::Unavailable(format!("{}: {error}", beside.display())))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT => sleep(LOCK_RETRY).await,
            Err(error) => return Err(StoreError::Unavailable(format!("{}: {error}", beside.display()))),
        }
    }
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrated = async { migrations::migrator(migrations::SQLITE).await?.run(connection).await };
    migrated.await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => store_error(error),
        error => StoreError::Failed(error.to_string()),
    })
}

#[async_trait]
impl Dialect for SqliteStore {
    type Row = SqliteRow;

    const IN_UUIDS: &'static str = "in (select unhex(value) from json_each($1))";
    const IN_TEXTS: &'static str = "in (select value from json_each($1))";
    const IN_PAIRS: &'static str = "in (select unhex(value ->> 0), value ->> 1 from json_each($1))";
    const IN_REQUESTS: &'static str =
        "in (select unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 from json_each($1))";
    const IN_PARTITIONS: &'static str = "in (select value ->> 0, value ->> 1 from json_each($1))";
    const ROW: (&'static str, &'static str, &'static str) = ("rowid", "in ", "");
    // Nobody is answered before the writer's connection is done with the commit, or closed.
    const AFTER_COMMITS: &'static str = "";
    const CAPTURED: Option<&'static str> = None;
    const NOW_MS: &'static str = "cast(unixepoch('subsec') * 1000 as integer)";

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        let statement = Statement::of(query)?;
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), statement.arguments);
        query.fetch_all(self.readers(side)).await.map_err(store_error)
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<SqliteRow>>, StoreError> {
        let statements: Vec<Statement> = queries.into_iter().map(Statement::of).collect::<Result<_, _>>()?;
        let mut transaction = self.readers(side).begin().await.map_err(store_error)?;
        let mut answers = Vec::with_capacity(statements.len());
        for statement in statements {
            let query = sqlx::query_with(AssertSqlSafe(statement.sql), statement.arguments);
            answers.push(query.fetch_all(&mut *transaction).await.map_err(store_error)?);
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(answers)
    }

    async fn write(&self, query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        self.writer.write(Statement::of(query)?).await
    }

    async fn commit_together(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        let claims = claims(group)?;
        let together = self.writer.commit(vec![Statements::of(&claims)?]).await?;
        if claims.len() == 1 || together == [Committed::Done] {
            return Ok(vec![together.first().copied().unwrap_or(Committed::Fenced); claims.len()]);
        }
        // Some are fenced, so nothing was done: each by itself.
        let apart = claims.chunks(1).map(Statements::of).collect::<Result<_, _>>()?;
        self.writer.commit(apart).await
    }
}

impl Cells for SqliteRow {
    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>, StoreError> {
        self.try_get(column).map_err(store_error)
    }

    fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        self.try_get(column).map_err(store_error)
    }

    fn optional_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.try_get(column).map_err(store_error)
    }

    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, StoreError> {
        self.try_get(column).map_err(store_error)
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        self.try_get(column).map_err(store_error)
    }
}
