//! Scenarios of payments, step by step.

use super::*;
use crate::domain::wallet::EntryKind;

fn charge(user: usize, amount: i64) -> Step {
    Step::Charge { user, amount }
}

fn hold(user: usize, seats: &[usize]) -> Step {
    Step::Hold { user, seats: seats.to_vec() }
}

fn pay(which: usize) -> Step {
    Step::Pay { user: 0, owner: true, which, amount: None }
}

fn cancel(which: usize) -> Step {
    Step::Cancel { user: 0, owner: true, which }
}

const FIRST: Step = Step::Deliver(0);
const LOSE: Step = Step::Lose(0);

fn play(pair: &mut Pair, steps: &[Step]) {
    for step in steps {
        pair.take(step);
        pair.check();
    }
}

fn played(steps: &[Step]) -> Pair {
    let mut pair = Pair::open();
    play(&mut pair, steps);
    pair
}

fn stages(pair: &Pair) -> Vec<Stage> {
    pair.world.reservations().iter().map(|row| world::reservation_is(row.state)).collect()
}

fn money(pair: &Pair) -> Vec<Money> {
    pair.world.payments().iter().map(|row| world::payment_is(&row.state)).collect()
}

#[test]
fn f17_s7_a_payment_around_the_end_of_a_hold_is_confirmed_and_debited_or_expired_and_not() {
    for (at_end, confirmed) in [(-1, true), (0, false), (1, false)] {
        for expire_first in [true, false] {
            let mut pair = played(&[charge(0, 500), hold(0, &[1]), Step::Wait(HOLD_TTL_MS + at_end)]);
            let ends = if expire_first { [Step::Expire, pay(0)] } else { [pay(0), Step::Expire] };
            play(&mut pair, &ends);
            pair.settle_all();
            let expected = if confirmed { (Stage::Confirmed, 400) } else { (Stage::Gone, 500) };
            assert_eq!((stages(&pair)[0], pair.world.balance(0)), expected);
        }
    }
}

#[test]
fn p2_of_three_payments_the_balance_covers_one() {
    let holds = [charge(0, 250), hold(0, &[1, 2]), hold(0, &[4]), hold(0, &[6, 7])];
    let mut pair = played(&holds);
    play(&mut pair, &[pay(0), pay(1), pay(2), FIRST, FIRST, FIRST, FIRST, FIRST, FIRST]);
    assert_eq!(money(&pair), [Money::Completed, Money::Failed, Money::Failed]);
    assert_eq!(stages(&pair), [Stage::Confirmed, Stage::Held, Stage::Held]);
    assert_eq!(pair.world.balance(0), 50);
}

#[test]
fn p3_a_reservation_paid_twice_is_debited_once() {
    let mut pair = played(&[charge(0, 500), hold(0, &[1]), pay(0), pay(0), FIRST, pay(0), FIRST, pay(0)]);
    pair.settle_all();
    assert_eq!((money(&pair), pair.world.balance(0)), (vec![Money::Completed], 400));
}

#[test]
fn p6_declined_then_charged_then_paid() {
    let pair = played(&[hold(0, &[1]), pay(0), FIRST, FIRST, charge(0, 100), pay(0), FIRST, FIRST]);
    assert_eq!(money(&pair), [Money::Failed, Money::Completed]);
    assert_eq!((stages(&pair)[0], pair.world.balance(0)), (Stage::Confirmed, 0));
}

#[test]
fn p8_a_refund_frees_the_seat_and_gives_the_money_back() {
    let pair = played(&[charge(0, 100), hold(0, &[1]), pay(0), FIRST, FIRST, cancel(0), FIRST, FIRST, hold(1, &[1])]);
    assert_eq!(stages(&pair), [Stage::PaidBack, Stage::Held]);
    let kinds: Vec<EntryKind> = pair.world.entries().iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Charge, EntryKind::Payment, EntryKind::Refund]);
}

#[test]
fn p9a_a_lost_debit_is_asked_for_again_and_debited_once() {
    let start = [charge(0, 500), hold(0, &[1]), pay(0), LOSE];
    // The debit itself, its answer, or both are lost; the seat stays PAYING meanwhile.
    for lost in [&[][..], &[LOSE], &[FIRST, LOSE]] {
        let mut pair = played(&start);
        play(&mut pair, &[Step::Wait(HOLD_TTL_MS + PAYMENT_TIMEOUT_MS), Step::Expire]);
        play(&mut pair, lost);
        assert_eq!(stages(&pair), [Stage::Paying]);
        pair.settle_all();
        assert_eq!(
            (stages(&pair)[0], money(&pair)[0], pair.world.balance(0)),
            (Stage::Confirmed, Money::Completed, 400)
        );
    }
}

#[test]
fn p9b_a_late_debit_is_debited_once() {
    // The first is the debit, the second what asks for it.
    for order in [[0, 0], [1, 0]] {
        let mut pair = played(&[charge(0, 500), hold(0, &[1]), pay(0), Step::Wait(PAYMENT_TIMEOUT_MS), Step::Expire]);
        assert_eq!(pair.world.mail.len(), 2);
        play(&mut pair, &order.map(Step::Deliver));
        pair.settle_all();
        assert_eq!(
            (stages(&pair)[0], money(&pair)[0], pair.world.balance(0)),
            (Stage::Confirmed, Money::Completed, 400)
        );
    }
    // The debit comes after its question was answered and settled.
    let start = [charge(0, 500), hold(0, &[1]), pay(0), Step::Wait(PAYMENT_TIMEOUT_MS), Step::Expire];
    let mut pair = played(&start);
    play(&mut pair, &[Step::Deliver(1), Step::Deliver(1), Step::Forget, Step::Deliver(0)]);
    pair.settle_all();
    assert_eq!((money(&pair)[0], pair.world.balance(0)), (Money::Completed, 400));
}

#[test]
fn p9c_a_declined_payment_stays_failed_and_a_later_one_works() {
    let declined = [hold(0, &[1]), pay(0), Step::DeliverTwice(0), Step::Deliver(1)];
    let mut pair = played(&declined);
    assert_eq!((stages(&pair), money(&pair)), (vec![Stage::Held], vec![Money::Failed]));
    // The wallet is asked again when the money is there.
    play(&mut pair, &[charge(0, 100), Step::Forget, FIRST, FIRST]);
    assert_eq!((money(&pair)[0], pair.world.balance(0)), (Money::Failed, 100));
    play(&mut pair, &[pay(0), FIRST, FIRST]);
    assert_eq!(money(&pair), [Money::Failed, Money::Completed]);
    assert_eq!((stages(&pair)[0], pair.world.balance(0)), (Stage::Confirmed, 0));
}

#[test]
fn a_lost_refund_is_asked_for_again_and_paid_once() {
    let paid = [charge(0, 100), hold(0, &[1]), pay(0), FIRST, FIRST, cancel(0), LOSE];
    for late in [vec![], vec![Step::DeliverTwice(0), Step::Lose(1)]] {
        let mut pair = played(&paid);
        play(&mut pair, &[Step::Wait(PAYMENT_TIMEOUT_MS), Step::Expire]);
        play(&mut pair, &late);
        pair.settle_all();
        assert_eq!((stages(&pair)[0], money(&pair)[0], pair.world.balance(0)), (Stage::PaidBack, Money::PaidBack, 100));
    }
}

#[test]
fn p11_a_cancelled_show_pays_everybody_back_once() {
    let sold =
        [charge(0, 400), charge(1, 400), hold(0, &[1]), hold(1, &[3]), pay(0), pay(1), FIRST, FIRST, FIRST, FIRST];
    let mut pair = played(&sold);
    // Two are PAYING, of which one is not covered; one is held; one was free.
    let open = [hold(0, &[5]), hold(2, &[6]), hold(1, &[7]), hold(3, &[12]), pay(2), pay(3), pay(5), Step::CancelShow];
    play(&mut pair, &open);
    play(&mut pair, &[hold(3, &[2]), pay(4), cancel(2), Step::DeliverTwice(0), Step::Lose(1)]);
    pair.settle_all();
    use Stage::{Gone, PaidBack};
    assert_eq!(stages(&pair), [PaidBack, PaidBack, PaidBack, Gone, Gone, Gone]);
    assert_eq!((pair.world.balance(0), pair.world.balance(1), pair.world.balance(2)), (400, 400, 0));
    assert_eq!(pair.world.block_row().refunds_due, 3);
}

#[test]
fn p13_a_free_seat_is_confirmed_without_a_wallet() {
    let pair = played(&[hold(0, &[12, 13]), pay(0)]);
    assert_eq!((stages(&pair), pair.world.mail.len(), pair.world.entries().len()), (vec![Stage::Confirmed], 0, 0));
    assert_eq!(pair.world.tokens_completed, 1);
}
