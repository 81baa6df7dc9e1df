//! How long requests count as seen, changed by an operator: from the next takeover on, by log time.

use std::time::Duration;

use uuid::Uuid;

use super::interventions::{give, put};
use super::{House, charge, new};
use crate::domain::{Command, Position, RequestId};
use crate::log::Timestamp;
use crate::runtime::clock::Clock;
use crate::store::{Act, Intervention, Interventions, Ownership, Reads};

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// Puts a command on the log, so long after ten days ago.
fn put_at(house: &House, command: &Command, after_ms: i64) -> Position {
    let now = Clock::System.now();
    put(house, command, Timestamp::LogAppend(now.0 - 10 * DAY_MS + after_ms))
}

/// Where the request was decided last, once this record is.
async fn decided_at(house: &House, id: RequestId, last: Position) -> u64 {
    while house.store.progress(last.partition).await.expect("readable").is_none_or(|is| is.next_offset <= last.offset) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.store.request(id).await.expect("readable").expect("decided").position.offset
}

/// Gives the next owner another age.
async fn remember(house: &mut House, at: Position, ms: i64) {
    give(house, at.partition, Act::Remember { ms, began: None }).await;
    house.stop_worker().await;
    house.worker = Some(house.start("next"));
}

async fn acts(house: &House, at: Position) -> Vec<Intervention> {
    house.store.interventions(at.partition, 0).await.expect("readable")
}

#[tokio::test(start_paused = true)]
async fn a_shorter_age_begins_at_the_next_takeover() {
    let (mut house, command) = (House::new().await, new(charge("alice", 1)));
    let first = put_at(&house, &command, 0);
    assert_eq!(decided_at(&house, command.request_id, first).await, first.offset);
    give(&house, first.partition, Act::Remember { ms: SECOND_MS, began: None }).await;
    let repeat = put_at(&house, &command, 2 * SECOND_MS);
    assert_eq!(decided_at(&house, command.request_id, repeat).await, first.offset, "nobody has taken over");
    house.stop_worker().await;
    house.worker = Some(house.start("next"));
    let anew = put_at(&house, &command, 4 * SECOND_MS);
    assert_eq!(decided_at(&house, command.request_id, anew).await, anew.offset);
    let rows = acts(&house, first).await;
    let Act::Remember { ms: SECOND_MS, began: Some(began) } = rows[0].act else { panic!("{rows:?}") };
    assert_eq!((began.offset, rows[0].applied_at.is_some()), (anew.offset, true));
    assert_eq!(house.balance("alice").await, 1, "money moves once under an id, however late it comes again");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_longer_age_brings_nothing_back() {
    let (mut house, old, young) = (House::new().await, new(charge("alice", 1)), new(charge("alice", 10)));
    let first = put_at(&house, &old, 0);
    let second = put_at(&house, &young, 5 * DAY_MS);
    let last = put_at(&house, &new(charge("alice", 100)), 8 * DAY_MS);
    assert_eq!(decided_at(&house, young.request_id, last).await, second.offset);
    remember(&mut house, first, 30 * DAY_MS).await;
    let anew = put_at(&house, &old, 9 * DAY_MS);
    let repeat = put_at(&house, &young, 9 * DAY_MS);
    assert_eq!(decided_at(&house, young.request_id, repeat).await, second.offset);
    assert_eq!(decided_at(&house, old.request_id, repeat).await, anew.offset, "it may have been deleted");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_has_applied_holds_for_all_after_it() {
    let (mut house, command) = (House::new().await, new(charge("alice", 1)));
    let first = put_at(&house, &command, 0);
    decided_at(&house, command.request_id, first).await;
    remember(&mut house, first, SECOND_MS).await;
    let second = put_at(&house, &command, 2 * SECOND_MS);
    assert_eq!(decided_at(&house, command.request_id, second).await, second.offset);
    remember(&mut house, first, 30 * DAY_MS).await;
    let repeat = put_at(&house, &command, DAY_MS);
    assert_eq!(decided_at(&house, command.request_id, repeat).await, second.offset);
    let rows = acts(&house, first).await;
    assert_eq!(rows.iter().filter(|row| row.applied_at.is_some()).count(), 2);
    house.stop_worker().await;
    house.worker = Some(house.start("third"));
    let repeat = put_at(&house, &command, 2 * DAY_MS);
    assert_eq!(decided_at(&house, command.request_id, repeat).await, second.offset);
    assert_eq!(acts(&house, first).await, rows, "applied once");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_audit_knows_what_counted_from_where_on() {
    let (mut house, command) = (House::new().await, new(charge("alice", 1)));
    let first = put_at(&house, &command, 0);
    decided_at(&house, command.request_id, first).await;
    remember(&mut house, first, SECOND_MS).await;
    let second = put_at(&house, &command, 2 * SECOND_MS);
    decided_at(&house, command.request_id, second).await;
    house.stop().await;
    let applied = acts(&house, first).await.remove(0);
    let Act::Remember { ms, began: Some(mut began) } = applied.act else { panic!("{applied:?}") };
    began.floor.0 += 1;
    let forged = Intervention { id: Uuid::now_v7(), act: Act::Remember { ms, began: Some(began) }, ..applied };
    house.store.intervene(&forged).await.expect("given");
    let report = crate::audit::run(&house.log, &house.store, &mut |_| {}).await.expect("readable");
    let found = report.first.expect("a difference").to_string();
    assert!(found.starts_with("floor of wallets."), "{found}");
    assert_eq!(report.interventions.len(), 2);
}
