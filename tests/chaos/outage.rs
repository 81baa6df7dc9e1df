//! The API servers, the log and the store away at once, longer than anybody in a queue may be unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
const ASK_AGAIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_away_while_people_wait() {
    let fault = Fault {
        order: 14,
        name: "API servers, log and store away three times as long as anybody may be unseen, 500 people polling",
        restarts_services: true,
        ..PLAIN
    };
    run(fault, async |scenario: &mut Scenario, round| {
        let queue = Queue::open(&scenario.system.client, round).await;
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

/// Of one date. One turn at a time, which the first user keeps.
struct Queue {
    sale: Sale,
    guests: Vec<Guest>,
}

struct Guest {
    user: User,
    token: String,
    position: u64,
}

impl Queue {
    async fn open(client: &Client, round: u64) -> Queue {
        let limits = json!({"max_active": 1, "active_ttl_seconds": 3600, "claim_after_seconds": 3600,
            "max_waiting": 10_000, "abandon_after_seconds": ABANDON_AFTER.as_secs()});
        let sale = Offer { sections: &[("A", 10, 1000)], queue: Some(limits), ..Offer::default() }.open(client).await;
        let join = async |number: usize| {
            let user = client.user(format!("guest{round}-{number}"));
            let joined = user.post(&sale.path("/queue"), json!({})).decide().await.result();
            Guest { user, token: text(&joined, "token"), position: joined["position"].as_u64().expect("a position") }
        };
        let guests = iter(0..GUESTS).map(join).buffer_unordered(100).collect().await;
        Queue { sale, guests }
    }

    /// Each polls when told, whatever happens.
    fn poll(self) -> Polling {
        let ending = CancellationToken::new();
        let answered: Arc<[AtomicU64]> = self.guests.iter().map(|_| AtomicU64::new(0)).collect();
        let mut polls = JoinSet::new();
        for (number, guest) in self.guests.into_iter().enumerate() {
            let (sale, ending, answered) = (self.sale.clone(), ending.clone(), Arc::clone(&answered));
            polls.spawn(async move {
                while !ending.is_cancelled() {
                    let pause = match guest.poll(&sale).await {
                        Some(pause) => {
                            answered[number].fetch_add(1, Ordering::SeqCst);
                            pause
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
        Polling { ending, polls, answered }
    }
}

impl Guest {
    /// What the server says of the place, which is the one it always was. When to poll again, if it answered.
    async fn poll(&self, sale: &Sale) -> Option<Duration> {
        let ask = self.user.request(Method::GET, &sale.path("/queue/position")).header("Queue-Token", &self.token);
        let answer = ask.try_send().await.ok()?;
        if answer.status == 429 || answer.status >= 500 {
            return None;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["position"], self.position, "{answer:?}");
        assert!(["WAITING", "ACTIVE"].map(Value::from).contains(&answer.body["status"]), "{answer:?}");
        Some(Duration::from_millis(answer.body["poll_after_ms"].as_u64().expect("a number")))
    }
}

struct Polling {
    ending: CancellationToken,
    polls: JoinSet<()>,
    /// Answers each guest got.
    answered: Arc<[AtomicU64]>,
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

    async fn end(mut self) {
        self.ending.cancel();
        while let Some(ended) = self.polls.join_next().await {
            ended.expect("nobody's place is gone");
        }
    }
}
