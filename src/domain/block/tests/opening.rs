//! `open_block`.

use super::fixture::*;
use crate::domain::block::{
    AmendBlock, AmendSection, Command, HOLD_TTL_MS_MAX, Layout, NewSection, OpenBlock, PAYMENT_TIMEOUT_MS_MAX, Reply,
    Row, SEATS_PER_HOLD_MAX, SECTION_SEATS_MAX, SECTIONS_MAX, Terms,
};
use crate::domain::{Code, LogTime, ReservationId};

#[test]
fn f11_opening_writes_the_block_and_its_sections_and_no_seat() {
    let mut hall = Hall::closed();
    let sections = vec![plain("B", 3, 100), plain("A", 2, 0)];
    let decision = hall.run(0, Command::OpenBlock(OpenBlock { sections, ..opening() }));
    assert_eq!(succeeded(&decision), Reply::BlockOpened { key: key(), sections: 2, seats: 5 });
    let [Row::Block(block), Row::Section(b), Row::Section(a)] = decision.changes.as_slice() else { panic!() };
    assert_eq!((b.name.as_str(), b.rank, a.name.as_str(), a.rank), ("B", 0, "A", 1));
    assert_eq!((block.counts[0][0].free, block.counts[1][0].free, block.pending), (3, 2, 0));
    assert_eq!((hall.picture(), hall.row().due_at), (".....".into(), None));
    assert_eq!(numbers(&held(&hall.run(2_000, best("ann", 3)))), [1, 2, 3], "B is the better section");
}

#[test]
fn opening_again_with_equal_content_succeeds_and_changes_nothing_whatever_happened_since() {
    let mut hall = Hall::with_seats(10);
    hall.held(2_000, "ann", &[1]);
    let prices = vec![("A".parse().unwrap(), amount(7))];
    let section = AmendSection { name: name("A"), layout: None, prices, not_for_sale: None };
    let amend = AmendBlock { sections: vec![section], starts_at: Some(LogTime(5_000)), ..amending() };
    succeeded(&hall.run(2_500, Command::AmendBlock(amend)));
    let other_admin = OpenBlock { user_id: user("root"), ..opening() };
    let decision = hall.run(3_000, Command::OpenBlock(other_admin));
    assert_eq!(succeeded(&decision), Reply::BlockOpened { key: key(), sections: 1, seats: 10 });
    assert_eq!((decision.changes, decision.follow_ups), (vec![], vec![]));
}

#[test]
fn opening_again_with_other_content_is_a_conflict() {
    let with = |change: fn(&mut Terms)| {
        let mut terms = terms();
        change(&mut terms);
        OpenBlock { terms, ..opening() }
    };
    let others = [
        OpenBlock { sections: vec![plain("A", 11, PRICE)], ..opening() },
        OpenBlock { sections: vec![plain("A", 10, PRICE + 1)], ..opening() },
        OpenBlock { sections: vec![plain("B", 10, PRICE)], ..opening() },
        OpenBlock { sections: vec![plain("A", 10, PRICE), plain("B", 1, 1)], ..opening() },
        OpenBlock { queue: false, ..opening() },
        with(|terms| terms.hold_ttl_ms += 1),
        with(|terms| terms.rehold_after_ms += 1),
        with(|terms| terms.payment_timeout_ms += 1),
        with(|terms| terms.max_seats_per_user += 1),
        with(|terms| terms.sales_open_at = None),
        with(|terms| terms.sales_close_at = Some(LogTime(1))),
        with(|terms| terms.starts_at = LogTime(1)),
        with(|terms| terms.companions_free_at = Some(LogTime(1))),
    ];
    for other in others {
        let decision = Hall::with_seats(10).run(0, Command::OpenBlock(other.clone()));
        assert_eq!(refused(&decision), Code::BlockConflict, "{other:?}");
    }
}

#[test]
fn a_block_out_of_bounds_is_not_opened() {
    let with = |change: fn(&mut Terms)| {
        let mut terms = terms();
        change(&mut terms);
        OpenBlock { terms, ..opening() }
    };
    let many = (0..=SECTIONS_MAX).map(|n| plain(&format!("S{n}"), 1, 1)).collect();
    let large = |section: &str| NewSection {
        name: name(section),
        layout: Layout::plain(SECTION_SEATS_MAX, &name(section), amount(1)).unwrap(),
    };
    let others = [
        OpenBlock { sections: vec![], ..opening() },
        OpenBlock { sections: many, ..opening() },
        OpenBlock { sections: vec![plain("A", 1, 1), plain("A", 2, 1)], ..opening() },
        OpenBlock { sections: vec![large("A"), large("B"), plain("C", 1, 1)], ..opening() },
        with(|terms| terms.hold_ttl_ms = 0),
        with(|terms| terms.hold_ttl_ms = HOLD_TTL_MS_MAX + 1),
        with(|terms| terms.rehold_after_ms = -1),
        with(|terms| terms.rehold_after_ms = HOLD_TTL_MS_MAX + 1),
        with(|terms| terms.payment_timeout_ms = 0),
        with(|terms| terms.payment_timeout_ms = PAYMENT_TIMEOUT_MS_MAX + 1),
        with(|terms| terms.max_seats_per_user = 0),
        with(|terms| terms.max_seats_per_user = SEATS_PER_HOLD_MAX + 1),
    ];
    for other in others {
        let mut hall = Hall::closed();
        assert_eq!(refused(&hall.run(0, Command::OpenBlock(other))), Code::BlockConflict);
        assert!(hall.block.is_none());
    }
}

#[test]
fn nothing_can_be_asked_of_a_block_that_was_never_opened() {
    let id = ReservationId(uuid::Uuid::from_u128(1));
    for command in [best("ann", 1), pay("ann", id, None), cancel("ann", id), expire(), cancel_show()] {
        assert_eq!(refused(&Hall::closed().run(2_000, command)), Code::BlockNotFound);
    }
}
