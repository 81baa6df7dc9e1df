//! Sections and wallets under random commands, against a naive model: invariants 4 and 5 after every command.

use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::domain::command::{Body, Choice, Settlement};
use crate::domain::{Decision, Verdict};

mod model;
mod world;

use model::{Answer, Model, Paper, Stage};
use world::World;

pub const USERS: [&str; 4] = ["ann", "bob", "cat", "dan"];
pub const SEATS: u32 = 12;
pub const PRICE: i64 = 100;
pub const HOLD_TTL_MS: i64 = 50;
pub const SEATS_PER_USER: u32 = 5;
pub const SALES_OPEN_AT: i64 = 20;
pub const STARTS_AT: i64 = 1_500;

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Hold {
        user: usize,
        seats: Vec<u32>,
    },
    Best {
        user: usize,
        count: u32,
    },
    /// `owner`: by whom it belongs to, else by `user`. `which` counts through all reservations ever made.
    Pay {
        user: usize,
        owner: bool,
        which: usize,
        amount: Option<i64>,
    },
    Cancel {
        user: usize,
        owner: bool,
        which: usize,
    },
    Expire,
    Charge {
        user: usize,
        amount: i64,
    },
    Spend {
        user: usize,
        amount: i64,
    },
    /// A follow-up reaches its aggregate, in any order.
    Deliver(usize),
    /// A settlement arrives once more under another request id.
    Redeliver(usize),
    Reload,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let which = || 0..1_000usize;
    let seats = prop::collection::btree_set(1..=SEATS + 1, 1..4).prop_map(|seats| seats.into_iter().collect());
    // Numbers that hit the price of one and two seats, and miss.
    let price = prop::option::weighted(0.3, prop_oneof![Just(PRICE), Just(2 * PRICE), Just(-1), Just(1 << 40)]);
    prop_oneof![
        3 => (0..HOLD_TTL_MS).prop_map(Step::Wait),
        5 => (user.clone(), seats).prop_map(|(user, seats)| Step::Hold { user, seats }),
        3 => (user.clone(), 1..6u32).prop_map(|(user, count)| Step::Best { user, count }),
        6 => (user.clone(), prop::bool::weighted(0.9), which(), price)
            .prop_map(|(user, owner, which, amount)| Step::Pay { user, owner, which, amount }),
        3 => (user.clone(), prop::bool::weighted(0.9), which())
            .prop_map(|(user, owner, which)| Step::Cancel { user, owner, which }),
        1 => Just(Step::Expire),
        2 => (user.clone(), -1..600i64).prop_map(|(user, amount)| Step::Charge { user, amount }),
        1 => (user, -1..300i64).prop_map(|(user, amount)| Step::Spend { user, amount }),
        8 => which().prop_map(Step::Deliver),
        1 => which().prop_map(Step::Redeliver),
        1 => Just(Step::Reload),
        1 => Just(Step::Forget),
    ]
}

/// What really happened, in the model's words.
fn answer(decision: &Decision) -> Answer {
    match &decision.verdict {
        Verdict::Succeeded(_) => Answer::Done,
        Verdict::Rejected(refusal) => Answer::No(refusal.code),
        Verdict::Pending => Answer::Waits,
    }
}

/// Runs one step on both; says what each answered.
fn take(world: &mut World, model: &mut Model, step: &Step) -> Option<(Answer, Answer)> {
    let time = world.time;
    let named = |model: &Model, which: usize| which.checked_rem(model.claims.len());
    let (body, expected) = match step {
        Step::Wait(ms) => {
            world.time += ms;
            return None;
        }
        Step::Reload => {
            world.section = Some(world.reloaded());
            return None;
        }
        Step::Forget => {
            world.forget();
            return None;
        }
        Step::Hold { user, seats } => {
            (world.hold(*user, Choice::Seats(seats.clone())), model.hold(time, *user, Ok(seats.clone())))
        }
        Step::Best { user, count } => {
            (world.hold(*user, Choice::BestAvailable(*count)), model.hold(time, *user, Err(*count)))
        }
        Step::Pay { user, owner, which, amount } => {
            let claim = named(model, *which)?;
            let user = if *owner { model.claims[claim].user } else { *user };
            (world.pay(user, claim, *amount), model.pay(time, user, claim, *amount))
        }
        Step::Cancel { user, owner, which } => {
            let claim = named(model, *which)?;
            let user = if *owner { model.claims[claim].user } else { *user };
            (world.cancel(user, claim), model.cancel(time, user, claim))
        }
        Step::Expire => (world.expire(), model.expire(time)),
        Step::Charge { user, amount } => (world.charge(*user, *amount), model.charge(*user, *amount)),
        Step::Spend { user, amount } => (world.spend(*user, *amount), model.spend(*user, *amount)),
        Step::Deliver(which) => {
            let index = which.checked_rem(world.mail.len())?;
            (world.mail.remove(index), model.deliver(time, index))
        }
        Step::Redeliver(which) => {
            let index = which.checked_rem(world.settled.len())?;
            let decision = world.run(world.settled[index].clone());
            assert!(matches!(decision.verdict, Verdict::Rejected(_)), "{decision:?}");
            assert_eq!((decision.follow_ups, decision.completes), (vec![], None));
            return None;
        }
    };
    let settles = matches!(body, Body::SettlePayment(_));
    if settles {
        world.settled.push(body.clone());
    }
    let decision = world.run(body);
    assert_eq!(decision.completes.is_some(), settles, "each settlement decides one request");
    Some((answer(&decision), expected))
}

fn check(world: &World, model: &Model) {
    world.check_rows();
    // Invariant 4: what the rows say is what the model says, seat by seat and reservation by reservation.
    assert_eq!(world.picture(), model.picture());
    assert_eq!(world.stages(), model.claims.iter().map(|claim| claim.stage).collect::<Vec<_>>());
    let free = model.picture().iter().filter(|seat| seat.is_none()).count();
    assert_eq!(world.section().row.available as usize, free);
    // Invariant 5.
    for (user, balance) in model.balances.iter().enumerate() {
        assert_eq!(world.balance(user), *balance, "{}", USERS[user]);
        assert!(*balance >= 0);
    }
    assert_eq!(world.balances_by_entries(), model.balances.iter().sum::<i64>());
    // Both have the same follow-ups under way.
    let kinds = |body: &Body| match body {
        Body::DebitWallet(_) => "debit",
        Body::CreditWallet(_) => "credit",
        Body::SettlePayment(settle) => match settle.settlement {
            Settlement::Debited { .. } => "debited",
            Settlement::Declined { .. } => "declined",
            Settlement::Refunded { .. } => "refunded",
        },
        other => other.name(),
    };
    let expected: Vec<_> = model.mail.iter().map(Paper::kind).collect();
    assert_eq!(world.mail.iter().map(kinds).collect::<Vec<_>>(), expected);
}

/// With nothing under way, what was paid and not given back is what the confirmed reservations cost.
fn check_at_rest(world: &World, model: &Model) {
    assert!(world.waiting.is_empty(), "every pending request got its outcome: {:?}", world.waiting);
    assert!(model.claims.iter().all(|claim| claim.stage != Stage::Paying));
    let confirmed = model.claims.iter().filter(|claim| claim.stage == Stage::Confirmed);
    let worth: i64 = confirmed.clone().map(|claim| claim.seats.len() as i64 * PRICE).sum();
    assert_eq!(world.paid_and_kept(), worth);
    let tokens = model.claims.iter().filter(|claim| matches!(claim.stage, Stage::Confirmed | Stage::Refunded));
    assert_eq!(world.tokens_completed, tokens.count(), "each payment completed one token");
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_rules_are_the_models_and_no_seat_or_coin_is_lost(steps in prop::collection::vec(step(), 1..120)) {
        let (mut world, mut model) = (World::open(), Model::new());
        for user in 0..2 {
            take(&mut world, &mut model, &Step::Charge { user, amount: 500 });
        }
        for step in &steps {
            if let Some((real, expected)) = take(&mut world, &mut model, step) {
                prop_assert_eq!(real, expected, "{:?}", step);
            }
            check(&world, &model);
        }
        while !world.mail.is_empty() {
            take(&mut world, &mut model, &Step::Deliver(0));
            check(&world, &model);
        }
        check_at_rest(&world, &model);
    }
}

#[test]
fn f17_s7_a_payment_around_the_end_of_a_hold_is_confirmed_and_debited_or_expired_and_not() {
    for (at_end, confirmed) in [(-1, true), (0, false), (1, false)] {
        for expire_first in [true, false] {
            let (mut world, mut model) = (World::open(), Model::new());
            let pay = Step::Pay { user: 0, owner: true, which: 0, amount: None };
            let script = [
                Step::Charge { user: 0, amount: 500 },
                Step::Wait(SALES_OPEN_AT),
                Step::Hold { user: 0, seats: vec![1] },
                Step::Wait(HOLD_TTL_MS + at_end),
                if expire_first { Step::Expire } else { pay.clone() },
                if expire_first { pay } else { Step::Expire },
                Step::Deliver(0),
                Step::Deliver(0),
                Step::Wait(HOLD_TTL_MS),
                Step::Expire,
            ];
            for step in &script {
                if let Some((real, expected)) = take(&mut world, &mut model, step) {
                    assert_eq!(real, expected, "{step:?}");
                }
                check(&world, &model);
            }
            check_at_rest(&world, &model);
            let expected = if confirmed { (Stage::Confirmed, 400) } else { (Stage::Expired, 500) };
            assert_eq!((world.stages()[0], world.balance(0)), expected);
        }
    }
}

#[test]
fn p2_of_three_payments_the_balance_covers_one() {
    let (mut world, mut model) = (World::open(), Model::new());
    let pay = |user, which| Step::Pay { user, owner: true, which, amount: None };
    let script = [
        Step::Wait(SALES_OPEN_AT),
        Step::Charge { user: 0, amount: 250 },
        Step::Hold { user: 0, seats: vec![1, 2] },
        Step::Hold { user: 0, seats: vec![4] },
        Step::Hold { user: 0, seats: vec![6, 7] },
        pay(0, 0),
        pay(0, 1),
        pay(0, 2),
        Step::Deliver(0),
        Step::Deliver(0),
        Step::Deliver(0),
        Step::Deliver(0),
        Step::Deliver(0),
        Step::Deliver(0),
    ];
    for step in &script {
        if let Some((real, expected)) = take(&mut world, &mut model, step) {
            assert_eq!(real, expected, "{step:?}");
        }
        check(&world, &model);
    }
    check_at_rest(&world, &model);
    assert_eq!(world.stages(), [Stage::Confirmed, Stage::Held, Stage::Held]);
    assert_eq!(world.balance(0), 50);
}
