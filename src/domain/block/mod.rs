//! The seats that one owner decides together: by default all of a date. Key `{schedule_id}/{block}`, lane `seats`.
//!
//! `rows` has the rows; `command` what may be asked, and the replies; `state` the block in memory with its indexes
//! (`section`, `stretches`), `apply` how rows get there; `draft` a decision in the making; `rules` finds the rule of a
//! command, and has one file a command.

pub mod command;
pub mod layout;

mod apply;
mod counts;
mod draft;
mod money;
mod rows;
mod rules;
mod sale;
mod section;
mod state;
mod stretches;
#[cfg(test)]
mod tests;

pub use command::*;
pub use counts::{CountTable, Counts};
pub use layout::{CATEGORIES_MAX, Category, Layout, LayoutParts, SECTION_SEATS_MAX, Span};
pub use rows::*;
pub use state::Block;

/// Most sections of a block.
pub const SECTIONS_MAX: usize = 500;
/// Most seats of a block.
pub const SEATS_MAX: u32 = 200_000;
/// Most seats one hold can name, and the highest `max_seats_per_user`.
pub const SEATS_PER_HOLD_MAX: u32 = 100;
/// Longest hold: one day.
pub const HOLD_TTL_MS_MAX: i64 = 86_400_000;
/// Longest wait of a payment before it is asked for again.
pub const PAYMENT_TIMEOUT_MS_MAX: i64 = 3_600_000;
/// Most rows that one decision which works through a list changes; the rest is due at once.
pub const LIST_ROWS_MAX: usize = 4_000;
/// Most reservations that one record of a cancelled block ends or pays back.
pub const SWEEP_MAX: usize = 500;
