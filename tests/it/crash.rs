//! `kill -9` at random times under load: what was accepted is decided once, whatever the moment.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::{Ask, Offer, Outcome, Pair, Sale, System, User, invariants, scenarios, text};

scenarios!(kill_nine_loses_nothing_and_doubles_nothing);

const USERS: u64 = 8;
const SEATS: u32 = 120;

/// Rounds of start, load and kill; `TURNSTILE_TEST_CRASH_ROUNDS` changes it. On Kafka a killed member's partitions are
/// free only when its session has timed out, so a round there takes seconds.
fn rounds(pair: Pair) -> u64 {
    let usual = if pair == Pair::Embedded { 50 } else { 8 };
    std::env::var("TURNSTILE_TEST_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// SplitMix64: the test's own dice, from a printed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// One command of a user, under a key of its own.
#[derive(Debug, Clone)]
struct Deed {
    key: String,
    what: What,
    /// Given by a 202.
    accepted: Option<(String, Option<String>)>,
}

#[derive(Debug, Clone)]
enum What {
    Charge(i64),
    Debit(i64),
    Hold(u64),
    Pay(String),
    Cancel(String),
}

/// What one user did and knows.
struct Hand {
    user: User,
    dice: Dice,
    deeds: u64,
    /// Sent, and the outcome not seen.
    open: Vec<Deed>,
    /// The outcome of every deed, by key.
    ends: BTreeMap<String, (Deed, Outcome)>,
    /// Reservations to pay or cancel.
    held: Vec<String>,
}

impl Hand {
    fn ask(&self, sale: &Sale, deed: &Deed) -> Ask {
        let ask = match &deed.what {
            What::Charge(amount) => self.user.charge(*amount),
            What::Debit(amount) => self.user.debit(*amount),
            What::Hold(seat) => self.user.hold(sale, &[&format!("A-{seat}")]),
            What::Pay(reservation) => self.user.pay(reservation),
            What::Cancel(reservation) => self.user.cancel(reservation),
        };
        ask.key(&deed.key)
    }

    fn next_deed(&mut self) -> Deed {
        self.deeds += 1;
        let any = |hand: &mut Hand| hand.held[usize::try_from(hand.dice.roll(hand.held.len() as u64)).unwrap()].clone();
        let what = match self.dice.roll(10) {
            0..3 => What::Charge(500 + i64::try_from(self.dice.roll(1000)).unwrap()),
            3 => What::Debit(1 + i64::try_from(self.dice.roll(400)).unwrap()),
            6..9 if !self.held.is_empty() => What::Pay(any(self)),
            9 if !self.held.is_empty() => What::Cancel(any(self)),
            _ => What::Hold(1 + self.dice.roll(u64::from(SEATS))),
        };
        Deed { key: format!("deed-{}", self.deeds), what, accepted: None }
    }

    /// Sends commands until the process dies under them. Half of them wait for their outcome.
    async fn work(&mut self, sale: &Sale) {
        loop {
            let mut deed = self.next_deed();
            let wait = u32::try_from(self.dice.roll(2)).unwrap() * 5;
            let ask = self.ask(sale, &deed);
            let answer = if wait > 0 { ask.wait(wait).try_send().await } else { ask.try_send().await };
            match answer {
                Err(_) => return self.open.push(deed),
                Ok(answer) if answer.status == 202 => {
                    deed.accepted = Some((answer.request_id().to_owned(), answer.location_position()));
                    self.open.push(deed);
                }
                // Too fast, or not taken in: the repeat after the restart finds out.
                Ok(answer) if answer.status == 429 || answer.status >= 500 => self.open.push(deed),
                Ok(answer) => self.learn(deed, answer.outcome()),
            }
        }
    }

    /// After a restart: what was accepted is decided, and a repeat of anything gives its one outcome.
    async fn settle(&mut self, sale: &Sale) {
        for deed in std::mem::take(&mut self.open) {
            let known = match &deed.accepted {
                Some((id, position)) => Some(self.user.outcome_of(id, position.as_deref()).await),
                None => None,
            };
            let repeated = self.ask(sale, &deed).decide().await;
            if let Some(known) = known {
                assert_eq!(known.request_id, repeated.request_id, "{deed:?}");
                assert_eq!((&known.result, &known.code), (&repeated.result, &repeated.code), "{deed:?}");
            }
            self.learn(deed, repeated);
        }
    }

    fn learn(&mut self, deed: Deed, outcome: Outcome) {
        if let What::Hold(_) = deed.what
            && outcome.succeeded()
        {
            self.held.push(text(&outcome.result, "reservation_id"));
        }
        self.ends.insert(deed.key.clone(), (deed, outcome));
    }

    /// What the outcomes say the balance is, and how many entries the wallet has.
    fn expected(&self) -> (i64, usize) {
        let mut balance = 0;
        let mut entries = 0;
        for (deed, outcome) in self.ends.values().filter(|(_, outcome)| outcome.succeeded()) {
            let result = &outcome.result;
            let moved = match &deed.what {
                What::Charge(amount) => *amount,
                What::Debit(amount) => -amount,
                What::Pay(_) => -amount_of(result),
                What::Cancel(_) if result["status"] == "REFUNDED" => amount_of(result),
                What::Cancel(_) | What::Hold(_) => continue,
            };
            balance += moved;
            entries += 1;
        }
        (balance, entries)
    }
}

fn amount_of(result: &Value) -> i64 {
    result["amount"].as_i64().unwrap_or_else(|| panic!("no amount in {result}"))
}

async fn kill_nine_loses_nothing_and_doubles_nothing(system: &System) {
    let rounds = rounds(system.pair);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut dice = Dice(u64::from(seed));
    let offer =
        Offer { sections: &[("A", SEATS, 300)], hold_ttl_seconds: 2, max_seats_per_user: 30, ..Offer::default() };
    let sale = offer.open(&system.client).await;
    let mut hands: Vec<Hand> = (0..USERS)
        .map(|i| Hand {
            user: system.client.user(format!("hand{i}")),
            dice: Dice(dice.roll(u64::MAX)),
            deeds: 0,
            open: Vec::new(),
            ends: BTreeMap::new(),
            held: Vec::new(),
        })
        .collect();
    for round in 0..rounds {
        let mut tasks = tokio::task::JoinSet::new();
        for mut hand in hands.drain(..) {
            let sale = sale.clone();
            tasks.spawn(async move {
                hand.work(&sale).await;
                hand
            });
        }
        // The moment of the kill is the dice's.
        tokio::time::sleep(Duration::from_millis(30 + dice.roll(300))).await;
        system.kill();
        hands = tasks.join_all().await;
        if round % 4 == 3 {
            // Once more while it recovers.
            system.start_and_kill(Duration::from_millis(dice.roll(40)));
        }
        system.start().await;
        hands = settle_all(hands, &sale).await;
        if round % 10 == 9 {
            invariants::check(system).await;
        }
    }
    let deeds: usize = hands.iter().map(|hand| hand.ends.len()).sum();
    println!("{:?}: {rounds} kills, {deeds} commands", system.pair);
    for hand in &hands {
        let (balance, entries) = hand.expected();
        assert_eq!(hand.user.entries().await.len(), entries, "entries of {}", hand.user.name);
        if entries > 0 {
            assert_eq!(hand.user.balance().await, balance, "balance of {}", hand.user.name);
        }
    }
}

async fn settle_all(hands: Vec<Hand>, sale: &Sale) -> Vec<Hand> {
    let settling = hands.into_iter().map(async |mut hand| {
        hand.settle(sale).await;
        hand
    });
    futures_util::future::join_all(settling).await
}
