//! SIGTERM: streams end, what was accepted is answered or decided after the next start, and the exit status is 0.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;

use crate::harness::{Pair, System, one_section, run_with, scenarios, until};

scenarios!(a_term_signal_under_load_ends_cleanly);

async fn a_term_signal_under_load_ends_cleanly(system: &System) {
    let client = system.client.clone();
    let sale = one_section(&client, 50).await;
    let mut streams = Vec::new();
    for i in 0..5 {
        let watcher = client.user(format!("watcher{i}"));
        let mut chunks = watcher.request(Method::GET, &sale.path("/seats/events")).stream().await;
        streams.push(tokio::spawn(async move { while let Some(Ok(_)) = chunks.next().await {} }));
    }
    let stopping = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for i in 0..20 {
        let user = client.user(format!("user{i}"));
        let stopping = stopping.clone();
        load.spawn(async move {
            let mut accepted = Vec::new();
            for n in 0.. {
                let before = stopping.load(Ordering::SeqCst);
                let ask = user.charge(10).key(&format!("charge-{n}"));
                let ask = if n % 2 == 0 { ask.wait(30) } else { ask };
                match ask.try_send().await {
                    Ok(answer) if [200, 202].contains(&answer.status) => {
                        accepted.push((answer.request_id().to_owned(), answer.location_position()));
                    }
                    // Refused for the moment: nothing was taken in, try another.
                    Ok(answer) if answer.status == 429 => tokio::time::sleep(Duration::from_millis(20)).await,
                    Ok(answer) => {
                        assert!(answer.status == 503, "{answer:?}");
                        break;
                    }
                    Err(error) => {
                        assert!(before || stopping.load(Ordering::SeqCst), "no answer before the signal: {error:?}");
                        break;
                    }
                }
            }
            (user, accepted)
        });
    }
    until("some charges to be decided", async || {
        let decided = client.seen.lock().unwrap().outcomes.len();
        if decided > 50 { Ok(()) } else { Err(format!("{decided} decided")) }
    })
    .await;
    stopping.store(true, Ordering::SeqCst);
    let mut server = system.servers().remove(0);
    let took = server.stop().await;
    println!("{:?}: stopped within {took:?}", system.pair);
    for stream in streams {
        stream.await.expect("the stream ended");
    }
    let hands = load.join_all().await;
    system.start().await;
    let mut charges = 0;
    for (user, accepted) in hands {
        for (id, position) in &accepted {
            user.outcome_of(id, position.as_deref()).await.result();
        }
        charges += accepted.len();
        let entries = user.entries().await.len();
        // One more may have been recorded whose answer was lost with the connection.
        assert!((accepted.len()..=accepted.len() + 1).contains(&entries), "{} of {}", entries, accepted.len());
    }
    println!("{charges} charges accepted, all decided");
}

/// A front door without a worker: nothing is decided, so everyone waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_term_signal_ends_long_polls_and_forgets_nothing() {
    let start = async |system: &System| {
        let base = system.start_role("api").await;
        system.client.point_at(vec![base]);
    };
    let name = "a_term_signal_ends_long_polls_and_forgets_nothing";
    run_with(Pair::Real, name, start, async |system| long_polls_end(system).await).await;
}

async fn long_polls_end(system: &System) {
    let user = system.client.user("patient");
    let mut accepted = Vec::new();
    for i in 0..10 {
        let answer = user.charge(10).key(&format!("first-{i}")).send().await;
        assert_eq!((answer.status, &answer.body["status"]), (202, &serde_json::json!("PENDING")), "{answer:?}");
        accepted.push((answer.request_id().to_owned(), answer.location_position().expect("a position")));
    }
    let mut polls = tokio::task::JoinSet::new();
    for (id, position) in accepted.clone() {
        let (poll, wait, second) = (user.clone(), user.clone(), format!("second-{position}"));
        polls.spawn(async move {
            poll.request(Method::GET, &format!("/v1/requests/{id}?position={position}")).wait(30).send().await
        });
        polls.spawn(async move { wait.charge(10).key(&second).wait(30).send().await });
    }
    let end = system.client.base();
    until("twenty to wait", async || {
        let metrics = system.client.http().get(format!("{end}/metrics")).send().await.map_err(|e| e.to_string())?;
        let text = metrics.text().await.map_err(|error| error.to_string())?;
        let waiting = text.lines().find(|line| line.starts_with("turnstile_waiters ")).unwrap_or_default();
        if waiting.ends_with(" 20") { Ok(()) } else { Err(waiting.to_owned()) }
    })
    .await;
    let mut server = system.servers().remove(0);
    let took = server.stop().await;
    assert!(took < Duration::from_secs(8), "long polls of 30 s do not hold up the end: {took:?}");
    while let Some(answer) = polls.join_next().await {
        let answer = answer.expect("an answer");
        assert!([200, 202].contains(&answer.status) && answer.body["status"] == "PENDING", "{answer:?}");
        accepted.extend(answer.location_position().map(|position| (answer.request_id().to_owned(), position)));
    }
    assert_eq!(accepted.len(), 20, "each charge was accepted");
    system.start().await;
    for (id, position) in &accepted {
        user.outcome_of(id, Some(position)).await.result();
    }
    assert_eq!(user.balance().await, 200);
}
