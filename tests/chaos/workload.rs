//! Clients: each sends one command after another under its own keys, retries until it has an outcome, and records it.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::client::DECIDED_WITHIN;
use crate::harness::{Answer, Ask, Offer, Outcome, Sale, User, text};
use crate::prng::Prng;

pub const ACTORS: u64 = 12;
/// Enough for every partition to own some.
const SECTIONS: [&str; 12] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
const SEATS: u32 = 100;
/// Shortest time between two commands of a client.
const PACE: Duration = Duration::from_millis(40);
/// How long one request waits for its outcome.
const WAIT_SECONDS: u32 = 30;
/// Pauses before a retry: after no answer, and after a 503 or 429.
const UNANSWERED_PAUSE: Duration = Duration::from_millis(25);
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// Live reservations of one client; above it the next operation is a cancellation.
const HELD_MAX: usize = 12;
/// Last operations of each client that are retried in the end.
const RETRIED_LAST: usize = 100;

/// One command, from its first attempt to its outcome.
#[derive(Debug, Clone)]
pub struct Completed {
    pub actor: usize,
    pub action: Action,
    /// Times it was sent or polled.
    pub attempts: u32,
    pub begun: Instant,
    pub ended: Instant,
}

impl Completed {
    pub fn latency(&self) -> Duration {
        self.ended - self.begun
    }
}

/// Answers that were not outcomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// Answers 5xx and 429 by their problem's code.
    pub refused: BTreeMap<String, u64>,
    /// Connections refused or broken.
    pub unanswered: u64,
    /// No outcome after 30 seconds of waiting.
    pub overdue: u64,
}

impl Failures {
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// What all clients record.
#[derive(Default)]
struct Entries {
    completed: Vec<Completed>,
    failures: Failures,
}

struct History {
    entries: Mutex<Entries>,
    /// Signals each new entry.
    changed: watch::Sender<()>,
    stop: CancellationToken,
}

/// All clients and their history.
pub struct Workload {
    history: Arc<History>,
    actors: Vec<JoinHandle<Actor>>,
}

impl Workload {
    /// Opens a sale and starts the clients.
    pub async fn start(client: &crate::harness::Client, prng: &mut Prng) -> Workload {
        // A block each, so that they are spread over the partitions.
        let section = |name: &&str| json!({"name": name, "seats": SEATS, "price": 300, "block": name});
        let layouts = SECTIONS.iter().map(section).collect();
        let offer = Offer { layouts, hold_ttl_seconds: 4, max_seats_per_user: 100, ..Offer::default() };
        let sale = offer.open(client).await;
        let history =
            Arc::new(History { entries: Mutex::default(), changed: watch::Sender::new(()), stop: Default::default() });
        let actor = |number: u64, seed: u64| Actor {
            number: usize::try_from(number).expect("a few"),
            user: client.user(format!("actor{number}")),
            sale: sale.clone(),
            prng: Prng::new(seed),
            operations: 0,
            ends: Vec::new(),
            held: Vec::new(),
        };
        let actors: Vec<Actor> = (0..ACTORS).map(|number| actor(number, prng.below(u64::MAX))).collect();
        let actors = actors.into_iter().map(|actor| tokio::spawn(actor.work(Arc::clone(&history)))).collect();
        Workload { history, actors }
    }

    /// Waits until every client has completed a command that it began after this call, so that everything in flight now is
    /// decided too.
    pub async fn progress(&self) {
        self.progress_since(Instant::now()).await;
    }

    pub async fn progress_since(&self, since: Instant) {
        let mut changed = self.history.changed.subscribe();
        let flows = timeout(DECIDED_WITHIN + Duration::from_secs(30), async {
            while !self.all_have_begun(since) {
                assert!(!self.actors.iter().any(JoinHandle::is_finished), "a client gave up, see above");
                changed.changed().await.expect("the history lives as long as the workload");
            }
        });
        assert!(flows.await.is_ok(), "nothing is decided any more");
    }

    fn all_have_begun(&self, since: Instant) -> bool {
        let entries = self.history.entries.lock().unwrap();
        let recent = entries.completed.iter().rev().take_while(|one| one.ended >= since);
        let mut seen = [false; ACTORS as usize];
        recent.filter(|one| one.begun >= since).for_each(|one| seen[one.actor] = true);
        seen.into_iter().all(|seen| seen)
    }

    /// Waits for this many more completed commands.
    pub async fn commands(&self, commands: usize) {
        let mut changed = self.history.changed.subscribe();
        let count = || self.history.entries.lock().unwrap().completed.len();
        let enough = count() + commands;
        let busy = timeout(DECIDED_WITHIN, async { while count() < enough && changed.changed().await.is_ok() {} });
        assert!(busy.await.is_ok(), "hardly anything is decided");
    }

    /// The command with the longest latency of those in flight at some time since then.
    pub fn longest_since(&self, since: Instant) -> Completed {
        let entries = self.history.entries.lock().unwrap();
        let recent = entries.completed.iter().rev().take_while(|one| one.ended >= since);
        recent.max_by_key(|one| one.latency()).expect("something was decided").clone()
    }

    pub fn failures(&self) -> Failures {
        self.history.entries.lock().unwrap().failures.clone()
    }

    /// Lets the clients finish what is in flight; returns them and what they completed.
    pub async fn stop(self) -> (Vec<Actor>, Vec<Completed>) {
        self.history.stop.cancel();
        let mut actors = Vec::new();
        for actor in self.actors {
            actors.push(actor.await.unwrap_or_else(|failed| resume_unwind(failed.into_panic())));
        }
        let completed = std::mem::take(&mut self.history.entries.lock().unwrap().completed);
        (actors, completed)
    }
}

impl History {
    fn record(&self, entry: impl FnOnce(&mut Entries)) {
        entry(&mut self.entries.lock().unwrap());
        self.changed.send_replace(());
    }
}

/// One command of a client, under its own key.
#[derive(Debug, Clone)]
struct Operation {
    key: String,
    action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    Charge(i64),
    Debit(i64),
    Hold(String),
    HoldBest(&'static str),
    Pay(String),
    Cancel(String),
}

/// One client and what it knows.
pub struct Actor {
    number: usize,
    pub user: User,
    sale: Sale,
    prng: Prng,
    operations: u64,
    /// Every operation with its outcome, in order.
    ends: Vec<(Operation, Outcome)>,
    /// Reservations to pay or cancel.
    held: Vec<String>,
}

impl Actor {
    fn ask(&self, operation: &Operation) -> Ask {
        let ask = match &operation.action {
            Action::Charge(amount) => self.user.charge(*amount),
            Action::Debit(amount) => self.user.debit(*amount),
            Action::Hold(seat) => self.user.hold(&self.sale, &[seat]),
            Action::HoldBest(section) => self.user.hold_best(&self.sale, section, 2),
            Action::Pay(reservation) => self.user.pay(reservation),
            Action::Cancel(reservation) => self.user.cancel(reservation),
        };
        ask.key(&operation.key).wait(WAIT_SECONDS)
    }

    fn next_operation(&mut self) -> Operation {
        self.operations += 1;
        let section = SECTIONS[self.prng.index(SECTIONS.len())];
        let action = match self.prng.below(12) {
            _ if self.held.len() > HELD_MAX => Action::Cancel(self.held.remove(0)),
            0..3 => Action::Charge(500 + i64::try_from(self.prng.below(1000)).unwrap()),
            3 => Action::Debit(1 + i64::try_from(self.prng.below(400)).unwrap()),
            4..8 if !self.held.is_empty() => Action::Pay(self.any_held()),
            8..10 if !self.held.is_empty() => Action::Cancel(self.any_held()),
            10 => Action::HoldBest(section),
            _ => Action::Hold(format!("{section}-{}", 1 + self.prng.below(u64::from(SEATS)))),
        };
        Operation { key: format!("operation-{}", self.operations), action }
    }

    fn any_held(&mut self) -> String {
        self.held[self.prng.index(self.held.len())].clone()
    }

    async fn work(mut self, history: Arc<History>) -> Actor {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !history.stop.is_cancelled() {
            pace.tick().await;
            let operation = self.next_operation();
            let begun = Instant::now();
            let (outcome, attempts) = self.decide(&operation, &history).await;
            let (actor, action, ended) = (self.number, operation.action.clone(), Instant::now());
            self.learn(operation, outcome);
            history.record(|entries| entries.completed.push(Completed { actor, action, attempts, begun, ended }));
        }
        self
    }

    /// Retries a command until its outcome is known.
    async fn decide(&mut self, operation: &Operation, history: &History) -> (Outcome, u32) {
        let began = Instant::now();
        let mut accepted: Option<String> = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            // An accepted command may be polled or sent again: both must lead to its one outcome.
            let ask = match &accepted {
                Some(path) if self.prng.below(2) == 0 => self.user.request(Method::GET, path).wait(WAIT_SECONDS),
                _ => self.ask(operation),
            };
            match ask.try_send().await {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    let code = code_of_refusal(&answer);
                    history.record(|entries| *entries.failures.refused.entry(code).or_default() += 1);
                    sleep(REFUSED_PAUSE).await;
                }
                Ok(answer) if answer.status == 202 || answer.body["status"] == "PENDING" => {
                    history.record(|entries| entries.failures.overdue += 1);
                    if answer.status == 202 {
                        accepted = Some(answer.header("location").to_owned());
                    }
                }
                Ok(answer) => return (answer.outcome(), attempts),
                Err(_) => {
                    history.record(|entries| entries.failures.unanswered += 1);
                    sleep(UNANSWERED_PAUSE).await;
                }
            }
            let name = &self.user.name;
            assert!(began.elapsed() < DECIDED_WITHIN, "{operation:?} of {name} is not decided; accepted: {accepted:?}");
        }
    }

    fn learn(&mut self, operation: Operation, outcome: Outcome) {
        if let Action::Hold(_) | Action::HoldBest(_) = operation.action
            && outcome.succeeded()
        {
            self.held.push(text(&outcome.result, "reservation_id"));
        }
        if let Action::Cancel(reservation) = &operation.action {
            self.held.retain(|held| held != reservation);
        }
        self.ends.push((operation, outcome));
    }

    pub fn succeeded(&self) -> u64 {
        self.ends.iter().filter(|(_, outcome)| outcome.succeeded()).count() as u64
    }

    pub fn refused(&self) -> u64 {
        self.ends.len() as u64 - self.succeeded()
    }

    /// Retries the last operations: each must return the outcome it had.
    pub async fn retry_last(&self) {
        for (operation, outcome) in self.ends.iter().rev().take(RETRIED_LAST) {
            let repeated = self.ask(operation).decide().await;
            assert_eq!(outcome.request_id, repeated.request_id, "{operation:?}");
            assert_eq!((&outcome.result, &outcome.code), (&repeated.result, &repeated.code), "{operation:?}");
        }
    }

    /// Compares the wallet with the sum of the outcomes: each that moved money did so once.
    pub async fn check_wallet(&self) {
        let (mut balance, mut entries) = (0, 0);
        for (operation, outcome) in self.ends.iter().filter(|(_, outcome)| outcome.succeeded()) {
            let result = &outcome.result;
            balance += match &operation.action {
                Action::Charge(amount) => *amount,
                Action::Debit(amount) => -amount,
                Action::Pay(_) => -amount_of(result),
                Action::Cancel(_) if result["status"] == "REFUNDED" => amount_of(result),
                Action::Cancel(_) | Action::Hold(_) | Action::HoldBest(_) => continue,
            };
            entries += 1;
        }
        let name = &self.user.name;
        assert_eq!(self.user.entries().await.len(), entries, "entries of {name}: lost or duplicated");
        if entries > 0 {
            assert_eq!(self.user.balance().await, balance, "balance of {name}: lost or duplicated");
        }
    }
}

fn amount_of(result: &Value) -> i64 {
    result["amount"].as_i64().unwrap_or_else(|| panic!("no amount in {result}"))
}

/// A failure must be a proper problem document.
fn code_of_refusal(answer: &Answer) -> String {
    let code = answer.code();
    let expected = ["overloaded", "unavailable", "outcome_unknown", "rate_limited"];
    assert!(expected.contains(&code), "{} {:?} {answer:?}", answer.header("content-type"), answer.headers);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    code.to_owned()
}
