//! One SQL database: how to run queries, and how it says what the two say differently. Both read `$1` as a parameter,
//! so most queries are one text.

use async_trait::async_trait;

use super::cells::Cells;
use super::value::Value;
use crate::store::{CommitGroup, Committed, StoreError};

/// SQL text with its parameters.
pub(in crate::store) struct Query<'a> {
    pub sql: String,
    pub parameters: Vec<Value<'a>>,
}

pub(in crate::store) fn query(sql: impl Into<String>, parameters: Vec<Value<'_>>) -> Query<'_> {
    Query { sql: sql.into(), parameters }
}

/// On whose behalf a query runs. Each has connections of its own: no crowd of readers holds up a commit, and none that
/// looks at pages holds up a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Side {
    Owner,
    /// What the front door must know to accept a command or to tell its outcome, and what the queue is shown from.
    Command,
    /// All that is only looked at.
    Page,
}

#[async_trait]
pub(in crate::store) trait Dialect: Send + Sync + 'static {
    type Row: Cells + Send;

    /// What follows a column that must be in `$1`, a [`Value::Uuids`].
    const IN_UUIDS: &'static str;
    /// What follows a column that must be in `$1`, a [`Value::Texts`].
    const IN_TEXTS: &'static str;
    /// What follows a pair of columns that must be in `$1` (and `$2`), a [`Value::Pairs`].
    const IN_PAIRS: &'static str;
    /// What follows the key of a request that must be in `$1` (to `$4`), a [`Value::Requests`].
    const IN_REQUESTS: &'static str;
    /// What follows lane and partition that must be in `$1` (and `$2`), a [`Value::Partitions`].
    const IN_PARTITIONS: &'static str;
    /// A row's address, and how to compare it with those a query gives: `{ROW.0} {ROW.1} (query) {ROW.2}`.
    const ROW: (&'static str, &'static str, &'static str);
    /// What makes a read of the progress wait for a commit that is under way, whoever sent it.
    const AFTER_COMMITS: &'static str;
    /// The database's clock, in ms since 1970 UTC.
    const NOW_MS: &'static str;

    /// End of the database's own log, and how far the replication slot `$1` has confirmed it.
    const CAPTURED: Option<&'static str>;

    async fn read(&self, side: Side, query: Query<'_>) -> Result<Vec<Self::Row>, StoreError>;

    /// Several queries on one snapshot.
    async fn read_together(&self, side: Side, queries: Vec<Query<'_>>) -> Result<Vec<Vec<Self::Row>>, StoreError>;

    /// One changing statement in a transaction of its own; gives what it returns.
    async fn write(&self, query: Query<'_>) -> Result<Vec<Self::Row>, StoreError>;

    /// As `Ownership::commit_group` says.
    async fn commit_together(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError>;
}

pub(super) fn all<Row, T>(rows: &[Row], map: impl FnMut(&Row) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(map).collect()
}

pub(super) fn first<Row, T>(
    rows: &[Row],
    map: impl FnOnce(&Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    rows.first().map(map).transpose()
}

/// The answers of [`Dialect::read_together`], as many as there were queries.
pub(super) fn answers<Row, const N: usize>(rows: Vec<Vec<Row>>) -> Result<[Vec<Row>; N], StoreError> {
    let got = rows.len();
    rows.try_into().map_err(|_| StoreError::Failed(format!("{N} queries gave {got} answers")))
}
