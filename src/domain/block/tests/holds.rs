//! `hold_seats` by name: what is checked, in which order, and what it records.

use super::fixture::*;
use crate::domain::block::ReservationStatus::{Expired, Held};
use crate::domain::block::{
    Choice, Command, HoldSeats, Layout, LayoutParts, NewSection, OpenBlock, Reply, Row, Span, Terms,
};
use crate::domain::{Code, LogTime, More, SeatId, Verdict};

#[test]
fn f14_a_hold_takes_the_seats_fixes_the_price_and_ends_after_its_ttl() {
    let mut hall = Hall::with_seats(5);
    let decision = hall.hold(2_000, "ann", &[2, 3]);
    let Reply::Held { reservation, expires_at } = succeeded(&decision) else { panic!() };
    assert!(decision.effects.is_empty());
    assert_eq!((reservation.amount, expires_at), (amount(2 * PRICE), LogTime(2_000 + HOLD_TTL_MS)));
    assert_eq!((reservation.state.status(), reservation.expires_at), (Held, expires_at));
    assert_eq!((reservation.by.clone(), reservation.seats.clone()), (None, vec![seat(2), seat(3)]));
    assert_eq!((hall.picture(), hall.free(), hall.row().pending), (".hh..".into(), 3, 2));
    assert_eq!(hall.row().due_at, Some(expires_at));
    assert_eq!(decision.changes.len(), 4, "block, reservation, two seats");
}

#[test]
fn f51_s10_a_hold_over_two_sections_sums_each_seats_price_all_or_nothing() {
    let sections = vec![plain("A", 3, 100), plain("B", 3, 250)];
    let mut hall = Hall::opened(OpenBlock { sections, ..opening() });
    let of = |section: &str, number| SeatId { section: name(section), number };
    let wanted = vec![of("A", 3), of("B", 1), of("B", 2)];
    let reservation = held(&hall.run(2_000, choose("ann", Choice::Seats(wanted.clone()))));
    assert_eq!((reservation.seats, reservation.amount), (wanted, amount(600)));
    let other = vec![of("A", 1), of("B", 2), of("B", 3)];
    assert_eq!(refused(&hall.run(2_000, choose("bob", Choice::Seats(other)))), Code::SeatTaken);
    assert_eq!(hall.picture(), "..hhh.");
}

/// A block without a queue, or with one; the hold is admitted, or by staff.
#[test]
fn sales_are_open_from_their_opening_until_they_close_or_the_show_starts() {
    use Code::{NotAdmitted, SalesClosed};
    let early = SALES_OPEN_AT - 60_000;
    let close = 500_000;
    // (queue, admitted, staff, time, refusal)
    let cases = [
        (false, false, false, SALES_OPEN_AT - 1, Some(SalesClosed)),
        (false, true, false, SALES_OPEN_AT - 1, Some(SalesClosed)),
        (false, false, false, SALES_OPEN_AT, None),
        (true, false, false, SALES_OPEN_AT - 1, Some(SalesClosed)),
        (true, false, false, SALES_OPEN_AT, Some(NotAdmitted)),
        (true, true, false, early - 1, Some(SalesClosed)),
        (true, true, false, early, None),
        (true, true, false, close - 1, None),
        (true, true, false, close, Some(SalesClosed)),
        (false, false, false, close, Some(SalesClosed)),
        (true, false, true, early - 1, None),
        (true, false, true, close, None),
        (false, false, true, STARTS_AT - 1, None),
        (true, true, true, STARTS_AT, Some(SalesClosed)),
    ];
    for (queue, admitted, staff, time, refusal) in cases {
        let terms = Terms { sales_close_at: Some(LogTime(close)), ..terms() };
        let mut hall = Hall::closed();
        succeeded(&hall.run(-1_000_000, Command::OpenBlock(OpenBlock { queue, terms, ..opening() })));
        let choice = Choice::Seats(vec![seat(1)]);
        let hold = Command::HoldSeats(HoldSeats { key: key(), user_id: user("ann"), choice, admitted });
        let decision = hall.run_by(time, hold, staff.then_some("box office"));
        assert_eq!(code(&decision), refusal, "queue {queue}, admitted {admitted}, staff {staff}, at {time}");
    }
}

/// Seats 1–3 are held by ann, 4 is her wheelchair place's companion, 5 the place, 6 is not for sale.
fn mixed() -> Hall {
    let all = Span { first: 1, last: 8 };
    let layout = Layout::new(LayoutParts {
        seats: 8,
        runs: vec![all],
        categories: plain("A", 8, PRICE).layout.categories().to_vec(),
        category_runs: vec![(all, 0)],
        not_for_sale: vec![Span { first: 6, last: 6 }],
        wheelchair: vec![Span { first: 5, last: 5 }],
        companions: vec![(4, 5)],
    });
    let sections = vec![NewSection { name: name("A"), layout: layout.unwrap() }];
    let mut hall = Hall::opened(OpenBlock { sections, ..opening() });
    hall.held(2_000, "ann", &[1, 2, 3]);
    hall
}

#[test]
fn the_first_check_that_fails_names_the_refusal() {
    let (past, now) = (SALES_OPEN_AT - 60_001, 2_000);
    let cases: [(i64, &str, &[u32], Code); 10] = [
        (past, "ann", &[99], Code::SalesClosed),
        (now, "ann", &[1, 6, 99], Code::SeatNotFound),
        (now, "ann", &[0, 1], Code::SeatNotFound),
        (now, "ann", &[], Code::SeatNotFound),
        (now, "ann", &[7, 7], Code::SeatNotFound),
        (now, "ann", &[8, 7], Code::SeatNotFound),
        (now, "ann", &[1, 4, 6], Code::SeatNotForSale),
        (now, "ann", &[1, 4], Code::TicketLimitExceeded),
        (now, "bob", &[1, 4], Code::CompanionOnly),
        (now, "bob", &[3, 7], Code::SeatTaken),
    ];
    for (time, user, seats, code) in cases {
        assert_eq!(refused(&mixed().hold(time, user, seats)), code, "{seats:?}");
    }
    let elsewhere = Choice::Seats(vec![SeatId { section: name("Z"), number: 1 }]);
    assert_eq!(refused(&mixed().run(now, choose("ann", elsewhere))), Code::SectionNotFound);
    succeeded(&mixed().run(3_000, cancel_show()));
    let mut hall = mixed();
    hall.run(now, cancel_show());
    assert_eq!(refused(&hall.hold(past, "ann", &[99])), Code::ShowCancelled);
}

#[test]
fn s13_a_companion_seat_goes_with_its_wheelchair_place_or_to_whoever_has_it() {
    assert_eq!(refused(&mixed().hold(2_000, "bob", &[4])), Code::CompanionOnly);
    succeeded(&mixed().hold(2_000, "bob", &[4, 5]));
    let mut hall = mixed();
    hall.held(2_000, "bob", &[5]);
    assert_eq!(refused(&hall.hold(2_000, "cat", &[4])), Code::CompanionOnly);
    succeeded(&hall.hold(2_000, "bob", &[4]));

    let mut hall = mixed();
    hall.confirmed(2_000, "bob", &[5]);
    succeeded(&hall.hold(900_000, "bob", &[4]));

    let mut hall = mixed();
    hall.held(2_000, "bob", &[5]);
    let decision = hall.hold(2_000 + HOLD_TTL_MS, "bob", &[4]);
    assert_eq!(refused(&decision), Code::CompanionOnly, "the hold of the place has run out");
}

#[test]
fn a_companion_seat_is_an_ordinary_one_once_its_time_has_come() {
    let free_at = LogTime(100_000);
    let terms = Terms { companions_free_at: Some(free_at), ..terms() };
    let layout = mixed().rows().sections[0].layout.clone();
    let sections = vec![NewSection { name: name("A"), layout }];
    let mut hall = Hall::opened(OpenBlock { terms, sections, ..opening() });
    assert_eq!(refused(&hall.hold(99_999, "bob", &[4])), Code::CompanionOnly);
    succeeded(&hall.hold(100_000, "bob", &[4]));
}

#[test]
fn staff_hold_for_a_user_who_has_no_turn_and_are_named_in_the_reservation() {
    let mut hall = Hall::with_seats(6);
    let choice = Choice::Seats(vec![seat(1)]);
    let command = Command::HoldSeats(HoldSeats { key: key(), user_id: user("ann"), choice, admitted: false });
    let reservation = held(&hall.run_by(2_000, command, Some("box office")));
    assert_eq!((reservation.user_id, reservation.by), (user("ann"), Some(user("box office"))));
    let five = hall.run_by(2_000, hold("ann", &[2, 3, 4, 5]), Some("box office"));
    assert_eq!(refused(&five), Code::TicketLimitExceeded, "the limit holds for staff too");
}

#[test]
fn f16_s1_a_taken_seat_names_the_lowest_one_and_who_was_first() {
    let mut hall = Hall::with_seats(6);
    hall.held(2_000, "ann", &[5]);
    let first = hall.held(2_001, "bob", &[3]);
    for user in ["cat", "dan"] {
        let refusal = outcome(&hall.hold(2_002, user, &[2, 3, 5])).unwrap_err();
        assert_eq!(refusal.code, Code::SeatTaken);
        assert_eq!(refusal.more, More::Taken { seat: seat(3), by: first.held });
    }
    assert_eq!(hall.picture(), "..h.h.");
}

#[test]
fn paying_and_sold_seats_are_taken_by_the_hold_that_came_first() {
    let mut hall = Hall::with_seats(3);
    let (sold, _) = hall.confirmed(2_000, "ann", &[1]);
    let paying = hall.held(2_000, "bob", &[2]);
    hall.paying(2_001, "bob", paying.id);
    // Also long after the hold would have run out.
    for (number, by) in [(1, sold.held), (2, paying.held)] {
        let refusal = outcome(&hall.hold(500_000, "cat", &[number])).unwrap_err();
        assert_eq!(refusal.more, More::Taken { seat: seat(number), by });
    }
    assert_eq!(hall.picture(), "Sp.");
}

#[test]
fn f15_the_limit_counts_a_users_held_paying_and_sold_seats_but_not_those_that_ran_out() {
    let mut hall = Hall::with_seats(20);
    hall.confirmed(2_000, "ann", &[1]);
    let paying = hall.held(2_000, "ann", &[2]);
    hall.paying(2_000, "ann", paying.id);
    hall.held(2_000, "ann", &[3, 4]);
    assert_eq!(refused(&hall.hold(2_000 + HOLD_TTL_MS - 1, "ann", &[5])), Code::TicketLimitExceeded);
    hall.held(2_000, "bob", &[6, 7, 8, 9]);
    // At expires_at the two held seats no longer count, though nothing has recorded that yet.
    hall.held(2_000 + HOLD_TTL_MS, "ann", &[10, 11]);
    assert_eq!(refused(&hall.run(2_000 + HOLD_TTL_MS, best("ann", 1))), Code::TicketLimitExceeded);
    assert_eq!(refused(&Hall::with_seats(20).run(2_000, best("ann", 5))), Code::TicketLimitExceeded);
}

#[test]
fn f51_s9_the_limit_counts_over_all_sections_of_the_block_and_a_cancel_gives_one_back() {
    let sections = (0..10).map(|n| plain(&format!("S{n}"), 20, PRICE)).collect();
    let mut hall = Hall::opened(OpenBlock { sections, ..opening() });
    let mut reservations = Vec::new();
    let mut refusals = 0;
    for n in 0..8 {
        let seats = vec![SeatId { section: name(&format!("S{}", n / 2)), number: 1 + n % 2 }];
        let decision = hall.run(2_000, choose("ann", Choice::Seats(seats)));
        match &decision.verdict {
            Verdict::Decided(Ok(_)) => reservations.push(held(&decision)),
            _ => {
                assert_eq!(refused(&decision), Code::TicketLimitExceeded);
                refusals += 1;
            }
        }
    }
    assert_eq!((reservations.len(), refusals), (4, 4));
    succeeded(&hall.run(2_001, cancel("ann", reservations[0].id)));
    succeeded(&hall.run(2_002, best("ann", 1)));
    assert_eq!(refused(&hall.run(2_003, best("ann", 1))), Code::TicketLimitExceeded);
}

#[test]
fn a_hold_that_ran_out_is_free_at_exactly_its_end_and_ends_whole_when_taken_over() {
    let mut hall = Hall::with_seats(6);
    let ann = hall.held(2_000, "ann", &[1, 2, 3]);
    let bob = hall.held(2_001, "bob", &[4]);
    let end = 2_000 + HOLD_TTL_MS;
    assert_eq!(refused(&hall.hold(end - 1, "cat", &[3])), Code::SeatTaken);
    let decision = hall.hold(end, "cat", &[3, 5]);
    assert_eq!(decision.effects.expired, [ann.id]);
    assert_eq!((hall.picture(), hall.free()), ("..hhh.".into(), 3));
    let status = |id| hall.reservation(id).state.status();
    assert_eq!((status(ann.id), status(bob.id), status(held(&decision).id)), (Expired, Held, Held));
}

#[test]
fn taking_over_exactly_the_seats_that_ran_out_leaves_the_counts_alone() {
    let mut hall = Hall::with_seats(6);
    hall.held(2_000, "ann", &[1, 2]);
    let before = hall.row().counts.clone();
    hall.held(2_000 + HOLD_TTL_MS, "bob", &[1, 2]);
    assert_eq!((&hall.row().counts, hall.row().pending), (&before, 2));
}

#[test]
fn a_refused_hold_does_not_end_the_holds_that_ran_out() {
    let mut hall = Hall::with_seats(3);
    let ann = hall.held(2_000, "ann", &[1]);
    hall.held(2_001, "bob", &[2]);
    assert_eq!(refused(&hall.hold(2_000 + HOLD_TTL_MS, "cat", &[1, 2])), Code::SeatTaken);
    assert_eq!(hall.reservation(ann.id).state.status(), Held);
}

#[test]
fn a_hold_ends_when_the_show_starts_at_the_latest() {
    let mut hall = Hall::with_seats(3);
    assert_eq!(hall.held(STARTS_AT - 5, "ann", &[1]).expires_at, LogTime(STARTS_AT));
    let rows = hall.hold(STARTS_AT - 4, "bob", &[2]).changes;
    assert!(rows.iter().any(|row| matches!(row, Row::Reservation(r) if r.expires_at == LogTime(STARTS_AT))));
}
