//! What PostgreSQL's errors mean to the program.

use sqlx::Error;

use crate::store::StoreError;

fn sql_state(error: &Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// The server is away, starting, stopping, full or busy, or became a standby; another attempt may work.
/// https://www.postgresql.org/docs/current/errcodes-appendix.html
fn is_about_the_place(error: &Error) -> bool {
    let Some(state) = sql_state(error) else {
        return matches!(
            error,
            Error::Io(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed
        );
    };
    match state.as_str() {
        // Idle in transaction too long, read-only (a standby), lock not available.
        "25P03" | "25006" | "55P03" => true,
        // Connection; rolled back for another's sake; out of disk, memory, connections; operator or timeout; I/O.
        _ => ["08", "40", "53", "57", "58"].contains(&&state[..2.min(state.len())]),
    }
}

/// An error of a query that changes nothing, or of getting a connection.
pub(super) fn read_error(error: Error) -> StoreError {
    if is_about_the_place(&error) {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::Failed(error.to_string())
    }
}

/// An error of a statement that is its own transaction. An ERROR means that it was rolled back. What ends the session
/// (shutdown, crash, a cut connection) may also come after the commit, when the answer was on its way or a standby was
/// waited for.
pub(super) fn write_error(error: Error) -> StoreError {
    let cut = match sql_state(&error) {
        Some(state) => matches!(state.as_str(), "57P01" | "57P02" | "57P03"),
        None => matches!(error, Error::Io(_) | Error::Protocol(_) | Error::WorkerCrashed),
    };
    if cut { StoreError::Unknown(error.to_string()) } else { read_error(error) }
}
