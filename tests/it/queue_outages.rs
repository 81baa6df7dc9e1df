//! Q12 and Q13 with all their people: something is away for longer than anybody may be unseen.
//!
//! They run where `TURNSTILE_TEST_GUESTS` gives the number who wait (500) and nothing else runs beside them: a debug build
//! answers so many in a few seconds. `queue_absence` has them with few people. The log away: `scripts/chaos`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::gate::Gate;
use crate::harness::{self, Pair, Sale, System, scenarios};
use crate::queue_absence::{ABANDON_AFTER, Guest, crowd, joined, sale_of};

scenarios!(q12_all_outlive_an_outage_of_the_program, q13_two_thousand_in_a_hundred_queues);

/// Longer than anybody may be unseen.
const AWAY: Duration = Duration::from_secs(40);

fn guests() -> Option<usize> {
    let text = std::env::var("TURNSTILE_TEST_GUESTS").ok()?;
    Some(text.parse().expect("TURNSTILE_TEST_GUESTS is a number"))
}

impl Guest {
    /// Polls when told until it is done, whatever is away meanwhile; never absent, always at the same position.
    async fn insists(&self, sale: &Sale, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            let path = sale.path("/queue/position");
            let ask = self.user.request(Method::GET, &path).header("Queue-Token", &self.place.token);
            let mut wait = 1_000;
            if let Ok(answer) = ask.try_send().await
                && answer.status == 200
            {
                // Whose turn was over by the outage may be passed over for a moment.
                assert!(self.place.position == 1 || answer.body["status"] != "ABSENT", "{answer:?}");
                assert_eq!(answer.body["position"], self.place.position, "{answer:?}");
                wait = answer.body["poll_after_ms"].as_u64().expect("a number");
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }
}

/// All keep their places while something is away, and who joins after it is behind them.
async fn outlive(system: &System, many: usize, outage: impl AsyncFnOnce(&System)) {
    let client = &system.client;
    // The first one's turn ends soon after the outage, the next one's after the test.
    let sale = sale_of(client, 50, json!({"active_ttl_seconds": 60}), json!({})).await;
    let guests = crowd(client, &sale, "guest", many).await;
    let done = AtomicBool::new(false);
    let story = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        outage(system).await;
        let late = joined(client, &sale, ["late".to_owned()]).await.remove(0);
        tokio::time::sleep(2 * ABANDON_AFTER).await;
        done.store(true, Ordering::Relaxed);
        late
    };
    let (late, _) = tokio::join!(story, join_all(guests.iter().map(|guest| guest.insists(&sale, &done))));
    let place = late.poll(&sale).await.body;
    assert_eq!(place["status"], "WAITING", "{place}");
    assert!(place["ahead"].as_u64() >= Some(many as u64 - 2), "nobody is after those: {place}");
}

async fn q12_all_outlive_an_outage_of_the_program(system: &System) {
    let Some(many) = guests() else { return };
    outlive(system, many, async |system: &System| {
        system.stop().await;
        tokio::time::sleep(AWAY).await;
        system.start().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q12_all_outlive_an_outage_of_the_database() {
    let (Some(many), Ok(url)) = (guests(), std::env::var("TURNSTILE_TEST_DATABASE_URL")) else { return };
    let gate = Gate::before(&url).await;
    let further = vec![("TURNSTILE__DATABASE__URL".to_owned(), gate.url.clone())];
    let start = async |system: &System| system.start().await;
    harness::run_set(Pair::Real, "q12_database", further, start, async |system: &System| {
        outlive(system, many, async |_: &System| {
            gate.close();
            tokio::time::sleep(AWAY).await;
            gate.open();
        })
        .await;
    })
    .await;
}

async fn q13_two_thousand_in_a_hundred_queues(system: &System) {
    const QUEUES: usize = 100;
    let Some(many) = guests() else { return };
    let abandon_after = 30;
    let client = &system.client;
    let mut places = Vec::new();
    for number in 0..QUEUES {
        let sale = sale_of(client, 1, json!({"abandon_after_seconds": abandon_after}), json!({})).await;
        for guest in crowd(client, &sale, &format!("q{number}-"), 4 * many / QUEUES).await.into_iter().skip(1) {
            places.push((sale.clone(), guest));
        }
    }
    let until = Instant::now() + Duration::from_secs(abandon_after + 10);
    while Instant::now() < until {
        let polls = futures_util::stream::iter(&places).map(|(sale, guest)| async move {
            let answer = guest.poll(sale).await;
            assert_eq!((answer.status, &answer.body["status"]), (200, &json!("WAITING")), "{answer:?}");
            assert_eq!(answer.body["position"], guest.place.position, "{answer:?}");
        });
        polls.buffer_unordered(16).collect::<()>().await;
    }
}
