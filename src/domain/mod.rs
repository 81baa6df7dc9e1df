//! The rules. State, command and log time in, decision out: no clock, no randomness, no I/O, no float.
//!
//! Every type here is plain data; how it looks on the log is `wire`'s business, how it looks in tables is `store`'s.

pub mod aggregate;
pub mod block;
pub mod body;
pub mod command;
pub mod digest;
pub mod ids;
pub mod money;
pub mod names;
pub mod outcome;
pub mod position;
pub mod queue;
pub mod refusal;
pub mod row;
pub mod texts;
pub mod wallet;

pub use aggregate::{Aggregate, Decision};
pub use body::{Body, Command};
pub use command::{Asking, CommandKind, Fingerprint};
pub use ids::{
    BlockKey, ConcertId, DerivedId, EntryId, PaymentId, RequestId, ReservationId, RoutingKey, ScheduleId, SeatId,
};
pub use money::{Amount, Balance};
pub use names::{BlockName, CategoryName, Reason, SectionName, UserId};
pub use outcome::{Completion, Effects, Outcome, Reply, Verdict};
pub use position::{Arrival, Lane, LanePartition, LogTime, Position};
pub use refusal::{Code, More, Refusal};
pub use row::{Changes, Row, RowKey};
pub use texts::InvalidText;
