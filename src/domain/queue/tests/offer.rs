//! What the blocks of a date offer together, in the plainest words.

use super::*;

/// The best state that any block has, and from when to when those that have it are on sale.
pub fn offer(row: &Queue, notes: &BTreeMap<BlockName, Option<SaleNote>>) -> (SaleState, i64, i64) {
    let none =
        SaleNote { version: 0, state: SaleState::Open, sales_open_at: row.sales_open_at, starts_at: row.starts_at };
    let notes: Vec<SaleNote> = notes.values().map(|note| note.unwrap_or(none)).collect();
    let rank = |state| {
        [SaleState::Open, SaleState::AllHeld, SaleState::SoldOut, SaleState::Cancelled]
            .iter()
            .position(|other| *other == state)
    };
    let best = notes.iter().map(|note| note.state).min_by_key(|state| rank(*state)).expect("a block");
    let of_best = || notes.iter().filter(|note| note.state == best);
    let opens = of_best().map(|note| note.sales_open_at.map_or(i64::MIN, |at| at.0)).min();
    let starts = of_best().map(|note| note.starts_at.0).max();
    (best, opens.expect("a block"), starts.expect("a block"))
}
