//! What many read at once, from memory.
//!
//! [`snapshot_cache`] shares one read among all who ask; [`snapshots`] are the caches of that kind. [`seat_map`] holds the
//! seats of a date, [`seat_offsets`] how far along the log that is, [`seat_watch`] streams changes. [`schedule_facts`] remembers what
//! never changes about a date, [`plans`] seating plans, [`probes`] whether log and store answer.

pub mod plans;
pub mod probes;
pub mod schedule_facts;
pub mod seat_map;
pub mod seat_offsets;
pub mod seat_watch;
pub mod snapshot_cache;
pub mod snapshots;
