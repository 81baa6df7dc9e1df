//! Users at the API: they charge, join the queue, hold, pay, cancel, give up and come back. And the queue's operator.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use turnstile::domain::Body;
use turnstile::domain::queue::{self, OfUser};

use crate::client::{Intent, finds_entry, poll_place, retry, send_conflicting};
use crate::cluster::Cluster;
use crate::sale::{self, PRICE, SECTIONS};

pub const USERS: [&str; 6] = ["ann", "bob", "cat", "dan", "eve", "fay"];
/// A user who only waits, in place of a user's number.
pub const PATIENT: usize = USERS.len();
pub const ADMIN: usize = USERS.len() + 1;
/// Attempts before a user gives up; none gives up once the faults are over.
const ATTEMPTS: u64 = 6;
/// How long the patient user waits.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn name(user: usize) -> &'static str {
    match user {
        PATIENT => "gil",
        ADMIN => "admin",
        user => USERS[user],
    }
}

/// One user's session.
struct Session {
    cluster: Arc<Cluster>,
    user: usize,
    reservations: Vec<String>,
    /// Of the place in the queue.
    token: Option<String>,
    /// As last answered.
    active: bool,
    /// Operations without an answer.
    open: Vec<usize>,
    /// The last answer was a new reservation.
    held_last: bool,
    /// Path and body of the last hold.
    last_hold: Option<(String, Value)>,
}

/// Runs a session of this many actions.
pub async fn run_session(cluster: Arc<Cluster>, user: usize, actions: u64) {
    let (reservations, open) = (Vec::new(), Vec::new());
    let (active, held_last, last_hold) = (false, false, None);
    let mut session = Session { cluster, user, reservations, token: None, active, open, held_last, last_hold };
    for action in 0..actions {
        sleep(Duration::from_millis(session.cluster.sim.below(1_500))).await;
        session.act(action).await;
    }
}

impl Session {
    async fn act(&mut self, action: u64) {
        let cluster = Arc::clone(&self.cluster);
        let sim = &cluster.sim;
        if self.token.is_some() && !self.active && sim.below(3) > 0 {
            return self.wait_in_queue().await;
        }
        if !self.open.is_empty() && sim.below(4) == 0 {
            // One that was given up, under the same key.
            let number = self.open.remove(sim.below(self.open.len() as u64) as usize);
            return self.retry(number, ATTEMPTS).await;
        }
        if self.active && self.held_last && sim.below(3) > 0 {
            return self.pay_and_rejoin(action).await;
        }
        let intent = match action {
            0 if sim.below(2) == 0 => Intent::new("POST", "/v1/wallet/charges", json!({"amount": 500})),
            _ => self.choose(),
        };
        let key = (sim.below(8) > 0).then(|| format!("{}-{action}", self.user));
        let keyed = key.is_some();
        let number = cluster.history.begin(intent.of(self.user, key));
        let attempts = 1 + sim.below(ATTEMPTS);
        if keyed && sim.below(6) == 0 {
            // Both at the same time: either body may be first.
            let conflicting = send_conflicting(&cluster, number);
            tokio::join!(self.retry(number, attempts), conflicting);
        } else {
            self.retry(number, attempts).await;
        }
        match sim.below(10) {
            0 => drop(retry(&cluster, number, 2).await),
            1 if keyed => send_conflicting(&cluster, number).await,
            _ => {}
        }
    }

    /// Pays, and meanwhile leaves the queue and joins it again at another counter, over and over: the payment ends one of
    /// these turns and no later one.
    async fn pay_and_rejoin(&mut self, action: u64) {
        self.held_last = false;
        let Some(id) = self.reservations.last() else { return };
        let cluster = Arc::clone(&self.cluster);
        let pay = Intent::new("POST", format!("/v1/reservations/{id}/payment"), json!({}));
        let number = cluster.history.begin(pay.of(self.user, Some(format!("{}-{action}", self.user))));
        let (sim, user_id) = (&cluster.sim, sale::user(USERS[self.user]));
        let rejoins = async {
            for _ in 0..3 + sim.below(6) {
                let of = OfUser { schedule_id: cluster.schedules[0], user_id: user_id.clone() };
                sleep(sim.delay() + Duration::from_millis(sim.below(60))).await;
                cluster.send(&cluster.command(Body::Queues(queue::Command::LeaveQueue(of.clone())))).await;
                cluster.send(&cluster.command(Body::Queues(queue::Command::JoinQueue(of)))).await;
            }
        };
        tokio::join!(self.retry(number, ATTEMPTS), rejoins);
        self.active = false;
    }

    /// Retries, and learns from the answer.
    async fn retry(&mut self, number: usize, attempts: u64) {
        let cluster = Arc::clone(&self.cluster);
        let Some(answer) = retry(&cluster, number, attempts).await else {
            let operation = cluster.history.get(number);
            if operation.path.ends_with("/holds") && operation.refused {
                self.active = false;
            }
            if operation.key.is_some() && !operation.refused {
                self.open.push(number);
            }
            return;
        };
        let result = &answer.result;
        if let Some(id) = result["reservation_id"].as_str()
            && !self.reservations.iter().any(|known| known == id)
        {
            self.reservations.push(id.to_owned());
            self.held_last = true;
        }
        if let Some(token) = result["token"].as_str() {
            cluster.history.token_issued(self.user, token);
            self.token = Some(token.to_owned());
            self.active = result["status"] == "ACTIVE";
        }
        if let Some(entry) = result["entry_id"].as_str()
            && cluster.sim.below(4) == 0
        {
            finds_entry(&cluster, self.user, entry).await;
        }
    }

    /// Polls for a while, until the place is active.
    async fn wait_in_queue(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        for _ in 0..1 + cluster.sim.below(4) {
            let shown = self.token.clone().filter(|_| cluster.sim.below(5) > 0);
            match poll_place(&cluster, self.user, &cluster.queue_path(), shown.as_deref()).await {
                Some(true) => {
                    self.active = true;
                    return;
                }
                _ => sleep(Duration::from_millis(300 + cluster.sim.below(1_200))).await,
            }
        }
    }

    fn choose(&mut self) -> Intent {
        let cluster = Arc::clone(&self.cluster);
        let sim = &cluster.sim;
        let reservation = self.reservations.len().checked_sub(1).map(|last| {
            // Mostly the latest one.
            let back = if sim.below(3) == 0 { sim.below(last as u64 + 1) as usize } else { 0 };
            &self.reservations[last - back]
        });
        if let Some(id) = reservation.filter(|_| std::mem::take(&mut self.held_last) && sim.below(2) == 0) {
            return Intent::new("POST", format!("/v1/reservations/{id}/payment"), json!({}));
        }
        match (sim.below(24), reservation) {
            (0..=3, _) => Intent::new("POST", "/v1/wallet/charges", json!({"amount": 50 + sim.below(400)})),
            (4, _) => {
                Intent::new("POST", "/v1/wallet/debits", json!({"amount": 1 + sim.below(150), "reason": "snack"}))
            }
            (5..=13, Some(id)) if sim.below(3) > 0 => {
                let amount = if sim.below(8) == 0 { json!({"amount": PRICE}) } else { json!({}) };
                Intent::new("POST", format!("/v1/reservations/{id}/payment"), amount)
            }
            (14..=16, Some(id)) => Intent::new("DELETE", format!("/v1/reservations/{id}"), Value::Null),
            (17..=20, _) if !self.active => Intent::new("POST", cluster.queue_path(), Value::Null),
            (21, _) => Intent::new("DELETE", cluster.queue_path(), Value::Null),
            _ => self.hold(),
        }
    }

    fn hold(&mut self) -> Intent {
        let sim = &self.cluster.sim;
        if let Some((path, body)) = self.last_hold.clone().filter(|_| sim.below(4) == 0) {
            // The same seats again.
            return Intent { token: self.some_token(), ..Intent::new("POST", path, body) };
        }
        // Active users hold at the date they queued for.
        let queued = sim.below(5) < if self.active { 4 } else { 1 };
        let schedule = self.cluster.schedules[usize::from(!queued)];
        let (section, seats, _) = SECTIONS[[0, 0, 0, 1, 1, 2][sim.below(6) as usize]];
        let body = match sim.below(6) {
            0 => json!({"section": section, "best_available": 1 + sim.below(3)}),
            1 => {
                let category = if sim.below(2) == 0 { "gold" } else { "blue" };
                json!({"section": "A", "category": category, "best_available": 1 + sim.below(3)})
            }
            // Two sections of one block.
            2 => json!({ "seats": [format!("A-{}", 1 + sim.below(10)), format!("B-{}", 1 + sim.below(6))] }),
            _ => {
                let first = 1 + sim.below(seats);
                let last = (first + sim.below(2)).min(seats);
                let seats: Vec<String> = (first..=last).map(|number| format!("{section}-{number}")).collect();
                json!({ "seats": seats })
            }
        };
        let token = if queued { self.some_token() } else { None };
        let path = format!("/v1/schedules/{schedule}/holds");
        self.last_hold = Some((path.clone(), body.clone()));
        Intent { token, ..Intent::new("POST", path, body) }
    }

    /// Mostly the own one; sometimes none, another user's, or a forged one.
    fn some_token(&self) -> Option<String> {
        let sim = &self.cluster.sim;
        match sim.below(10) {
            0 => None,
            1 => sim.prng().pick(&self.cluster.history.tokens()).cloned(),
            2 => {
                let mut forged = self.token.clone()?;
                forged.replace_range(4..5, if forged[4..5] == *"A" { "B" } else { "A" });
                Some(forged)
            }
            _ => self.token.clone(),
        }
    }
}

/// Joins and polls at the prescribed interval: such a user is never absent.
pub async fn wait_patiently(cluster: Arc<Cluster>) {
    let join = Intent::new("POST", cluster.queue_path(), Value::Null).of(PATIENT, Some("patience".to_owned()));
    let number = cluster.history.begin(join);
    let answer = retry(&cluster, number, 10 * ATTEMPTS).await;
    let token = answer.and_then(|answer| answer.result["token"].as_str().map(str::to_owned));
    if let Some(token) = &token {
        cluster.history.token_issued(PATIENT, token);
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        poll_place(&cluster, PATIENT, &cluster.queue_path(), token.as_deref()).await;
        sleep(Duration::from_millis(1_000)).await;
    }
}

/// Changes the queue's settings now and then; it is not paused in the end.
pub async fn operate_queue(cluster: Arc<Cluster>, changes: u64) {
    for change in 0..changes {
        sleep(Duration::from_millis(cluster.sim.below(8_000))).await;
        let sim = &cluster.sim;
        let mut patch = json!({"max_active": 1 + sim.below(3)});
        if sim.below(3) == 0 {
            patch["paused"] = json!(sim.below(3) == 0);
        }
        if sim.below(3) == 0 {
            patch["admit"] = json!(1);
        }
        if sim.below(4) == 0 {
            patch["max_waiting"] = json!(sim.below(5));
        }
        configure(&cluster, patch, format!("operator-{change}")).await;
    }
    configure(&cluster, json!({"paused": false}), "operator-last".to_owned()).await;
}

async fn configure(cluster: &Cluster, patch: Value, key: String) {
    let intent = Intent::new("PATCH", cluster.queue_path(), patch);
    let number = cluster.history.begin(intent.of(ADMIN, Some(key)));
    drop(retry(cluster, number, ATTEMPTS).await);
}
