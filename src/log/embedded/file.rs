//! The SQLite file: its lock, its schema, every statement.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::chunk;
use crate::log::{PartitionCounts, Record, Topic};

/// Format of the file. A file with another format must not be touched.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
    create table if not exists log (
        one integer primary key check (one = 1),
        id text not null,
        format integer not null
    ) strict;
    create table if not exists partition (
        id integer primary key,
        topic text not null,
        number integer not null,
        -- As of the last trim; rows of chunk, if any, are newer.
        next_offset integer not null default 0,
        last_time_ms integer not null default 0,
        unique (topic, number)
    ) strict;
    create table if not exists chunk (
        partition integer not null references partition (id),
        first_offset integer not null,
        records integer not null,
        time_ms integer not null,
        checksum integer not null,
        body blob not null,
        primary key (partition, first_offset)
    ) strict;
";

/// Why an embedded log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the log {path} is in use by another process; only one may have it open")]
    InUse { path: PathBuf },
    #[error(
        "the log {path} was created with {found} partitions of {topic}, the configuration says {wanted}; a partition \
         count cannot change, for keys would move: set it back, or start with another data directory"
    )]
    PartitionCount { path: PathBuf, topic: Topic, found: u32, wanted: u32 },
    #[error("the log {path} has format {found}; this program knows format {FORMAT}")]
    Format { path: PathBuf, found: i64 },
    #[error("the log {path} cannot be opened: {reason}")]
    Disk { path: PathBuf, reason: String },
}

/// The file, opened and locked by this process.
pub(super) struct LogFile {
    pub path: PathBuf,
    pub log_id: String,
    options: SqliteConnectOptions,
    /// Released by the operating system when the process ends, in whatever way.
    _lock: File,
}

/// First and next offset of a partition, with the time of its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// Key of the partition's row.
    pub id: i64,
    pub first_offset: u64,
    pub next_offset: u64,
    pub last_time_ms: i64,
}

/// A row of `chunk` to insert.
pub(super) struct NewChunk {
    pub partition_id: i64,
    pub first_offset: u64,
    pub records: usize,
    pub time_ms: i64,
    pub body: Vec<u8>,
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let disk = |error: std::io::Error| OpenError::Disk { path: path.to_owned(), reason: error.to_string() };
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let file = File::options().create(true).write(true).truncate(false).open(lock_path).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(disk(error)),
    }
}

impl LogFile {
    /// Opens or creates the file, locks it and checks its partition counts. `bytes_max` bounds its size.
    pub(super) async fn open(
        path: &Path,
        counts: &PartitionCounts,
        bytes_max: Option<u64>,
    ) -> Result<(Self, SqliteConnection), OpenError> {
        let lock = lock(path)?;
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on disk when it returns: that is what an acknowledgment promises.
            .synchronous(SqliteSynchronous::Full)
            // KiB. Chunks are read once or served from the tail: a larger page cache would only cost memory.
            .pragma("cache_size", "-512")
            .pragma("journal_size_limit", (32 << 20).to_string())
            .busy_timeout(Duration::from_secs(5));
        if let Some(bytes_max) = bytes_max {
            options = options.pragma("max_page_count", (bytes_max / 4096).max(1).to_string());
        }
        let disk = |error: sqlx::Error| OpenError::Disk { path: path.to_owned(), reason: error.to_string() };
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(disk)?;
        let (log_id, format) = create(&mut connection, counts).await.map_err(disk)?;
        if format != FORMAT {
            return Err(OpenError::Format { path: path.to_owned(), found: format });
        }
        for topic in Topic::ALL {
            let found = partition_count(&mut connection, topic).await.map_err(disk)?;
            let wanted = counts.of(topic);
            if found != wanted {
                return Err(OpenError::PartitionCount { path: path.to_owned(), topic, found, wanted });
            }
        }
        Ok((LogFile { path: path.to_owned(), log_id, options, _lock: lock }, connection))
    }

    /// A connection for writing.
    pub(super) async fn connect(&self) -> sqlx::Result<SqliteConnection> {
        SqliteConnection::connect_with(&self.options).await
    }

    /// Connections for reading: few, opened on demand and closed when idle, because each has its own thread.
    pub(super) fn read_pool(&self) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(5))
            .idle_timeout(Duration::from_secs(60))
            .test_before_acquire(false)
            .connect_lazy_with(self.options.clone().pragma("query_only", "on"))
    }
}

/// Copies a log that may be in use, also by another process, as it is at one moment: in one read transaction.
pub(super) async fn copy(from: &Path, to: &Path) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(Duration::from_secs(5));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let to = to.to_string_lossy().into_owned();
    sqlx::query("vacuum into ?").bind(to).execute(&mut connection).await?;
    connection.close().await
}

/// Creates what is missing; returns the log's id and format.
async fn create(connection: &mut SqliteConnection, counts: &PartitionCounts) -> sqlx::Result<(String, i64)> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
    let known = sqlx::query("select id, format from log").fetch_optional(&mut *transaction).await?;
    if let Some(row) = known {
        return Ok((row.try_get(0)?, row.try_get(1)?));
    }
    let id = Uuid::now_v7().to_string();
    let insert_log = sqlx::query("insert into log (one, id, format) values (1, ?, ?)").bind(&id).bind(FORMAT);
    insert_log.execute(&mut *transaction).await?;
    for topic in Topic::ALL {
        for number in 0..counts.of(topic) {
            let insert = sqlx::query("insert into partition (topic, number) values (?, ?)");
            insert.bind(topic.as_str()).bind(number).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok((id, FORMAT))
}

async fn partition_count(connection: &mut SqliteConnection, topic: Topic) -> sqlx::Result<u32> {
    sqlx::query_scalar("select count(*) from partition where topic = ?")
        .bind(topic.as_str())
        .fetch_one(connection)
        .await
}

/// The ends of each partition, in the order of `places`.
pub(super) async fn load_ends(connection: &mut SqliteConnection, places: &[(Topic, u32)]) -> sqlx::Result<Vec<Ends>> {
    let rows = sqlx::query(
        "select p.topic, p.number, p.id, f.first_offset,
                max(p.next_offset, coalesce(l.first_offset + l.records, 0)),
                max(p.last_time_ms, coalesce(l.time_ms, 0))
         from partition p
         left join chunk f on f.partition = p.id
              and f.first_offset = (select min(first_offset) from chunk where partition = p.id)
         left join chunk l on l.partition = p.id
              and l.first_offset = (select max(first_offset) from chunk where partition = p.id)",
    )
    .fetch_all(connection)
    .await?;
    let mut ends = vec![None; places.len()];
    for row in rows {
        let topic = Topic::from_str(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let place = (topic, row.try_get(1)?);
        let next_offset: i64 = row.try_get(4)?;
        let first_offset = row.try_get::<Option<i64>, _>(3)?.unwrap_or(next_offset);
        if let Some(index) = places.iter().position(|known| *known == place) {
            ends[index] = Some(Ends {
                id: row.try_get(2)?,
                first_offset: first_offset.cast_unsigned(),
                next_offset: next_offset.cast_unsigned(),
                last_time_ms: row.try_get(5)?,
            });
        }
    }
    ends.into_iter().collect::<Option<Vec<_>>>().ok_or(sqlx::Error::RowNotFound)
}

/// Inserts all of them or none: one statement is one transaction and one hop to the connection's thread.
pub(super) async fn insert_chunks(connection: &mut SqliteConnection, chunks: Vec<NewChunk>) -> sqlx::Result<()> {
    let rows = vec!["(?, ?, ?, ?, ?, ?)"; chunks.len()].join(", ");
    let insert = format!("insert into chunk (partition, first_offset, records, time_ms, checksum, body) values {rows}");
    let mut insert = sqlx::query(AssertSqlSafe(insert));
    for chunk in chunks {
        insert = insert
            .bind(chunk.partition_id)
            .bind(chunk.first_offset.cast_signed())
            .bind(chunk.records as i64)
            .bind(chunk.time_ms)
            .bind(chunk::checksum(chunk.first_offset, &chunk.body))
            .bind(chunk.body);
    }
    insert.execute(connection).await.map(|_| ())
}

/// Reads records from this offset until a limit is reached or the file has no more.
pub(super) async fn read_records(
    pool: &SqlitePool,
    partition_id: i64,
    from: u64,
    records_max: usize,
    bytes_max: usize,
) -> sqlx::Result<Vec<Record>> {
    let mut rows = sqlx::query(
        "select first_offset, records, time_ms, checksum, body from chunk
         where partition = ?1 and first_offset >=
               coalesce((select max(first_offset) from chunk where partition = ?1 and first_offset <= ?2), ?2)
         order by first_offset",
    )
    .bind(partition_id)
    .bind(from.cast_signed())
    .fetch(pool);
    let mut read = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let first_offset = row.try_get::<i64, _>(0)?.cast_unsigned();
        let body = Bytes::from(row.try_get::<Vec<u8>, _>(4)?);
        let records = usize::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0);
        let intact = row.try_get::<i64, _>(3)? == chunk::checksum(first_offset, &body);
        let decoded = chunk::decode(first_offset, row.try_get(2)?, records, body).filter(|_| intact);
        let Some(decoded) = decoded else {
            // What lies before can be read all the same.
            if !read.is_empty() {
                break;
            }
            return Err(sqlx::Error::Decode(format!("the records from {first_offset} on are damaged").into()));
        };
        for record in decoded.into_iter().filter(|record| record.offset >= from) {
            bytes += record.size();
            read.push(record);
        }
        if read.len() >= records_max || bytes >= bytes_max {
            break;
        }
    }
    Ok(read)
}

/// Most bytes one trim deletes beyond the first row: SQLite walks all pages that it deletes.
const TRIM_BYTES_MAX: i64 = 8 << 20;

/// Deletes the oldest rows of a partition that are older than `before_ms`, up to about `limit` records.
/// Returns the number of records and the first offset left.
pub(super) async fn trim(
    connection: &mut SqliteConnection,
    ends: &Ends,
    before_ms: i64,
    limit: u64,
) -> sqlx::Result<Option<(u64, u64)>> {
    let oldest = sqlx::query(
        "select first_offset, records, time_ms, length(body) from chunk
         where partition = ? order by first_offset limit ?",
    );
    let rows = oldest.bind(ends.id).bind(limit.clamp(1, 512).cast_signed()).fetch_all(&mut *connection).await?;
    let (mut deleted, mut bytes, mut first_left) = (0, 0, None);
    for row in rows {
        let records = row.try_get::<i64, _>(1)?.cast_unsigned();
        let old = row.try_get::<i64, _>(2)? < before_ms;
        if !old || (deleted > 0 && (deleted + records > limit || bytes > TRIM_BYTES_MAX)) {
            break;
        }
        deleted += records;
        bytes += row.try_get::<i64, _>(3)?;
        first_left = Some(row.try_get::<i64, _>(0)?.cast_unsigned() + records);
    }
    let Some(first_left) = first_left else { return Ok(None) };
    let mut transaction = connection.begin().await?;
    // The end offset, so far known from these rows, must outlive them.
    sqlx::query("update partition set next_offset = ?, last_time_ms = ? where id = ?")
        .bind(ends.next_offset.cast_signed())
        .bind(ends.last_time_ms)
        .bind(ends.id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("delete from chunk where partition = ? and first_offset < ?")
        .bind(ends.id)
        .bind(first_left.cast_signed())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some((deleted, first_left)))
}
