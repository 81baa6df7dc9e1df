//! A crowd's joins, decided by the real program: places are the order of the log, and how fast.

use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use turnstile::domain::queue::{self, OfUser};
use turnstile::domain::{Body, Command, Lane, LanePartition, RequestId, ScheduleId, UserId};
use turnstile::log::{NewRecord, Topic};
use turnstile::store::Reads;
use turnstile::wire::{command, routing};

use crate::harness::{Offer, Sale, System, scenarios, until};

scenarios!(f05_f09_places_are_the_order_of_the_log);

/// Joins; `TURNSTILE_TEST_JOINS` changes it, up to 1,000,000.
fn joins() -> u32 {
    std::env::var("TURNSTILE_TEST_JOINS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// Appends that wait for their acknowledgement at once.
const APPENDS_AT_ONCE: usize = 5_000;

/// The user of the n-th join: in no order of their names.
fn user(n: u32) -> UserId {
    format!("user{}", (u64::from(n) * 7_919) % u64::from(joins())).parse().expect("a user id")
}

async fn f05_f09_places_are_the_order_of_the_log(system: &System) {
    let limits = json!({"max_active": 1, "active_ttl_seconds": 3600, "max_waiting": 1_000_000});
    let sale = Offer { queue: Some(limits), ..Offer::default() }.open(&system.client).await;
    system.stop().await;
    let (partition, end) = append_all(system, &sale).await;
    let began = Instant::now();
    system.start().await;
    let store = system.open_store().await;
    let mut decided = 0;
    while decided < end {
        decided = until("more joins to be decided", async || {
            let progress = store.progress(partition).await.map_err(|error| error.to_string())?;
            let now = progress.map_or(0, |progress| progress.next_offset);
            if now > decided { Ok(now) } else { Err(format!("{now} of {end}")) }
        })
        .await;
    }
    let took = began.elapsed();
    let rate = f64::from(joins()) / took.as_secs_f64();
    println!("{:?}: {} joins decided in {took:?}, the start included: {rate:.0} a second", system.pair, joins());
    every_place_is_its_joins_turn(store.as_ref(), &sale).await;
}

/// Appends all joins while no process runs; where they lie, and the end of that partition.
async fn append_all(system: &System, sale: &Sale) -> (LanePartition, u64) {
    let (log, embedded) = system.open_log().await;
    let schedule_id = ScheduleId(sale.schedule.parse().expect("a UUID"));
    let topic = Topic::Lane(Lane::Queues);
    let key = schedule_id.to_string();
    let partition = routing::partition_for(&key, log.partitions().of(topic));
    let mut under_way = std::collections::VecDeque::new();
    for n in 0..joins() {
        let body = Body::Queues(queue::Command::JoinQueue(OfUser { schedule_id, user_id: user(n) }));
        let request_id = RequestId(uuid::Uuid::now_v7());
        let value = Bytes::from(command::encode(&Command { request_id, by: None, body }));
        let record = NewRecord { key: Bytes::from(key.clone()), value, headers: Vec::new() };
        under_way.push_back(log.append(topic, partition, record));
        if under_way.len() >= APPENDS_AT_ONCE
            && let Some(append) = under_way.pop_front()
        {
            append.await.expect("appended");
        }
    }
    for append in under_way {
        append.await.expect("appended");
    }
    let end = log.end_offset(topic, partition).await.expect("the log answers");
    if let Some(embedded) = embedded {
        embedded.close().await;
    }
    (LanePartition { lane: Lane::Queues, partition }, end)
}

async fn every_place_is_its_joins_turn(store: &dyn Reads, sale: &Sale) {
    let schedule = ScheduleId(sale.schedule.parse().expect("a UUID"));
    let mut tokens = store.tokens_changed(schedule, 0, false, 1_000_001).await.expect("the store answers");
    tokens.sort_by_key(|token| token.sequence);
    assert_eq!(tokens.len(), joins() as usize, "a place for each join");
    for (n, token) in (0..).zip(&tokens) {
        assert_eq!((token.sequence, &token.user_id), (u64::from(n) + 1, &user(n)));
    }
    assert!(tokens.is_sorted_by_key(|token| token.changed.position.offset));
}
