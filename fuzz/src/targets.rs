//! What is fuzzed: whatever comes from outside must be understood or refused, and never panic. `tests/corpus.rs` runs
//! the same functions on the corpora.

#![allow(dead_code)]

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use turnstile::api::queue::token::{Claim, Signer};
use turnstile::api::{self, AppState};
use turnstile::domain::{Position, ScheduleId, SectionName, UserId};
use turnstile::log::PartitionCounts;
use turnstile::log::memory::MemoryLog;
use turnstile::runtime::clock::Clock;
use turnstile::runtime::health::Health;
use turnstile::store::memory::MemoryStore;
use turnstile::wire;

/// Record values of command and outcome topics. What is understood reads back equal from its own bytes.
pub fn record(bytes: &[u8]) {
    if let Ok(command) = wire::command::decode(bytes) {
        let again = wire::command::decode(&wire::command::encode(&command)).expect("what was written can be read");
        assert_eq!(command, again);
        assert_eq!(wire::fingerprint(&command.body), wire::fingerprint(&again.body));
        assert!(!command.body.routing_key().to_string().is_empty());
    }
    let _ = wire::outcome::decode_value(bytes);
    let headers = vec![
        (wire::headers::HOPS.to_owned(), bytes.to_vec()),
        (wire::headers::FINGERPRINT.to_owned(), bytes.to_vec()),
        (wire::headers::TRACEPARENT.to_owned(), bytes.to_vec()),
    ];
    let hops = wire::hops(&headers);
    assert_eq!(wire::hops(&wire::with_hops(headers.clone(), hops)), hops);
    let _ = (wire::fingerprint_of(&headers), wire::traceparent(&headers));
}

/// Keys, ids, positions and times. Every key has one partition, and what prints reads back.
pub fn routing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for partitions in [1, 2, 7, 16, u32::MAX] {
        assert!(wire::partition_for(&text, partitions) < partitions);
    }
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    if let Ok(user) = text.parse::<UserId>() {
        assert_eq!(user.as_str(), text);
    }
    if let Ok(section) = text.parse::<SectionName>() {
        assert_eq!(section.as_str(), text);
    }
    if let Some(time) = wire::parse_rfc3339(&text) {
        assert_eq!(wire::parse_rfc3339(&wire::rfc3339(time)), Some(time));
    }
}

/// Queue tokens. Nobody finds one by guessing, and what was signed is what is read.
pub fn token(bytes: &[u8]) {
    let signer = Signer::new(b"0123456789abcdef0123456789abcdef");
    assert_eq!(signer.verify(&String::from_utf8_lossy(bytes)), None, "a token nobody signed");
    let Some((sequence, user)) = bytes.split_first_chunk::<8>() else { return };
    let Ok(user_id) = String::from_utf8_lossy(user).parse::<UserId>() else { return };
    let sequence = u64::from_be_bytes(*sequence);
    let claim = Claim { schedule_id: ScheduleId(uuid::Uuid::from_u128(u128::from(sequence))), user_id, sequence };
    assert_eq!(signer.verify(&signer.sign(&claim)), Some(claim));
}

const ID: &str = "0192e4b0-0000-7000-8000-00000000005c";
/// Requests to one front door before it is made anew: its log in memory grows.
const REQUESTS_MAX: u32 = 10_000;

struct Door {
    runtime: tokio::runtime::Runtime,
    service: TowerToHyperService<Router>,
    requests: u32,
}

thread_local! {
    static DOOR: RefCell<Option<Door>> = const { RefCell::new(None) };
}

fn open() -> Door {
    let counts = PartitionCounts { seats: 2, wallets: 2, queues: 1, outcomes: 1, dead_letters: 1 };
    let log = Arc::new(MemoryLog::new(counts, Clock::System));
    let settings = api::Settings { user_per_second: 1_000_000, user_burst: 1_000_000, ..api::Settings::default() };
    let state = AppState::new(log, Arc::new(MemoryStore::new()), Clock::System, Health::default(), settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let service = TowerToHyperService::new(api::router(state.unwrap_or_else(|_| panic!("dev mode needs no keys"))));
    Door { runtime, service, requests: 0 }
}

/// `{route byte}{header value}\n{body}` to every kind of path: the answer is never a 5xx but for "not now".
pub fn http(bytes: &[u8]) {
    let Some((route, rest)) = bytes.split_first() else { return };
    let split = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (header, body) = rest.split_at(split);
    let paths = [
        ("POST", "/v1/wallet/charges".to_owned()),
        ("POST", "/v1/wallet/debits".to_owned()),
        ("POST", format!("/v1/schedules/{ID}/holds")),
        ("POST", "/v1/concerts".to_owned()),
        ("PATCH", format!("/v1/schedules/{ID}/queue")),
        ("POST", format!("/v1/reservations/{ID}/payment")),
        ("GET", format!("/v1/requests/{ID}?position={}", plain(header))),
        ("GET", format!("/v1/reservations?limit=2&after={}", plain(header))),
        ("GET", format!("/v1/{}", plain(header))),
        ("POST", format!("/v1/concerts/{ID}/schedules")),
    ];
    let headers = ["idempotency-key", "prefer", "queue-token", "x-user-id", "content-type", "traceparent"];
    let (method, path) = &paths[usize::from(*route) % paths.len()];
    let name = headers[usize::from(*route) / paths.len() % headers.len()];
    let mut request = Request::builder().method(*method).uri(path);
    for (name, value) in [("x-user-id", "admin"), ("content-type", "application/json")] {
        request = request.header(name, value);
    }
    let Ok(mut request) = request.body(Body::from(body.to_vec())) else { return };
    if let Ok(value) = HeaderValue::from_bytes(header)
        && name != "prefer"
    {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    DOOR.with_borrow_mut(|slot| {
        let door = slot.take().filter(|door| door.requests < REQUESTS_MAX);
        let mut door = door.unwrap_or_else(open);
        door.requests += 1;
        let answer = door.runtime.block_on(door.service.call(request));
        let status = answer.unwrap_or_else(|never| match never {}).status().as_u16();
        assert!(status < 500 || status == 503, "{method} {path} was answered {status}");
        *slot = Some(door);
    });
}

/// What can stand in a URL.
fn plain(bytes: &[u8]) -> String {
    bytes
        .iter()
        .filter(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(byte))
        .map(|b| char::from(*b))
        .collect()
}
