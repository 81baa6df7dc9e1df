//! What the queue keeps of its date: the sales window, and the newest note of each block.

use super::*;

fn noted(fixture: &Fixture) -> Vec<(String, Option<(u64, SaleState)>)> {
    let kept = fixture.row().sale.iter();
    kept.map(|(block, note)| (block.to_string(), note.map(|note| (note.version, note.state)))).collect()
}

#[test]
fn opening_keeps_the_window_and_the_blocks_and_a_repeat_changes_neither() {
    let Command::OpenQueue(mut opening) = open(limits()) else { panic!() };
    opening.sales_open_at = Some(LogTime(5_000_000));
    let mut fixture = Fixture { now: 1_000_000, ..Fixture::default() };
    fixture.run(Command::OpenQueue(opening.clone()));
    assert_eq!((fixture.row().sales_open_at, fixture.row().starts_at), (opening.sales_open_at, LogTime(9_000_000)));
    assert_eq!(noted(&fixture), [("east".into(), None), ("main".into(), None)]);
    let row = fixture.row().clone();
    fixture.run(open(limits()));
    assert_eq!(fixture.row(), &row);
}

#[test]
fn the_newest_note_of_each_block_is_kept() {
    let mut fixture = Fixture::opened(limits());
    let (east, main) = ("east".to_string(), "main".to_string());
    // (note, what is kept of main)
    let cases = [
        (5, SaleState::AllHeld, (5, SaleState::AllHeld)),
        (3, SaleState::Open, (5, SaleState::AllHeld)),
        (5, SaleState::Open, (5, SaleState::AllHeld)),
        (6, SaleState::SoldOut, (6, SaleState::SoldOut)),
        (7, SaleState::Cancelled, (7, SaleState::Cancelled)),
    ];
    for (version, state, kept) in cases {
        let was = fixture.row().clone();
        let decision = fixture.run(note("main", version, state));
        assert_eq!(decision.verdict, Verdict::Decided(Ok(Reply::SaleNoted { schedule_id: SCHEDULE }.into())));
        assert_eq!(noted(&fixture), [(east.clone(), None), (main.clone(), Some(kept))]);
        assert_eq!(decision.changes.is_empty(), was == *fixture.row());
    }
    // Offset 0 is a version too.
    fixture.run(note("east", 0, SaleState::Open));
    assert_eq!(noted(&fixture)[0], (east, Some((0, SaleState::Open))));
}

#[test]
fn a_note_of_a_block_that_the_queue_was_not_opened_with_is_passed_over() {
    let mut fixture = Fixture::opened(limits());
    let decision = fixture.run(note("west", 1, SaleState::SoldOut));
    assert_eq!(decision.verdict, Verdict::Decided(Ok(Reply::SaleNoted { schedule_id: SCHEDULE }.into())));
    assert_eq!((decision.changes, noted(&fixture).len()), (vec![], 2));
}
