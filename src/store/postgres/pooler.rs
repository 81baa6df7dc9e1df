//! Recognizes a pooler that gives each transaction any connection to the server (PgBouncer and Supabase in transaction
//! mode, RDS Proxy): settings of a session, prepared statements and locks do not stay there.
//!
//! A session keeps its backend. So two connections are compared: while the second has a transaction open, the first
//! asks again. A pooler in transaction mode gives the second the backend that the first has just used, or the first
//! another one than before.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::connection::connect;
use super::error::read_error;
use crate::store::StoreError;

const REFUSAL: &str = "behind this address is a pooler in transaction mode, which keeps no session: use the server's own \
                       address or a pooler in session mode; a process needs few connections \
                       (database.connections_max)";
/// With nobody else on the pooler the first round tells; beside others each of them most likely does.
const ROUNDS: u32 = 4;
/// A process id may come again, on another server too: with the time when the backend was started it is unique.
const BACKEND: &str = "select pg_backend_pid()::text || coalesce((select ' ' || extract(epoch from backend_start) \
                       from pg_stat_activity where pid = pg_backend_pid()), '')";

/// Changes nothing, not even a setting: what is set would stay with the pooler's connections.
pub(super) async fn refuse_transaction_mode(options: &PgConnectOptions, longest: Duration) -> Result<(), StoreError> {
    let mut first = connect(options, longest).await?;
    let mut second = connect(options, longest).await?;
    let compared = tokio::time::timeout(longest, keep_their_backends(&mut first, &mut second)).await;
    let kept = compared.map_err(|_| StoreError::Unavailable("a second connection gets no answer".into()))??;
    for connection in [first, second] {
        connection.close().await.map_err(read_error)?;
    }
    if kept { Ok(()) } else { Err(StoreError::Failed(REFUSAL.into())) }
}

async fn keep_their_backends(first: &mut PgConnection, second: &mut PgConnection) -> Result<bool, StoreError> {
    let own = backend(first, BACKEND).await.map_err(read_error)?;
    for _ in 0..ROUNDS {
        let other = match backend(second, &format!("begin; {BACKEND}")).await {
            Ok(other) => other,
            Err(error) if is_statement_mode(&error) => return Ok(false),
            Err(error) => return Err(read_error(error)),
        };
        let again = match other == own {
            true => None,
            false => Some(backend(first, BACKEND).await.map_err(read_error)?),
        };
        sqlx::raw_sql("rollback").execute(&mut *second).await.map_err(read_error)?;
        if again.as_ref() != Some(&own) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// By the simple protocol: a prepared statement may be another client's there.
async fn backend(connection: &mut PgConnection, sql: &str) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?.try_get(0)
}

/// PgBouncer allows no transaction at all in that mode.
fn is_statement_mode(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("statement pooling"))
}
