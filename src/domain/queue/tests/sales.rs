//! The sale of the naive model: all that ever held, from when on.

use super::model::Model;
use super::offer::offer;
use super::*;

impl Model {
    /// How the sale stands now, besides a pause.
    pub fn sale(&self) -> Sale {
        let row = self.row.as_ref().expect("open");
        let (state, opens, starts) = offer(row, &row.sale);
        match state {
            SaleState::Cancelled => Sale::Cancelled,
            _ if self.now >= starts => Sale::Closed,
            _ if self.now < opens => Sale::Lobby,
            SaleState::SoldOut => Sale::SoldOut,
            SaleState::AllHeld => Sale::AllHeld,
            SaleState::Open => Sale::Open,
        }
    }

    pub(super) fn remember_sale(&mut self) {
        let Some(row) = &self.row else { return };
        let (now, held) = (self.now, (row.sale.clone(), row.paused()));
        if self.sales.last().is_none_or(|(_, sale, paused)| (sale, paused) != (&held.0, &held.1)) {
            self.sales.push((now, held.0, held.1));
        }
    }

    /// Milliseconds up to this time, which may lie ahead, during which seats were on sale or held and nothing paused.
    pub fn on_sale_ms(&self, time: i64) -> i64 {
        let row = self.row.as_ref().expect("open");
        let until = |index: usize| self.sales.get(index + 1).map_or(time, |(next, _, _)| *next).min(time);
        let spans = self.sales.iter().enumerate().map(|(index, (from, notes, paused))| {
            let (state, opens, starts) = offer(row, notes);
            let runs = matches!(state, SaleState::Open | SaleState::AllHeld) && !paused;
            if runs { (until(index).min(starts) - (*from).max(opens)).max(0) } else { 0 }
        });
        spans.sum()
    }

    /// When that comes to this much, if nothing changes.
    pub fn on_sale_at(&self, target: i64) -> Option<i64> {
        let row = self.row.as_ref().expect("open");
        let missing = target - self.on_sale_ms(self.now);
        if missing <= 0 {
            return Some(self.now);
        }
        let (state, opens, starts) = offer(row, &row.sale);
        let at = self.now.max(opens) + missing;
        let runs = matches!(state, SaleState::Open | SaleState::AllHeld) && !row.paused();
        (runs && at <= starts).then_some(at)
    }
}
