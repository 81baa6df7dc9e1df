//! SIGTERM: streams end, what was accepted is answered or decided after the next start, and the exit status is 0.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;

use crate::harness::{System, one_section, scenarios, until};

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
