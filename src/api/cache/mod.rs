//! What many read at once, from memory: [`snapshots`] share one read among all who ask, [`seat_map`] holds the seats of a
//! schedule, [`seat_watch`] streams their changes, [`queued_schedules`] knows which schedules have a queue.

pub mod queued_schedules;
pub mod seat_map;
pub mod seat_watch;
pub mod snapshots;
