//! What PostgreSQL's errors mean to the program.

use std::io::ErrorKind;

use sqlx::Error;

use crate::store::StoreError;

fn sql_state(error: &Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

pub(super) const READ_ONLY: &str = "the server is read-only: a standby, or a primary that was demoted";

/// A server that became a standby, or is kept from writing.
pub(super) fn is_read_only(error: &Error) -> bool {
    sql_state(error).is_some_and(|state| state == "25006")
}

/// Stands for an answer that does not come.
pub(super) fn silent() -> Error {
    Error::Io(std::io::Error::new(
        ErrorKind::TimedOut,
        "the server does not answer, and does not say that it takes longer",
    ))
}

/// A server that is gone without a word, or hangs; TCP says the same.
pub(super) fn is_silent(error: &Error) -> bool {
    matches!(error, Error::Io(io) if io.kind() == ErrorKind::TimedOut)
}

/// What an error says of the statement that met it.
#[derive(Debug, PartialEq, Eq)]
enum About {
    /// The server is away, starting, stopping, full or busy, or became a standby; another attempt may work.
    Place,
    /// `statement_timeout`: less at once may work.
    Time,
    /// The statement itself: another attempt fails the same way.
    Statement,
}

/// https://www.postgresql.org/docs/current/errcodes-appendix.html
fn about(state: &str) -> About {
    match state {
        "57014" => About::Time,
        // Idle in transaction too long, read-only (a standby), lock not available.
        "25P03" | "25006" | "55P03" => About::Place,
        // Connection; rolled back for another's sake; out of disk, memory, connections; an operator; I/O.
        _ if ["08", "40", "53", "57", "58"].contains(&&state[..2.min(state.len())]) => About::Place,
        _ => About::Statement,
    }
}

/// An error of a query that changes nothing, or of getting a connection.
pub(super) fn read_error(error: Error) -> StoreError {
    let about = match sql_state(&error) {
        Some(state) => about(&state),
        None => match error {
            Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed => About::Place,
            _ => About::Statement,
        },
    };
    let reason = error.to_string();
    match about {
        About::Place => StoreError::Unavailable(reason),
        About::Time => StoreError::TimedOut(reason),
        About::Statement => StoreError::Failed(reason),
    }
}

/// An error of a statement that is its own transaction. An ERROR means that it was rolled back. What ends the session
/// (shutdown, crash, a cut connection, a pooler that lost its server) may also come after the commit, when the answer
/// was on its way or a standby was waited for.
pub(super) fn write_error(error: Error) -> StoreError {
    let cut = match sql_state(&error) {
        Some(state) => matches!(state.as_str(), "57P01" | "57P02" | "57P03") || state.starts_with("08"),
        None => matches!(error, Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed),
    };
    if cut { StoreError::Unknown(error.to_string()) } else { read_error(error) }
}

/// An error of a process's first connection: what the address or its parameters say wrong stays wrong.
pub(super) fn connect_error(error: Error) -> StoreError {
    match &error {
        // A certificate that is not accepted comes as an I/O error of this kind.
        Error::Io(io) if io.kind() == ErrorKind::InvalidData => StoreError::Failed(format!("TLS: {io}")),
        Error::Io(io) if io.kind() == ErrorKind::NotFound => StoreError::Failed(format!("a file of the url: {io}")),
        Error::Tls(reason) => StoreError::Failed(format!("TLS: {reason}")),
        Error::Database(refusal) if refusal.message().contains("unsupported startup parameter") => {
            StoreError::Failed(format!("a pooler refuses the url's parameters: {}", refusal.message()))
        }
        _ => read_error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_says_whether_to_wait_to_split_or_to_give_up() {
        for state in ["08006", "40001", "40P01", "53100", "53300", "57P01", "57P03", "58030", "25006", "25P03", "55P03"]
        {
            assert_eq!(about(state), About::Place, "{state}");
        }
        assert_eq!(about("57014"), About::Time);
        for state in ["23505", "22003", "42P01", "0A000", "XX001", "25P02", "28P01", "54000", ""] {
            assert_eq!(about(state), About::Statement, "{state}");
        }
    }
}
