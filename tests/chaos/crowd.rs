//! Users at work: each sends one command after another under keys of its own, repeats what was not answered, and writes
//! down what it was told.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::harness::client::DECIDED_WITHIN;
use crate::harness::{Answer, Ask, Offer, Outcome, Sale, User, text};

pub const HANDS: u64 = 12;
/// So many sections that every partition has some.
const SECTIONS: [&str; 12] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
const SEATS: u32 = 100;
/// A user sends no faster than this.
const PACE: Duration = Duration::from_millis(40);
/// How long one request waits for its outcome.
const WAIT_SECONDS: u32 = 30;
/// Before a repeat: of what nobody answered, and of what was refused for now.
const UNANSWERED_PAUSE: Duration = Duration::from_millis(25);
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// Live reservations of one user; above it the next deed is a cancellation.
const HELD_MAX: usize = 12;
/// Deeds of each user that are repeated in the end, to see whether they have the same outcome still.
const REPEATS_MAX: usize = 100;

/// One command's way from its first sending to its outcome.
#[derive(Debug, Clone)]
pub struct Done {
    pub hand: usize,
    pub what: What,
    /// Times it was sent or asked for.
    pub sent: u32,
    pub begun: Instant,
    pub ended: Instant,
}

impl Done {
    pub fn wait(&self) -> Duration {
        self.ended - self.begun
    }
}

/// What was not an outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubles {
    /// Answers 5xx and 429 by their problem's code.
    pub refused: BTreeMap<String, u64>,
    /// Connections refused or broken.
    pub unanswered: u64,
    /// Outcomes that were not there after 30 seconds of waiting.
    pub overdue: u64,
}

impl Troubles {
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// What all hands write.
#[derive(Default)]
struct Written {
    done: Vec<Done>,
    troubles: Troubles,
}

struct Diary {
    written: Mutex<Written>,
    /// Marked changed with every line.
    changed: watch::Sender<()>,
    stop: CancellationToken,
}

/// All the users and what they wrote down.
pub struct Crowd {
    diary: Arc<Diary>,
    hands: Vec<JoinHandle<Hand>>,
}

impl Crowd {
    /// Opens a sale and lets the users loose on it.
    pub async fn start(client: &crate::harness::Client, dice: &mut Dice) -> Crowd {
        let sections = SECTIONS.map(|name| (name, SEATS, 300));
        let offer = Offer { sections: &sections, hold_ttl_seconds: 4, max_seats_per_user: 100, queue: None };
        let sale = offer.open(client).await;
        let diary =
            Arc::new(Diary { written: Mutex::default(), changed: watch::Sender::new(()), stop: Default::default() });
        let hand = |number: u64, seed: u64| Hand {
            number: usize::try_from(number).expect("a few"),
            user: client.user(format!("hand{number}")),
            sale: sale.clone(),
            dice: Dice::new(seed),
            deeds: 0,
            ends: Vec::new(),
            held: Vec::new(),
        };
        let hands: Vec<Hand> = (0..HANDS).map(|number| hand(number, dice.roll(u64::MAX))).collect();
        let hands = hands.into_iter().map(|hand| tokio::spawn(hand.work(Arc::clone(&diary)))).collect();
        Crowd { diary, hands }
    }

    /// Waits until every user has had a command decided that was sent after this call, so that all that was under way
    /// now is decided too.
    pub async fn flowing(&self) {
        self.flowing_since(Instant::now()).await;
    }

    pub async fn flowing_since(&self, since: Instant) {
        let mut changed = self.diary.changed.subscribe();
        let flows = timeout(DECIDED_WITHIN + Duration::from_secs(30), async {
            while !self.all_have_begun(since) {
                assert!(!self.hands.iter().any(JoinHandle::is_finished), "a user gave up, see above");
                changed.changed().await.expect("the diary lives as long as the crowd");
            }
        });
        assert!(flows.await.is_ok(), "nothing is decided any more");
    }

    fn all_have_begun(&self, since: Instant) -> bool {
        let written = self.diary.written.lock().unwrap();
        let recent = written.done.iter().rev().take_while(|done| done.ended >= since);
        let mut seen = [false; HANDS as usize];
        recent.filter(|done| done.begun >= since).for_each(|done| seen[done.hand] = true);
        seen.into_iter().all(|seen| seen)
    }

    /// Waits until the users have had so many more commands decided.
    pub async fn busy(&self, commands: usize) {
        let mut changed = self.diary.changed.subscribe();
        let count = || self.diary.written.lock().unwrap().done.len();
        let enough = count() + commands;
        let busy = timeout(DECIDED_WITHIN, async { while count() < enough && changed.changed().await.is_ok() {} });
        assert!(busy.await.is_ok(), "hardly anything is decided");
    }

    /// The longest way of a command that was under way at some time since then.
    pub fn longest_since(&self, since: Instant) -> Done {
        let written = self.diary.written.lock().unwrap();
        let recent = written.done.iter().rev().take_while(|done| done.ended >= since);
        recent.max_by_key(|done| done.wait()).expect("something was decided").clone()
    }

    pub fn troubles(&self) -> Troubles {
        self.diary.written.lock().unwrap().troubles.clone()
    }

    /// Lets the users finish what they have under way, and hands them over.
    pub async fn stop(self) -> (Vec<Hand>, Vec<Done>) {
        self.diary.stop.cancel();
        let mut hands = Vec::new();
        for hand in self.hands {
            hands.push(hand.await.unwrap_or_else(|failed| resume_unwind(failed.into_panic())));
        }
        let done = std::mem::take(&mut self.diary.written.lock().unwrap().done);
        (hands, done)
    }
}

impl Diary {
    fn write(&self, line: impl FnOnce(&mut Written)) {
        line(&mut self.written.lock().unwrap());
        self.changed.send_replace(());
    }
}

/// One command of a user, under a key of its own.
#[derive(Debug, Clone)]
struct Deed {
    key: String,
    what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Charge(i64),
    Debit(i64),
    Hold(String),
    HoldBest(&'static str),
    Pay(String),
    Cancel(String),
}

/// What one user did and knows.
pub struct Hand {
    number: usize,
    pub user: User,
    sale: Sale,
    dice: Dice,
    deeds: u64,
    /// Every deed with its outcome, in order.
    ends: Vec<(Deed, Outcome)>,
    /// Reservations to pay or cancel.
    held: Vec<String>,
}

impl Hand {
    fn ask(&self, deed: &Deed) -> Ask {
        let ask = match &deed.what {
            What::Charge(amount) => self.user.charge(*amount),
            What::Debit(amount) => self.user.debit(*amount),
            What::Hold(seat) => self.user.hold(&self.sale, &[seat]),
            What::HoldBest(section) => self.user.hold_best(&self.sale, section, 2),
            What::Pay(reservation) => self.user.pay(reservation),
            What::Cancel(reservation) => self.user.cancel(reservation),
        };
        ask.key(&deed.key).wait(WAIT_SECONDS)
    }

    fn next_deed(&mut self) -> Deed {
        self.deeds += 1;
        let section = SECTIONS[self.dice.pick(SECTIONS.len())];
        let what = match self.dice.roll(12) {
            _ if self.held.len() > HELD_MAX => What::Cancel(self.held.remove(0)),
            0..3 => What::Charge(500 + i64::try_from(self.dice.roll(1000)).unwrap()),
            3 => What::Debit(1 + i64::try_from(self.dice.roll(400)).unwrap()),
            4..8 if !self.held.is_empty() => What::Pay(self.any_held()),
            8..10 if !self.held.is_empty() => What::Cancel(self.any_held()),
            10 => What::HoldBest(section),
            _ => What::Hold(format!("{section}-{}", 1 + self.dice.roll(u64::from(SEATS)))),
        };
        Deed { key: format!("deed-{}", self.deeds), what }
    }

    fn any_held(&mut self) -> String {
        self.held[self.dice.pick(self.held.len())].clone()
    }

    async fn work(mut self, diary: Arc<Diary>) -> Hand {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !diary.stop.is_cancelled() {
            pace.tick().await;
            let deed = self.next_deed();
            let begun = Instant::now();
            let (outcome, sent) = self.decide(&deed, &diary).await;
            let (hand, what, ended) = (self.number, deed.what.clone(), Instant::now());
            self.learn(deed, outcome);
            diary.write(|written| written.done.push(Done { hand, what, sent, begun, ended }));
        }
        self
    }

    /// Sends a command until its outcome is known, whatever happens in between.
    async fn decide(&mut self, deed: &Deed, diary: &Diary) -> (Outcome, u32) {
        let began = Instant::now();
        let mut accepted: Option<String> = None;
        let mut sent = 0;
        loop {
            sent += 1;
            // What was accepted can be asked for, or sent again: both must lead to the one outcome.
            let ask = match &accepted {
                Some(path) if self.dice.roll(2) == 0 => self.user.request(Method::GET, path).wait(WAIT_SECONDS),
                _ => self.ask(deed),
            };
            match ask.try_send().await {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    let code = code_of_refusal(&answer);
                    diary.write(|written| *written.troubles.refused.entry(code).or_default() += 1);
                    sleep(REFUSED_PAUSE).await;
                }
                Ok(answer) if answer.status == 202 || answer.body["status"] == "PENDING" => {
                    diary.write(|written| written.troubles.overdue += 1);
                    if answer.status == 202 {
                        accepted = Some(answer.header("location").to_owned());
                    }
                }
                Ok(answer) => return (answer.outcome(), sent),
                Err(_) => {
                    diary.write(|written| written.troubles.unanswered += 1);
                    sleep(UNANSWERED_PAUSE).await;
                }
            }
            let name = &self.user.name;
            assert!(began.elapsed() < DECIDED_WITHIN, "{deed:?} of {name} is not decided; accepted: {accepted:?}");
        }
    }

    fn learn(&mut self, deed: Deed, outcome: Outcome) {
        if let What::Hold(_) | What::HoldBest(_) = deed.what
            && outcome.succeeded()
        {
            self.held.push(text(&outcome.result, "reservation_id"));
        }
        if let What::Cancel(reservation) = &deed.what {
            self.held.retain(|held| held != reservation);
        }
        self.ends.push((deed, outcome));
    }

    pub fn succeeded(&self) -> u64 {
        self.ends.iter().filter(|(_, outcome)| outcome.succeeded()).count() as u64
    }

    pub fn refused(&self) -> u64 {
        self.ends.len() as u64 - self.succeeded()
    }

    /// The last deeds once more: each must give the outcome it had.
    pub async fn repeat(&self) {
        for (deed, outcome) in self.ends.iter().rev().take(REPEATS_MAX) {
            let repeated = self.ask(deed).decide().await;
            assert_eq!(outcome.request_id, repeated.request_id, "{deed:?}");
            assert_eq!((&outcome.result, &outcome.code), (&repeated.result, &repeated.code), "{deed:?}");
        }
    }

    /// What the outcomes say the wallet must be: each that moved money did so once.
    pub async fn check_wallet(&self) {
        let (mut balance, mut entries) = (0, 0);
        for (deed, outcome) in self.ends.iter().filter(|(_, outcome)| outcome.succeeded()) {
            let result = &outcome.result;
            balance += match &deed.what {
                What::Charge(amount) => *amount,
                What::Debit(amount) => -amount,
                What::Pay(_) => -amount_of(result),
                What::Cancel(_) if result["status"] == "REFUNDED" => amount_of(result),
                What::Cancel(_) | What::Hold(_) | What::HoldBest(_) => continue,
            };
            entries += 1;
        }
        let name = &self.user.name;
        assert_eq!(self.user.entries().await.len(), entries, "entries of {name}: lost or doubled");
        if entries > 0 {
            assert_eq!(self.user.balance().await, balance, "balance of {name}: lost or doubled");
        }
    }
}

fn amount_of(result: &Value) -> i64 {
    result["amount"].as_i64().unwrap_or_else(|| panic!("no amount in {result}"))
}

/// A front door that cannot do what it is asked says so properly.
fn code_of_refusal(answer: &Answer) -> String {
    let code = answer.code();
    let expected = ["overloaded", "unavailable", "outcome_unknown", "rate_limited"];
    assert!(expected.contains(&code), "{} {:?} {answer:?}", answer.header("content-type"), answer.headers);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    code.to_owned()
}
