//! How the sale of a date stands, and for how long it has run.

use crate::domain::LogTime;
use crate::domain::texts::texts;

texts! {
    /// How the sale of a date stands.
    pub enum Sale ("a sale state") {
        /// Before the sale: users join and keep places, nobody is admitted.
        Lobby = "lobby",
        Open = "open",
        /// By the operator.
        Paused = "paused",
        /// No seat is free, but some are held.
        AllHeld = "all_held",
        /// Those who wait keep their places, in case a seat comes back.
        SoldOut = "sold_out",
        /// The date has begun.
        Closed = "closed",
        Cancelled = "cancelled",
    }
}

/// Time during which seats were on sale, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaleMs(pub i64);

impl SaleMs {
    pub fn plus_ms(self, ms: i64) -> SaleMs {
        SaleMs(self.0.saturating_add(ms))
    }
}

/// Runs while the sale is open or all seats are held, and stands during a pause: what bounds an absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleClock {
    pub now: SaleMs,
    /// The log time of `now`.
    pub at: LogTime,
}

impl Sale {
    /// Nobody who is new may join.
    pub fn is_over(self) -> bool {
        matches!(self, Sale::SoldOut | Sale::Closed | Sale::Cancelled)
    }
}
