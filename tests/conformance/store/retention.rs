//! What a store forgets, and what it says of how far everything is.

use std::sync::Arc;

use turnstile::domain::{Lane, LanePartition, LogTime, RequestId};
use turnstile::store::{Committed, DoneBy, Page, Progress, RequestCompletion, RequestState, Store};

use super::rows::*;

/// Decided at this log time.
fn decided_at(number: u128, at: i64) -> turnstile::store::RequestRow {
    let mut row = request(number, SEATS, number as u64);
    row.state = RequestState::Decided(turnstile::store::Decided { at: LogTime(at), ..decided(true, "{}") });
    row
}

async fn in_batches(delete: impl AsyncFn() -> u64) -> Vec<u64> {
    let mut rounds = Vec::new();
    loop {
        match delete().await {
            0 => return rounds,
            deleted => rounds.push(deleted),
        }
    }
}

pub async fn requests_go_in_batches_by_the_time_of_their_decision_and_pending_ones_stay(store: Arc<dyn Store>) {
    let mut requests: Vec<_> = (0..10).map(|number| decided_at(number, number as i64)).collect();
    requests[0].state = RequestState::Pending;
    requests[1].key.internal = true;
    commit(&*store, SEATS, |batch| batch.requests = requests).await;
    let elsewhere = LanePartition { lane: Lane::Wallets, ..SEATS };
    let other = turnstile::store::RequestRow { position: elsewhere.at(3), ..decided_at(3, 3) };
    commit(&*store, elsewhere, |batch| batch.requests = vec![other]).await;
    let rounds = in_batches(async || store.forget_requests(SEATS, LogTime(8), 4).await.unwrap()).await;
    assert_eq!(rounds, [4, 3]);
    let mut keys: Vec<_> = (0..10).map(client).collect();
    keys.push(internal(1));
    let mut left: Vec<u64> =
        store.load_requests(SEATS, &keys).await.unwrap().iter().map(|row| row.position.offset).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 8, 9]);
    assert_eq!(store.load_requests(elsewhere, &keys).await.unwrap().len(), 1, "another partition's time is its own");
    // A payment that is decided late is young, however old its command.
    let late = RequestCompletion { request_id: RequestId(id(0)), decided: decided(true, "{}") };
    commit(&*store, SEATS, |batch| batch.completions = vec![late]).await;
    assert_eq!(store.forget_requests(SEATS, LogTime(1_000), 100).await, Ok(2));
    assert_eq!(store.load_requests(SEATS, &[client(0)]).await.unwrap().len(), 1);
}

pub async fn dead_letters_go_once_they_were_replayed(store: Arc<dyn Store>) {
    commit(&*store, SEATS, |batch| batch.dead_letters = (0..10).map(|offset| dead_letter(SEATS, offset)).collect())
        .await;
    for offset in 0..8 {
        let done = DoneBy { by: user("ann"), at: LogTime(100 + offset as i64) };
        store.mark_replayed(SEATS.at(offset), &done).await.unwrap();
    }
    let rounds = in_batches(async || store.forget_dead_letters(SEATS, LogTime(107), 4).await.unwrap()).await;
    assert_eq!(rounds, [4, 3]);
    let letters = store.dead_letters(Page { after: None, limit: 100 }).await.unwrap();
    assert!(letters.iter().map(|view| view.letter.position.offset).eq([9, 8, 7]));
}

pub async fn a_request_decided_anew_replaces_the_old_one(store: Arc<dyn Store>) {
    let first = request(1, SEATS, 0);
    let mut pending = request(2, SEATS, 1);
    pending.state = RequestState::Pending;
    commit(&*store, SEATS, |batch| batch.requests = vec![first, pending.clone()]).await;
    let mut again = request(1, SEATS, 7);
    (again.state, again.user_id, again.by) = (RequestState::Pending, Some(user("bob")), Some(user("staff")));
    commit(&*store, SEATS, |batch| batch.requests = vec![again.clone()]).await;
    assert_eq!(store.request(RequestId(id(1))).await, Ok(Some(again)));
    assert_eq!(store.request(RequestId(id(2))).await, Ok(Some(pending)));
}

async fn caught_up(store: &dyn Store) -> bool {
    store.progress_views().await.unwrap()[0].caught_up
}

pub async fn a_partition_has_caught_up_when_it_passed_the_end_and_published_what_it_had(store: Arc<dyn Store>) {
    let first = acquired(&*store, SEATS).await;
    assert!(!caught_up(&*store).await, "its end is not known yet");
    store.note_end(SEATS, first.epoch, 1).await.unwrap();
    assert!(!caught_up(&*store).await);
    let mut one = batch(SEATS, &first);
    one.outbox = vec![outbox_row(0)];
    one.after = Progress { next_offset: 1, next_outbox_seq: 1, ..first };
    assert_eq!(store.commit(&one).await, Ok(Committed::Done));
    assert!(caught_up(&*store).await, "what it has to publish came later");

    let second = acquired(&*store, SEATS).await;
    store.note_end(SEATS, first.epoch, 0).await.unwrap();
    assert!(!caught_up(&*store).await, "an older owner says nothing");
    store.note_end(SEATS, second.epoch, 1).await.unwrap();
    assert!(!caught_up(&*store).await, "a row waits");
    published(&*store, SEATS, 1).await;
    assert!(caught_up(&*store).await);
}
