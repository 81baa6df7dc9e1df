//! How a connection is made, and what it is set to before it is used.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::error::{self, connect_error, read_error};
use super::settings::PostgresSettings;
use crate::store::StoreError;

/// Longest time a snapshot of several reads may stand between two of them.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "5s";

/// The schema's name goes into SQL text, so it is checked once more here.
pub(super) fn plain(schema: &str) -> Result<&str, StoreError> {
    let is_plain = !schema.is_empty()
        && schema.len() <= 60
        && !schema.starts_with(|first: char| first.is_ascii_digit())
        && schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_plain.then_some(schema).ok_or_else(|| StoreError::Failed(format!("{schema:?} is no plain schema name")))
}

/// The startup packet holds nothing that a pooler with its defaults refuses or drops (`options`,
/// `extra_float_digits`): settings follow in [`set_up`].
pub(super) fn connect_options(settings: &PostgresSettings) -> Result<PgConnectOptions, StoreError> {
    // The parser's error may quote the password.
    let options = PgConnectOptions::from_str(&settings.url)
        .map_err(|_| StoreError::Failed("the database's url cannot be understood".into()))?;
    Ok(options.application_name("turnstile").extra_float_digits(None).disable_statement_logging())
}

/// The address, if what is sent there may travel in plain text.
pub(super) fn unprotected(options: &PgConnectOptions) -> Option<&str> {
    let host = options.get_host();
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let may_be_plain = matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    (may_be_plain && !is_local).then_some(host)
}

pub(super) async fn connect(options: &PgConnectOptions, longest: Duration) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(longest, options.connect()).await {
        Ok(connected) => connected.map_err(connect_error),
        Err(_) => Err(StoreError::Unavailable("the database does not answer".into())),
    }
}

/// What a session is set to, as one text: one round trip a connection. The last statement tells whether it may write.
pub(super) fn session(schema: &str, statement_timeout: Duration) -> Result<String, StoreError> {
    let (schema, timeout) = (plain(schema)?, statement_timeout.as_millis());
    Ok(format!(
        "set search_path = {schema}; \
         set statement_timeout = {timeout}; \
         set idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_TIMEOUT}'; "
    ) +
        // Every query is a few index look-ups: starting workers or compiling code for one costs more than it takes.
        "set max_parallel_workers_per_gather = 0; \
         set jit = off; " +
        // Where a block has most rows of its table, by statistics that are old or of another day, PostgreSQL would
        // read the table from end to end instead, with the seats of every date there ever was.
        "set enable_seqscan = off; " +
        READ_ONLY)
}

/// `on` on a standby, too.
const READ_ONLY: &str = "select current_setting('transaction_read_only')";

/// Sets up a session; says whether it may write.
pub(super) async fn set_up(connection: &mut PgConnection, session: &str) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(AssertSqlSafe(session)).fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}

/// Whether the server would let this session write now.
pub(super) async fn may_write(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    set_up(connection, READ_ONLY).await
}

/// Connects and sets up a session that may write.
pub(super) async fn open_session(
    options: &PgConnectOptions,
    session: &str,
    longest: Duration,
) -> Result<PgConnection, StoreError> {
    let mut connection = connect(options, longest).await?;
    match set_up(&mut connection, session).await.map_err(read_error)? {
        true => Ok(connection),
        false => Err(StoreError::Unavailable(error::READ_ONLY.into())),
    }
}

#[cfg(test)]
mod tests {

    #[test]
    fn plain_text_is_no_matter_on_this_machine_and_impossible_with_tls_required() {
        let unprotected = |url: &str| super::unprotected(&url.parse().unwrap()).map(str::to_owned);
        assert_eq!(unprotected("postgres://u@db.example/t?sslmode=prefer"), Some("db.example".into()));
        assert_eq!(unprotected("postgres://u@10.0.0.1/t?sslmode=disable"), Some("10.0.0.1".into()));
        for url in [
            "postgres://u@127.0.0.1/t?sslmode=prefer",
            "postgres://u@localhost/t?sslmode=disable",
            "postgres:///t?host=/run/postgresql&sslmode=prefer",
            "postgres://u@db.example/t?sslmode=require",
            "postgres://u@db.example/t?sslmode=verify-full",
        ] {
            assert_eq!(unprotected(url), None, "{url}");
        }
    }
}
