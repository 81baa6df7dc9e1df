//! A command's way to the log and its outcome's way back.
//!
//! [`options`] reads what the headers ask for, [`keys`] makes the request id of an `Idempotency-Key`, [`lag_limit`] may
//! refuse the command, [`submit`] publishes it under its [`traceparent`], [`feed`] brings the outcome to [`waiters`], and
//! [`answer`] and [`request_object`] show it to its sender. [`requests`] finds a request later, by [`lookups`], which read
//! for many clients at once; [`stored`] reads its row,
//! [`log_ends`] knows whether the log has its position, and [`lives`] remembers when what happened to it.

pub mod answer;
pub mod feed;
pub mod keys;
pub mod lag_limit;
pub mod lives;
pub mod log_ends;
pub mod lookups;
pub mod options;
pub mod request_object;
pub mod requests;
pub mod stored;
pub mod submit;
pub mod traceparent;
pub mod waiters;
