//! `cancel_reservation` and the answers to its refund.

use super::fixture::*;
use super::payments::{END, in_state, payment_row};
use crate::domain::block::{PaymentState, PaymentStatus, Reply, ReservationState, ReservationStatus, Settlement};
use crate::domain::{Code, CommandKind, Verdict};

#[test]
fn f18_cancelling_a_hold_frees_its_seats_at_once() {
    let (mut hall, id, _) = in_state("held");
    let decision = hall.run(END - 1, cancel("ann", id));
    assert_eq!(succeeded(&decision), Reply::Cancelled(hall.reservation(id).clone()));
    assert_eq!(hall.reservation(id).state, ReservationState::Cancelled { refund: None });
    assert_eq!((hall.picture(), hall.free(), hall.row().due_at), ("...".into(), 3, None));
    assert_eq!((wallet_commands(&decision), decision.completes), (vec![], None));
}

#[test]
fn what_can_be_cancelled_depends_on_the_state_and_the_time() {
    use Code::{HoldExpired, NotCancellable, PaymentInProgress};
    let cases = [
        ("held", END - 1, None),
        ("held", END, Some(HoldExpired)),
        ("paying", 3_000, Some(PaymentInProgress)),
        ("confirmed", STARTS_AT - 1, None),
        ("confirmed", STARTS_AT, Some(NotCancellable)),
        ("expired", END, Some(NotCancellable)),
        ("cancelled", 3_000, Some(NotCancellable)),
        ("refunding", 3_000, Some(NotCancellable)),
        ("refunded", 3_000, Some(NotCancellable)),
    ];
    for (state, time, expected) in cases {
        let (mut hall, id, _) = in_state(state);
        assert_eq!(code(&hall.run(time, cancel("ann", id))), expected, "{state} at {time}");
    }
}

#[test]
fn f18_cancelling_what_is_paid_frees_the_seats_asks_for_the_refund_and_waits() {
    let (mut hall, id, paid) = in_state("confirmed");
    let decision = hall.run(3_000, cancel("ann", id));
    assert_eq!((&decision.verdict, &decision.completes), (&Verdict::Pending, &None));
    assert_eq!((hall.picture(), hall.free()), ("...".into(), 3));
    assert_eq!(hall.reservation(id).state, ReservationState::Cancelled { refund: Some(paid.payment_id) });
    assert_eq!(hall.payment(&paid).state.status(), PaymentStatus::Completed, "shown so until it is back");
    let credit = only_credit(&decision);
    assert_eq!((credit.user_id, credit.amount), (user("ann"), amount(2 * PRICE)));
    assert_eq!(credit.origin.payment_id, paid.payment_id);
    assert_ne!(credit.origin.asking, paid.asking, "the refund answers the cancellation");
    assert_eq!((hall.row().refunds_due, hall.row().refunds_done), (0, 0), "those are of a cancelled show");
}

#[test]
fn p8_f18_a_refund_ends_reservation_and_payment_and_completes_the_cancel_request_though_the_seats_are_others() {
    let (mut hall, id, origin) = in_state("refunding");
    hall.held(3_000, "bob", &[1, 2]);
    let balance = balance(5_000);
    let decision = hall.run(3_001, settle("ann", &origin, 2 * PRICE, Settlement::Refunded { balance }));
    let reservation = hall.reservation(id).clone();
    assert_eq!(reservation.state.status(), ReservationStatus::Refunded);
    assert_eq!(succeeded(&decision), Reply::Settled(reservation.clone()));
    let done = decision.completes.clone().unwrap();
    assert_eq!((Some(done.asking), done.command), (origin.asking, CommandKind::CancelReservation));
    assert_eq!(done.outcome, Ok(Reply::Refunded { reservation, balance }.into()));
    assert_eq!(payment_row(&decision).state, PaymentState::Refunded);
    assert_eq!((hall.picture(), hall.free()), ("hh.".into(), 1));
    assert_eq!(hall.row().due_at.unwrap().0, 3_000 + HOLD_TTL_MS, "nothing is asked again");
}

#[test]
fn a_refund_the_wallet_cannot_take_still_gives_the_cancel_request_its_outcome() {
    let (mut hall, id, origin) = in_state("refunding");
    let declined = Settlement::RefundDeclined { code: Code::BalanceLimitExceeded };
    let decision = hall.run(3_000, settle("ann", &origin, 2 * PRICE, declined));
    assert_eq!(succeeded(&decision), Reply::Settled(hall.reservation(id).clone()));
    assert_eq!(payment_row(&decision).state, PaymentState::Completed, "for an operator to see");
    let done = decision.completes.unwrap();
    assert_eq!((Some(done.asking), done.command), (origin.asking.clone(), CommandKind::CancelReservation));
    assert_eq!(done.outcome.unwrap_err().code, Code::BalanceLimitExceeded);
    assert_eq!(hall.row().due_at, None, "nothing is asked again");
    let again = hall.run(3_001, settle("ann", &origin, 2 * PRICE, DEBITED));
    assert_eq!((refused(&again), wallet_commands(&again)), (Code::AlreadyPaid, vec![]));
}
