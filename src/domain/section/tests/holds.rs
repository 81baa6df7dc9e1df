//! `open_section`, `hold_seats`, `expire_holds`.

use super::fixture::*;
use crate::domain::command::{Choice, OpenSection};
use crate::domain::section::ReservationStatus::{self, Expired, Held};
use crate::domain::section::{HOLD_TTL_MS_MAX, Reservation, SEATS_MAX, SEATS_PER_HOLD_MAX, best_available};
use crate::domain::wallet::AMOUNT_MAX;
use crate::domain::{Body, Change, Code, LogTime, ReservationId, Success, Verdict};

fn status(hall: &Hall, reservation: &Reservation) -> ReservationStatus {
    hall.reservation(reservation.id).status
}

#[test]
fn f11_opening_makes_free_seats_numbered_from_one() {
    let hall = Hall::with_seats(3);
    let section = hall.section();
    assert_eq!(hall.picture(), "...");
    assert_eq!(section.seats.iter().map(|seat| seat.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((section.row.seats, section.row.available), (3, 3));
}

#[test]
fn opening_again_with_equal_content_succeeds_and_changes_nothing_whatever_happened_since() {
    let mut hall = Hall::with_seats(10);
    hall.held(2_000, "ann", &[1]);
    let other_admin = OpenSection { user_id: user("root"), ..opening() };
    let decision = hall.run(3_000, Body::OpenSection(other_admin));
    let opened = Success::SectionOpened { schedule_id: schedule(), section: name(), seats: 10, price: PRICE };
    assert_eq!(succeeded(&decision), opened);
    assert_eq!(decision.changes, []);
}

#[test]
fn opening_again_with_other_content_is_a_conflict() {
    let other: [(&str, OpenSection); 7] = [
        ("seats", OpenSection { seats: 11, ..opening() }),
        ("price", OpenSection { price: 101, ..opening() }),
        ("hold_ttl_ms", OpenSection { hold_ttl_ms: 1, ..opening() }),
        ("max_seats_per_user", OpenSection { max_seats_per_user: 5, ..opening() }),
        ("sales_open_at", OpenSection { sales_open_at: None, ..opening() }),
        ("starts_at", OpenSection { starts_at: LogTime(1), ..opening() }),
        ("queue", OpenSection { queue: false, ..opening() }),
    ];
    for (field, body) in other {
        let decision = Hall::with_seats(10).run(0, Body::OpenSection(body));
        assert_eq!(refused(&decision), Code::SectionConflict, "{field}");
    }
}

#[test]
fn a_section_out_of_bounds_is_not_opened() {
    let cases = [
        (OpenSection { seats: 0, ..opening() }, Code::SectionConflict),
        (OpenSection { seats: SEATS_MAX + 1, ..opening() }, Code::SectionConflict),
        (OpenSection { hold_ttl_ms: 0, ..opening() }, Code::SectionConflict),
        (OpenSection { hold_ttl_ms: HOLD_TTL_MS_MAX + 1, ..opening() }, Code::SectionConflict),
        (OpenSection { max_seats_per_user: 0, ..opening() }, Code::SectionConflict),
        (OpenSection { max_seats_per_user: SEATS_PER_HOLD_MAX + 1, ..opening() }, Code::SectionConflict),
        (OpenSection { price: 0, ..opening() }, Code::InvalidAmount),
        (OpenSection { price: -1, ..opening() }, Code::InvalidAmount),
        (OpenSection { price: AMOUNT_MAX + 1, ..opening() }, Code::InvalidAmount),
    ];
    for (body, code) in cases {
        let mut hall = Hall::closed();
        assert_eq!(refused(&hall.run(0, Body::OpenSection(body.clone()))), code, "{body:?}");
        assert_eq!(hall.section, None);
    }
}

#[test]
fn nothing_can_be_asked_of_a_section_that_was_never_opened() {
    let id = ReservationId(uuid::Uuid::from_u128(1));
    for body in [hold("ann", Choice::BestAvailable(1)), pay("ann", id, None), cancel("ann", id), expire()] {
        assert_eq!(refused(&Hall::closed().run(2_000, body)), Code::SectionNotFound);
    }
}

#[test]
fn f14_a_hold_takes_the_seats_fixes_the_price_and_ends_after_its_ttl() {
    let mut hall = Hall::with_seats(5);
    let decision = hall.hold(2_000, "ann", &[2, 3]);
    let Success::Held { reservation, expired } = succeeded(&decision) else { panic!() };
    assert_eq!(expired, []);
    assert_eq!((reservation.amount, reservation.expires_at), (2 * PRICE, LogTime(2_000 + HOLD_TTL_MS)));
    assert_eq!((reservation.status, reservation.payment), (Held, None));
    assert_eq!(hall.picture(), ".hh..");
    assert_eq!(hall.section().row.available, 3);
    assert_eq!(hall.section().row.changed, reservation.held);
    assert_eq!(hall.section().next_expiry(), Some(reservation.expires_at));
    assert!(decision.changes.iter().any(|change| matches!(change, Change::Section(_))));
}

#[test]
fn sales_are_open_from_their_opening_until_the_show_starts() {
    for (time, open) in [(SALES_OPEN_AT - 1, false), (SALES_OPEN_AT, true), (STARTS_AT - 1, true), (STARTS_AT, false)] {
        let decision = Hall::with_seats(3).hold(time, "ann", &[1]);
        match open {
            true => drop(succeeded(&decision)),
            false => assert_eq!(refused(&decision), Code::SalesClosed, "{time}"),
        }
    }
}

#[test]
fn the_first_check_that_fails_names_the_refusal() {
    let mut hall = Hall::with_seats(6);
    hall.held(2_000, "ann", &[1, 2, 3]);
    let cases: [(i64, &[u32], Code); 6] = [
        (0, &[99], Code::SalesClosed),
        (2_000, &[1, 2, 99], Code::SeatNotFound),
        (2_000, &[0, 1], Code::SeatNotFound),
        (2_000, &[], Code::SeatNotFound),
        (2_000, &[4, 4], Code::SeatNotFound),
        (2_000, &[1, 4], Code::TicketLimitExceeded),
    ];
    for (time, seats, code) in cases {
        assert_eq!(refused(&hall.hold(time, "ann", seats)), code, "{seats:?}");
    }
    assert_eq!(refused(&hall.hold(2_000, "bob", &[3, 4])), Code::SeatTaken);
}

#[test]
fn f16_s1_a_taken_seat_names_the_lowest_one_and_who_was_first() {
    let mut hall = Hall::with_seats(6);
    hall.held(2_000, "ann", &[5]);
    let first = hall.held(2_001, "bob", &[3]);
    for user in ["cat", "dan"] {
        let Verdict::Rejected(refusal) = hall.hold(2_002, user, &[2, 3, 5]).verdict else { panic!() };
        let taken = refusal.taken.unwrap();
        assert_eq!((refusal.code, taken.section, taken.seat), (Code::SeatTaken, name(), 3));
        assert_eq!(taken.by, first.held);
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
    for (seat, by) in [(1, sold.held), (2, paying.held)] {
        let Verdict::Rejected(refusal) = hall.hold(500_000, "cat", &[seat]).verdict else { panic!() };
        assert_eq!(refusal.taken.unwrap().by, by);
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
    let decision = hall.run(2_000 + HOLD_TTL_MS, hold("ann", Choice::BestAvailable(1)));
    assert_eq!(refused(&decision), Code::TicketLimitExceeded);
    let five = Hall::with_seats(20).run(2_000, hold("ann", Choice::BestAvailable(5)));
    assert_eq!(refused(&five), Code::TicketLimitExceeded);
}

#[test]
fn a_hold_that_ran_out_is_free_at_exactly_its_end_and_ends_whole_when_taken_over() {
    let mut hall = Hall::with_seats(6);
    let ann = hall.held(2_000, "ann", &[1, 2, 3]);
    let bob = hall.held(2_001, "bob", &[4]);
    let end = 2_000 + HOLD_TTL_MS;
    assert_eq!(refused(&hall.hold(end - 1, "cat", &[3])), Code::SeatTaken);
    let decision = hall.hold(end, "cat", &[3, 5]);
    let Success::Held { reservation, expired } = succeeded(&decision) else { panic!() };
    assert_eq!(expired, [ann.id]);
    assert_eq!(hall.picture(), "..hhh.");
    assert_eq!(hall.section().row.available, 3);
    assert_eq!((status(&hall, &ann), status(&hall, &bob)), (Expired, Held));
    assert_eq!(hall.section().seats[2].reservation, Some(reservation.id));
    assert_eq!(hall.section().seats[0].reservation, None);
}

#[test]
fn taking_over_exactly_the_seats_that_ran_out_leaves_the_count_and_the_row_alone() {
    let mut hall = Hall::with_seats(6);
    hall.held(2_000, "ann", &[1, 2]);
    let decision = hall.hold(2_000 + HOLD_TTL_MS, "bob", &[1, 2]);
    assert!(!decision.changes.iter().any(|change| matches!(change, Change::Section(_))));
    assert_eq!(hall.section().row.available, 4);
}

#[test]
fn a_refused_hold_does_not_end_the_holds_that_ran_out() {
    let mut hall = Hall::with_seats(3);
    let ann = hall.held(2_000, "ann", &[1]);
    hall.held(2_001, "bob", &[2]);
    assert_eq!(refused(&hall.hold(2_000 + HOLD_TTL_MS, "cat", &[1, 2])), Code::SeatTaken);
    assert_eq!(status(&hall, &ann), Held);
}

#[test]
fn f15_best_available_takes_the_lowest_run_that_leaves_no_single_seat() {
    // (free seats as dots, wanted, first seat of the run)
    let cases = [
        ("..........", 2, Some(1)),
        ("...", 2, Some(1)),
        ("...x..", 2, Some(5)),
        ("...x....", 2, Some(5)),
        ("...x...", 2, Some(1)),
        ("x.x..", 1, Some(2)),
        ("..x.", 1, Some(4)),
        ("..", 1, Some(1)),
        (".x...", 1, Some(1)),
        ("x..x...", 1, Some(5)),
        ("x.x.x", 2, None),
        ("xxx", 1, None),
        ("...", 4, None),
        ("...", 0, None),
        ("", 1, None),
        ("...", u32::MAX, None),
        ("....x...", 3, Some(6)),
    ];
    for (hall, wanted, first) in cases {
        let free = hall.chars().map(|seat| seat == '.');
        assert_eq!(best_available::first_seat(free, wanted), first, "{wanted} of {hall}");
    }
}

#[test]
fn f15_s5_thirty_users_who_want_two_of_fifty_seats_get_twenty_five_pairs() {
    let mut hall = Hall::with_seats(50);
    let mut refusals = 0;
    for n in 0..30 {
        let decision = hall.run(2_000, hold(&format!("user-{n}"), Choice::BestAvailable(2)));
        match &decision.verdict {
            Verdict::Succeeded(Success::Held { reservation, .. }) => {
                assert_eq!(reservation.seats[0] + 1, reservation.seats[1]);
            }
            _ => {
                assert_eq!(refused(&decision), Code::NotEnoughAdjacentSeats);
                refusals += 1;
            }
        }
    }
    assert_eq!((refusals, hall.section().row.available), (5, 0));
}

#[test]
fn best_available_counts_seats_that_ran_out_as_free() {
    let mut hall = Hall::with_seats(4);
    let ann = hall.held(2_000, "ann", &[1, 2]);
    hall.held(3_000, "bob", &[3, 4]);
    let decision = hall.run(2_000 + HOLD_TTL_MS, hold("cat", Choice::BestAvailable(2)));
    let Success::Held { reservation, expired } = succeeded(&decision) else { panic!() };
    assert_eq!((reservation.seats, expired), (vec![1, 2], vec![ann.id]));
}

#[test]
fn f14_s6_expiry_ends_what_is_due_at_its_time_and_nothing_else() {
    let mut hall = Hall::with_seats(8);
    let due = hall.held(2_000, "ann", &[4, 5]);
    let also_due = hall.held(2_000, "bob", &[1]);
    let later = hall.held(2_001, "cat", &[2]);
    let paying = hall.held(2_000, "dan", &[3]);
    hall.paying(2_000, "dan", paying.id);
    hall.confirmed(2_000, "eve", &[7]);
    let nothing = hall.run(2_000 + HOLD_TTL_MS - 1, expire());
    assert_eq!(nothing.changes, []);
    let decision = hall.run(2_000 + HOLD_TTL_MS, expire());
    let Success::HoldsExpired { mut reservations, seats, .. } = succeeded(&decision) else { panic!() };
    let mut expected = [due.id, also_due.id];
    expected.sort();
    reservations.sort();
    assert_eq!((reservations.as_slice(), seats.as_slice()), (expected.as_slice(), [1, 4, 5].as_slice()));
    assert_eq!(hall.picture(), ".hp...S.");
    assert_eq!(hall.section().row.available, 5);
    assert_eq!((status(&hall, &due), status(&hall, &later)), (Expired, Held));
    assert_eq!(hall.section().next_expiry(), Some(later.expires_at));
}
