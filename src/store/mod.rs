//! The store: state, outcomes, outbox and progress in one transactional place.
//!
//! `ports` is what it can do, by capability; `rows` what it holds besides the aggregates. Implementations: `sqlite`,
//! `postgres`, and one in memory for tests. All of them pass `tests/conformance`.

pub mod intervention;
pub mod ports;
pub mod postgres;
pub mod remember;
pub mod rows;
mod sql;
pub mod sqlite;

pub use intervention::{Act, Began, Intervention, InterventionKind, Offsets};
pub use ports::{
    AggregateLoads, AuditReads, Catalog, DeadLetters, FrontStore, Interventions, LogBinding, Outbox, OwnerStore,
    Ownership, Reads, Retention, RetentionStore, Store, StoreError, Timers,
};
pub use remember::Remember;
pub use rows::{
    Anchor, BlockSeats, BlockView, Captured, CommitBatch, CommitGroup, Committed, Concert, DeadLetter, DeadLetterView,
    Decided, OutboxRow, Page, PlanRow, PlanSummary, Progress, ProgressView, Published, RecordedLog, RequestCompletion,
    RequestKey, RequestRow, RequestState, RequestStatus, Schedule, ScheduleView, Slot, StateTable, UNSENT_OFFSET,
};

use crate::domain::{Lane, LanePartition};
use crate::log::{PartitionCounts, Topic};

/// All partitions of all lanes of a log.
pub fn lane_partitions(counts: &PartitionCounts) -> impl Iterator<Item = LanePartition> + '_ {
    Lane::ALL
        .into_iter()
        .flat_map(move |lane| (0..counts.of(Topic::Lane(lane))).map(move |partition| LanePartition { lane, partition }))
}
