//! `check_ticket`.

use super::fixture::*;
use crate::domain::block::{CheckTicket, Command, Reply, Reservation, ReservationState, ReservationStatus};
use crate::domain::{Code, LogTime, More, ReservationId};

fn check(reservation_id: ReservationId, number: u32, serial: u64) -> Command {
    Command::CheckTicket(CheckTicket { key: key(), user_id: user("door"), reservation_id, seat: seat(number), serial })
}

fn serial(reservation: &Reservation) -> u64 {
    match reservation.state {
        ReservationState::Confirmed { serial, .. } => serial,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ticket_admits_once_and_the_second_scan_sees_the_first() {
    let mut hall = Hall::with_seats(4);
    let (sold, _) = hall.confirmed(2_000, "ann", &[1, 2]);
    let serial = serial(&sold);
    let decision = hall.run(STARTS_AT + 10, check(sold.id, 2, serial));
    let admitted_at = LogTime(STARTS_AT + 10);
    let expected = Reply::TicketChecked { key: key(), reservation_id: sold.id, seat: seat(2), admitted_at };
    assert_eq!((succeeded(&decision), decision.changes.len()), (expected, 1));
    let first = hall.log.last().unwrap().2;
    let refusal = outcome(&hall.run(STARTS_AT + 20, check(sold.id, 2, serial))).unwrap_err();
    assert_eq!((refusal.code, refusal.more), (Code::TicketUsed, More::Used(first)));
    succeeded(&hall.run(STARTS_AT + 30, check(sold.id, 1, serial)));
}

#[test]
fn what_was_not_sold_so_is_no_ticket() {
    let mut hall = Hall::with_seats(4);
    let (sold, _) = hall.confirmed(2_000, "ann", &[1]);
    let (other, _) = hall.confirmed(2_000, "bob", &[2]);
    let open = hall.held(2_000, "cat", &[3]);
    let serial = serial(&sold);
    let cases = [
        (sold.id, 1, serial + 1),
        (sold.id, 2, serial),
        (other.id, 1, serial),
        (sold.id, 4, serial),
        (sold.id, 99, serial),
        (open.id, 3, serial),
        (ReservationId(uuid::Uuid::from_u128(3)), 1, serial),
    ];
    for (id, number, serial) in cases {
        assert_eq!(refused(&hall.run(3_000, check(id, number, serial))), Code::TicketInvalid, "{number}");
    }
    hall.refunding(3_000, "ann", sold.id);
    assert_eq!(refused(&hall.run(3_001, check(sold.id, 1, serial))), Code::TicketInvalid);
    let (again, _) = hall.confirmed(3_002, "dan", &[1]);
    assert_eq!(refused(&hall.run(3_003, check(sold.id, 1, serial))), Code::TicketInvalid);
    succeeded(&hall.run(3_003, check(again.id, 1, self::serial(&again))));
}

#[test]
fn a_checked_ticket_is_not_cancellable_for_its_user_but_a_cancelled_show_pays_it_back() {
    let mut hall = Hall::with_seats(4);
    let (sold, _) = hall.confirmed(2_000, "ann", &[1, 2]);
    succeeded(&hall.run(3_000, check(sold.id, 1, serial(&sold))));
    assert_eq!(refused(&hall.run(3_001, cancel("ann", sold.id))), Code::NotCancellable);
    succeeded(&hall.run(3_002, cancel_show()));
    assert_eq!(refused(&hall.run(3_003, check(sold.id, 2, serial(&sold)))), Code::TicketInvalid);
    let [swept] = hall.expire_all(3_004).try_into().unwrap();
    assert_eq!(wallet_commands(&swept).len(), 1);
    assert_eq!(hall.reservation(sold.id).state.status(), ReservationStatus::Cancelled);
    assert_eq!(hall.picture(), "....");
}
