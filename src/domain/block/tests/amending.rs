//! `amend_block`: seats, prices, flags, times.

use super::fixture::*;
use crate::domain::block::{
    AmendBlock, AmendSection, Category, Command, Layout, LayoutParts, NewSection, OpenBlock, Reply, Row, Span,
};
use crate::domain::{Code, LogTime};

fn span(first: u32, last: u32) -> Span {
    Span { first, last }
}

fn section(change: impl FnOnce(&mut AmendSection)) -> Command {
    let mut section = AmendSection { name: name("A"), layout: None, prices: Vec::new(), not_for_sale: None };
    change(&mut section);
    Command::AmendBlock(AmendBlock { sections: vec![section], ..amending() })
}

/// Ten seats of section A and ten more in a row of their own.
fn twenty() -> LayoutParts {
    LayoutParts {
        seats: 20,
        runs: vec![span(1, 10), span(11, 20)],
        categories: vec![
            Category { name: "A".parse().unwrap(), price: amount(PRICE) },
            Category { name: "new".parse().unwrap(), price: amount(50) },
        ],
        category_runs: vec![(span(1, 10), 0), (span(11, 20), 1)],
        ..LayoutParts::default()
    }
}

fn layout(parts: LayoutParts) -> Command {
    section(|section| section.layout = Some(Layout::new(parts).unwrap()))
}

#[test]
fn seats_are_appended_as_new_runs_and_can_be_held() {
    let mut hall = Hall::with_seats(10);
    hall.held(2_000, "ann", &[9, 10]);
    let decision = hall.run(2_001, layout(twenty()));
    assert_eq!(succeeded(&decision), Reply::BlockAmended { key: key(), sections: 1, seats: 20, cancelled: false });
    assert!(matches!(decision.changes.as_slice(), [Row::Block(_), Row::Section(_)]));
    assert_eq!((hall.row().counts[0][0].free, hall.row().counts[0][1].free), (8, 10));
    let reservation = held(&hall.run(2_002, choose("bob", crate::domain::block::Choice::Seats(vec![seat(20)]))));
    assert_eq!(reservation.amount, amount(50));
    assert_eq!(hall.run(2_003, layout(twenty())).changes, [], "a repeat changes nothing");
}

#[test]
fn seats_so_far_keep_their_runs_categories_and_places() {
    type Change = fn(&mut LayoutParts);
    let changes: [(&str, Change); 5] = [
        ("a run grows", |p| p.runs = vec![span(1, 20)]),
        ("a run is cut", |p| p.runs = vec![span(1, 5), span(6, 10), span(11, 20)]),
        ("a category moves", |p| p.category_runs = vec![(span(1, 9), 0), (span(10, 20), 1)]),
        ("a category is renamed", |p| p.categories[0].name = "other".parse().unwrap()),
        ("a wheelchair place", |p| p.wheelchair = vec![span(3, 3)]),
    ];
    for (what, change) in changes {
        let mut parts = twenty();
        change(&mut parts);
        assert_eq!(refused(&Hall::with_seats(10).run(2_000, layout(parts))), Code::BlockConflict, "{what}");
    }
    let fewer = plain("A", 9, PRICE).layout;
    assert_eq!(refused(&Hall::with_seats(10).run(2_000, layout(fewer.parts().clone()))), Code::BlockConflict);
    let mut parts = twenty();
    (parts.wheelchair, parts.companions) = (vec![span(15, 15)], vec![(14, 15)]);
    parts.category_runs = vec![(span(1, 4), 0), (span(5, 10), 0), (span(11, 20), 1)];
    succeeded(&Hall::with_seats(10).run(2_000, layout(parts)));
}

#[test]
fn prices_apply_to_later_holds_and_what_is_held_keeps_its_own() {
    let mut hall = Hall::with_seats(10);
    let before = hall.held(2_000, "ann", &[1]);
    let dearer = section(|section| section.prices = vec![("A".parse().unwrap(), amount(999))]);
    succeeded(&hall.run(2_001, dearer.clone()));
    assert_eq!(hall.held(2_002, "bob", &[2]).amount, amount(999));
    assert_eq!(hall.reservation(before.id).amount, amount(PRICE));
    hall.paying(2_003, "ann", before.id);
    assert_eq!(hall.run(2_003, dearer).changes, [], "a repeat changes nothing");
    let unknown = section(|section| section.prices = vec![("B".parse().unwrap(), amount(999))]);
    assert_eq!(refused(&hall.run(2_004, unknown)), Code::BlockConflict);
}

#[test]
fn not_for_sale_takes_effect_while_a_seat_is_free() {
    let mut hall = Hall::with_seats(10);
    let id = hall.held(2_000, "ann", &[1]).id;
    let blocked = |spans: Vec<Span>| section(|section| section.not_for_sale = Some(spans));
    succeeded(&hall.run(2_001, blocked(vec![span(1, 4)])));
    let counts = hall.row().counts[0][0];
    assert_eq!((counts.free, counts.blocked), (9, 3));
    assert_eq!(refused(&hall.hold(2_002, "bob", &[2])), Code::SeatNotForSale);
    assert_eq!(numbers(&held(&hall.run(2_002, best("bob", 1)))), [5]);
    hall.paying(2_003, "ann", id);
    assert_eq!(hall.picture(), "p...h.....", "a hold goes on");
    succeeded(&hall.run(2_004, blocked(vec![])));
    assert_eq!(numbers(&held(&hall.run(2_005, best("cat", 3)))), [2, 3, 4]);
    for bad in [vec![span(9, 11)], vec![span(3, 2)]] {
        assert_eq!(refused(&hall.run(2_006, blocked(bad))), Code::BlockConflict);
    }
}

#[test]
fn a_flag_is_not_undone_when_a_run_out_hold_ends() {
    let mut hall = Hall::with_seats(3);
    hall.held(2_000, "ann", &[1, 2]);
    succeeded(&hall.run(2_001, section(|section| section.not_for_sale = Some(vec![span(1, 1)]))));
    hall.expire_all(2_000 + HOLD_TTL_MS);
    let counts = hall.row().counts[0][0];
    assert_eq!((counts.free, counts.blocked), (3, 1));
    assert_eq!(numbers(&held(&hall.run(2_000 + HOLD_TTL_MS, best("bob", 2)))), [2, 3]);
}

#[test]
fn sections_are_appended_and_one_that_is_there_with_equal_content_is_left_alone() {
    let mut hall = Hall::with_seats(2);
    let with = |sections: Vec<NewSection>| Command::AmendBlock(AmendBlock { new_sections: sections, ..amending() });
    let decision = hall.run(2_000, with(vec![plain("B", 3, 70), plain("A", 2, PRICE), plain("C", 1, 5)]));
    assert_eq!(succeeded(&decision), Reply::BlockAmended { key: key(), sections: 3, seats: 6, cancelled: false });
    assert_eq!(numbers(&held(&hall.run(2_001, best("ann", 3)))), [1, 2, 3]);
    assert_eq!(hall.row().counts.len(), 3);
    assert_eq!(hall.run(2_002, with(vec![plain("B", 3, 70)])).changes, []);
    for other in [vec![plain("B", 4, 70)], vec![plain("D", 1, 1), plain("D", 2, 1)]] {
        assert_eq!(refused(&hall.run(2_003, with(other))), Code::BlockConflict);
    }
    let many = (0..500).map(|n| plain(&format!("S{n}"), 1, 1)).collect();
    assert_eq!(refused(&hall.run(2_004, with(many))), Code::BlockConflict);
}

#[test]
fn a_section_that_is_not_there_cannot_be_amended() {
    let mut hall = Hall::with_seats(2);
    assert_eq!(refused(&hall.run(2_000, section(|section| section.name = name("B")))), Code::SectionNotFound);
}

#[test]
fn the_sales_window_moves_and_the_start_only_to_a_time_that_has_not_come() {
    let mut hall = Hall::with_seats(3);
    let amend = |amend| Command::AmendBlock(amend);
    let to = |starts_at: i64| amend(AmendBlock { starts_at: Some(LogTime(starts_at)), ..amending() });
    assert_eq!(refused(&hall.run(2_000, to(2_000))), Code::BlockConflict);
    succeeded(&hall.run(2_000, to(2_001)));
    assert_eq!(refused(&hall.hold(2_001, "ann", &[1])), Code::SalesClosed);
    assert_eq!(hall.run(2_001, to(2_001)).changes, [], "a repeat changes nothing, however late");
    succeeded(&hall.run(2_002, to(STARTS_AT)));
    hall.held(2_003, "ann", &[1]);
    let close = AmendBlock { sales_close_at: Some(Some(LogTime(3_000))), ..amending() };
    succeeded(&hall.run(2_004, amend(close)));
    assert_eq!(refused(&hall.hold(3_000, "bob", &[2])), Code::SalesClosed);
    let window = AmendBlock { sales_close_at: Some(None), sales_open_at: Some(Some(LogTime(90_000))), ..amending() };
    succeeded(&hall.run(3_001, amend(window)));
    assert_eq!(refused(&hall.hold(29_999, "bob", &[2])), Code::SalesClosed);
    hall.held(30_000, "bob", &[2]);
}

#[test]
fn a_cancelled_show_cannot_be_amended_and_cancelling_again_changes_nothing() {
    let mut hall = Hall::with_seats(3);
    let both = AmendBlock { cancelled: true, starts_at: Some(LogTime(5_000)), ..amending() };
    let decision = hall.run(2_000, Command::AmendBlock(both.clone()));
    assert!(matches!(succeeded(&decision), Reply::BlockAmended { cancelled: true, .. }));
    let at = hall.log.last().unwrap().2;
    assert_eq!((hall.row().cancelled, hall.row().due_at), (Some(at), Some(LogTime(2_000))));
    for repeat in [Command::AmendBlock(both), cancel_show(), Command::AmendBlock(amending())] {
        let decision = hall.run(6_000, repeat);
        assert!(matches!(succeeded(&decision), Reply::BlockAmended { cancelled: true, .. }));
        assert_eq!(decision.changes, []);
    }
    let other = AmendBlock { starts_at: Some(LogTime(9_000)), ..amending() };
    assert_eq!(refused(&hall.run(6_000, Command::AmendBlock(other))), Code::ShowCancelled);
    let late = Hall::opened(OpenBlock { ..opening() }).run(STARTS_AT + 5, cancel_show());
    assert!(matches!(succeeded(&late), Reply::BlockAmended { .. }), "also after the start");
}
