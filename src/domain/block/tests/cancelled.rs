//! A cancelled show: what is held ends, what is paid is paid back, and what is being paid waits for its answer.

use super::fixture::*;
use super::payments::{in_state, payment_row};
use crate::domain::block::{
    Block, OpenBlock, Origin, PaymentState, Reply, ReservationState, ReservationStatus, SWEEP_MAX, Terms,
};
use crate::domain::{Code, CommandKind, Decision, ReservationId, Verdict, wallet};

const PRICES: i64 = 2 * PRICE;

/// The refunds that a decision asks for.
fn credits(decision: &Decision<Block>) -> Vec<wallet::ForPayment> {
    let credit = |command| match command {
        wallet::Command::CreditWallet(credit) => credit,
        other => panic!("{other:?}"),
    };
    wallet_commands(decision).into_iter().map(credit).collect()
}

#[test]
fn p11_what_a_cancelled_show_does_to_each_state() {
    // (state, after the sweep, refunds)
    let cases = [
        ("held", ReservationStatus::Cancelled, 0),
        ("paying", ReservationStatus::Paying, 0),
        ("confirmed", ReservationStatus::Cancelled, 1),
        ("cancelled", ReservationStatus::Cancelled, 0),
        ("refunding", ReservationStatus::Cancelled, 0),
        ("refunded", ReservationStatus::Refunded, 0),
    ];
    for (state, after, refunds) in cases {
        let (mut hall, id, _) = in_state(state);
        succeeded(&hall.run(3_000, cancel_show()));
        assert_eq!(hall.picture(), in_state(state).0.picture(), "the command sets a flag");
        let swept = hall.run(3_001, expire());
        let Reply::HoldsExpired { reservations, refunds: asked, .. } = succeeded(&swept) else { panic!() };
        assert_eq!(reservations.len(), usize::from(["held", "confirmed"].contains(&state)), "{state}");
        assert_eq!((hall.reservation(id).state.status(), asked), (after, refunds), "{state}");
        assert_eq!((hall.row().refunds_due, credits(&swept).len()), (refunds, refunds as usize));
        assert!(hall.row().sweep_done);
        assert!(credits(&swept).iter().all(|credit| credit.origin.asking.is_none() && credit.amount == amount(PRICES)));
    }
}

#[test]
fn p11_a_debit_that_reaches_a_cancelled_show_is_paid_back_in_the_same_decision() {
    for swept in [false, true] {
        let (mut hall, id, origin) = in_state("paying");
        succeeded(&hall.run(3_000, cancel_show()));
        if swept {
            hall.expire_all(3_001);
        }
        let decision = hall.run(3_002, settle("ann", &origin, PRICES, DEBITED));
        assert_eq!(succeeded(&decision), Reply::Settled(hall.reservation(id).clone()));
        assert_eq!(hall.reservation(id).state, ReservationState::Cancelled { refund: Some(origin.payment_id) });
        assert!(matches!(payment_row(&decision).state, PaymentState::Refunding { asking: None, .. }));
        let [credit] = credits(&decision).try_into().unwrap();
        assert_eq!((credit.amount, credit.origin.payment_id), (amount(PRICES), origin.payment_id));
        let done = decision.completes.clone().unwrap();
        assert_eq!((Some(done.asking), done.command), (origin.asking.clone(), CommandKind::PayReservation));
        assert_eq!(done.outcome.unwrap_err().code, Code::ShowCancelled);
        assert_eq!(decision.follow_ups.len(), 1, "no token is completed");
        assert_eq!((hall.picture(), hall.row().refunds_due), ("...".into(), 1));
        let refund = Origin { asking: None, ..origin };
        let back = hall.run(3_003, settle("ann", &refund, PRICES, REFUNDED));
        assert_eq!((&back.completes, hall.row().refunds_done), (&None, 1));
        assert_eq!(succeeded(&back), Reply::Settled(hall.reservation(id).clone()));
        assert_eq!(hall.reservation(id).state.status(), ReservationStatus::Refunded);
    }
}

#[test]
fn p11_a_debit_declined_under_a_cancelled_show_cancels_and_the_pay_request_hears_why() {
    let (mut hall, id, origin) = in_state("paying");
    succeeded(&hall.run(3_000, cancel_show()));
    let decision = hall.run(3_001, settle("ann", &origin, PRICES, DECLINED));
    assert_eq!(hall.reservation(id).state, ReservationState::Cancelled { refund: None });
    assert_eq!(payment_row(&decision).state, PaymentState::Failed(Code::InsufficientBalance));
    assert_eq!(decision.completes.clone().unwrap().outcome.unwrap_err().code, Code::ShowCancelled);
    assert_eq!((hall.picture(), credits(&decision).len()), ("...".into(), 0));
}

#[test]
fn from_the_cancellation_on_nothing_can_be_held_paid_or_cancelled_but_what_is_confirmed() {
    for state in ["held", "paying", "confirmed", "refunding"] {
        let (mut hall, id, _) = in_state(state);
        succeeded(&hall.run(3_000, cancel_show()));
        assert_eq!(refused(&hall.hold(3_001, "bob", &[3])), Code::ShowCancelled);
        assert_eq!(refused(&hall.run_by(3_001, hold("bob", &[3]), Some("box office"))), Code::ShowCancelled);
        assert_eq!(refused(&hall.run(3_001, pay("ann", id, None))), Code::ShowCancelled);
        let expected = if state == "confirmed" { None } else { Some(Code::NotCancellable) };
        assert_eq!(code(&hall.run(STARTS_AT + 1, cancel("ann", id))), expected, "{state}");
    }
}

#[test]
fn a_refund_the_user_asked_for_is_not_counted_with_those_of_the_show() {
    let (mut hall, id, _) = in_state("confirmed");
    succeeded(&hall.run(3_000, cancel_show()));
    let origin = hall.refunding(3_001, "ann", id);
    hall.expire_all(3_002);
    let back = hall.run(3_003, settle("ann", &origin, PRICES, REFUNDED));
    assert_eq!(back.completes.unwrap().command, CommandKind::CancelReservation);
    assert_eq!((hall.row().refunds_due, hall.row().refunds_done), (0, 0));
}

#[test]
fn a_free_reservation_is_cancelled_without_the_wallet() {
    let mut hall = Hall::opened(OpenBlock { sections: vec![plain("A", 3, 0)], ..opening() });
    let id = hall.held(2_000, "ann", &[1]).id;
    succeeded(&hall.run(2_000, pay("ann", id, None)));
    succeeded(&hall.run(3_000, cancel_show()));
    let [swept] = hall.expire_all(3_001).try_into().unwrap();
    assert_eq!((credits(&swept).len(), hall.row().refunds_due), (0, 0));
    assert_eq!(hall.reservation(id).state, ReservationState::Refunded { payment: None });
}

#[test]
fn p11_300_sold_20_held_and_10_paying_reservations() {
    let terms = Terms { max_seats_per_user: 1, ..terms() };
    let mut hall = Hall::opened(OpenBlock { sections: vec![plain("A", 400, PRICE)], terms, ..opening() });
    hall.counted = false;
    let name = |n: u32| format!("user-{n}");
    let mut paying: Vec<(u32, Origin)> = Vec::new();
    for n in 1..=330 {
        let id = hall.held(2_000, &name(n), &[n]).id;
        if n <= 310 {
            paying.push((n, hall.paying(2_001, &name(n), id)));
        }
    }
    let unanswered = paying.split_off(300);
    for (n, origin) in &paying {
        succeeded(&hall.run(2_002, settle(&name(*n), origin, PRICE, DEBITED)));
    }
    succeeded(&hall.run(3_000, cancel_show()));
    let mut refunds: Vec<wallet::ForPayment> = Vec::new();
    for decision in hall.expire_all(3_001) {
        refunds.extend(credits(&decision));
    }
    assert_eq!((refunds.len(), hall.row().refunds_due), (300, 300));
    assert_eq!(hall.row().pending, 10, "only what is being paid is not free");
    for (index, (n, origin)) in unanswered.iter().enumerate() {
        let answer = if index % 2 == 0 { DEBITED } else { DECLINED };
        let decision = hall.run(3_002, settle(&name(*n), origin, PRICE, answer));
        assert_eq!(decision.completes.clone().unwrap().outcome.unwrap_err().code, Code::ShowCancelled);
        refunds.extend(credits(&decision));
    }
    assert_eq!(refunds.len(), 305);
    for refund in &refunds {
        let command = settle(refund.user_id.as_str(), &refund.origin, PRICE, REFUNDED);
        succeeded(&hall.run(3_003, command.clone()));
        assert_eq!(refused(&hall.run(3_003, command)), Code::NotCancellable, "once");
    }
    let row = hall.row();
    assert_eq!((row.refunds_due, row.refunds_done, row.pending, hall.free()), (305, 305, 0, 400));
    assert_eq!(hall.row().due_at, None);
    hall.counted = true;
    assert_eq!(hall.run(4_000, expire()).verdict, Verdict::Nothing);
}

#[test]
fn a_sweep_goes_in_order_of_id_and_holds_that_ran_out_end_as_such() {
    let terms = Terms { max_seats_per_user: 1, ..terms() };
    let seats = SWEEP_MAX as u32 + 20;
    let mut hall = Hall::opened(OpenBlock { sections: vec![plain("A", seats, PRICE)], terms, ..opening() });
    hall.counted = false;
    let mut ids: Vec<ReservationId> =
        (1..=seats).map(|n| hall.held(2_000 + i64::from(n), &format!("user-{n}"), &[n]).id).collect();
    ids.sort();
    succeeded(&hall.run(2_600, cancel_show()));
    let lists: Vec<Vec<ReservationId>> = hall
        .expire_all(2_601)
        .iter()
        .map(|decision| match succeeded(decision) {
            Reply::HoldsExpired { reservations, .. } => reservations,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [SWEEP_MAX, 20]);
    assert_eq!(lists.concat(), ids);
    assert!(ids.iter().all(|id| hall.reservation(*id).state.status() == ReservationStatus::Cancelled));

    let (mut hall, id, _) = in_state("held");
    succeeded(&hall.run(3_000, cancel_show()));
    hall.expire_all(2_000 + HOLD_TTL_MS);
    assert_eq!(hall.reservation(id).state.status(), ReservationStatus::Expired);
}
