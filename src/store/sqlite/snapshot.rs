//! The file as it is at one moment: a transaction that only reads. Until it ends the WAL keeps what is written.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Sqlite, Transaction};
use tokio::sync::Mutex;

use super::SqliteStore;
use super::bulk::Statement;
use super::error::store_error;
use crate::store::sql::dialect::{Dialect, Query, Side};
use crate::store::{AuditedStore, CommitGroup, Committed, Snapshots, StoreError};

struct Snapshot(Mutex<Transaction<'static, Sqlite>>);

#[async_trait]
impl Snapshots for SqliteStore {
    async fn snapshot(&self) -> Result<Box<dyn AuditedStore>, StoreError> {
        Ok(Box::new(Snapshot(Mutex::new(self.pages.begin().await.map_err(store_error)?))))
    }
}

fn only_read<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("a snapshot is only read".into()))
}

#[async_trait]
impl Dialect for Snapshot {
    type Row = SqliteRow;

    const IN_UUIDS: &'static str = SqliteStore::IN_UUIDS;
    const IN_TEXTS: &'static str = SqliteStore::IN_TEXTS;
    const IN_PAIRS: &'static str = SqliteStore::IN_PAIRS;
    const IN_REQUESTS: &'static str = SqliteStore::IN_REQUESTS;
    const IN_PARTITIONS: &'static str = SqliteStore::IN_PARTITIONS;
    const ROW: (&'static str, &'static str, &'static str) = SqliteStore::ROW;
    const AFTER_COMMITS: &'static str = "";
    const CAPTURED: Option<&'static str> = SqliteStore::CAPTURED;
    const NOW_MS: &'static str = SqliteStore::NOW_MS;

    async fn read(&self, _side: Side, query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        let statement = Statement::of(query)?;
        let mut transaction = self.0.lock().await;
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), statement.arguments);
        query.fetch_all(&mut **transaction).await.map_err(store_error)
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<SqliteRow>>, StoreError> {
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            answers.push(self.read(side, query).await?);
        }
        Ok(answers)
    }

    async fn write(&self, _query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        only_read()
    }

    async fn commit_together(&self, _group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        only_read()
    }
}
