//! Paths, methods, headers, lists, probes and shutdown.

use std::time::Duration;

use futures_util::future::FutureExt;

use super::*;
use crate::api::http::problem::{Problem, ProblemObject};
use crate::log::{AppendError, ReadError};
use crate::runtime::health::Severity;
use crate::testing::Fault;
use uuid::Uuid;

#[tokio::test]
async fn f33_unknown_paths_and_methods_are_problems() {
    let door = Door::open().await;
    for (method, path, status, code) in [
        (Method::GET, "/nothing", 404, "not_found"),
        (Method::GET, "/web/nothing.js", 404, "not_found"),
        (Method::GET, "/web/../Cargo.toml", 404, "not_found"),
        (Method::POST, "/", 405, "method_not_allowed"),
        (Method::GET, "/v1/nothing", 404, "not_found"),
        (Method::POST, "/v1/../etc", 404, "not_found"),
        (Method::PUT, "/v1/wallet", 405, "method_not_allowed"),
        (Method::GET, "/v1/wallet/charges", 405, "method_not_allowed"),
        (Method::GET, "/v1/reservations/x", 400, "invalid_request"),
        (Method::DELETE, "/v1/reservations/%00", 400, "invalid_request"),
        (Method::GET, "/v1/reservations?limit=0", 400, "invalid_request"),
        (Method::GET, "/v1/reservations?limit=201", 400, "invalid_request"),
        (Method::GET, "/v1/reservations?limit=-1", 400, "invalid_request"),
        (Method::GET, "/v1/reservations?after=x", 400, "invalid_request"),
        (Method::GET, "/v1/wallet/entries?after=-1", 400, "invalid_request"),
        (Method::GET, "/v1/payments?limit=99999999999999", 400, "invalid_request"),
    ] {
        let answer = send(door.request(method.clone(), path)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{method} {path}");
    }
    let answer = send(door.request(Method::PUT, "/v1/wallet")).await;
    assert!(answer.header("allow").contains("GET"), "{answer:?}");
}

#[tokio::test]
async fn f33_wrong_headers_are_problems() {
    let door = Door::open().await;
    let long = "x".repeat(129);
    for key in ["", "\"", long.as_str()] {
        let answer = send(keyed(door.charge(1), key)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid_request"), "{key}");
    }
    let twice = keyed(keyed(door.charge(1), "a"), "b");
    assert_eq!(send(twice).await.status, 400);
    let holds = format!("/v1/schedules/{}/holds", Uuid::now_v7());
    let hold = door.request(Method::POST, &holds).json(&json!({ "seats": ["A-1"] }));
    let hold = hold.header("queue-token", reqwest::header::HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(send(hold).await.status, 400);
    assert_eq!(send(door.charge(1).header("prefer", "wait=soon")).await.status, 202);
}

#[tokio::test]
async fn a_new_user_has_nothing() {
    let door = Door::open().await;
    assert_eq!(door.get("/v1/wallet").await.json(), json!({ "user_id": "alice", "balance": 0 }));
    assert_eq!(door.get("/v1/wallet/entries").await.json(), json!({ "entries": [] }));
    assert_eq!(door.get("/v1/payments").await.json(), json!({ "payments": [] }));
    assert_eq!(door.get("/v1/payments").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn probes_say_whether_the_process_can_serve() {
    let door = Door::open().await;
    assert_eq!(send(door.bare(Method::GET, "/livez")).await.status, 200);
    assert_eq!(send(door.bare(Method::GET, "/readyz")).await.status, 200);
    door.state.health.failing("seats.3", Severity::Degraded, "parked: a corrupt row");
    let answer = send(door.bare(Method::GET, "/readyz?verbose")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("ok store\n") && answer.text.contains("degraded seats.3: parked"), "{}", answer.text);
    door.state.health.failing("worker", Severity::Critical, "gone");
    let answer = send(door.bare(Method::GET, "/readyz?verbose").header("accept", "application/json")).await;
    assert_eq!((answer.status, &answer.json()["ready"]), (503, &json!(false)));
    door.state.health.ok("worker");
    assert_eq!(send(door.bare(Method::GET, "/readyz")).await.status, 200);
    door.state.health.drain();
    assert_eq!(send(door.bare(Method::GET, "/readyz")).await.status, 503);
    assert_eq!(send(door.bare(Method::GET, "/livez")).await.status, 200);
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_not_ready() {
    let door = Door::open().await;
    door.store.set_hook(Some(Arc::new(|_| async { Fault::Unavailable }.boxed())));
    for path in ["/v1/wallet", "/v1/reservations"] {
        let answer = door.get(path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
        assert!(!answer.text.contains("hook"), "nothing internal leaks: {}", answer.text);
    }
    let answer = send(keyed(door.charge(1), "k")).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "outcome_unknown"),
        "the key may have been used before"
    );
    // Also where something is read before the key is looked for.
    let id = "0192e4b0-0000-7000-8000-000000000010";
    let pay = door.request(Method::POST, &format!("/v1/reservations/{id}/payment")).json(&json!({}));
    let cancel = door.request(Method::DELETE, &format!("/v1/reservations/{id}"));
    let join = door.request(Method::POST, &format!("/v1/schedules/{id}/queue")).json(&json!({}));
    for command in [pay, cancel, join] {
        let unkeyed = send(command.try_clone().unwrap()).await;
        assert_eq!((unkeyed.status, unkeyed.problem().as_str()), (503, "unavailable"));
        let answer = send(keyed(command, "k")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (503, "outcome_unknown"), "{}", answer.text);
    }
    assert_eq!(door.wallet_commands().await, 0);
    assert_eq!(send(door.charge(1)).await.status, 202, "the log is there, so a command without a key is accepted");
    let answer = send(door.bare(Method::GET, "/readyz?verbose")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("failing store"), "{}", answer.text);
}

#[tokio::test]
async fn metrics_name_route_templates_only() {
    let door = Door::open().await;
    let id = Uuid::now_v7();
    door.get(&format!("/v1/reservations/{id}")).await;
    door.get("/v1/nothing-of-the-kind").await;
    let answer = send(door.bare(Method::GET, "/metrics")).await;
    assert!(answer.text.contains("turnstile_http_requests_total{method=\"GET\",route=\"/v1/reservations/{id}\""));
    assert!(answer.text.contains("route=\"unmatched\""));
    assert!(!answer.text.contains(&id.to_string()) && !answer.text.contains("nothing-of-the-kind"));
}

#[tokio::test]
async fn f34_requests_beyond_the_bound_are_turned_away_but_probes_are_not() {
    let door = Door::with(Settings { requests_in_flight_max: 1, ..Settings::default() }).await;
    let first = tokio::spawn(waiting(door.charge(100), 30).send());
    while door.state.waiters.count() == 0 {
        tokio::task::yield_now().await;
    }
    let answer = door.get("/v1/wallet").await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "overloaded"));
    assert_eq!(send(door.bare(Method::GET, "/livez")).await.status, 200);
    door.worker.start();
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(door.get("/v1/wallet").await.status, 200);
}

#[tokio::test]
async fn a_slow_or_broken_head_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let door = Door::with(Settings { header_timeout: Duration::from_millis(50), ..Settings::default() }).await;
    let address = door.base.trim_start_matches("http://").to_owned();
    let mut slow = tokio::net::TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    let text = String::from_utf8_lossy(&rest).into_owned();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    let mut broken = tokio::net::TcpStream::connect(&address).await.unwrap();
    broken.write_all(b"\x16\x03\x01 nonsense\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    broken.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 400"));
    assert_eq!(send(door.bare(Method::GET, "/livez")).await.status, 200);
}

#[test]
fn errors_of_the_ports_leak_nothing() {
    let problem = Problem::from(ReadError::Unavailable("broker 10.0.0.1".into()));
    let status = problem.status();
    let text = serde_json::to_string(&ProblemObject::from(problem)).unwrap();
    assert_eq!((status.as_u16(), text.contains("10.0.0.1")), (503, false));
    assert!(AppendError::Backlog.to_string().contains("full"));
}
