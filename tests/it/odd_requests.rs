//! What browsers, proxies and people send that is right or nearly so: odd texts, times, paths, heads, prices.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, Offer, System, one_section, scenarios, text};

scenarios!(
    titles_come_back_as_they_went_in,
    times_are_moments_whatever_their_offset,
    prices_at_the_edges_are_exact,
    methods_and_paths_that_browsers_and_proxies_send,
    a_head_beyond_the_bounds_is_431_and_harms_nobody,
);

async fn titles_come_back_as_they_went_in(system: &System) {
    let admin = system.client.admin();
    for title in
        ["콘서트 🎤 \u{202e}שלום", "e\u{301}", "a\u{200d}b", "<script>alert(1)</script>", "'; drop table concert; --"]
    {
        let made = admin.post("/v1/concerts", json!({"title": title})).send().await;
        assert_eq!(made.status, 201, "{title:?}: {made:?}");
        let shown = admin.read(&format!("/v1/concerts/{}", text(&made.body, "id"))).await;
        assert_eq!(shown["title"], title, "kept character for character");
    }
    let long = format!("{{\"title\":\"{}\"}}", "x".repeat(1 << 20));
    let raw = [r#"{"title":"\ud800"}"#, r#"{"title":"\u0000"}"#, "\u{feff}{\"title\":\"x\"}", long.as_str()];
    for body in raw {
        let answer = admin.request(Method::POST, "/v1/concerts").raw(body).send().await;
        assert!((400..500).contains(&answer.status), "{}: {answer:?}", body.chars().take(40).collect::<String>());
    }
}

async fn times_are_moments_whatever_their_offset(system: &System) {
    let admin = system.client.admin();
    let concert = admin.post("/v1/concerts", json!({"title": "t"})).send().await;
    let path = format!("/v1/concerts/{}/schedules", text(&concert.body, "id"));
    let open = async |starts_at: Value| -> Answer {
        let sections = json!([{"name": "A", "seats": 1, "price": 1}]);
        admin.post(&path, json!({"starts_at": starts_at, "sections": sections})).send().await
    };
    for (given, moment) in [
        ("2097-03-28T02:30:00+09:00", "2097-03-27T17:30:00.000Z"),
        ("2097-03-28T02:30:00.123456-00:30", "2097-03-28T03:00:00.123Z"),
        ("2097-03-28t02:30:00z", "2097-03-28T02:30:00.000Z"),
    ] {
        let made = open(json!(given)).await;
        assert_eq!(made.status, 201, "{given}: {made:?}");
        let shown = admin.read(&format!("/v1/schedules/{}", text(&made.body, "id"))).await;
        assert_eq!(shown["starts_at"], moment, "{given}");
    }
    let wrong = ["2097-03-28T02:30", "2097-03-28", "2097-02-30T00:00:00Z", "2097-03-28T25:00:00Z", "in a week", ""];
    for starts_at in wrong.map(|text| json!(text)).into_iter().chain([json!(4_000_000_000_u64)]) {
        let answer = open(starts_at.clone()).await;
        assert_eq!(answer.status, 422, "{starts_at}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], "/starts_at", "{starts_at}: {answer:?}");
    }
}

/// 10^12, the most that one seat may cost.
const PRICE_MAX: i64 = 1_000_000_000_000;

async fn prices_at_the_edges_are_exact(system: &System) {
    let prices = [("free", 2, 0), ("cheap", 2, 1), ("dear", 2, PRICE_MAX)];
    let sale = Offer { sections: &prices, max_seats_per_user: 6, ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    let seats = ["free-1", "cheap-1", "cheap-2", "dear-1", "dear-2"];
    let held = user.hold(&sale, &seats).decide().await.result();
    assert_eq!(held["amount"], 2 * PRICE_MAX + 2);
    for _ in 0..3 {
        user.charge(PRICE_MAX).decide().await.result();
    }
    let paid = user.pay(&text(&held, "reservation_id")).decide().await.result();
    assert_eq!(paid["balance"], PRICE_MAX - 2);
    for amount in ["1e3", "1000.0", "\"1000\"", "-0", "1000000000001", "9223372036854775808"] {
        let body = format!("{{\"amount\":{amount}}}");
        let answer = user.request(Method::POST, "/v1/wallet/charges").raw(body).send().await;
        assert_eq!(answer.status, 422, "{amount}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], "/amount", "{amount}: {answer:?}");
    }
    assert_eq!(user.balance().await, PRICE_MAX - 2);
}

async fn methods_and_paths_that_browsers_and_proxies_send(system: &System) {
    let user = system.client.user("alice");
    let sale = one_section(&system.client, 5).await;
    for path in ["/v1/concerts", "/v1/time", "/livez"] {
        let head = user.request(Method::HEAD, path).send().await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "HEAD {path} is GET without a body");
    }
    for path in ["/v1/concerts/", "//v1/concerts", "/v1%2fconcerts", "/v1/schedules/%2e%2e/seats"] {
        let answer = user.get(path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(answer.header("content-type").starts_with("application/problem+json"), "{path}: {answer:?}");
    }
    let options = user.request(Method::OPTIONS, "/v1/concerts").send().await;
    assert_eq!(options.status, 405, "{options:?}");
    assert!(options.header("allow").contains("GET"), "{options:?}");
    // A body, and no content type, with a method that needs neither.
    let reservation = user.held(&sale, &["A-1"]).await;
    let ask = user.cancel(&reservation).header("Prefer", "wait=10, respond-async").header("Expect", "100-continue");
    let answer = ask.json(json!({"why": "changed my mind"})).send().await;
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    user.outcome_of(answer.request_id(), answer.location_position().as_deref()).await.result();
}

async fn a_head_beyond_the_bounds_is_431_and_harms_nobody(system: &System) {
    let address = system.client.base().replace("http://", "");
    let many = (0..70).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    let long = format!("Cookie: {}\r\n", "c".repeat(100_000));
    let fits = format!("Cookie: {}\r\n", "c".repeat(20_000));
    for (headers, status) in [(many, "431"), (long, "431"), (fits, "200")] {
        let mut socket = TcpStream::connect(&address).await.expect("it accepts");
        let head = format!("GET /v1/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        socket.write_all(head.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
}
