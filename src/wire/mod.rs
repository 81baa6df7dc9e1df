//! Commands and outcomes as bytes, and the partition a routing key belongs to.
//!
//! Everything on the topics is described for other services in `asyncapi.yaml`; the golden files in `tests/golden`
//! pin each message, and a test keeps both equal to this code.

pub mod command;
mod fields;
pub mod headers;
mod json;
pub mod outcome;
mod results;
pub mod routing;
pub mod time;

pub use command::{RECORD_BYTES_MAX, check_reason, decode, encode, fingerprint};
pub use fields::DecodeError;
pub use headers::{dead_letter_headers, hops, traceparent, with_hops, with_traceparent};
pub use outcome::{OutcomeRecord, OutcomeView, decode_value, encode_value, fingerprint_of, headers};
pub use results::seat_name;
pub use routing::{murmur2, partition_for};
pub use time::{parse_rfc3339, rfc3339};
