//! Reads are limited too: by user, and by address where nobody has to log in.

use super::*;
use crate::api::{Network, Rate, TrustedProxies};

const THREE: Rate = Rate { burst: 3, per_second: 1 };

fn local_proxy() -> TrustedProxies {
    TrustedProxies(vec![Network::new("127.0.0.1".parse().unwrap(), 32)])
}

#[tokio::test]
async fn f34_the_reads_of_one_user_are_limited_and_others_are_not_affected() {
    let door = Door::with(Settings { user_requests: THREE, ..Settings::default() }).await;
    for path in ["/v1/wallet", "/v1/reservations", "/v1/payments"] {
        assert_eq!(door.get(path).await.status, 200);
    }
    let hold = format!("/v1/schedules/{}/holds", uuid::Uuid::now_v7());
    let hold = send(door.request(Method::POST, &hold).json(&json!({ "seats": ["A-1"] }))).await;
    for answer in [door.get("/v1/wallet").await, hold] {
        assert_eq!((answer.status, answer.problem().as_str()), (429, "rate_limited"));
        assert_eq!(answer.header("retry-after"), "1");
    }
    let other = send(door.bare(Method::GET, "/v1/wallet").header("x-user-id", "bob")).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn f34_open_reads_are_limited_by_the_address_that_a_trusted_proxy_saw() {
    let limited = Settings { address_requests: THREE, trusted_proxies: local_proxy(), ..Settings::default() };
    let door = Door::with(limited.clone()).await;
    let seen_from = |address: &str| door.bare(Method::GET, "/v1/concerts").header("x-forwarded-for", address);
    for claimed in ["198.51.100.7", "203.0.113.1, 198.51.100.7", "203.0.113.2, 198.51.100.7"] {
        assert_eq!(send(seen_from(claimed)).await.status, 200);
    }
    let answer = send(seen_from("203.0.113.3, 198.51.100.7")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (429, "rate_limited"), "whatever the client claims to be");
    assert_eq!(send(seen_from("198.51.100.8")).await.status, 200);
    let wallet = door.request(Method::GET, "/v1/wallet").header("x-forwarded-for", "198.51.100.7");
    assert_eq!(send(wallet).await.status, 200, "who is logged in has a budget of their own");

    let unknown_proxies = Settings { trusted_proxies: TrustedProxies::default(), ..limited };
    let door = Door::with(unknown_proxies).await;
    for _ in 0..10 {
        assert_eq!(send(door.bare(Method::GET, "/v1/concerts")).await.status, 200, "all may come by one proxy");
    }
}
