//! What a block tells the queue of its date.

use super::{BlockRow, Counts, SaleNote, SaleState};
use crate::domain::{Arrival, Body, LogTime, queue};

impl BlockRow {
    /// Whether companion seats are counted as ordinary seats: their time had come when this row was written.
    pub fn companions_free(&self) -> bool {
        self.companions_free_by(self.changed.time)
    }

    pub(super) fn companions_free_by(&self, time: LogTime) -> bool {
        self.terms.companions_free_at.is_some_and(|at| at <= time)
    }

    pub fn sale_state(&self) -> SaleState {
        let buyable = |counts: &Counts| counts.free > counts.blocked + counts.companions;
        if self.cancelled.is_some() {
            SaleState::Cancelled
        } else if self.counts.all().iter().any(buyable) {
            SaleState::Open
        } else if self.pending > 0 {
            SaleState::AllHeld
        } else {
            SaleState::SoldOut
        }
    }
}

/// The note to the queue, if the row says something else than the last one.
pub(super) fn note(row: &mut BlockRow, at: &Arrival) -> Option<Body> {
    if !row.queue {
        return None;
    }
    let (sales_open_at, starts_at) = (row.terms.sales_open_at, row.terms.starts_at);
    let note = SaleNote { version: at.position.offset, state: row.sale_state(), sales_open_at, starts_at };
    if row.noted.is_some_and(|noted| SaleNote { version: note.version, ..noted } == note) {
        return None;
    }
    row.noted = Some(note);
    let (schedule_id, block) = (row.key.schedule_id, row.key.block.clone());
    Some(Body::Queues(queue::Command::NoteSale(queue::NoteSale { schedule_id, block, note })))
}
