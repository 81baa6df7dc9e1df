//! B2: the life of a record that lay on the wrong partition, and whether the times of a life are true.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use turnstile::domain::Lane;
use turnstile::wire::routing::partition_for;
use turnstile::wire::time::parse_rfc3339;

use crate::harness::producer::{Producer, new_id, partitions};
use crate::harness::{System, scenarios, text, until};

scenarios!(b2_a_strays_life_has_both_places, f59_b2_times_agree_with_a_log_of_the_clients_own);

/// Requests of which the times are compared.
const COMPARED: usize = 60;
/// How far the best tenth may differ; others differ more, on a machine that does something else as well.
const APART_MS: i64 = 5;

async fn life(system: &System, id: &str) -> Result<Value, String> {
    let url = format!("{}/v1/ops/requests/{id}", system.client.base());
    let answer = system.client.http().get(url).header("x-user-id", "admin").send().await.expect("an answer");
    let status = answer.status();
    let body: Value = answer.json().await.expect("JSON");
    if status == 200 { Ok(body) } else { Err(body.to_string()) }
}

fn stage_ms(life: &Value, name: &str) -> i64 {
    let stages = life["stages"].as_array().expect("stages");
    let stage = stages.iter().find(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("no {name} in {life}"));
    parse_rfc3339(&text(stage, "at")).expect("a time").0
}

fn stages(life: &Value) -> Vec<String> {
    life["stages"].as_array().expect("stages").iter().map(|stage| text(stage, "stage")).collect()
}

/// A producer with another partitioner puts a charge where it does not belong.
async fn b2_a_strays_life_has_both_places(system: &System) {
    let user = system.client.user("alice");
    user.charge(100).decide().await.result();
    let right = partition_for("alice", partitions(Lane::Wallets));
    let wrong = (right + 1) % partitions(Lane::Wallets);
    let id = new_id();
    let charge = json!({"type": "charge_wallet", "version": 1, "request_id": id, "user_id": "alice", "amount": 7});
    let embedded = system.services.is_none();
    if embedded {
        system.stop().await;
    }
    let mut producer = Producer::open(system).await;
    let value = charge.to_string().into_bytes();
    assert!(producer.append(Lane::Wallets, wrong, Some("alice"), Some(value)).await);
    producer.close().await;
    if embedded {
        system.start().await;
    }
    assert_eq!(system.client.user("alice").decided_later(&id).await.result()["balance"], 107);
    let first = format!("wallets.{wrong}.0");
    let told = until("both places", async || {
        let told = life(system, &first).await?;
        if stages(&told).contains(&"published".to_owned()) { Ok(told) } else { Err(told.to_string()) }
    })
    .await;
    assert_eq!((&told["request_id"], &told["status"]), (&json!(id), &json!("SUCCEEDED")), "{told}");
    let order = stages(&told);
    assert_eq!(order[..2], ["appended", "forwarded"], "{told}");
    assert!(order.contains(&"committed".to_owned()), "{told}");
    let times: Vec<i64> = order.iter().map(|name| stage_ms(&told, name)).collect();
    assert!(times.is_sorted(), "{told}");
    let there = text(&told, "position");
    assert!(there.starts_with(&format!("wallets.{right}.")), "{told}");
    assert!(told["notes"].to_string().contains(&format!("forwarded from {first} to {there}")), "{told}");
    assert_eq!(life(system, &id).await.expect("by its id")["position"], there.as_str());
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the end of time")
}

/// What a client writes down when it asks and when it has the answer, against what the life says.
async fn f59_b2_times_agree_with_a_log_of_the_clients_own(system: &System) {
    let user = system.client.user("alice");
    user.charge(1).decide().await.result();
    let (mut sent_apart, mut had_apart) = (Vec::new(), Vec::new());
    for _ in 0..COMPARED {
        let sent = now_ms();
        let decided = user.charge(1).decide().await;
        let had = now_ms();
        let told = life(system, &decided.request_id).await.expect("it was just decided");
        let (received, answered) = (stage_ms(&told, "received"), stage_ms(&told, "answered"));
        // Whole milliseconds of one clock.
        assert!(sent <= received && received <= answered && answered <= had + 1, "{sent} to {had}: {told}");
        sent_apart.push(received - sent);
        had_apart.push(had - answered);
    }
    let best = |mut apart: Vec<i64>| {
        apart.sort_unstable();
        apart[COMPARED / 10]
    };
    let (sent, had) = (best(sent_apart), best(had_apart));
    println!("{:?}: received {sent} ms after it was sent, answered {had} ms before it was there", system.pair);
    assert!(sent <= APART_MS && had <= APART_MS, "{sent} ms and {had} ms");
}
