//! A command's way to the log and its outcome's way back.
//!
//! [`keys`] makes the request id of an `Idempotency-Key`, [`backlog`] may refuse the command, [`submit`] publishes it
//! under its [`traceparent`], [`feed`] brings the outcome to [`waiters`], and [`view`] shows it to its sender.

pub mod backlog;
pub mod feed;
pub mod keys;
pub mod submit;
pub mod traceparent;
pub mod view;
pub mod waiters;
