//! The API servers, the log and the store away at once, longer than anybody in a queue may be unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::faults::PLAIN;
use crate::harness::{Client, Offer, Sale, User, text, until};
use crate::scenario::{Fault, Scenario, run};

const GUESTS: usize = 500;
/// Much longer than all take to join, also on a busy machine: a guest polls once all have joined.
const ABANDON_AFTER: Duration = Duration::from_secs(20);
/// A client that is not answered asks again after this time, as the pages do.
pub const ASK_AGAIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_away_while_people_wait() {
    let fault = Fault {
        order: 14,
        name: "API servers, log and store away three times as long as anybody may be unseen, 500 people polling",
        restarts_services: true,
        ..PLAIN
    };
    run(fault, async |scenario: &mut Scenario, round| {
        let limits = json!({"max_active": 1, "active_ttl_seconds": 3600, "claim_after_seconds": 3600,
            "max_waiting": 10_000, "abandon_after_seconds": ABANDON_AFTER.as_secs()});
        let prefix = format!("guest{round}-");
        let queue = Queue::open(&scenario.system.client, &prefix, GUESTS, limits, Value::Null).await;
        let polling = queue.poll();
        polling.until_all_are_answered().await;
        for _ in 0..scenario.fleet.apis.len() {
            scenario.fleet.kill_api(0);
        }
        scenario.backends.kill_all().await;
        sleep(3 * ABANDON_AFTER).await;
        scenario.backends.start_all().await;
        for _ in 0..2 {
            scenario.fleet.start_api().await;
        }
        polling.until_all_are_answered().await;
        // Longer than anybody may be unseen: whoever was taken for absent would be by now.
        sleep(2 * ABANDON_AFTER).await;
        polling.end().await;
        1
    })
    .await;
}

/// Of one date.
pub struct Queue {
    pub sale: Sale,
    /// In order of position.
    pub guests: Vec<Guest>,
}

pub struct Guest {
    pub user: User,
    pub token: String,
    pub position: u64,
}

impl Queue {
    /// A new date with 10 seats, and so many who have joined.
    pub async fn open(client: &Client, prefix: &str, guests: usize, limits: Value, further: Value) -> Queue {
        let offer = Offer { sections: &[("A", 10, 1000)], queue: Some(limits), further, ..Offer::default() };
        let sale = offer.open(client).await;
        let join = async |number: usize| {
            let user = client.user(format!("{prefix}{number}"));
            let joined = user.post(&sale.path("/queue"), json!({})).decide().await.result();
            Guest { user, token: text(&joined, "token"), position: joined["position"].as_u64().expect("a position") }
        };
        let mut guests: Vec<Guest> = iter(0..guests).map(join).buffer_unordered(100).collect().await;
        guests.sort_by_key(|guest| guest.position);
        Queue { sale, guests }
    }

    /// Each polls when told, whatever happens.
    pub fn poll(self) -> Polling {
        let ending = CancellationToken::new();
        let answered: Arc<[AtomicU64]> = self.guests.iter().map(|_| AtomicU64::new(0)).collect();
        let active: Arc<[AtomicBool]> = self.guests.iter().map(|_| AtomicBool::new(false)).collect();
        let mut polls = JoinSet::new();
        for (number, guest) in self.guests.into_iter().enumerate() {
            let (sale, ending) = (self.sale.clone(), ending.clone());
            let (answered, active) = (Arc::clone(&answered), Arc::clone(&active));
            polls.spawn(async move {
                while !ending.is_cancelled() {
                    let pause = match guest.place(&sale).await {
                        Some(place) => {
                            answered[number].fetch_add(1, Ordering::SeqCst);
                            active[number].store(place["status"] == "ACTIVE", Ordering::SeqCst);
                            pause_of(&place)
                        }
                        None => ASK_AGAIN,
                    };
                    tokio::select! {
                        () = ending.cancelled() => {}
                        () = sleep(pause) => {}
                    }
                }
            });
        }
        Polling { ending, polls, answered, active }
    }
}

impl Guest {
    /// What the server says of the place, which is the one it always was, if it answers.
    pub async fn place(&self, sale: &Sale) -> Option<Value> {
        let ask = self.user.request(Method::GET, &sale.path("/queue/position")).header("Queue-Token", &self.token);
        let answer = ask.try_send().await.ok()?;
        if answer.status == 429 || answer.status >= 500 {
            return None;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["position"], self.position, "{answer:?}");
        assert!(["WAITING", "ACTIVE"].map(Value::from).contains(&answer.body["status"]), "{answer:?}");
        Some(answer.body)
    }
}

/// When to poll again.
pub fn pause_of(place: &Value) -> Duration {
    Duration::from_millis(place["poll_after_ms"].as_u64().expect("a number"))
}

pub struct Polling {
    ending: CancellationToken,
    polls: JoinSet<()>,
    /// Answers each guest got.
    answered: Arc<[AtomicU64]>,
    /// Whose turn it was by the last answer.
    active: Arc<[AtomicBool]>,
}

impl Polling {
    fn answers(&self) -> Vec<u64> {
        self.answered.iter().map(|answers| answers.load(Ordering::SeqCst)).collect()
    }

    /// Waits until each was answered since this call.
    async fn until_all_are_answered(&self) {
        let before = self.answers();
        until("all guests to be answered", async || {
            let without = self.answers().iter().zip(&before).filter(|(now, before)| now == before).count();
            if without == 0 { Ok(()) } else { Err(format!("{without} are not")) }
        })
        .await;
    }

    /// Waits until it is the turn of the first `many`.
    pub async fn until_active(&self, many: usize) {
        until("the next turns", async || {
            let without = self.active.iter().take(many).filter(|active| !active.load(Ordering::SeqCst)).count();
            if without == 0 { Ok(()) } else { Err(format!("{without} wait")) }
        })
        .await;
    }

    pub async fn end(mut self) {
        self.ending.cancel();
        while let Some(ended) = self.polls.join_next().await {
            ended.expect("nobody's place is gone");
        }
    }
}
