//! `pay_reservation`, `settle_payment`, `cancel_reservation`.

use uuid::Uuid;

use super::fixture::*;
use crate::domain::command::{CompleteToken, CreditWallet, DebitWallet, OpenSection, Origin, Settlement};
use crate::domain::section::{Payment, PaymentStatus, ReservationStatus};
use crate::domain::{
    Body, Change, Code, Completion, Decision, Lane, LogTime, PaymentId, Refusal, RequestId, ReservationId, Success,
    Verdict,
};

const END: i64 = 2_000 + HOLD_TTL_MS;
const DEBITED: Settlement = Settlement::Debited { balance: 4_000 };
const REFUNDED: Settlement = Settlement::Refunded { balance: 5_000 };
const DECLINED: Settlement = Settlement::Declined { code: Code::InsufficientBalance };

/// Reservations of ann in every state, held at 2000.
const STATES: [(&str, ReservationStatus); 7] = [
    ("held", ReservationStatus::Held),
    ("paying", ReservationStatus::Paying),
    ("confirmed", ReservationStatus::Confirmed),
    ("expired", ReservationStatus::Expired),
    ("cancelled", ReservationStatus::Cancelled),
    ("refunding", ReservationStatus::Cancelled),
    ("refunded", ReservationStatus::Refunded),
];

/// A hall of 3 with one reservation of ann's on seats 1 and 2 in this state, and the last origin it had.
fn in_state(state: &str) -> (Hall, ReservationId, Origin) {
    let mut hall = Hall::with_seats(3);
    let reservation = hall.held(2_000, "ann", &[1, 2]);
    let id = reservation.id;
    let mut origin = origin_of(&reservation, PaymentId(Uuid::from_u128(99)));
    match state {
        "held" => {}
        "expired" => drop(succeeded(&hall.run(END, expire()))),
        "cancelled" => drop(succeeded(&hall.run(2_001, cancel("ann", id)))),
        paid => {
            origin = hall.paying(2_001, "ann", id);
            if paid != "paying" {
                succeeded(&hall.run(2_002, settle("ann", &origin, DEBITED)));
            }
            if paid == "refunding" || paid == "refunded" {
                origin = hall.refunding(2_003, "ann", id);
            }
            if paid == "refunded" {
                succeeded(&hall.run(2_004, settle("ann", &origin, REFUNDED)));
            }
        }
    }
    (hall, id, origin)
}

fn origin_of(reservation: &crate::domain::section::Reservation, payment_id: PaymentId) -> Origin {
    Origin {
        schedule_id: schedule(),
        section: name(),
        reservation_id: reservation.id,
        payment_id,
        request_id: RequestId(Uuid::from_u128(77)),
    }
}

fn payment_row(decision: &Decision) -> Payment {
    let found = decision.changes.iter().find_map(|change| match change {
        Change::Payment(payment) => Some(payment.clone()),
        _ => None,
    });
    found.unwrap()
}

fn completion(decision: &Decision) -> &Completion {
    decision.completes.as_ref().unwrap()
}

#[test]
fn the_states_are_what_their_names_say() {
    for (state, status) in STATES {
        let (hall, id, _) = in_state(state);
        assert_eq!(hall.reservation(id).status, status, "{state}");
    }
}

#[test]
fn paying_locks_the_seats_and_asks_the_wallet() {
    let (mut hall, id, _) = in_state("held");
    let decision = hall.run(END - 1, pay("ann", id, Some(2 * PRICE)));
    assert_eq!((&decision.verdict, &decision.completes), (&Verdict::Pending, &None));
    let payment = payment_row(&decision);
    assert_eq!((payment.status, payment.amount, payment.failure), (PaymentStatus::Pending, 2 * PRICE, None));
    assert_eq!((hall.picture(), hall.section().row.available), ("pp.".into(), 1));
    assert_eq!(hall.reservation(id).payment, Some(payment.id));
    let request_id = payment.request_id;
    let origin = Origin { payment_id: payment.id, request_id, ..origin_of(hall.reservation(id), payment.id) };
    let expected = DebitWallet {
        user_id: user("ann"),
        amount: 2 * PRICE,
        reason: Some(format!("reservation {id}")),
        origin: Some(origin),
    };
    assert_eq!(decision.follow_ups, [Body::DebitWallet(expected)]);
    // Expiry is suspended.
    assert_eq!(hall.section().next_expiry(), None);
}

#[test]
fn p3_what_can_be_paid_depends_on_the_state() {
    let expected = [
        Ok(()),
        Err(Code::PaymentInProgress),
        Err(Code::AlreadyPaid),
        Err(Code::HoldExpired),
        Err(Code::HoldExpired),
        Err(Code::HoldExpired),
        Err(Code::HoldExpired),
    ];
    for ((state, _), expected) in STATES.into_iter().zip(expected) {
        let (mut hall, id, _) = in_state(state);
        let decision = hall.run(3_000, pay("ann", id, None));
        match expected {
            Ok(()) => assert_eq!(decision.verdict, Verdict::Pending),
            Err(code) => assert_eq!(refused(&decision), code, "{state}"),
        }
    }
}

#[test]
fn f17_s6_a_hold_can_be_paid_until_just_before_its_end_whether_or_not_its_expiry_was_recorded() {
    for (time, payable) in [(END - 1, true), (END, false), (END + 1, false)] {
        let (mut hall, id, _) = in_state("held");
        let decision = hall.run(time, pay("ann", id, None));
        match payable {
            true => assert_eq!(decision.verdict, Verdict::Pending),
            false => assert_eq!(refused(&decision), Code::HoldExpired),
        }
    }
    let (mut hall, id, _) = in_state("expired");
    assert_eq!(refused(&hall.run(END, pay("ann", id, None))), Code::HoldExpired);
}

#[test]
fn s8_p7_a_payment_is_checked_for_reservation_then_owner_then_state_then_amount() {
    let (mut hall, id, _) = in_state("held");
    let unknown = ReservationId(Uuid::from_u128(5));
    let cases = [
        (pay("bob", unknown, Some(1)), 2_001, Code::ReservationNotFound),
        (pay("bob", id, Some(1)), END, Code::NotReservationOwner),
        (pay("ann", id, Some(1)), END, Code::HoldExpired),
        (pay("ann", id, Some(2 * PRICE + 1)), 2_001, Code::AmountMismatch),
        (pay("ann", id, Some(999_999_999_999)), 2_001, Code::AmountMismatch),
        (pay("ann", id, Some(-200)), 2_001, Code::AmountMismatch),
        (cancel("bob", unknown), 2_001, Code::ReservationNotFound),
        (cancel("bob", id), END, Code::NotReservationOwner),
    ];
    for (body, time, code) in cases {
        assert_eq!(refused(&hall.run(time, body.clone())), code, "{body:?}");
    }
    assert_eq!(hall.picture(), "hh.");
}

#[test]
fn f22_a_debit_confirms_sells_and_completes_the_pay_request_and_the_token() {
    for queue in [true, false] {
        let mut hall = Hall::closed();
        succeeded(&hall.run(0, Body::OpenSection(OpenSection { queue, ..opening() })));
        let id = hall.held(2_000, "ann", &[1]).id;
        let origin = hall.paying(2_001, "ann", id);
        // Long after the hold would have ended: the payment came in time.
        let decision = hall.run(900_000, settle("ann", &origin, DEBITED));
        assert_eq!(succeeded(&decision), Success::Settled(hall.reservation(id).clone()));
        let payment = payment_row(&decision);
        assert_eq!((payment.id, payment.status), (origin.payment_id, PaymentStatus::Completed));
        let expected = Completion {
            request_id: origin.request_id,
            command: "pay_reservation",
            verdict: Verdict::Succeeded(Success::PaymentCompleted { payment, balance: 4_000 }),
        };
        assert_eq!(completion(&decision), &expected);
        assert_eq!(hall.reservation(id).status, ReservationStatus::Confirmed);
        assert_eq!((hall.picture(), hall.section().row.available), ("S.........".into(), 9));
        let token = Body::CompleteToken(CompleteToken { schedule_id: schedule(), user_id: user("ann") });
        assert_eq!(decision.follow_ups, if queue { vec![token] } else { vec![] });
    }
}

#[test]
fn f23_a_declined_payment_goes_back_to_held_only_before_the_hold_ends() {
    let cases = [(END - 1, ReservationStatus::Held, "hh.", 1), (END, ReservationStatus::Expired, "...", 3)];
    for (time, status, picture, available) in cases {
        let (mut hall, id, origin) = in_state("paying");
        let decision = hall.run(time, settle("ann", &origin, DECLINED));
        assert_eq!(succeeded(&decision), Success::Settled(hall.reservation(id).clone()));
        assert_eq!((hall.reservation(id).status, hall.reservation(id).payment), (status, None));
        assert_eq!((hall.picture().as_str(), hall.section().row.available), (picture, available));
        let payment = payment_row(&decision);
        assert_eq!((payment.status, payment.failure), (PaymentStatus::Failed, Some(Code::InsufficientBalance)));
        let done = completion(&decision);
        assert_eq!((done.request_id, done.command), (origin.request_id, "pay_reservation"));
        assert!(matches!(&done.verdict, Verdict::Rejected(Refusal { code: Code::InsufficientBalance, .. })));
        assert_eq!(decision.follow_ups, []);
        assert!(hall.section().payments.is_empty(), "a failed payment never changes again");
    }
}

#[test]
fn f23_p6_after_a_decline_the_user_may_pay_again_and_a_late_answer_to_the_first_try_changes_nothing() {
    let (mut hall, id, first) = in_state("paying");
    hall.run(2_002, settle("ann", &first, DECLINED));
    let second = hall.paying(2_003, "ann", id);
    assert_ne!(first.payment_id, second.payment_id);
    for settlement in [DEBITED, DECLINED] {
        let late = hall.run(2_004, settle("ann", &first, settlement));
        assert_eq!((refused(&late), &late.completes), (Code::ReservationNotFound, &None));
    }
    succeeded(&hall.run(2_005, settle("ann", &second, DEBITED)));
    assert_eq!(hall.picture(), "SS.");
}

#[test]
fn a_settlement_that_nothing_waits_for_is_refused_and_completes_nothing() {
    use Code::{AlreadyPaid, NotCancellable, ReservationNotFound};
    // (state, refusal of Debited, of Declined, of Refunded); `None`: it is waited for.
    let cases = [
        ("held", Some(ReservationNotFound), Some(ReservationNotFound), Some(ReservationNotFound)),
        ("paying", None, None, Some(NotCancellable)),
        ("confirmed", Some(AlreadyPaid), Some(AlreadyPaid), Some(NotCancellable)),
        ("expired", Some(ReservationNotFound), Some(ReservationNotFound), Some(ReservationNotFound)),
        ("cancelled", Some(ReservationNotFound), Some(ReservationNotFound), Some(ReservationNotFound)),
        ("refunding", Some(AlreadyPaid), None, None),
        ("refunded", Some(AlreadyPaid), Some(AlreadyPaid), Some(NotCancellable)),
    ];
    for (state, debited, declined, refunded) in cases {
        for (settlement, code) in [(DEBITED, debited), (DECLINED, declined), (REFUNDED, refunded)] {
            let (mut hall, _, origin) = in_state(state);
            let decision = hall.run(3_000, settle("ann", &origin, settlement.clone()));
            match code {
                None => drop(succeeded(&decision)),
                Some(code) => {
                    assert_eq!((refused(&decision), &decision.completes), (code, &None), "{state} {settlement:?}");
                    assert_eq!(decision.follow_ups, []);
                }
            }
        }
    }
}

#[test]
fn a_settlement_for_another_payment_request_user_or_reservation_changes_nothing() {
    let (mut hall, id, origin) = in_state("paying");
    let other = Uuid::from_u128(1234);
    let cases = [
        ("ann", Origin { payment_id: PaymentId(other), ..origin.clone() }, Code::ReservationNotFound),
        ("ann", Origin { request_id: RequestId(other), ..origin.clone() }, Code::ReservationNotFound),
        ("ann", Origin { reservation_id: ReservationId(other), ..origin.clone() }, Code::ReservationNotFound),
        ("bob", origin.clone(), Code::NotReservationOwner),
    ];
    for (user, origin, code) in cases {
        let decision = hall.run(2_002, settle(user, &origin, DEBITED));
        assert_eq!((refused(&decision), &decision.completes), (code, &None));
    }
    assert_eq!(hall.reservation(id).status, ReservationStatus::Paying);
    let closed = Hall::closed().run(2_002, settle("ann", &origin, DEBITED));
    assert_eq!((refused(&closed), closed.completes), (Code::SectionNotFound, None));
}

#[test]
fn f18_cancelling_a_hold_frees_its_seats_at_once() {
    let (mut hall, id, _) = in_state("held");
    let decision = hall.run(END - 1, cancel("ann", id));
    assert_eq!(succeeded(&decision), Success::Cancelled(hall.reservation(id).clone()));
    assert_eq!(hall.reservation(id).status, ReservationStatus::Cancelled);
    assert_eq!((hall.picture(), hall.section().row.available), ("...".into(), 3));
    assert_eq!((decision.follow_ups, decision.completes), (vec![], None));
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
    for (state, time, code) in cases {
        let (mut hall, id, _) = in_state(state);
        let decision = hall.run(time, cancel("ann", id));
        match code {
            None => assert!(!matches!(decision.verdict, Verdict::Rejected(_)), "{state} at {time}"),
            Some(code) => assert_eq!(refused(&decision), code, "{state} at {time}"),
        }
    }
}

#[test]
fn f18_cancelling_what_is_paid_frees_the_seats_asks_for_the_refund_and_waits() {
    let (mut hall, id, paid) = in_state("confirmed");
    let decision = hall.run(3_000, cancel("ann", id));
    assert_eq!((&decision.verdict, &decision.completes), (&Verdict::Pending, &None));
    assert_eq!((hall.picture(), hall.section().row.available), ("...".into(), 3));
    assert_eq!(hall.reservation(id).status, ReservationStatus::Cancelled);
    assert_eq!(hall.section().payments[&paid.payment_id].status, PaymentStatus::Completed);
    let [Body::CreditWallet(CreditWallet { user_id, amount, origin, .. })] = decision.follow_ups.as_slice() else {
        panic!("{:?}", decision.follow_ups)
    };
    assert_eq!((user_id, *amount, origin.payment_id), (&user("ann"), 2 * PRICE, paid.payment_id));
    assert_ne!(origin.request_id, paid.request_id, "the refund answers the cancellation");
}

#[test]
fn f18_p8_a_refund_ends_reservation_and_payment_and_completes_the_cancel_request_though_the_seats_are_others() {
    let (mut hall, id, origin) = in_state("refunding");
    hall.held(3_000, "bob", &[1, 2]);
    let decision = hall.run(3_001, settle("ann", &origin, REFUNDED));
    let reservation = hall.reservation(id).clone();
    assert_eq!(reservation.status, ReservationStatus::Refunded);
    assert_eq!(succeeded(&decision), Success::Settled(reservation.clone()));
    let expected = Completion {
        request_id: origin.request_id,
        command: "cancel_reservation",
        verdict: Verdict::Succeeded(Success::Refunded { reservation, balance: 5_000 }),
    };
    assert_eq!(completion(&decision), &expected);
    assert_eq!(payment_row(&decision).status, PaymentStatus::Refunded);
    assert_eq!((hall.picture(), hall.section().row.available), ("hh.".into(), 1));
    assert!(hall.section().payments.is_empty());
}

#[test]
fn a_refund_the_wallet_cannot_take_still_gives_the_cancel_request_its_outcome() {
    let (mut hall, id, origin) = in_state("refunding");
    let declined = Settlement::Declined { code: Code::BalanceLimitExceeded };
    let decision = hall.run(3_000, settle("ann", &origin, declined));
    assert_eq!(succeeded(&decision), Success::Settled(hall.reservation(id).clone()));
    assert_eq!(decision.changes, []);
    let done = completion(&decision);
    assert_eq!((done.request_id, done.command), (origin.request_id, "cancel_reservation"));
    assert!(matches!(&done.verdict, Verdict::Rejected(Refusal { code: Code::BalanceLimitExceeded, .. })));
}

#[test]
fn ended_reservations_are_remembered_until_forgotten_and_can_be_given_back() {
    let (mut hall, id, origin) = in_state("refunding");
    let mut section = hall.section.take().unwrap();
    let row = section.reservations[&id].clone();
    assert_eq!((section.knows(id), section.ended_count()), (true, 1));
    let ended_at = row.changed.position.offset;
    section.forget_ended(ended_at);
    assert_eq!((section.knows(id), section.ended_count()), (true, 1), "not committed yet");
    section.forget_ended(ended_at + 1);
    assert_eq!((section.knows(id), section.ended_count()), (false, 0));

    let mut elsewhere = row.clone();
    elsewhere.section = "B".parse().unwrap();
    section.remember(elsewhere);
    assert!(!section.knows(id), "another section's reservation is not this one's");
    section.remember(row.clone());
    let mut stale = row;
    stale.status = ReservationStatus::Confirmed;
    section.remember(stale);
    assert_eq!(section.reservations[&id].status, ReservationStatus::Cancelled, "memory is never behind the store");
    assert_eq!(section.ended_count(), 1);

    hall.section = Some(section);
    let decision = hall.run(3_000, settle("ann", &origin, REFUNDED));
    assert_eq!(completion(&decision).request_id, origin.request_id);
}

#[test]
fn the_commands_that_name_a_reservation_say_which() {
    let (_, id, origin) = in_state("paying");
    use crate::domain::section::Section;
    for body in [pay("ann", id, None), cancel("ann", id), settle("ann", &origin, DEBITED)] {
        assert_eq!(Section::names(&body), Some(id));
        assert_eq!(body.routing_key().lane(), Lane::Seats);
    }
    assert_eq!(Section::names(&expire()), None);
}

#[test]
fn ids_follow_from_the_position_alone() {
    let (a, id, _) = in_state("paying");
    let (b, same, _) = in_state("paying");
    assert_eq!((id, &a.section().payments), (same, &b.section().payments));
    assert_eq!(a.section().payments.values().next().unwrap().created_at, LogTime(2_001));
}
