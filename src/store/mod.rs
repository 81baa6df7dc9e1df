//! The store: state, outcomes, outbox and progress in one transactional place.
//!
//! `ports` is what it can do, by capability, `uses` who uses what of it; `rows` what it holds besides the aggregates.
//! Implementations: `sqlite`, `postgres`, and one in memory for tests. All of them pass `tests/conformance`.

pub mod dead_letter;
pub mod error;
pub mod gather;
pub mod intervention;
pub mod partition_event;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod remember;
pub mod rows;
mod sql;
pub mod sqlite;
pub mod uses;
pub mod webhook;

pub use dead_letter::{DeadLetter, DeadLetterView, DoneBy, UNSENT_OFFSET};
pub use error::StoreError;
pub use intervention::{Act, Began, Intervention, InterventionKind, Offsets};
pub use partition_event::{PARTITION_EVENTS_KEPT, PartitionChange, PartitionEvent};
pub use ports::{
    AggregateLoads, AuditReads, AuditedStore, Catalog, DeadLetters, Interventions, LogBinding, Operations, Outbox,
    Ownership, Reads, Retention, Snapshots, Timers, Webhooks,
};
pub use process::{
    AuditRun, OwnedState, PartitionStanding, Process, ProcessCheck, ProcessFigures, ProcessStatus, ProcessView,
};
pub use remember::Remember;
pub use rows::{
    Anchor, BlockSeats, BlockView, Captured, CommitBatch, CommitGroup, Committed, Concert, Decided, OutboxRow, Page,
    PlanRow, PlanSummary, Progress, ProgressView, Published, RecordedLog, RequestCompletion, RequestKey, RequestRow,
    RequestState, RequestStatus, SaleCounts, Schedule, ScheduleView, Slot, StateTable,
};
pub use uses::{FrontStore, NotifierStore, OpsStore, OwnerStore, RetentionStore, Store};
pub use webhook::{
    Cursor, Disabled, FailedEvent, Failure, Lease, OnFailure, PARTITION_EVENTS, ProgressState, StartFrom,
    WEBHOOK_NOTES_KEPT, Webhook, WebhookAct, WebhookContent, WebhookFormat, WebhookNote, WebhookProgress,
    WebhookSecret, WebhookStart, Why, place,
};

use crate::domain::{Lane, LanePartition};
use crate::log::{PartitionCounts, Topic};

/// All partitions of all lanes of a log.
pub fn lane_partitions(counts: &PartitionCounts) -> impl Iterator<Item = LanePartition> + '_ {
    Lane::ALL
        .into_iter()
        .flat_map(move |lane| (0..counts.of(Topic::Lane(lane))).map(move |partition| LanePartition { lane, partition }))
}
