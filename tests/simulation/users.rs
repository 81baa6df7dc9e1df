//! Users at the front door: they charge, queue, hold, pay, cancel, give up and come back; and an operator of the queue.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::asking::{Wish, insist, poll, rival, sees_own_entry};
use crate::world::World;

pub const USERS: [&str; 6] = ["ann", "bob", "cat", "dan", "eve", "fay"];
/// Somebody who only waits, in place of a user's number.
pub const PATIENT: usize = USERS.len();
pub const ADMIN: usize = USERS.len() + 1;
pub const SEATS: u64 = 10;
/// Tries before a user gives up; none gives up once the faults are over.
const TRIES: u64 = 6;
const PATIENCE: Duration = Duration::from_secs(90);

pub fn name(user: usize) -> &'static str {
    match user {
        PATIENT => "gil",
        ADMIN => "admin",
        user => USERS[user],
    }
}

/// One user's session.
struct Session {
    world: Arc<World>,
    user: usize,
    reservations: Vec<String>,
    /// Of the place in the queue.
    token: Option<String>,
    /// As last told.
    active: bool,
    /// Requests nobody answered.
    open: Vec<usize>,
}

/// Lives through so many deeds.
pub async fn live(world: Arc<World>, user: usize, deeds: u64) {
    let (reservations, open) = (Vec::new(), Vec::new());
    let mut session = Session { world, user, reservations, token: None, active: false, open };
    for deed in 0..deeds {
        sleep(Duration::from_millis(session.world.sim.below(1_500))).await;
        session.deed(deed).await;
    }
}

impl Session {
    async fn deed(&mut self, deed: u64) {
        let world = Arc::clone(&self.world);
        let sim = &world.sim;
        if self.token.is_some() && !self.active && sim.below(3) > 0 {
            return self.stand_in_line().await;
        }
        if !self.open.is_empty() && sim.below(4) == 0 {
            // What was given up before, under the same key.
            let at = self.open.remove(sim.below(self.open.len() as u64) as usize);
            return self.insist(at, TRIES).await;
        }
        let wish = self.choose();
        let key = (sim.below(8) > 0).then(|| format!("{}-{deed}", self.user));
        let keyed = key.is_some();
        let at = world.history.begin(wish.under(self.user, key));
        let tries = 1 + sim.below(TRIES);
        if keyed && sim.below(6) == 0 {
            // Both at once: either body may win.
            let rival = rival(&world, at);
            tokio::join!(self.insist(at, tries), rival);
        } else {
            self.insist(at, tries).await;
        }
        match sim.below(10) {
            0 => drop(insist(&world, at, 2).await),
            1 if keyed => rival(&world, at).await,
            _ => {}
        }
    }

    /// Asks, and learns from the answer.
    async fn insist(&mut self, at: usize, tries: u64) {
        let world = Arc::clone(&self.world);
        let Some(answer) = insist(&world, at, tries).await else {
            let asked = world.history.get(at);
            if asked.path.ends_with("/holds") && asked.refused {
                self.active = false;
            }
            if asked.key.is_some() && !asked.refused {
                self.open.push(at);
            }
            return;
        };
        let result = &answer.result;
        if let Some(id) = result["reservation_id"].as_str()
            && !self.reservations.iter().any(|known| known == id)
        {
            self.reservations.push(id.to_owned());
        }
        if let Some(token) = result["token"].as_str() {
            world.history.token_given(self.user, token);
            self.token = Some(token.to_owned());
            self.active = result["status"] == "ACTIVE";
        }
        if let Some(entry) = result["entry_id"].as_str()
            && world.sim.below(4) == 0
        {
            sees_own_entry(&world, self.user, entry).await;
        }
    }

    /// Polls for a while, until it is this user's turn.
    async fn stand_in_line(&mut self) {
        let world = Arc::clone(&self.world);
        for _ in 0..1 + world.sim.below(4) {
            let shown = self.token.clone().filter(|_| world.sim.below(5) > 0);
            match poll(&world, self.user, &world.queue_path(), shown.as_deref()).await {
                Some(true) => {
                    self.active = true;
                    return;
                }
                _ => sleep(Duration::from_millis(300 + world.sim.below(1_200))).await,
            }
        }
    }

    fn choose(&mut self) -> Wish {
        let world = Arc::clone(&self.world);
        let sim = &world.sim;
        let reservation = self.reservations.len().checked_sub(1).map(|last| {
            // Mostly the latest one.
            let back = if sim.below(3) == 0 { sim.below(last as u64 + 1) as usize } else { 0 };
            &self.reservations[last - back]
        });
        match (sim.below(24), reservation) {
            (0..=3, _) => Wish::new("POST", "/v1/wallet/charges", json!({"amount": 1 + sim.below(300)})),
            (4, _) => Wish::new("POST", "/v1/wallet/debits", json!({"amount": 1 + sim.below(150), "reason": "snack"})),
            (5..=13, Some(id)) if sim.below(3) > 0 => {
                let amount = if sim.below(8) == 0 { json!({"amount": 100}) } else { json!({}) };
                Wish::new("POST", format!("/v1/reservations/{id}/payment"), amount)
            }
            (14..=16, Some(id)) => Wish::new("DELETE", format!("/v1/reservations/{id}"), Value::Null),
            (17..=20, _) if !self.active => Wish::new("POST", world.queue_path(), Value::Null),
            (21, _) => Wish::new("DELETE", world.queue_path(), Value::Null),
            _ => self.hold(),
        }
    }

    fn hold(&self) -> Wish {
        let sim = &self.world.sim;
        // Who is let in goes where they had to queue for.
        let queued = sim.below(5) < if self.active { 4 } else { 1 };
        let schedule = self.world.schedules[usize::from(!queued)];
        let section = if sim.below(3) == 0 { "B" } else { "A" };
        let body = if sim.below(3) == 0 {
            json!({"section": section, "best_available": 1 + sim.below(3)})
        } else {
            let first = 1 + sim.below(SEATS);
            let last = (first + sim.below(2)).min(SEATS);
            let seats: Vec<String> = (first..=last).map(|number| format!("{section}-{number}")).collect();
            json!({ "seats": seats })
        };
        let token = if queued { self.some_token() } else { None };
        Wish { token, ..Wish::new("POST", format!("/v1/schedules/{schedule}/holds"), body) }
    }

    /// Mostly the own one.
    fn some_token(&self) -> Option<String> {
        let sim = &self.world.sim;
        match sim.below(10) {
            0 => None,
            1 => sim.rng().pick(&self.world.history.tokens()).cloned(),
            2 => {
                let mut forged = self.token.clone()?;
                forged.replace_range(4..5, if forged[4..5] == *"A" { "B" } else { "A" });
                Some(forged)
            }
            _ => self.token.clone(),
        }
    }
}

/// Polls as it is told to for as long as the sale lasts: such a user is never taken for gone.
pub async fn wait_patiently(world: Arc<World>) {
    let join = Wish::new("POST", world.queue_path(), Value::Null).under(PATIENT, Some("patience".to_owned()));
    let at = world.history.begin(join);
    drop(insist(&world, at, 10 * TRIES).await);
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        poll(&world, PATIENT, &world.queue_path(), None).await;
        sleep(Duration::from_millis(1_000)).await;
    }
}

/// An operator changes the queue now and then.
pub async fn operate(world: Arc<World>, deeds: u64) {
    for deed in 0..deeds {
        sleep(Duration::from_millis(world.sim.below(8_000))).await;
        let sim = &world.sim;
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
        let wish = Wish::new("PATCH", world.queue_path(), patch);
        let at = world.history.begin(wish.under(ADMIN, Some(format!("operator-{deed}"))));
        drop(insist(&world, at, TRIES).await);
    }
    let wish = Wish::new("PATCH", world.queue_path(), json!({"paused": false}));
    let at = world.history.begin(wish.under(ADMIN, Some("operator-last".to_owned())));
    drop(insist(&world, at, TRIES).await);
}
