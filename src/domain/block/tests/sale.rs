//! What the queue is sent, and when.

use super::fixture::*;
use crate::domain::block::{AmendBlock, Block, Command, OpenBlock, Reply, SaleNote, SaleState, Terms};
use crate::domain::{Body, Decision, LogTime, queue};

fn notes(decision: &Decision<Block>) -> Vec<SaleNote> {
    let note = |body: &Body| match body {
        Body::Queues(queue::Command::NoteSale(note)) => {
            assert_eq!((note.schedule_id, &note.block), (key().schedule_id, &key().block));
            Some(note.note)
        }
        _ => None,
    };
    decision.follow_ups.iter().filter_map(note).collect()
}

fn states(decision: &Decision<Block>) -> Vec<SaleState> {
    notes(decision).into_iter().map(|note| note.state).collect()
}

#[test]
fn the_queue_is_sent_the_sale_whenever_it_changes_and_only_then() {
    let mut hall = Hall::closed();
    let sections = vec![plain("A", 2, PRICE)];
    let opened = hall.run(0, Command::OpenBlock(OpenBlock { sections, ..opening() }));
    let (sales_open_at, starts_at) = (Some(LogTime(SALES_OPEN_AT)), LogTime(STARTS_AT));
    assert_eq!(notes(&opened), [SaleNote { version: 0, state: SaleState::Open, sales_open_at, starts_at }]);
    assert_eq!(states(&hall.hold(2_000, "ann", &[1])), []);
    let all_held = hall.hold(2_000, "bob", &[2]);
    let version = hall.log.len() as u64 - 1;
    assert_eq!(notes(&all_held), [SaleNote { version, state: SaleState::AllHeld, sales_open_at, starts_at }]);
    let (ann, bob) = (held_id(&hall, 0), held_id(&hall, 1));
    let origin = hall.paying(2_001, "ann", ann);
    assert_eq!(states(&hall.run(2_002, settle("ann", &origin, PRICE, DEBITED))), []);
    let origin = hall.paying(2_003, "bob", bob);
    assert_eq!(states(&hall.run(2_004, settle("bob", &origin, PRICE, DEBITED))), [SaleState::SoldOut]);
    assert_eq!(states(&hall.run(2_005, cancel("ann", ann))), [SaleState::Open]);
    assert_eq!(states(&hall.run(2_006, cancel_show())), [SaleState::Cancelled]);
    assert!(hall.expire_all(2_007).iter().all(|decision| notes(decision).is_empty()));
}

fn held_id(hall: &Hall, index: usize) -> crate::domain::ReservationId {
    *hall.block().live.iter().nth(index).unwrap()
}

#[test]
fn times_that_are_amended_are_sent_too() {
    let mut hall = Hall::with_seats(2);
    let amend = AmendBlock { sales_open_at: Some(None), starts_at: Some(LogTime(77_000)), ..amending() };
    let [note] = notes(&hall.run(2_000, Command::AmendBlock(amend.clone()))).try_into().unwrap();
    assert_eq!((note.sales_open_at, note.starts_at, note.version), (None, LogTime(77_000), 1));
    assert_eq!(notes(&hall.run(2_001, Command::AmendBlock(amend))), []);
}

#[test]
fn a_block_without_a_queue_sends_nothing() {
    let mut hall = Hall::opened(OpenBlock { queue: false, sections: vec![plain("A", 1, 0)], ..opening() });
    let hold = hall.hold(2_000, "ann", &[1]);
    let paid = hall.run(2_000, pay("ann", held(&hold).id, None));
    let cancelled = hall.run(2_000, cancel_show());
    assert!([hold, paid, cancelled].iter().all(|decision| decision.follow_ups.is_empty()));
}

#[test]
fn companion_seats_alone_are_all_held_until_their_time_has_come_and_is_recorded() {
    let free_at = LogTime(500_000);
    let terms = Terms { companions_free_at: Some(free_at), ..terms() };
    let layout = super::layouts::with_companion();
    let sections = vec![crate::domain::block::NewSection { name: name("A"), layout }];
    let mut hall = Hall::opened(OpenBlock { terms, sections, ..opening() });
    assert_eq!(hall.row().due_at, Some(free_at));
    // Seat 3 is the companion of place 4.
    assert_eq!(states(&hall.hold(2_000, "ann", &[1, 2, 4])), [SaleState::AllHeld]);
    let id = held_id(&hall, 0);
    let origin = hall.paying(2_000, "ann", id);
    assert_eq!(states(&hall.run(2_001, settle("ann", &origin, 3 * PRICE, DEBITED))), [SaleState::SoldOut]);
    assert_eq!(hall.row().due_at, Some(free_at));
    let recorded = hall.run(500_000, expire());
    assert!(matches!(succeeded(&recorded), Reply::HoldsExpired { asked: 0, refunds: 0, .. }));
    assert_eq!((states(&recorded), hall.row().due_at), (vec![SaleState::Open], None));
    assert_eq!(numbers(&held(&hall.run(500_001, best("bob", 1)))), [3]);
}
