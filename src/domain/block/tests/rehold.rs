//! Re-holding keeps the first end; after it the seat is closed to the user for a while.

use super::fixture::*;
use crate::domain::block::{Block, SeatState};
use crate::domain::{Code, LogTime, More, SeatId, UserId};

const END: i64 = 2_000 + HOLD_TTL_MS;

/// The seats that are closed to a user, seat by seat.
pub fn cooling(block: &Block, user: &UserId, time: LogTime) -> Vec<SeatId> {
    let is_closed = |seat: &SeatId| {
        let Some(touched) = block.touched(block.place(seat).unwrap()) else { return false };
        let remembered = touched.remembered.as_ref().map(|memory| (memory.user_id.clone(), memory.first_end));
        let memory = match touched.state {
            SeatState::Available => remembered,
            SeatState::Held(id) => {
                let held = block.reservation(id).unwrap();
                (block.end_of(held) <= time).then(|| remembered.unwrap_or((held.user_id.clone(), block.end_of(held))))
            }
            _ => None,
        };
        memory.is_some_and(|(holder, end)| holder == *user && end <= time && end.plus_ms(REHOLD_MS) > time)
    };
    let sections = block.sections.iter();
    let seats = sections.flat_map(|section| {
        (1..=section.layout().seats()).map(|number| SeatId { section: section.row.name.clone(), number })
    });
    seats.filter(is_closed).collect()
}

#[test]
fn s11_each_new_hold_keeps_the_end_of_the_first_and_after_it_there_is_a_cooldown() {
    let mut hall = Hall::with_seats(3);
    for time in (2_000..END).step_by(1_000) {
        let reservation = hall.held(time, "ann", &[1]);
        assert_eq!(reservation.expires_at, LogTime(END), "held at {time}");
        assert_eq!(refused(&hall.hold(time + 500, "bob", &[1])), Code::SeatTaken);
        succeeded(&hall.run(time + 900, cancel("ann", reservation.id)));
    }
    for time in [END, END + REHOLD_MS - 1] {
        let refusal = outcome(&hall.hold(time, "ann", &[1])).unwrap_err();
        assert_eq!((refusal.code, refusal.more), (Code::HoldCooldown, More::AgainAt(LogTime(END + REHOLD_MS))));
    }
    let mut other = Hall::with_seats(3);
    other.held(2_000, "ann", &[1]);
    succeeded(&other.hold(END, "bob", &[1]));
    let again = hall.held(END + REHOLD_MS, "ann", &[1]);
    assert_eq!(again.expires_at, LogTime(END + REHOLD_MS + HOLD_TTL_MS), "a chain of its own");
}

#[test]
fn a_hold_that_ran_out_closes_its_seats_whether_or_not_its_end_was_recorded() {
    for recorded in [false, true] {
        let mut hall = Hall::with_seats(3);
        hall.held(2_000, "ann", &[1, 2]);
        if recorded {
            hall.expire_all(END);
        }
        assert_eq!(refused(&hall.hold(END, "ann", &[2, 3])), Code::HoldCooldown, "recorded: {recorded}");
        assert_eq!(refused(&hall.run(END, best("ann", 2))), Code::NotEnoughAdjacentSeats);
        assert_eq!(numbers(&held(&hall.run(END, best("ann", 1)))), [3], "recorded: {recorded}");
        assert_eq!(numbers(&held(&hall.run(END, best("bob", 2)))), [1, 2]);
    }
    for (time, first) in [(END + REHOLD_MS - 1, 3), (END + REHOLD_MS, 1)] {
        let mut hall = Hall::with_seats(4);
        hall.held(2_000, "ann", &[1, 2]);
        assert_eq!(numbers(&held(&hall.run(time, best("ann", 2))))[0], first, "at {time}");
    }
}

#[test]
fn the_earliest_end_that_still_runs_counts_and_the_latest_cooldown() {
    let mut hall = Hall::with_seats(4);
    let first = hall.held(2_000, "ann", &[1]);
    succeeded(&hall.run(2_100, cancel("ann", first.id)));
    let second = hall.held(3_000, "ann", &[2]);
    succeeded(&hall.run(3_100, cancel("ann", second.id)));
    let both = hall.held(4_000, "ann", &[1, 2, 3]);
    assert_eq!(both.expires_at, LogTime(END));
    hall.expire_all(END);
    // Seat 2 goes on until its own first end, seat 3 has had no other end.
    assert_eq!(refused(&hall.hold(END + 500, "ann", &[1])), Code::HoldCooldown);
    assert_eq!(refused(&hall.hold(END + 500, "ann", &[3])), Code::HoldCooldown);
    assert_eq!(hall.held(END + 500, "ann", &[2]).expires_at, LogTime(3_000 + HOLD_TTL_MS));
    hall.expire_all(END + 1_000);
    let refusal = outcome(&hall.hold(END + 1_000, "ann", &[1, 2])).unwrap_err();
    assert_eq!(refusal.more, More::AgainAt(LogTime(3_000 + HOLD_TTL_MS + REHOLD_MS)));
}

#[test]
fn a_seat_forgets_the_user_when_another_holds_it_or_it_is_sold() {
    let mut hall = Hall::with_seats(3);
    let ann = hall.held(2_000, "ann", &[1]);
    succeeded(&hall.run(2_100, cancel("ann", ann.id)));
    let bob = hall.held(2_200, "bob", &[1]);
    succeeded(&hall.run(2_300, cancel("bob", bob.id)));
    assert_eq!(hall.held(2_400, "ann", &[1]).expires_at, LogTime(2_400 + HOLD_TTL_MS));

    let mut hall = Hall::with_seats(3);
    let ann = hall.held(2_000, "ann", &[1]);
    succeeded(&hall.run(2_100, cancel("ann", ann.id)));
    let (sold, _) = hall.confirmed(2_200, "ann", &[1]);
    let origin = hall.refunding(2_300, "ann", sold.id);
    succeeded(&hall.run(2_400, settle("ann", &origin, PRICE, REFUNDED)));
    assert_eq!(hall.held(2_500, "ann", &[1]).expires_at, LogTime(2_500 + HOLD_TTL_MS));
}

#[test]
fn staff_are_exempt_from_cooldown_and_from_remembered_ends() {
    let mut hall = Hall::with_seats(3);
    let ann = hall.held(2_000, "ann", &[1]);
    succeeded(&hall.run(2_100, cancel("ann", ann.id)));
    let by_staff = held(&hall.run_by(3_000, hold("ann", &[1]), Some("box office")));
    assert_eq!(by_staff.expires_at, LogTime(3_000 + HOLD_TTL_MS));
    hall.expire_all(3_000 + HOLD_TTL_MS);
    let refusal = outcome(&hall.hold(3_000 + HOLD_TTL_MS, "ann", &[1])).unwrap_err();
    assert_eq!(refusal.more, More::AgainAt(LogTime(3_000 + HOLD_TTL_MS + REHOLD_MS)), "from the hold of staff on");
    assert_eq!(numbers(&held(&hall.run_by(3_000 + HOLD_TTL_MS, best("ann", 3), Some("box office")))), [1, 2, 3]);
}

#[test]
fn a_declined_payment_after_the_end_closes_the_seat_from_the_end_on() {
    let mut hall = Hall::with_seats(3);
    let id = hall.held(2_000, "ann", &[1]).id;
    let origin = hall.paying(2_001, "ann", id);
    succeeded(&hall.run(END + 1_000, settle("ann", &origin, PRICE, DECLINED)));
    let refusal = outcome(&hall.hold(END + 1_000, "ann", &[1])).unwrap_err();
    assert_eq!(refusal.more, More::AgainAt(LogTime(END + REHOLD_MS)));
    succeeded(&hall.hold(END + REHOLD_MS, "ann", &[1]));
}
