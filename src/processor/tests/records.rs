//! Repeats, strays and rubbish.

use super::{House, all, bytes, charge, code, new, succeeded};
use crate::domain::{Code, Command, Lane};
use crate::log::{Log, Timestamp, Topic};
use crate::store::{DeadLetters, Reads};
use crate::wire;

#[tokio::test]
async fn a_repeat_takes_no_effect_and_says_nothing() {
    let mut house = House::new().await;
    let command = new(charge("alice", 500));
    let place = house.place(&command.body.routing_key());
    for _ in 0..3 {
        house.append_to(place, &command).await;
    }
    house.ask(charge("alice", 1)).await;
    house.append_to(place, &command).await;
    house.ask(charge("alice", 1)).await;
    assert_eq!(house.balance("alice").await, 502);
    let outcomes = house.all_outcomes().await;
    assert_eq!(outcomes.iter().filter(|o| o.request_id == command.request_id).count(), 1);
    house.stop().await;
}

#[tokio::test]
async fn another_command_under_a_used_id_is_refused_and_the_first_outcome_stays() {
    let mut house = House::new().await;
    let first = new(charge("alice", 500));
    let other = Command { request_id: first.request_id, ..new(charge("alice", 501)) };
    let place = house.place(&first.body.routing_key());
    house.append_to(place, &first).await;
    assert!(succeeded(&house.outcome_of(first.request_id).await));
    house.append_to(place, &other).await;
    assert_eq!(code(&house.outcome_of(first.request_id).await), Some(Code::IdempotencyKeyReused));
    assert_eq!(house.balance("alice").await, 500);
    let row = house.store.request(first.request_id).await.expect("readable").expect("stored");
    assert_eq!(row.fingerprint, wire::command::fingerprint(&first));
    assert!(row.state.outcome().expect("decided").contains("SUCCEEDED"));
    house.stop().await;
}

#[tokio::test]
async fn a_stray_is_forwarded_and_takes_effect_once_where_it_belongs() {
    let mut house = House::new().await;
    let command = new(charge("alice", 500));
    let (topic, right) = house.place(&command.body.routing_key());
    let wrong = (right + 1) % house.log.partitions().of(topic);
    for place in [(topic, wrong), (Topic::Lane(Lane::Seats), 0), (topic, wrong), (topic, right)] {
        house.append_to(place, &command).await;
    }
    let decided = house.outcome_of(command.request_id).await.decided.position.partition;
    assert_eq!((decided.lane, decided.partition), (Lane::Wallets, right));
    // What was forwarded lies before the next command of that partition once the forwarder has published it.
    house.ask(charge("alice", 1)).await;
    house.stop().await;
    assert_eq!(house.balance("alice").await, 501);
}

#[tokio::test]
async fn a_record_that_was_forwarded_too_often_is_a_dead_letter() {
    let mut house = House::new().await;
    let command = new(charge("alice", 500));
    let (topic, right) = house.place(&command.body.routing_key());
    let wrong = (right + 1) % house.log.partitions().of(topic);
    let value = Some(wire::command::encode(&command).into());
    let headers = wire::headers::with_hops(Vec::new(), 3);
    house.log.put((topic, wrong), None, value, headers, Timestamp::LogAppend(1));
    dead_letters(&mut house, 1).await;
    assert_eq!(house.balance("alice").await, 0);
    house.stop().await;
}

#[tokio::test]
async fn rubbish_between_good_records_stops_nothing() {
    let mut house = House::new().await;
    let good = charge("alice", 7);
    let place = house.place(&good.routing_key());
    let time = Timestamp::LogAppend(1);
    house.send(good.clone()).await;
    let huge = "x".repeat(70_000);
    let rubbish = [
        bytes("garbage"),
        bytes(r#"{"type":"fly_to_the_moon","version":1,"request_id":"019a0000-0000-7000-8000-000000000000"}"#),
        bytes(r#"{"type":"charge_wallet","version":2,"request_id":"019a0000-0000-7000-8000-000000000000"}"#),
        Some(bytes::Bytes::from_static(b"{\"type\":\"\xff\xfe\"}")),
        bytes(&huge),
        None,
    ];
    for value in rubbish.clone() {
        house.log.put(place, bytes("alice"), value, Vec::new(), time);
        house.send(good.clone()).await;
    }
    let headers = vec![("baggage".into(), vec![b'x'; 16 * 1024].into())];
    house.log.put(place, bytes("alice"), Some(wire::command::encode(&new(good.clone())).into()), headers, time);
    house.send(good.clone()).await;
    let count = rubbish.len() + 1;
    house.ask(good).await;
    assert_eq!(house.balance("alice").await, 7 * (count as i64 + 2));
    dead_letters(&mut house, count).await;
    let letters = house.store.dead_letters(all()).await.expect("readable");
    assert_eq!(letters.len(), count);
    assert!(letters.iter().all(|view| !view.letter.reason.is_empty()));
    assert!(letters.iter().any(|view| view.letter.value.as_ref().is_some_and(|value| value.len() == 70_000)));
    house.stop().await;
}

async fn dead_letters(house: &mut House, count: usize) {
    let mut reader = house.log.read(Topic::DeadLetters, 0, 0).await.expect("readable");
    let mut found = 0;
    while found < count {
        let next = tokio::time::timeout(super::PATIENCE, reader.next(100, usize::MAX));
        found += next.await.expect("dead letters in time").expect("readable").len();
    }
    assert_eq!(found, count);
}
