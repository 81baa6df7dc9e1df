//! Whether anything can be bought, from what the blocks have said.

use super::{Queue, Sale, SaleClock, SaleMs};
use crate::domain::LogTime;
use crate::domain::block::SaleState;

/// What the blocks offer together: the best state that any has, and the window of those that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    state: SaleState,
    /// `None`: at once.
    opens_at: Option<LogTime>,
    starts_at: LogTime,
}

impl Offer {
    /// A block that has sent no note counts as open, within the window the queue was opened with.
    pub fn of(row: &Queue) -> Offer {
        let opened = Offer { state: SaleState::Open, opens_at: row.sales_open_at, starts_at: row.starts_at };
        let blocks = row.sale.values().map(|note| {
            note.map_or(opened, |note| Offer {
                state: note.state,
                opens_at: note.sales_open_at,
                starts_at: note.starts_at,
            })
        });
        // The states are declared from best to worst.
        blocks.reduce(Offer::best_of).unwrap_or(opened)
    }

    fn best_of(self, other: Offer) -> Offer {
        match self.state.cmp(&other.state) {
            std::cmp::Ordering::Less => self,
            std::cmp::Ordering::Greater => other,
            std::cmp::Ordering::Equal => Offer {
                state: self.state,
                opens_at: self.opens_at.min(other.opens_at),
                starts_at: self.starts_at.max(other.starts_at),
            },
        }
    }

    fn opened_by(&self, time: LogTime) -> bool {
        self.opens_at.is_none_or(|at| at <= time)
    }

    /// Besides a pause.
    pub fn sale(&self, time: LogTime) -> Sale {
        match self.state {
            SaleState::Cancelled => Sale::Cancelled,
            _ if self.starts_at <= time => Sale::Closed,
            _ if !self.opened_by(time) => Sale::Lobby,
            SaleState::Open => Sale::Open,
            SaleState::AllHeld => Sale::AllHeld,
            SaleState::SoldOut => Sale::SoldOut,
        }
    }

    /// The first time from this one on at which something can be bought, as far as is known.
    pub fn open_from(&self, time: LogTime) -> Option<LogTime> {
        let from = self.opens_at.map_or(time, |opens_at| opens_at.max(time));
        (self.state == SaleState::Open && from < self.starts_at).then_some(from)
    }

    fn runs(&self, paused: bool) -> bool {
        !paused && matches!(self.state, SaleState::Open | SaleState::AllHeld)
    }

    /// The clock at this time, if nothing has changed since `clock.at`.
    pub fn read(&self, clock: &SaleClock, paused: bool, time: LogTime) -> SaleMs {
        let from = self.opens_at.map_or(clock.at, |opens_at| opens_at.max(clock.at));
        let to = time.min(self.starts_at);
        clock.now.plus_ms(if self.runs(paused) { (to.0 - from.0).max(0) } else { 0 })
    }

    /// When the clock reaches `target`; `None`: not as things stand.
    pub fn reaches(&self, clock: &SaleClock, paused: bool, target: SaleMs) -> Option<LogTime> {
        if target <= clock.now {
            return Some(clock.at);
        }
        let from = self.opens_at.map_or(clock.at, |opens_at| opens_at.max(clock.at));
        let at = from.plus_ms(target.0.saturating_sub(clock.now.0));
        (self.runs(paused) && at <= self.starts_at).then_some(at)
    }
}

impl Queue {
    pub fn paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// How the sale stands at this time.
    pub fn sale_at(&self, time: LogTime) -> Sale {
        match Offer::of(self).sale(time) {
            Sale::Open | Sale::AllHeld if self.paused() => Sale::Paused,
            sale => sale,
        }
    }

    /// When the lobby ends, if there is one at this time.
    pub fn opens_at(&self, time: LogTime) -> Option<LogTime> {
        let offer = Offer::of(self);
        offer.opens_at.filter(|_| offer.sale(time) == Sale::Lobby)
    }
}
