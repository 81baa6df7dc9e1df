//! Bodies that are not what they should be: always a problem with a pointer, never a 5xx, nothing published.

use super::*;
use uuid::Uuid;

#[tokio::test]
async fn f33_w9_wrong_amounts_are_422_and_publish_nothing() {
    let door = Door::open().await;
    let wrong =
        ["0", "-1", "1.5", "\"100\"", "10000000000000", "null", "true", "[]", "{}", "1e2", "18446744073709551615"];
    for path in ["/v1/wallet/charges", "/v1/wallet/debits"] {
        for amount in wrong {
            let answer = post(&door, path, format!("{{\"amount\":{amount}}}")).await;
            assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid_amount"), "{amount}");
            assert_eq!(answer.json()["errors"][0]["pointer"], "/amount");
        }
        let answer = post(&door, path, "{}").await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid_amount"));
    }
    assert_eq!(door.wallet_commands().await, 0);
}

#[tokio::test]
async fn f33_bodies_that_are_not_json_are_400_and_others_say_what_is_wrong() {
    let door = Door::open().await;
    let deep = "[".repeat(50_000);
    let huge = format!("{{\"amount\":{}}}", "9".repeat(1000));
    for (body, status) in [
        (&b""[..], 400),
        (b"{", 400),
        (b"{\"amount\":1}x", 400),
        (b"\xff\xfe", 400),
        (b"{\"amount\":1e999}", 400),
        (deep.as_bytes(), 400),
        (b"{\"amount\":1,\"reason\":\"\\ud800\"}", 400),
        (b"null", 422),
        (b"[]", 422),
        (b"\"amount\"", 422),
        (b"{\"amount\":1,\"reason\":{}}", 422),
    ] {
        let answer = post(&door, "/v1/wallet/charges", body.to_vec()).await;
        answer.problem();
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&body[..body.len().min(50)]));
    }
    let answer = post(&door, "/v1/wallet/charges", huge).await;
    answer.problem();
    assert!((400..500).contains(&answer.status));
    assert_eq!(door.wallet_commands().await, 0);
}

#[tokio::test]
async fn bodies_are_bounded_and_declared() {
    let door = Door::open().await;
    let large = format!("{{\"amount\":1,\"x\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(post(&door, "/v1/wallet/charges", large.clone()).await.problem(), "body_too_large");
    let chunks = futures_util::stream::iter((0..80).map(|_| Ok::<_, std::io::Error>("x".repeat(1000))));
    let streamed = door.request(Method::POST, "/v1/wallet/charges").header("content-type", "application/json");
    let answer = send(streamed.body(reqwest::Body::wrap_stream(chunks))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "body_too_large"));

    let concert = format!("/v1/concerts/{}/schedules", Uuid::now_v7());
    let schedule = |bytes: usize| {
        let body = format!("{{\"x\":\"{}\"}}", "x".repeat(bytes));
        let request = door.bare(Method::POST, &concert).header("x-user-id", "admin");
        send(request.header("content-type", "application/json").body(body))
    };
    assert_eq!(schedule(1_000_000).await.problem(), "invalid_fields", "a schedule may be large");
    assert_eq!(schedule(1_100_000).await.problem(), "body_too_large");

    let undeclared = door.request(Method::POST, "/v1/wallet/charges").body("{\"amount\":1}");
    let answer = send(undeclared).await;
    assert_eq!((answer.status, answer.problem().as_str()), (415, "unsupported_media_type"));
    let form = door.request(Method::POST, "/v1/wallet/charges").header("content-type", "text/plain");
    assert_eq!(send(form.body("amount=1")).await.status, 415);
    let charset = door.request(Method::POST, "/v1/wallet/charges");
    let charset = charset.header("content-type", "Application/JSON; charset=utf-8").body("{\"amount\":1}");
    assert_eq!(send(charset).await.status, 202);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let settings = Settings { body_timeout: std::time::Duration::from_millis(20), ..Settings::default() };
    let door = Door::with(settings).await;
    let request = door.request(Method::POST, "/v1/wallet/charges").header("content-type", "application/json");
    let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let answer = send(request.body(reqwest::Body::wrap_stream(never))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (408, "request_timeout"));
}

#[tokio::test]
async fn f33_wrong_holds_and_payments_say_which_field() {
    let door = Door::open().await;
    let holds = format!("/v1/schedules/{}/holds", Uuid::now_v7());
    let payment = format!("/v1/reservations/{}/payment", Uuid::now_v7());
    for (path, body, pointer) in [
        (&holds, json!({ "seats": ["A-1", "A-1"] }), "/seats"),
        (&holds, json!({ "seats": ["A-1", "x".repeat(100)] }), "/seats/1"),
        (&holds, json!({ "section": "A", "best_available": -2 }), "/best_available"),
        (&holds, json!({ "section": "", "best_available": 2 }), "/section"),
        (&payment, json!({ "amount": -1 }), "/amount"),
        (&payment, json!({ "amount": "1000" }), "/amount"),
        (&payment, json!({ "amount": 100_000_000_000_001_i64 }), "/amount"),
        (&payment, json!([]), ""),
    ] {
        let answer = post(&door, path, body.to_string()).await;
        answer.problem();
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
}

async fn post(door: &Door, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    send(door.request(Method::POST, path).header("content-type", "application/json").body(body)).await
}

/// Wherever text comes in. Query and headers are none of them: what is read from there has a form of its own.
#[tokio::test]
async fn no_text_may_hold_nul() {
    let door = Door::open().await;
    let id = Uuid::now_v7();
    let section = json!({"name": "A\0", "seats": 5, "price": 100});
    let schedule = |member: &str, value: Value| {
        let mut body =
            json!({"starts_at": "2099-01-01T00:00:00Z", "sections": [{"name": "A", "seats": 5, "price": 100}]});
        body[member] = value;
        body
    };
    for (path, body, pointer) in [
        ("/v1/wallet/charges".to_owned(), json!({"amount": 1, "reason": "a\0b"}), "/reason"),
        ("/v1/wallet/debits".to_owned(), json!({"amount": 1, "reason": "\0"}), "/reason"),
        ("/v1/concerts".to_owned(), json!({"title": "a\0"}), "/title"),
        ("/v1/concerts".to_owned(), json!({"title": "a", "description": "\0b"}), "/description"),
        (format!("/v1/concerts/{id}/schedules"), schedule("sections", json!([section])), "/sections/0/name"),
        (format!("/v1/concerts/{id}/schedules"), schedule("starts_at", json!("2099-01-01T00:00:00Z\0")), "/starts_at"),
        (
            format!("/v1/concerts/{id}/schedules"),
            schedule(
                "queue",
                json!({"max_active": 1, "active_ttl_seconds": 60, "max_waiting": 1, "on_timeout": "expire\0"}),
            ),
            "/queue/on_timeout",
        ),
        (format!("/v1/schedules/{id}/holds"), json!({"seats": ["A-1\0"]}), "/seats/0"),
        (format!("/v1/schedules/{id}/holds"), json!({"section": "A\0", "best_available": 1}), "/section"),
    ] {
        let request = door.bare(Method::POST, &path).header("x-user-id", "admin").json(&body);
        let answer = send(request).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid_fields"), "{path} {body}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{path} {body}");
    }
    assert_eq!(door.wallet_commands().await, 0);
    for path in ["/v1/wallet/entries?after=1%00", "/v1/requests/%00", "/v1/requests/%00?position=seats.0.1%00"] {
        assert_eq!(door.get(path).await.status, 400, "{path}");
    }
}
