//! The rules. State, command and log time in, decision out: no clock, no randomness, no I/O, no float.
//!
//! Every type here is plain data; how it looks on the log is `wire`'s business, how it looks in tables is `store`'s.

pub mod command;
pub mod decision;
pub mod digest;
pub mod ids;
pub mod queue;
pub mod section;
pub mod wallet;

pub use command::{Body, Command};
pub use decision::{Change, Code, Completion, Decision, Refusal, Success, Verdict};
pub use ids::{
    Arrival, ConcertId, DerivedId, EntryId, Lane, LogTime, PaymentId, Position, RequestId, ReservationId, RoutingKey,
    ScheduleId, SectionName, UserId,
};
