//! `Idempotency-Key`.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::*;
use crate::domain::Verdict;

#[tokio::test]
async fn f24_a_repeat_gets_the_first_outcome_again() {
    let door = Door::open().await;
    door.worker.start();
    let first = send(waiting(keyed(door.charge(100), "k1"), 10)).await;
    assert_eq!(first.status, 200);
    let again = send(keyed(door.charge(100), "\"k1\"")).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(door.wallet_commands().await, 1, "the repeat was not published");

    let other = send(keyed(door.charge(101), "k1")).await;
    assert_eq!((other.status, other.problem().as_str()), (422, "idempotency_key_reused"));
    assert_eq!(send(waiting(keyed(door.charge(100), "k2"), 10)).await.status, 200);
    assert_eq!(door.worker.applied.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn f24_w3_repeats_at_once_take_effect_once_and_are_answered_alike() {
    let door = Door::open().await;
    door.worker.start();
    let answers = join_all((0..50).map(|_| send(waiting(keyed(door.charge(100), "k"), 10)))).await;
    assert_eq!(door.worker.applied.load(Ordering::SeqCst), 1);
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (200, answers[0].json()));
    }
}

#[tokio::test]
async fn f24_another_command_under_a_key_under_way_is_refused_before_it_is_published() {
    let door = Door::open().await;
    let first = send(keyed(door.charge(100), "k")).await;
    assert_eq!(first.status, 202);
    let other = send(keyed(door.charge(101), "k")).await;
    assert_eq!((other.status, other.problem().as_str()), (422, "idempotency_key_reused"));
    assert_eq!(other.json()["request_id"], first.json()["request_id"]);
    let debit = door.request(Method::POST, "/v1/wallet/debits").json(&json!({ "amount": 100 }));
    assert_eq!(send(keyed(debit, "k")).await.status, 422, "another kind of command is another command");
    let again = send(keyed(door.charge(100), "k")).await;
    assert_eq!((again.status, again.header("location")), (202, first.header("location")));
    assert_eq!(door.wallet_commands().await, 1);
}

#[tokio::test]
async fn f24_a_key_reused_through_another_front_door_is_refused_by_the_owner() {
    let door = Door::open().await;
    let first = waiting(keyed(door.charge(100), "k"), 10).send();
    let first = tokio::spawn(first);
    while door.wallet_commands().await < 1 {
        tokio::task::yield_now().await;
    }
    // Another process knows nothing of the first.
    let (log, store) = (Arc::new(door.log.clone()), Arc::new(door.store.clone()));
    let state = AppState::new(log, store, Clock::System, Health::default(), Settings::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/wallet/charges", listener.local_addr().unwrap());
    tokio::spawn(serve(Listeners { main: listener, operations: None }, state.clone(), CancellationToken::new()));
    while !state.feed.is_running() {
        tokio::task::yield_now().await;
    }
    let request = door.client.post(url).header("x-user-id", "alice").json(&json!({ "amount": 101 }));
    let second = tokio::spawn(send(waiting(keyed(request, "k"), 10)));
    while door.wallet_commands().await < 2 {
        tokio::task::yield_now().await;
    }
    door.worker.start();
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    let second = second.await.unwrap();
    assert_eq!((second.status, second.problem().as_str()), (422, "idempotency_key_reused"));
    assert_eq!(door.worker.applied.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn f24_users_do_not_share_keys() {
    let door = Door::open().await;
    door.worker.start();
    assert_eq!(send(waiting(keyed(door.charge(1), "k"), 10)).await.status, 200);
    let bob = door.bare(Method::POST, "/v1/wallet/charges").header("x-user-id", "bob").json(&json!({ "amount": 2 }));
    let answer = send(waiting(keyed(bob, "k"), 10)).await;
    assert_eq!((answer.status, &answer.json()["result"]["balance"]), (200, &json!(2)));
}

#[tokio::test]
async fn f24_a_repeat_of_what_is_pending_is_pending() {
    let door = Door::open().await;
    door.worker.rules(|_, _| Verdict::Pending);
    door.worker.start();
    let first = send(waiting(keyed(door.charge(1), "k"), 1)).await;
    assert_eq!(first.status, 202);
    let again = send(keyed(door.charge(1), "k")).await;
    assert_eq!((again.status, again.header("location")), (202, first.header("location")));
    let id = first.json()["request_id"].as_str().unwrap().to_owned();
    let request = door.get(&format!("/v1/requests/{id}")).await;
    let expected = json!({ "request_id": id, "command": "charge_wallet", "status": "PENDING" });
    assert_eq!((request.status, request.json()), (200, expected));
}
