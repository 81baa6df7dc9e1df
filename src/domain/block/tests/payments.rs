//! `pay_reservation` and the answers to its debit.

use uuid::Uuid;

use super::fixture::*;
use crate::domain::block::{
    Block, Command, OpenBlock, Origin, Payment, PaymentState, PaymentStatus, Reply, ReservationState,
    ReservationStatus, Row, Settlement, Waiting,
};
use crate::domain::{
    Aggregate, Body, Code, CommandKind, Decision, LogTime, PaymentId, ReservationId, Verdict, queue, wallet,
};

pub const END: i64 = 2_000 + HOLD_TTL_MS;
const PRICES: i64 = 2 * PRICE;

/// Reservations of ann in every state, held at 2000.
pub const STATES: [(&str, ReservationStatus); 7] = [
    ("held", ReservationStatus::Held),
    ("paying", ReservationStatus::Paying),
    ("confirmed", ReservationStatus::Confirmed),
    ("expired", ReservationStatus::Expired),
    ("cancelled", ReservationStatus::Cancelled),
    ("refunding", ReservationStatus::Cancelled),
    ("refunded", ReservationStatus::Refunded),
];

/// A hall of 3 with one reservation of ann's on seats 1 and 2 in this state, and the last origin it had.
pub fn in_state(state: &str) -> (Hall, ReservationId, Origin) {
    let mut hall = Hall::with_seats(3);
    let id = hall.held(2_000, "ann", &[1, 2]).id;
    let mut origin =
        Origin { key: key(), reservation_id: id, payment_id: PaymentId(Uuid::from_u128(99)), asking: None };
    match state {
        "held" => {}
        "expired" => drop(succeeded(&hall.run(END, expire()))),
        "cancelled" => drop(succeeded(&hall.run(2_001, cancel("ann", id)))),
        paid => {
            origin = hall.paying(2_001, "ann", id);
            if paid != "paying" {
                succeeded(&hall.run(2_002, settle("ann", &origin, PRICES, DEBITED)));
            }
            if paid == "refunding" || paid == "refunded" {
                origin = hall.refunding(2_003, "ann", id);
            }
            if paid == "refunded" {
                succeeded(&hall.run(2_004, settle("ann", &origin, PRICES, REFUNDED)));
            }
        }
    }
    (hall, id, origin)
}

pub fn payment_row(decision: &Decision<Block>) -> Payment {
    let found = decision.changes.iter().find_map(|change| match change {
        Row::Payment(payment) => Some(payment.clone()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn the_states_are_what_their_names_say() {
    for (state, status) in STATES {
        let (hall, id, _) = in_state(state);
        assert_eq!(hall.reservation(id).state.status(), status, "{state}");
    }
}

#[test]
fn paying_locks_the_seats_and_asks_the_wallet() {
    let (mut hall, id, _) = in_state("held");
    let decision = hall.run(END - 1, pay("ann", id, Some(PRICES)));
    assert_eq!((&decision.verdict, &decision.completes), (&Verdict::Pending, &None));
    let payment = payment_row(&decision);
    let ask_at = LogTime(END - 1 + TIMEOUT_MS);
    assert_eq!(payment.state, PaymentState::Pending(Waiting { ask_at, interval_ms: 2 * TIMEOUT_MS }));
    assert_eq!((hall.picture(), hall.free(), hall.row().pending), ("pp.".into(), 1, 2));
    assert_eq!(hall.reservation(id).state, ReservationState::Paying(payment.id));
    let asking = hall.log.last().unwrap().1.clone();
    let debit = wallet::Command::DebitForPayment(wallet::ForPayment {
        user_id: user("ann"),
        amount: amount(PRICES),
        reason: Some(format!("reservation {id}").parse().unwrap()),
        origin: Origin { key: key(), reservation_id: id, payment_id: payment.id, asking: Some(asking.clone()) },
    });
    assert_eq!(decision.follow_ups[0], Body::Wallets(debit));
    assert_eq!(payment.asking, asking);
    assert_eq!(hall.row().due_at, Some(ask_at), "expiry is suspended");
}

#[test]
fn p3_what_can_be_paid_depends_on_the_state() {
    use Code::{AlreadyPaid, HoldExpired, PaymentInProgress};
    let expected = [
        None,
        Some(PaymentInProgress),
        Some(AlreadyPaid),
        Some(HoldExpired),
        Some(HoldExpired),
        Some(HoldExpired),
        Some(HoldExpired),
    ];
    for ((state, _), expected) in STATES.into_iter().zip(expected) {
        let (mut hall, id, _) = in_state(state);
        assert_eq!(code(&hall.run(3_000, pay("ann", id, None))), expected, "{state}");
    }
}

#[test]
fn f17_s6_a_hold_can_be_paid_until_just_before_its_end_whether_or_not_its_expiry_was_recorded() {
    for (time, refusal) in [(END - 1, None), (END, Some(Code::HoldExpired)), (END + 1, Some(Code::HoldExpired))] {
        let (mut hall, id, _) = in_state("held");
        assert_eq!(code(&hall.run(time, pay("ann", id, None))), refusal);
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
        (pay("ann", id, Some(PRICES + 1)), 2_001, Code::AmountMismatch),
        (pay("ann", id, Some(999_999_999_999)), 2_001, Code::AmountMismatch),
        (pay("ann", id, Some(-200)), 2_001, Code::AmountMismatch),
        (cancel("bob", unknown), 2_001, Code::ReservationNotFound),
        (cancel("bob", id), END, Code::NotReservationOwner),
    ];
    for (command, time, code) in cases {
        let (mut fresh, _, _) = in_state("held");
        assert_eq!(refused(&fresh.run(time, command.clone())), code, "{command:?}");
    }
    succeeded(&hall.run(2_001, cancel_show()));
    assert_eq!(refused(&hall.run(2_001, pay("bob", unknown, None))), Code::ShowCancelled);
}

#[test]
fn p13_a_free_hold_is_confirmed_in_the_decision_that_pays_it() {
    for queue in [true, false] {
        let mut hall = Hall::opened(OpenBlock { sections: vec![plain("A", 3, 0)], queue, ..opening() });
        let id = hall.held(2_000, "ann", &[1]).id;
        let decision = hall.run(2_001, pay("ann", id, Some(0)));
        assert_eq!(succeeded(&decision), Reply::Confirmed(hall.reservation(id).clone()));
        let serial = hall.log.len() as u64 - 1;
        assert_eq!(hall.reservation(id).state, ReservationState::Confirmed { payment: None, serial });
        assert_eq!((hall.picture(), wallet_commands(&decision), hall.row().due_at), ("S..".into(), vec![], None));
        assert_eq!(decision.follow_ups, if queue { vec![completed_token(2_001)] } else { vec![] });
        let cancelled = hall.run(2_002, cancel("ann", id));
        assert_eq!(succeeded(&cancelled), Reply::Cancelled(hall.reservation(id).clone()));
        assert_eq!((hall.picture(), wallet_commands(&cancelled)), ("...".into(), vec![]));
    }
}

fn completed_token(paid_at: i64) -> Body {
    let (schedule_id, user_id, paid_at) = (key().schedule_id, user("ann"), LogTime(paid_at));
    Body::Queues(queue::Command::CompleteToken(queue::CompleteToken { schedule_id, user_id, paid_at }))
}

#[test]
fn f22_a_debit_confirms_sells_and_completes_the_pay_request_and_the_token() {
    for queue in [true, false] {
        let mut hall = Hall::opened(OpenBlock { queue, ..opening() });
        let id = hall.held(2_000, "ann", &[1]).id;
        let origin = hall.paying(2_001, "ann", id);
        // Long after the hold would have ended: the payment came in time.
        let balance = balance(4_000);
        let decision = hall.run(900_000, settle("ann", &origin, PRICE, Settlement::Debited { balance }));
        assert_eq!(succeeded(&decision), Reply::Settled(hall.reservation(id).clone()));
        let payment = payment_row(&decision);
        assert_eq!((payment.id, &payment.state), (origin.payment_id, &PaymentState::Completed));
        let done = decision.completes.unwrap();
        assert_eq!((Some(done.asking), done.command), (origin.asking, CommandKind::PayReservation));
        assert_eq!(done.outcome, Ok(Reply::PaymentCompleted { payment, balance: Some(balance) }.into()));
        assert_eq!(hall.reservation(id).state.status(), ReservationStatus::Confirmed);
        assert_eq!((hall.picture(), hall.free()), ("S.........".into(), 9));
        assert_eq!(decision.follow_ups, if queue { vec![completed_token(900_000)] } else { vec![] });
    }
}

#[test]
fn p6_f23_a_declined_payment_goes_back_to_held_only_before_the_hold_ends() {
    let cases = [(END - 1, ReservationState::Held, "hh.", 1), (END, ReservationState::Expired, "...", 3)];
    for (time, state, picture, free) in cases {
        let (mut hall, id, origin) = in_state("paying");
        let decision = hall.run(time, settle("ann", &origin, PRICES, DECLINED));
        assert_eq!(succeeded(&decision), Reply::Settled(hall.reservation(id).clone()));
        assert_eq!(hall.reservation(id).state, state);
        assert_eq!((hall.picture().as_str(), hall.free()), (picture, free));
        assert_eq!(payment_row(&decision).state, PaymentState::Failed(Code::InsufficientBalance));
        let done = decision.completes.unwrap();
        assert_eq!((Some(done.asking), done.command), (origin.asking.clone(), CommandKind::PayReservation));
        assert_eq!(done.outcome.unwrap_err().code, Code::InsufficientBalance);
        assert_eq!(wallet_commands(&Decision { completes: None, ..decision }), []);
    }
}

#[test]
fn p9_after_a_decline_the_payment_stays_failed_and_a_later_one_of_the_same_reservation_works() {
    let (mut hall, id, first) = in_state("paying");
    hall.run(2_002, settle("ann", &first, PRICES, DECLINED));
    let second = hall.paying(2_003, "ann", id);
    assert_ne!(first.payment_id, second.payment_id);
    let late = hall.run(2_004, settle("ann", &first, PRICES, DECLINED));
    assert_eq!((refused(&late), &late.completes), (Code::ReservationNotFound, &None));
    assert_eq!(hall.payment(&first).state.status(), PaymentStatus::Failed);
    succeeded(&hall.run(2_005, settle("ann", &second, PRICES, DEBITED)));
    assert_eq!(hall.picture(), "SS.");
}

/// What an answer does to a payment in each state: the refusal, and whether what was debited is paid back.
#[test]
fn p9_an_answer_that_nothing_waits_for_completes_nothing_and_a_debit_is_paid_back() {
    use Code::{AlreadyPaid, HoldExpired, NotCancellable, ReservationNotFound};
    const REFUSED: Settlement = Settlement::RefundDeclined { code: Code::BalanceLimitExceeded };
    // (state, refusal of a debit, paid back, of a decline, of a refund and its decline); `None`: it is waited for.
    let cases = [
        ("held", Some(ReservationNotFound), true, Some(ReservationNotFound), Some(ReservationNotFound)),
        ("paying", None, false, None, Some(NotCancellable)),
        ("confirmed", Some(AlreadyPaid), false, Some(AlreadyPaid), Some(NotCancellable)),
        ("expired", Some(ReservationNotFound), true, Some(ReservationNotFound), Some(ReservationNotFound)),
        ("refunding", Some(HoldExpired), true, Some(AlreadyPaid), None),
        ("refunded", Some(HoldExpired), true, Some(AlreadyPaid), Some(NotCancellable)),
    ];
    for (state, debited, paid_back, declined, refunded) in cases {
        let answers = [(DEBITED, debited), (DECLINED, declined), (REFUNDED, refunded), (REFUSED, refunded)];
        for (settlement, expected) in answers {
            let (mut hall, _, origin) = in_state(state);
            let decision = hall.run(3_000, settle("ann", &origin, PRICES, settlement));
            assert_eq!(code(&decision), expected, "{state} {settlement:?}");
            if expected.is_none() {
                continue;
            }
            assert_eq!(decision.completes, None);
            let credits = wallet_commands(&decision);
            assert_eq!(credits.len(), usize::from(paid_back && settlement == DEBITED), "{state} {settlement:?}");
            for credit in credits {
                let wallet::Command::CreditWallet(credit) = credit else { panic!("{credit:?}") };
                assert_eq!((credit.user_id, credit.amount), (user("ann"), amount(PRICES)));
                assert_eq!((credit.origin.payment_id, credit.origin.asking), (origin.payment_id, None));
            }
        }
    }
}

#[test]
fn a_late_debit_of_a_failed_payment_is_paid_back_also_when_the_block_is_not_there() {
    let (mut hall, _, origin) = in_state("paying");
    hall.run(2_002, settle("ann", &origin, PRICES, DECLINED));
    let late = hall.run(2_003, settle("ann", &origin, PRICES, DEBITED));
    assert_eq!((refused(&late), wallet_commands(&late).len()), (Code::HoldExpired, 1));
    let closed = Hall::closed().run(2_003, settle("ann", &origin, PRICES, DEBITED));
    assert_eq!((refused(&closed), wallet_commands(&closed).len()), (Code::BlockNotFound, 1));
    let closed = Hall::closed().run(2_003, settle("ann", &origin, PRICES, DECLINED));
    assert_eq!((refused(&closed), wallet_commands(&closed).len()), (Code::BlockNotFound, 0));
}

#[test]
fn a_debit_of_another_amount_fails_the_payment_and_is_paid_back() {
    let (mut hall, id, origin) = in_state("paying");
    let decision = hall.run(2_002, settle("ann", &origin, 7, DEBITED));
    assert_eq!(succeeded(&decision), Reply::Settled(hall.reservation(id).clone()));
    assert_eq!(hall.reservation(id).state, ReservationState::Held);
    assert_eq!(payment_row(&decision).state, PaymentState::Failed(Code::AmountMismatch));
    let credit = only_credit(&decision);
    assert_eq!((credit.amount, credit.origin.payment_id), (amount(7), origin.payment_id));
    assert_eq!(decision.completes.unwrap().outcome.unwrap_err().code, Code::AmountMismatch);

    let (mut hall, _, origin) = in_state("confirmed");
    let decision = hall.run(2_003, settle("ann", &origin, 7, DEBITED));
    assert_eq!((refused(&decision), wallet_commands(&decision).len()), (Code::AmountMismatch, 1));
    assert_eq!(hall.picture(), "SS.");
}

#[test]
fn a_debit_of_another_users_wallet_is_paid_back_there() {
    let (mut hall, id, origin) = in_state("paying");
    let decision = hall.run(2_002, settle("bob", &origin, PRICES, DEBITED));
    assert_eq!(refused(&decision), Code::NotReservationOwner);
    let credit = only_credit(&decision);
    assert_eq!(credit.user_id, user("bob"));
    assert_eq!(hall.reservation(id).state.status(), ReservationStatus::Paying);
}

#[test]
fn ended_rows_are_remembered_until_forgotten_and_can_be_given_back() {
    let (mut hall, id, origin) = in_state("refunded");
    let mut block = hall.block.take().unwrap();
    let (reservation, payment) = (block.reservation(id).unwrap().clone(), block.payment(origin.payment_id).unwrap());
    let payment = payment.clone();
    let command = settle("ann", &origin, PRICES, REFUNDED);
    let recalls = Block::recalls(&command, &hall.log[0].1);
    assert_eq!(recalls.len(), 2);
    assert_eq!((recalls.iter().all(|recall| block.knows(recall)), block.remembered()), (true, 2));
    let ended_at = reservation.changed.position.offset;
    block.forget(ended_at);
    assert_eq!(block.remembered(), 2, "not committed yet");
    block.forget(ended_at + 1);
    assert_eq!((recalls.iter().any(|recall| block.knows(recall)), block.remembered()), (false, 0));

    let elsewhere = crate::domain::BlockKey { block: "other".parse().unwrap(), ..key() };
    let mut foreign = reservation.clone();
    foreign.key = elsewhere;
    block.remember(Row::Reservation(foreign));
    assert_eq!(block.remembered(), 0, "another block's reservation is not this one's");
    block.remember(Row::Reservation(reservation.clone()));
    block.remember(Row::Payment(payment));
    let mut stale = reservation;
    stale.state = ReservationState::Expired;
    block.remember(Row::Reservation(stale));
    assert_eq!(block.reservation(id).unwrap().state.status(), ReservationStatus::Refunded, "memory is never behind");
    assert_eq!(block.remembered(), 2);
    hall.block = Some(block);
    assert_eq!(refused(&hall.run(3_000, command)), Code::NotCancellable);
    assert_eq!(Block::recalls(&expire(), &hall.log[0].1), []);
    assert!(matches!(hall.log[0].0, Command::OpenBlock(_)));
}

#[test]
fn ids_follow_from_the_position_alone() {
    let (a, id, origin) = in_state("paying");
    let (b, same, again) = in_state("paying");
    assert_eq!((id, origin.payment_id), (same, again.payment_id));
    assert_eq!((a.state_hash, a.payment(&origin)), (b.state_hash, b.payment(&again)));
}
