//! Commands and outcomes as bytes, and the partition a routing key belongs to.
//!
//! Everything on the topics is described for other services in `asyncapi.yaml`; the golden files in `tests/golden`
//! pin each message, and a test keeps both equal to this code. `docs/decisions/hand-written-json.md` says why each
//! message is read and written field by field.

pub mod command;
mod fields;
pub mod folded;
pub mod headers;
pub mod inbox;
mod json;
mod key;
pub mod outcome;
mod problem;
pub mod routing;
pub mod time;
mod values;

pub use fields::DecodeError;
