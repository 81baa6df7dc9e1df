//! A block and wallets under random commands, with money that is lost on the way, comes late and comes twice, against a
//! naive model: invariants 4 and 5 after every command.

use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::domain::block::{self, AmendBlock, BestAvailable, CancelReservation, Choice, HoldSeats, PayReservation};
use crate::domain::block::{SettlePayment, Settlement};
use crate::domain::wallet::{self, AnswerKind, Movement};
use crate::domain::{Body, Reply, RequestId, Verdict};

mod checks;
mod model;
mod published;
mod scripts;
mod world;

use model::{Answer, Model, Money, Side, Stage};
pub use world::World;
use world::{Decided, key, seat, user};

pub const USERS: [&str; 4] = ["ann", "bob", "cat", "dan"];
/// Name, seats, price.
pub const SECTIONS: [(&str, u32, i64); 3] = [("A", 8, 100), ("B", 4, 70), ("F", 3, 0)];
pub const SEATS: usize = 15;
pub const HOLD_TTL_MS: i64 = 50;
pub const REHOLD_AFTER_MS: i64 = 20;
pub const PAYMENT_TIMEOUT_MS: i64 = 40;
pub const SEATS_PER_USER: u32 = 5;
pub const STARTS_AT: i64 = 1_500;

#[derive(Debug, Clone)]
pub enum Step {
    Wait(i64),
    Hold {
        user: usize,
        seats: Vec<usize>,
    },
    Best {
        user: usize,
        section: usize,
        count: usize,
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
    /// A timer's records, until nothing is due.
    Expire,
    CancelShow,
    Charge {
        user: usize,
        amount: i64,
    },
    Spend {
        user: usize,
        amount: i64,
    },
    /// A charge or debit arrives again under its request id.
    Repeat(usize),
    /// Money under way arrives, in any order.
    Deliver(usize),
    /// The same, and it will arrive once more.
    DeliverTwice(usize),
    Lose(usize),
    Reload,
    Forget,
}

pub fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS.len();
    let which = || 0..1_000usize;
    let seats = prop::collection::btree_set(0..SEATS, 1..4).prop_map(|seats| seats.into_iter().collect());
    // Numbers that hit the price of one and two seats, and miss.
    let price = prop::option::weighted(0.3, prop_oneof![Just(100), Just(200), Just(0), Just(-1), Just(1 << 40)]);
    prop_oneof![
        30 => (0..HOLD_TTL_MS).prop_map(Step::Wait),
        50 => (user.clone(), seats).prop_map(|(user, seats)| Step::Hold { user, seats }),
        20 => (user.clone(), 0..SECTIONS.len(), 1..6usize)
            .prop_map(|(user, section, count)| Step::Best { user, section, count }),
        60 => (user.clone(), prop::bool::weighted(0.9), which(), price)
            .prop_map(|(user, owner, which, amount)| Step::Pay { user, owner, which, amount }),
        30 => (user.clone(), prop::bool::weighted(0.9), which())
            .prop_map(|(user, owner, which)| Step::Cancel { user, owner, which }),
        25 => Just(Step::Expire),
        1 => Just(Step::CancelShow),
        20 => (user.clone(), -1..600i64).prop_map(|(user, amount)| Step::Charge { user, amount }),
        10 => (user, -1..300i64).prop_map(|(user, amount)| Step::Spend { user, amount }),
        10 => which().prop_map(Step::Repeat),
        80 => which().prop_map(Step::Deliver),
        15 => which().prop_map(Step::DeliverTwice),
        15 => which().prop_map(Step::Lose),
        10 => Just(Step::Reload),
        10 => Just(Step::Forget),
    ]
}

/// Both, side by side.
pub struct Pair {
    pub world: World,
    model: Model,
}

impl Pair {
    fn open() -> Pair {
        Pair { world: World::open(), model: Model::new() }
    }

    /// Two users have money.
    pub fn with_money() -> Pair {
        let mut pair = Pair::open();
        for user in 0..2 {
            pair.take(&Step::Charge { user, amount: 500 });
        }
        pair
    }

    pub fn take(&mut self, step: &Step) {
        let time = self.world.time;
        match step {
            Step::Wait(ms) => self.world.time += ms,
            Step::Reload => self.world.reload(),
            Step::Forget => self.world.forget(),
            Step::Hold { user, seats } => {
                let ids = seats.iter().map(|index| seat(*index)).collect();
                let decided = self.hold(*user, Choice::Seats(ids));
                agree(&decided, &self.model.hold(time, *user, seats), step);
            }
            Step::Best { user, section, count } => self.best(*user, *section, *count, step),
            Step::Pay { user, owner, which, amount } => {
                let Some(claim) = which.checked_rem(self.model.claims.len()) else { return };
                let who = if *owner { self.model.claims[claim].user } else { *user };
                let command = PayReservation {
                    key: key(),
                    user_id: world::user(who),
                    reservation_id: self.world.reservation_id(claim),
                    amount: *amount,
                };
                let decided = self.world.run(Body::Seats(block::Command::PayReservation(command)));
                agree(&decided, &self.model.pay(time, who, claim, *amount), step);
            }
            Step::Cancel { user, owner, which } => {
                let Some(claim) = which.checked_rem(self.model.claims.len()) else { return };
                let who = if *owner { self.model.claims[claim].user } else { *user };
                let command = CancelReservation {
                    key: key(),
                    user_id: world::user(who),
                    reservation_id: self.world.reservation_id(claim),
                };
                let decided = self.world.run(Body::Seats(block::Command::CancelReservation(command)));
                agree(&decided, &self.model.cancel(time, who, claim), step);
            }
            Step::Expire => self.expire(),
            Step::CancelShow => self.cancel_show(),
            Step::Charge { user, amount } => self.move_money(None, *user, *amount, true, step),
            Step::Spend { user, amount } => self.move_money(None, *user, *amount, false, step),
            Step::Repeat(which) => {
                let Some(index) = which.checked_rem(self.world.movements.len()) else { return };
                let (request_id, command) = self.world.movements[index].clone();
                let (charge, movement) = match command {
                    wallet::Command::ChargeWallet(movement) => (true, movement),
                    wallet::Command::DebitWallet(movement) => (false, movement),
                    other => panic!("{other:?}"),
                };
                let who = USERS.iter().position(|name| *name == movement.user_id.as_str()).unwrap();
                self.move_money(Some(request_id), who, movement.amount, charge, step);
            }
            Step::Deliver(which) | Step::DeliverTwice(which) | Step::Lose(which) => {
                let Some(index) = which.checked_rem(self.world.mail.len()) else { return };
                let twice = matches!(step, Step::DeliverTwice(_));
                let body = if twice { self.world.mail[index].clone() } else { self.world.mail.remove(index) };
                if !matches!(step, Step::Lose(_)) {
                    self.deliver(body);
                }
            }
        }
    }

    fn hold(&mut self, who: usize, choice: Choice) -> Decided {
        let hold = HoldSeats { key: key(), user_id: user(who), choice, admitted: true };
        self.world.run(Body::Seats(block::Command::HoldSeats(hold)))
    }

    fn best(&mut self, who: usize, section: usize, count: usize, step: &Step) {
        let time = self.world.time;
        let name = SECTIONS[section].0.parse().unwrap();
        let best = BestAvailable { count: count as u32, section: Some(name), category: None };
        let decided = self.hold(who, Choice::BestAvailable(best));
        agree(&decided, &self.model.best(time, who, section, count), step);
        if let Verdict::Decided(Ok(Reply::Seats(block::Reply::Held { reservation, .. }))) = &decided.verdict {
            let taken: Vec<usize> = (0..SEATS).filter(|index| reservation.seats.contains(&seat(*index))).collect();
            assert!(taken.len() == count && taken.is_sorted_by(|a, b| a + 1 == *b), "neighbors: {taken:?}");
            assert_eq!(self.model.hold(time, who, &taken), Answer::Done);
        }
    }

    fn move_money(&mut self, repeat: Option<RequestId>, who: usize, amount: i64, charge: bool, step: &Step) {
        let movement = Movement { user_id: user(who), amount, reason: None };
        let command =
            if charge { wallet::Command::ChargeWallet(movement) } else { wallet::Command::DebitWallet(movement) };
        let decided = match repeat {
            Some(id) => self.world.run_as(id, Body::Wallets(command)),
            None => self.world.run(Body::Wallets(command)),
        };
        let request = repeat.unwrap_or_else(|| self.world.movements.last().unwrap().0).0.as_u128();
        agree(&decided, &self.model.move_money(request, who, amount, charge), step);
    }

    /// A timer's records: none without something to do, and none is left.
    fn expire(&mut self) {
        for _ in 0..3 {
            let due = self.world.due().is_some_and(|due| due <= self.world.time);
            let decided = self.world.run(Body::Seats(block::Command::ExpireHolds(key())));
            assert_eq!(decided.verdict == Verdict::Nothing, !due);
            if !due {
                return;
            }
        }
        panic!("still due: {:?} at {}", self.world.due(), self.world.time);
    }

    fn cancel_show(&mut self) {
        let amend = AmendBlock {
            key: key(),
            user_id: "admin".parse().unwrap(),
            sections: vec![],
            new_sections: vec![],
            sales_open_at: None,
            sales_close_at: None,
            starts_at: None,
            cancelled: true,
        };
        let decided = self.world.run(Body::Seats(block::Command::AmendBlock(amend)));
        assert!(matches!(decided.verdict, Verdict::Decided(Ok(_))), "{:?}", decided.verdict);
        self.model.cancel_show();
        self.expire();
    }

    fn deliver(&mut self, body: Body) {
        let (number, side, settlement) = match &body {
            Body::Wallets(wallet::Command::DebitForPayment(payment)) => (payment.origin.payment_id, Side::Debit, None),
            Body::Wallets(wallet::Command::CreditWallet(payment)) => (payment.origin.payment_id, Side::Refund, None),
            Body::Wallets(wallet::Command::AskPayment(ask)) => {
                let side = if ask.what == AnswerKind::Debit { Side::Debit } else { Side::Refund };
                (ask.payment.origin.payment_id, side, None)
            }
            Body::Seats(block::Command::SettlePayment(settle)) => {
                let (side, yes) = answered(settle);
                (settle.origin.payment_id, side, Some(yes))
            }
            other => panic!("{other:?}"),
        };
        let number = self.world.payment_number(number);
        let decided = self.world.run(body);
        match settlement {
            Some(yes) => {
                let expected = self.model.settle(self.world.time, number, side, yes);
                assert_eq!(decided.completes, expected, "of payment {number}: {side:?} {yes}");
            }
            None => {
                let expected = (side, self.model.ask_wallet(number, side));
                let [Body::Seats(block::Command::SettlePayment(settle))] = &decided.follow_ups[..] else { panic!() };
                assert_eq!(answered(settle), expected, "of payment {number}");
                let cost = self.model.claims[self.model.payments[number].claim].cost();
                assert_eq!(settle.amount.get(), cost);
            }
        }
    }

    /// Time goes on and everything arrives, until nothing is under way.
    fn settle_all(&mut self) {
        for _ in 0..20 {
            while !self.world.mail.is_empty() {
                self.take(&Step::Deliver(0));
                self.check();
            }
            self.world.time = self.world.time.max(self.world.due().unwrap_or(0));
            self.expire();
            self.check();
        }
        assert!(self.world.mail.is_empty());
        self.check_at_rest();
    }
}

fn answered(settle: &SettlePayment) -> (Side, bool) {
    match settle.settlement {
        Settlement::Debited { .. } => (Side::Debit, true),
        Settlement::DebitDeclined { .. } => (Side::Debit, false),
        Settlement::Refunded { .. } => (Side::Refund, true),
        Settlement::RefundDeclined { .. } => (Side::Refund, false),
    }
}

#[track_caller]
fn agree(decided: &Decided, expected: &Answer, step: &Step) {
    let agrees = match (&decided.verdict, expected) {
        (Verdict::Decided(Ok(_)), Answer::Done) | (Verdict::Pending, Answer::Waits) => true,
        (Verdict::Decided(Err(refusal)), Answer::No(codes)) => codes.contains(&refusal.code),
        _ => false,
    };
    assert!(agrees, "{step:?}: {:?}, expected {expected:?}", decided.verdict);
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_rules_are_the_models_and_no_seat_or_coin_is_lost(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::with_money();
        for step in &steps {
            pair.take(step);
            pair.check();
        }
        pair.settle_all();
    }
}
