//! What many read at once, from memory.
//!
//! [`snapshot_cache`] shares one read among all who ask; [`snapshots`] are the caches of that kind. [`seat_map`] holds the
//! seats of a date, [`seat_offsets`] how far along the log that is, [`seat_watch`] streams changes. The seats are read once
//! and kept up by outcomes: [`live_maps`] has the dates, `live_date` what is known of one and whether to believe it,
//! `live_map` its seats, `seat_news` what an outcome says of them. [`schedule_facts`] remembers what never changes about a
//! date, [`plans`] seating plans, [`probes`] whether log and store answer.

mod live_date;
mod live_map;
pub mod live_maps;
pub mod plans;
pub mod probes;
pub mod schedule_facts;
pub mod seat_map;
mod seat_news;
pub mod seat_offsets;
pub mod seat_watch;
pub mod snapshot_cache;
pub mod snapshots;
