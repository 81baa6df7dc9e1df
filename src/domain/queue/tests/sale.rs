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

fn windowed(block: &str, version: u64, state: SaleState, opens: Option<i64>, starts: i64) -> Command {
    let (sales_open_at, starts_at) = (opens.map(LogTime), LogTime(starts));
    let note = SaleNote { version, state, sales_open_at, starts_at };
    Command::NoteSale(NoteSale { schedule_id: SCHEDULE, block: block.parse().expect("a block name"), note })
}

fn opening_at(at: i64) -> Fixture {
    let Command::OpenQueue(opening) = open(limits()) else { panic!() };
    let mut fixture = Fixture { now: 1_000_000, ..Fixture::default() };
    fixture.run(Command::OpenQueue(OpenQueue { sales_open_at: Some(LogTime(at)), ..opening }));
    fixture
}

fn both(fixture: &mut Fixture, version: u64, state: SaleState) -> Decision<QueueState> {
    fixture.run(note("east", version, state));
    fixture.run(note("main", version, state))
}

fn sale(fixture: &Fixture) -> Sale {
    fixture.row().sale_at(LogTime(fixture.now))
}

fn code(decision: &Decision<QueueState>) -> Code {
    match &decision.verdict {
        Verdict::Decided(Err(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn f53_q10_nobody_is_admitted_in_the_lobby_and_each_has_a_full_turn_after_it() {
    let mut fixture = opening_at(1_006_000);
    (1..=4).for_each(|number| drop(fixture.run(join(number))));
    fixture.run(configure(LimitsPatch::default(), None, Some(2)));
    assert_eq!((fixture.live().as_str(), sale(&fixture)), ("1W 2W 3W 4W", Sale::Lobby));
    assert_eq!(fixture.row().opens_at(LogTime(fixture.now)), Some(LogTime(1_006_000)));
    assert_eq!(fixture.state().next_due(), Some(LogTime(1_006_000)));
    assert!(fixture.after(5_999).run(tick()).changes.is_empty());
    let decision = fixture.after(1).run(tick());
    assert_eq!((text(&decision.effects.admitted).as_str(), sale(&fixture)), ("1A 2A", Sale::Open));
    let until = decision.effects.admitted[0].state.turn().map(|turn| turn.until);
    assert_eq!(until, Some(LogTime(fixture.now + 1_000)));
}

#[test]
fn an_opening_that_moves_later_returns_who_waits_to_the_lobby_and_turns_go_on() {
    let mut fixture = opening_at(1_006_000);
    (1..=4).for_each(|number| drop(fixture.run(join(number))));
    fixture.after(6_000).run(tick());
    for block in ["east", "main"] {
        fixture.run(windowed(block, 7, SaleState::Open, Some(1_020_000), 9_000_000));
    }
    fixture.run(leave(1));
    assert_eq!((fixture.live().as_str(), sale(&fixture)), ("2A 3W 4W", Sale::Lobby));
    fixture.run(leave(2));
    assert_eq!(fixture.state().next_due(), Some(LogTime(1_020_000)));
    fixture.now = 1_020_000;
    assert_eq!(text(&fixture.run(tick()).effects.admitted), "3A 4A");
}

#[test]
fn f53_q14_sold_out_admits_nobody_refuses_joins_and_keeps_the_places() {
    let mut fixture = Fixture::opened(limits());
    (1..=4).for_each(|number| drop(fixture.run(join(number))));
    fixture.run(seen(&[1, 2]));
    both(&mut fixture, 5, SaleState::SoldOut);
    fixture.run(complete(1));
    assert_eq!((fixture.live().as_str(), sale(&fixture)), ("2A 3W 4W", Sale::SoldOut));
    assert_eq!(code(&fixture.run(join(5))), Code::SalesClosed);
    assert_eq!(fixture.joined(3).0.sequence, 3, "a live token is given again");
    fixture.run(configure(LimitsPatch::default(), None, Some(2)));
    let decision = fixture.after(1_000).run(tick());
    assert_eq!((text(&decision.effects.ended).as_str(), fixture.live().as_str()), ("2E", "3W 4W"), "not requeued");
    assert_eq!(fixture.state().next_due(), None);
    let decision = fixture.run(note("main", 6, SaleState::Open));
    assert_eq!(text(&decision.effects.admitted), "3A 4A", "a refund reopens");
}

#[test]
fn q14_all_held_admits_nobody_and_takes_joins() {
    let mut fixture = Fixture::opened(limits());
    (1..=3).for_each(|number| drop(fixture.run(join(number))));
    both(&mut fixture, 5, SaleState::AllHeld);
    fixture.run(leave(1));
    fixture.run(leave(2));
    assert_eq!((fixture.joined(4).0.state, sale(&fixture)), (TokenState::Waiting, Sale::AllHeld));
    assert_eq!(text(&fixture.run(note("east", 6, SaleState::Open)).effects.admitted), "3A 4A");
    fixture.run(configure(LimitsPatch::default(), Some(true), None));
    assert_eq!(sale(&fixture), Sale::Paused);
}

#[test]
fn a_date_that_began_is_closed_and_one_that_is_cancelled_is_cancelled() {
    for (state, starts, expected, refused) in [
        (SaleState::Open, 1_000_000, Sale::Closed, Code::SalesClosed),
        (SaleState::Cancelled, 9_000_000, Sale::Cancelled, Code::ShowCancelled),
    ] {
        let mut fixture = Fixture::opened(limits());
        (1..=3).for_each(|number| drop(fixture.run(join(number))));
        for block in ["east", "main"] {
            fixture.run(windowed(block, 1, state, None, starts));
        }
        assert_eq!((sale(&fixture), code(&fixture.run(join(4)))), (expected, refused));
        fixture.run(leave(1));
        assert_eq!((fixture.live().as_str(), fixture.joined(3).0.sequence), ("2A 3W", 3));
    }
}

#[test]
fn a_date_is_the_best_of_its_blocks() {
    use SaleState::*;
    for (east, main, expected) in [
        (Open, Cancelled, Sale::Open),
        (SoldOut, AllHeld, Sale::AllHeld),
        (SoldOut, Cancelled, Sale::SoldOut),
        (Cancelled, Cancelled, Sale::Cancelled),
    ] {
        let mut fixture = Fixture::opened(limits());
        fixture.run(note("main", 1, main));
        assert_eq!(sale(&fixture), Sale::Open, "the other has sent no note yet");
        fixture.run(note("east", 1, east));
        assert_eq!(sale(&fixture), expected);
    }
    // The window is that of the blocks that are best.
    let mut fixture = Fixture::opened(limits());
    fixture.run(windowed("east", 1, Open, Some(1_500_000), 9_000_000));
    fixture.run(windowed("main", 1, SoldOut, None, 9_000_000));
    assert_eq!(sale(&fixture), Sale::Lobby);
}
