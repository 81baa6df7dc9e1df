//! The database as it is at one moment: a transaction that only reads, for as long as the audit takes.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tokio::sync::Mutex;

use super::PostgresStore;
use super::error::read_error;
use super::query::arguments;
use crate::store::sql::dialect::{Dialect, Query, Side};
use crate::store::{AuditedStore, CommitGroup, Committed, Snapshots, StoreError};

/// A replay of hours lies between two of its reads.
const BEGIN: &str = "begin isolation level repeatable read read only; set local statement_timeout = 0; \
                     set local idle_in_transaction_session_timeout = 0";

struct Snapshot(Mutex<Transaction<'static, Postgres>>);

#[async_trait]
impl Snapshots for PostgresStore {
    async fn snapshot(&self) -> Result<Box<dyn AuditedStore>, StoreError> {
        Ok(Box::new(Snapshot(Mutex::new(self.pools.pages().begin_with(BEGIN).await.map_err(read_error)?))))
    }
}

fn only_read<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("a snapshot is only read".into()))
}

#[async_trait]
impl Dialect for Snapshot {
    type Row = PgRow;

    const IN_UUIDS: &'static str = PostgresStore::IN_UUIDS;
    const IN_TEXTS: &'static str = PostgresStore::IN_TEXTS;
    const IN_PAIRS: &'static str = PostgresStore::IN_PAIRS;
    const IN_REQUESTS: &'static str = PostgresStore::IN_REQUESTS;
    const IN_PARTITIONS: &'static str = PostgresStore::IN_PARTITIONS;
    const ROW: (&'static str, &'static str, &'static str) = PostgresStore::ROW;
    // It sees no commit that was under way.
    const AFTER_COMMITS: &'static str = "";
    const CAPTURED: Option<&'static str> = PostgresStore::CAPTURED;
    const NOW_MS: &'static str = PostgresStore::NOW_MS;

    async fn read(&self, _side: Side, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        let (sql, arguments) = arguments(query)?;
        let mut transaction = self.0.lock().await;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut **transaction).await;
        rows.map_err(read_error)
    }

    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<PgRow>>, StoreError> {
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            answers.push(self.read(side, query).await?);
        }
        Ok(answers)
    }

    async fn write(&self, _query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        only_read()
    }

    async fn commit_together(&self, _group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        only_read()
    }
}
