//! What browsers and proxies need: CORS, a public URL, compression and tags.

use reqwest::header::HeaderMap;

use super::*;

const SHOP: &str = "https://shop.example";

fn preflight(door: &Door, origin: &str) -> RequestBuilder {
    door.bare(Method::OPTIONS, &format!("/v1/schedules/{}/holds", uuid::Uuid::now_v7()))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,idempotency-key,prefer,queue-token")
}

#[tokio::test]
async fn pages_of_a_configured_origin_may_call_and_read_what_they_need() {
    let door = Door::with(Settings { cors_origins: vec![SHOP.into()], ..Settings::default() }).await;
    let allowed = send(preflight(&door, SHOP)).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, SHOP));
    for name in ["authorization", "idempotency-key", "prefer", "queue-token"] {
        assert!(allowed.header("access-control-allow-headers").contains(name), "{name}: {allowed:?}");
    }
    let answer = send(door.charge(1).header("origin", SHOP)).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (202, SHOP));
    for name in ["location", "retry-after", "preference-applied", "etag"] {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}: {answer:?}");
    }
    let other = send(preflight(&door, "https://evil.example")).await;
    assert_eq!(other.header("access-control-allow-origin"), "", "{other:?}");
}

#[tokio::test]
async fn all_origins_are_never_allowed_credentials_and_by_default_there_is_none() {
    let open = Door::with(Settings { cors_origins: vec!["*".into()], ..Settings::default() }).await;
    for answer in [send(preflight(&open, SHOP)).await, send(open.charge(1).header("origin", SHOP)).await] {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    let closed = Door::open().await;
    assert_eq!(send(preflight(&closed, SHOP)).await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn links_lie_below_the_public_url() {
    const BASE: &str = "https://tickets.example/api";
    let door = Door::with(Settings { public_url: Some(BASE.into()), ..Settings::default() }).await;
    let accepted = send(door.charge(1)).await;
    assert!(accepted.header("location").starts_with(&format!("{BASE}/v1/requests/")), "{accepted:?}");
    let missing = door.get(&format!("/v1/reservations/{}", uuid::Uuid::now_v7())).await;
    assert_eq!(missing.json()["type"], format!("{BASE}/docs#reservation_not_found"));
    assert_eq!(door.get("/openapi.json").await.json()["servers"], json!([{ "url": BASE }]));
    let docs = door.get("/docs").await.text;
    assert!(docs.contains(&format!("href=\"{BASE}/openapi.json\"")) && !docs.contains("href=\"/openapi.json\""));
    assert!(Door::open().await.get("/openapi.json").await.json().get("servers").is_none());
}

fn bytes_asked(door: &Door, name: &str, value: &str) -> RequestBuilder {
    door.request(Method::GET, "/openapi.json").header(name, value)
}

async fn received(request: RequestBuilder) -> (u16, HeaderMap, Vec<u8>) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.headers().clone(), response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn f58_large_answers_are_compressed_and_not_sent_twice() {
    let door = Door::open().await;
    let (_, plain_head, plain) = received(door.request(Method::GET, "/openapi.json")).await;
    assert!(!plain_head.contains_key("content-encoding") && plain_head["vary"] == "accept-encoding");
    let (status, head, zipped) = received(bytes_asked(&door, "accept-encoding", "gzip")).await;
    assert_eq!((status, &head["content-encoding"]), (200, &"gzip".parse().unwrap()));
    assert_eq!(head["content-length"], zipped.len().to_string().as_str());
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut unpacked).unwrap();
    assert!(unpacked == plain && zipped.len() * 4 < plain.len(), "{} of {}", zipped.len(), plain.len());
    let (_, zstd_head, _) = received(bytes_asked(&door, "accept-encoding", "gzip, zstd")).await;
    assert_eq!(zstd_head["content-encoding"], "zstd");
    for head in [plain_head, head, zstd_head] {
        let (status, again, body) = received(bytes_asked(&door, "if-none-match", head["etag"].to_str().unwrap())).await;
        assert_eq!((status, body.len(), again.contains_key("etag")), (304, 0, true));
    }
    let small = send(door.request(Method::GET, "/v1/wallet").header("accept-encoding", "gzip")).await;
    assert_eq!((small.header("content-encoding"), small.header("cache-control")), ("", "no-store"));
    let open = send(door.bare(Method::GET, "/v1/concerts")).await;
    assert_eq!(open.header("cache-control"), "no-cache", "caches may keep it and must ask");
}
