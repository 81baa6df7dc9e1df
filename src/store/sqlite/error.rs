//! What SQLite's errors mean to the program.

use sqlx::Error;

use crate::store::StoreError;

// Primary result codes, https://www.sqlite.org/rescode.html
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const NO_MEMORY: u32 = 7;
const READ_ONLY: u32 = 8;
const INTERRUPTED: u32 = 9;
const IO: u32 = 10;
const FULL: u32 = 13;
const CANNOT_OPEN: u32 = 14;

/// The low byte of the extended result code, if SQLite itself said no.
fn primary_code(error: &Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn is_about_the_place(error: &Error) -> bool {
    match primary_code(error) {
        Some(code) => {
            matches!(code, BUSY | LOCKED | NO_MEMORY | READ_ONLY | INTERRUPTED | IO | FULL | CANNOT_OPEN)
        }
        None => matches!(error, Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed),
    }
}

/// An error of anything but COMMIT: nothing was changed.
pub(super) fn store_error(error: Error) -> StoreError {
    if is_about_the_place(&error) {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::Failed(error.to_string())
    }
}

/// An error of COMMIT. A full disk or a busy file is found out before the commit record is written; after any other
/// failure, a failed fsync above all, recovery may still find the record in the WAL.
pub(super) fn commit_error(error: Error) -> StoreError {
    match primary_code(&error) {
        Some(BUSY | FULL) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Unknown(error.to_string()),
    }
}
