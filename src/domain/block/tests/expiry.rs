//! `expire_holds`: what is due, and nothing else.

use super::fixture::*;
use super::payments::in_state;
use crate::domain::block::ReservationStatus::{Expired, Held, Paying};
use crate::domain::block::{AmendBlock, Block, Command, PaymentState, Reply, ReservationStatus, Row, Waiting};
use crate::domain::wallet::{AnswerKind, Command as WalletCommand};
use crate::domain::{Code, LogTime, Verdict};

const END: i64 = 2_000 + HOLD_TTL_MS;

#[test]
fn f14_s6_expiry_ends_what_is_due_at_its_time_and_nothing_else() {
    let mut hall = Hall::with_seats(8);
    let due = hall.held(2_000, "ann", &[4, 5]);
    let also_due = hall.held(2_000, "bob", &[1]);
    let later = hall.held(2_001, "cat", &[2]);
    let paying = hall.held(2_000, "dan", &[3]);
    hall.paying(2_000, "dan", paying.id);
    hall.confirmed(2_000, "eve", &[7]);
    let nothing = hall.run(END - 1, expire());
    assert_eq!((nothing.verdict, nothing.changes), (Verdict::Nothing, vec![]));
    let decision = hall.run(END, expire());
    let Reply::HoldsExpired { reservations, seats, refunds: 0, asked: 0, .. } = succeeded(&decision) else { panic!() };
    let mut expected = [due.id, also_due.id];
    expected.sort();
    assert_eq!((reservations.as_slice(), seats), (expected.as_slice(), vec![seat(1), seat(4), seat(5)]));
    assert_eq!((hall.picture(), hall.free()), (".hp...S.".into(), 5));
    let status = |id| hall.reservation(id).state.status();
    assert_eq!((status(due.id), status(later.id), status(paying.id)), (Expired, Held, Paying));
    assert_eq!(hall.row().due_at, Some(later.expires_at));
}

#[test]
fn s12_a_hold_ends_when_the_show_starts_also_when_that_was_moved_after_the_hold() {
    let mut hall = Hall::with_seats(3);
    let held_at = 2_000;
    let id = hall.held(held_at, "ann", &[1]).id;
    let bob = hall.held(held_at + 1, "bob", &[2]).id;
    let starts_at = LogTime(held_at + 3_000);
    let amend = |starts_at| Command::AmendBlock(AmendBlock { starts_at: Some(starts_at), ..amending() });
    succeeded(&hall.run(held_at + 2, amend(starts_at)));
    assert_eq!(hall.row().due_at, Some(starts_at));
    assert_eq!(hall.reservation(id).expires_at, LogTime(END), "no reservation is written anew");
    let paid = hall.run(starts_at.0, pay("ann", id, None));
    assert_eq!((refused(&paid), wallet_commands(&paid)), (Code::HoldExpired, vec![]));
    // Moved back before anybody recorded it: judged by what holds now.
    succeeded(&hall.run(starts_at.0 + 1, amend(LogTime(STARTS_AT))));
    assert_eq!(hall.row().due_at, Some(LogTime(END)));
    hall.paying(starts_at.0 + 2, "ann", id);
    succeeded(&hall.run(starts_at.0 + 3, amend(LogTime(starts_at.0 + 100))));
    hall.expire_all(starts_at.0 + 100);
    assert_eq!(hall.reservation(bob).state.status(), Expired);
    assert_eq!(hall.reservation(id).state.status(), Paying, "a payment under way is not its business");
}

#[test]
fn p9_a_wallet_that_has_not_answered_is_asked_again_at_doubling_intervals_up_to_an_hour() {
    const HOUR: i64 = 3_600_000;
    for (state, what) in [("paying", AnswerKind::Debit), ("refunding", AnswerKind::Refund)] {
        let (mut hall, id, origin) = in_state(state);
        let began = if state == "paying" { 2_001 } else { 2_003 };
        let status = hall.reservation(id).state.status();
        let mut waits = Vec::new();
        let mut last = began;
        for _ in 0..9 {
            let due_at = hall.row().due_at.unwrap();
            assert_eq!(hall.run(due_at.0 - 1, expire()).verdict, Verdict::Nothing);
            let decision = hall.run(due_at.0, expire());
            let Reply::HoldsExpired { asked: 1, reservations, .. } = succeeded(&decision) else { panic!() };
            assert_eq!(reservations, []);
            let commands = wallet_commands(&decision);
            let [WalletCommand::AskPayment(ask)] = commands.as_slice() else { panic!() };
            assert_eq!((ask.what, &ask.payment.origin, ask.payment.amount), (what, &origin, amount(2 * PRICE)));
            waits.push(due_at.0 - last);
            last = due_at.0;
        }
        let minutes = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(|minutes| minutes * 60_000);
        assert_eq!((waits, HOUR), (minutes.to_vec(), 60 * 60_000));
        assert_eq!(hall.reservation(id).state.status(), status, "asking decides nothing");
        let answer = if what == AnswerKind::Debit { DEBITED } else { REFUNDED };
        succeeded(&hall.run(last, settle("ann", &origin, 2 * PRICE, answer)));
        assert_eq!(hall.row().due_at, None);
    }
}

#[test]
fn a_timeout_of_an_hour_is_not_doubled() {
    let (mut hall, _, _) = in_state("held");
    let mut row = hall.row().clone();
    row.terms.payment_timeout_ms = 3_600_000;
    let payment = {
        let mut rows = hall.rows();
        rows.block = row;
        let id = rows.reservations[0].id;
        let mut block = Block::load(rows);
        crate::domain::Aggregate::advance(&mut block, LogTime(3_000));
        hall.block = Some(block);
        hall.counted = false;
        super::payments::payment_row(&hall.run(3_000, pay("ann", id, None)))
    };
    let waiting = Waiting { ask_at: LogTime(3_603_000), interval_ms: 3_600_000 };
    assert_eq!(payment.state, PaymentState::Pending(waiting));
}

#[test]
fn a_record_that_finds_nothing_due_corrects_when_something_is() {
    let mut hall = Hall::with_seats(3);
    hall.held(2_000, "ann", &[1]);
    let mut rows = hall.rows();
    rows.block.due_at = Some(LogTime(2_500));
    hall.block = Some(Block::load(rows));
    hall.counted = false;
    let decision = hall.run(2_500, expire());
    assert_eq!(decision.verdict, Verdict::Nothing);
    let [Row::Block(row)] = decision.changes.as_slice() else { panic!("{:?}", decision.changes) };
    assert_eq!(row.due_at, Some(LogTime(END)));
}

#[test]
fn holds_end_in_order_of_their_end_then_of_their_ids() {
    let mut hall = Hall::with_seats(9);
    let mut expected = Vec::new();
    for (n, time) in [(1, 2_000), (2, 2_000), (3, 2_001), (4, 2_003), (5, 2_003)] {
        let reservation = hall.held(time, &format!("user-{n}"), &[n]);
        expected.push((reservation.expires_at, reservation.id));
    }
    expected.sort();
    let Reply::HoldsExpired { reservations, .. } = succeeded(&hall.run(50_000, expire())) else { panic!() };
    assert_eq!(reservations, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
    assert!(hall.block().reservation(reservations[0]).unwrap().state.status() == ReservationStatus::Expired);
}
