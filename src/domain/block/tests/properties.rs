//! Random commands: everything counted again after each (see `check`), and the log decided again gives the same.

use proptest::collection::vec;
use proptest::prelude::*;

use super::fixture::*;
use crate::domain::block::{AmendBlock, Block, Command, NewSection, OpenBlock, Origin, Settlement, Terms};
use crate::domain::{Aggregate, Code, Decision, LogTime, ReservationId, SeatId, Verdict, wallet};

#[derive(Debug, Clone)]
enum Step {
    Hold {
        user: u8,
        seats: Vec<u32>,
        staff: bool,
    },
    Best {
        user: u8,
        count: u32,
    },
    /// Of the n-th reservation there ever was; by its user, or by another.
    Pay {
        nth: usize,
        owner: bool,
    },
    Cancel {
        nth: usize,
        owner: bool,
    },
    /// The n-th thing that was asked of wallets is answered, or answered again.
    Answer {
        nth: usize,
        accept: bool,
    },
    Expire,
    StartsAt(i64),
    Cancelled,
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..4u8;
    let seats = prop::collection::btree_set(1..=12u32, 1..4).prop_map(|seats| seats.into_iter().collect());
    let nth = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    let owner = || prop::bool::weighted(0.9);
    prop_oneof![
        6 => (user(), seats, prop::bool::weighted(0.1)).prop_map(|(user, seats, staff)| Step::Hold { user, seats, staff }),
        4 => (user(), 1..4u32).prop_map(|(user, count)| Step::Best { user, count }),
        5 => (nth(), owner()).prop_map(|(nth, owner)| Step::Pay { nth, owner }),
        3 => (nth(), owner()).prop_map(|(nth, owner)| Step::Cancel { nth, owner }),
        8 => (nth(), prop::bool::weighted(0.7)).prop_map(|(nth, accept)| Step::Answer { nth, accept }),
        3 => Just(Step::Expire),
        1 => (1..40_000i64).prop_map(Step::StartsAt),
        1 => Just(Step::Cancelled),
    ]
}

/// A wallet that gives each payment its first answer for good, and the money it has moved.
#[derive(Default)]
struct Wallets {
    asked: Vec<(wallet::AnswerKind, wallet::ForPayment)>,
    answers: std::collections::BTreeMap<(uuid::Uuid, wallet::AnswerKind), bool>,
}

impl Wallets {
    fn take(&mut self, decision: &Decision<Block>) {
        self.asked.extend(wallet_commands(decision).into_iter().map(|command| match command {
            wallet::Command::DebitForPayment(payment) => (wallet::AnswerKind::Debit, payment),
            wallet::Command::CreditWallet(payment) => (wallet::AnswerKind::Refund, payment),
            wallet::Command::AskPayment(ask) => (ask.what, ask.payment),
            other => panic!("{other:?}"),
        }));
    }

    fn answer(&mut self, nth: usize, accept: bool) -> Option<Command> {
        let (kind, payment) = self.asked.get(nth % self.asked.len().max(1))?.clone();
        let is_debit = kind == wallet::AnswerKind::Debit;
        // A refund is never declined here: what it leaves is another test's.
        let accepted = *self.answers.entry((payment.origin.payment_id.0, kind)).or_insert(accept || !is_debit);
        let settlement = match (is_debit, accepted) {
            (true, true) => DEBITED,
            (true, false) => DECLINED,
            (false, _) => REFUNDED,
        };
        Some(settle(payment.user_id.as_str(), &payment.origin, payment.amount.get(), settlement))
    }

    /// Payments that took money and have not given it back.
    fn taken(&self) -> usize {
        let debited = self.answers.iter().filter(|((_, kind), yes)| *kind == wallet::AnswerKind::Debit && **yes);
        let back = |id: &uuid::Uuid| self.answers.contains_key(&(*id, wallet::AnswerKind::Refund));
        debited.filter(|((id, _), _)| !back(id)).count()
    }
}

struct World {
    hall: Hall,
    wallets: Wallets,
    reservations: Vec<(ReservationId, String)>,
    time: i64,
}

impl World {
    fn new() -> World {
        let mut parts = plain("A", 8, PRICE).layout.parts().clone();
        (parts.wheelchair, parts.companions) = (vec![super::super::Span { first: 5, last: 5 }], vec![(4, 5)]);
        let layout = super::super::Layout::new(parts).unwrap();
        let sections = vec![NewSection { name: name("A"), layout }, plain("B", 4, 0)];
        let terms = Terms { companions_free_at: Some(LogTime(30_000)), ..terms() };
        let hall = Hall::opened(OpenBlock { sections, terms, ..opening() });
        World { hall, wallets: Wallets::default(), reservations: Vec::new(), time: 2_000 }
    }

    fn command(&mut self, step: &Step) -> Option<(Command, Option<&'static str>)> {
        let named = |user: u8| format!("user-{user}");
        let of = |nth: usize, owner: bool| {
            let (id, user) = self.reservations.get(nth % self.reservations.len().max(1))?;
            Some((*id, if owner { user.clone() } else { "mallory".to_owned() }))
        };
        let command = match step {
            Step::Hold { user, seats, staff } => {
                let id = |n: &u32| if *n > 8 { ("B", *n - 8) } else { ("A", *n) };
                let ids = seats.iter().map(id).map(|(section, number)| SeatId { section: name(section), number });
                let choice = crate::domain::block::Choice::Seats(ids.collect());
                return Some((choose(&named(*user), choice), staff.then_some("box office")));
            }
            Step::Best { user, count } => best(&named(*user), *count),
            Step::Pay { nth, owner } => of(*nth, *owner).map(|(id, user)| pay(&user, id, None))?,
            Step::Cancel { nth, owner } => of(*nth, *owner).map(|(id, user)| cancel(&user, id))?,
            Step::Answer { nth, accept } => self.wallets.answer(*nth, *accept)?,
            Step::Expire => expire(),
            Step::StartsAt(later) => {
                let starts_at = Some(LogTime(self.time + later));
                Command::AmendBlock(AmendBlock { starts_at, ..amending() })
            }
            Step::Cancelled => cancel_show(),
        };
        Some((command, None))
    }

    fn step(&mut self, step: &Step, later: i64) {
        self.time += later;
        let Some((command, by)) = self.command(step) else { return };
        let decision = self.hall.run_by(self.time, command.clone(), by);
        self.wallets.take(&decision);
        if let (Command::HoldSeats(hold), None) = (&command, code(&decision)) {
            self.reservations.push((held(&decision).id, hold.user_id.as_str().to_owned()));
        }
        if let Command::SettlePayment(settlement) = &command {
            let again = self.hall.run(self.time, command.clone());
            assert_eq!((&again.changes, &again.completes), (&vec![], &None), "an answer counts once: {settlement:?}");
            self.wallets.take(&again);
        }
    }

    /// Wallets answer and timers run until nothing is due: each payment has ended, and the money is where it belongs.
    fn settle(&mut self) {
        let mut answered = 0;
        while answered < self.wallets.asked.len() || self.hall.row().due_at.is_some() {
            for nth in std::mem::replace(&mut answered, self.wallets.asked.len())..self.wallets.asked.len() {
                self.step(&Step::Answer { nth, accept: true }, 0);
            }
            self.time += 100_000;
            for decision in self.hall.expire_all(self.time) {
                self.wallets.take(&decision);
            }
            assert!(self.time < 10_000_000, "it never ends");
        }
        assert_eq!(self.hall.row().due_at, None);
        let reservations = self.hall.block().live.iter().map(|id| self.hall.reservation(*id));
        let paid = reservations.filter(|reservation| reservation.state.payment().is_some()).count();
        assert_eq!(paid, self.wallets.taken(), "who paid has seats, who has seats has paid");
        assert_eq!(self.hall.row().refunds_due, self.hall.row().refunds_done);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_seats_money_and_timers_add_up_and_the_log_gives_it_again(
        steps in vec((step(), 0..3_000i64), 1..60), reload in 0..60usize
    ) {
        let mut world = World::new();
        for (step, later) in &steps {
            world.step(step, *later);
        }
        world.settle();
        let mut again = Hall { counted: false, ..Hall::closed() };
        for (index, (command, asking, at)) in world.hall.log.clone().into_iter().enumerate() {
            if index == reload && again.block.is_some() {
                let block = Block::load(again.rows());
                again.block = Some(block);
            }
            recall(&mut again, &command, &asking);
            again.record(command, asking, at);
        }
        prop_assert_eq!(again.state_hash, world.hall.state_hash);
        prop_assert_eq!(again.store, world.hall.store);
    }
}

/// Gives back what a command names, as a store does.
fn recall(hall: &mut Hall, command: &Command, asking: &crate::domain::Asking) {
    let Some(block) = &mut hall.block else { return };
    for recall in Block::recalls(command, asking).into_iter().filter(|recall| !block.knows(recall)).collect::<Vec<_>>()
    {
        let key = match recall {
            super::super::Recall::Reservation(id) => super::super::RowKey::Reservation(id),
            super::super::Recall::Payment(id) => super::super::RowKey::Payment(id),
        };
        if let Some(row) = hall.store.get(&key) {
            block.remember(row.clone());
        }
    }
}

#[test]
fn an_origin_of_a_payment_is_enough_to_find_it() {
    let mut hall = Hall::with_seats(3);
    let id = hall.held(2_000, "ann", &[1]).id;
    let origin = hall.paying(2_001, "ann", id);
    let other = Origin { reservation_id: ReservationId(uuid::Uuid::from_u128(5)), ..origin };
    let decision = hall.run(2_002, settle("ann", &other, PRICE, Settlement::Debited { balance: balance(1) }));
    assert!(matches!(decision.verdict, Verdict::Decided(Ok(_))));
    assert_eq!(code(&hall.run(2_003, settle("ann", &other, PRICE, DEBITED))), Some(Code::AlreadyPaid));
}
