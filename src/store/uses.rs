//! The capabilities that each part of the program uses.

use super::ports::{
    AggregateLoads, AuditReads, Catalog, DeadLetters, Interventions, LogBinding, Operations, Outbox, Ownership, Reads,
    Retention, Snapshots, Timers, Webhooks,
};

/// What an owner of partitions uses.
pub trait OwnerStore: Ownership + AggregateLoads + Timers + Outbox + Interventions {}
impl<S: Ownership + AggregateLoads + Timers + Outbox + Interventions + ?Sized> OwnerStore for S {}

/// What the notifier uses.
pub trait NotifierStore: Webhooks + Catalog + Reads + Operations {}
impl<S: Webhooks + Catalog + Reads + Operations + ?Sized> NotifierStore for S {}

/// What the front door uses.
pub trait FrontStore: Catalog + Reads + Webhooks {}
impl<S: Catalog + Reads + Webhooks + ?Sized> FrontStore for S {}

/// What the ops page and the front door of the same process use.
pub trait OpsStore: FrontStore + Ownership + DeadLetters + Interventions + Operations + AuditReads {}
impl<S: FrontStore + Ownership + DeadLetters + Interventions + Operations + AuditReads + ?Sized> OpsStore for S {}

/// What deleting old rows uses.
pub trait RetentionStore: Retention + Reads + Interventions {}
impl<S: Retention + Reads + Interventions + ?Sized> RetentionStore for S {}

/// All of it, for the place that opens a store and hands out its parts.
pub trait Store:
    OwnerStore + OpsStore + NotifierStore + RetentionStore + Snapshots + LogBinding + Send + Sync + 'static
{
}
impl<S> Store for S where
    S: OwnerStore + OpsStore + NotifierStore + RetentionStore + Snapshots + LogBinding + Send + Sync + 'static
{
}
