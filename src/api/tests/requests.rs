//! `GET /v1/requests/{id}`.

use super::worker::refuse;
use super::*;
use crate::domain::Code;
use uuid::Uuid;

#[tokio::test]
async fn f31_a_request_is_pending_by_its_position_and_then_decided() {
    let door = Door::with(Settings { progress_age_max: std::time::Duration::ZERO, ..Settings::default() }).await;
    for _ in 0..3 {
        send(door.charge(1)).await;
    }
    let accepted = send(door.charge(5)).await;
    let location = accepted.header("location").to_owned();
    let pending = door.get(&location).await;
    let id = accepted.json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(pending.json(), json!({ "request_id": id, "status": "PENDING", "ahead": 3 }));
    assert_eq!(door.get(&format!("/v1/requests/{id}")).await.problem(), "request_not_found", "nobody knows it yet");

    let poll = tokio::spawn(send(waiting(door.request(Method::GET, &location), 30)));
    while door.state.waiters.count() == 0 {
        tokio::task::yield_now().await;
    }
    door.worker.start();
    let decided = poll.await.unwrap();
    assert_eq!((decided.status, decided.header("preference-applied")), (200, "wait=30"));
    assert_eq!(decided.json()["status"], "SUCCEEDED");
    assert_eq!(door.get(&format!("/v1/requests/{id}")).await.json(), decided.json());
    assert_eq!(door.get(&location).await.json(), decided.json());
}

#[tokio::test]
async fn f31_a_refused_request_has_its_problem_inside() {
    let door = Door::open().await;
    door.worker.rules(|_, _| refuse(Code::BalanceLimitExceeded));
    door.worker.start();
    let refused = send(waiting(door.charge(1), 10)).await;
    assert_eq!(refused.status, 409);
    let id = refused.json()["request_id"].as_str().unwrap().to_owned();
    let request = door.get(&format!("/v1/requests/{id}")).await;
    assert_eq!(request.status, 200);
    assert_eq!(request.json()["status"], "REJECTED");
    assert_eq!(request.json()["problem"]["code"], "balance_limit_exceeded");
    assert_eq!(request.json()["problem"]["status"], 409);
    assert_eq!(request.json()["decided"], refused.json()["decided"]);
}

#[tokio::test]
async fn f32_requests_are_their_senders_and_the_admins_to_see() {
    let door = Door::open().await;
    door.worker.start();
    let id = send(waiting(door.charge(1), 10)).await.json()["request_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/requests/{id}");
    let as_user = |name: &'static str| send(door.bare(Method::GET, &path).header("x-user-id", name));
    assert_eq!(as_user("alice").await.status, 200);
    assert_eq!(as_user("admin").await.status, 200);
    let answer = as_user("bob").await;
    assert_eq!((answer.status, answer.problem().as_str()), (404, "request_not_found"));
}

#[tokio::test]
async fn unknown_requests_and_impossible_positions_are_4xx() {
    let door = Door::open().await;
    let id = Uuid::now_v7();
    for (path, status) in [
        (format!("/v1/requests/{id}"), 404),
        (format!("/v1/requests/{id}?position=wallets.0.0"), 404),
        (format!("/v1/requests/{id}?position=wallets.99.0"), 400),
        (format!("/v1/requests/{id}?position=wallets"), 400),
        (format!("/v1/requests/{id}?position=rows.0.0"), 400),
        (format!("/v1/requests/{id}?position=wallets.0.99999999999999999999"), 400),
        ("/v1/requests/7".to_owned(), 400),
        ("/v1/requests/%ff".to_owned(), 400),
    ] {
        let answer = send(waiting(door.request(Method::GET, &path), 30)).await;
        answer.problem();
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn f31_a_long_poll_ends_with_the_process() {
    let door = Door::open().await;
    let location = send(door.charge(1)).await.header("location").to_owned();
    let poll = tokio::spawn(send(waiting(door.request(Method::GET, &location), 30)));
    while door.state.waiters.count() == 0 {
        tokio::task::yield_now().await;
    }
    door.shutdown.cancel();
    assert_eq!(poll.await.unwrap().json()["status"], "PENDING");
    door.served.await.unwrap().unwrap();
}
