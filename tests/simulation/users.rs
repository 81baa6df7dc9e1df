//! Users at the front door: they charge, hold, pay, cancel, repeat themselves, lose patience and give up.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::time::sleep;
use turnstile::api::keys::IdempotencyKey;

use crate::history::{Answer, Asked};
use crate::sim::Sim;
use crate::world::World;

pub const USERS: [&str; 6] = ["ann", "bob", "cat", "dan", "eve", "fay"];
pub const SEATS: u64 = 10;
/// Tries before a user gives up; none gives up once the faults are over.
const TRIES: u64 = 6;

/// One user's session.
pub async fn live(world: Arc<World>, user: usize, deeds: u64) {
    let mut reservations: Vec<String> = Vec::new();
    for deed in 0..deeds {
        sleep(Duration::from_millis(world.sim.below(1_500))).await;
        let key = format!("{user}-{deed}");
        let (method, path, body) = choose(&world, &reservations);
        let at = world.history.begin(asked(user, method, path, key, body, false));
        let tries = 1 + world.sim.below(TRIES);
        let answer = if world.sim.below(6) == 0 {
            // Both at once: either body may win.
            tokio::join!(insist(&world, at, tries), rival(&world, at)).0
        } else {
            insist(&world, at, tries).await
        };
        let result = answer.map_or(Value::Null, |answer| answer.result);
        if let Some(id) = result["reservation_id"].as_str()
            && !reservations.iter().any(|known| known == id)
        {
            reservations.push(id.to_owned());
        }
        if let Some(entry) = result["entry_id"].as_str()
            && world.sim.below(4) == 0
        {
            sees_own_entry(&world, user, entry).await;
        }
        match world.sim.below(10) {
            0 => drop(insist(&world, at, 2).await),
            1 => rival(&world, at).await,
            _ => {}
        }
    }
}

fn asked(user: usize, method: &'static str, path: String, key: String, body: Value, rival: bool) -> Asked {
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", key.parse().expect("a header"));
    let id = IdempotencyKey::from_headers(&headers).ok().flatten().expect("a key");
    let request_id = id.request_id(&USERS[user].parse().expect("a user id"));
    let (answers, followed) = (Vec::new(), Vec::new());
    Asked { request_id, user, method, path, key, body, accepted: false, rival, answers, followed, refused: false }
}

fn choose(world: &World, reservations: &[String]) -> (&'static str, String, Value) {
    let sim = &world.sim;
    let schedule = world.schedules[sim.below(world.schedules.len() as u64) as usize];
    let holds = format!("/v1/schedules/{schedule}/holds");
    let section = if sim.below(3) == 0 { "B" } else { "A" };
    let reservation = reservations.len().checked_sub(1).map(|last| {
        // Mostly the latest one.
        let back = if sim.below(3) == 0 { sim.below(reservations.len() as u64) as usize } else { 0 };
        &reservations[last - back]
    });
    match (sim.below(20), reservation) {
        (0..=3, _) => ("POST", "/v1/wallet/charges".into(), json!({"amount": 1 + sim.below(300)})),
        (4, _) => ("POST", "/v1/wallet/debits".into(), json!({"amount": 1 + sim.below(150), "reason": "snack"})),
        (5..=6, _) => ("POST", holds, json!({"section": section, "best_available": 1 + sim.below(3)})),
        (7..=15, Some(id)) if sim.below(3) > 0 => {
            let amount = if sim.below(8) == 0 { json!({"amount": 100}) } else { json!({}) };
            ("POST", format!("/v1/reservations/{id}/payment"), amount)
        }
        (16..=18, Some(id)) => ("DELETE", format!("/v1/reservations/{id}"), Value::Null),
        _ => {
            let first = 1 + sim.below(SEATS);
            let last = (first + sim.below(2)).min(SEATS);
            let seats: Vec<String> = (first..=last).map(|number| format!("{section}-{number}")).collect();
            ("POST", holds, json!({ "seats": seats }))
        }
    }
}

/// Asks until there is an answer, at most so many times.
pub async fn insist(world: &World, at: usize, tries: u64) -> Option<Answer> {
    for turn in 0..tries {
        if turn > 0 {
            sleep(Duration::from_millis(50 + world.sim.below(800))).await;
        }
        match ask(world, at).await {
            Said::Decided(answer) => {
                world.sim.note("answered", [at as u64, turn, u64::from(answer.code.is_some())]);
                world.history.update(at, |asked| asked.answers.push(answer.clone()));
                return Some(answer);
            }
            Said::Refused => {
                world.history.update(at, |asked| asked.refused = true);
                return None;
            }
            Said::Pending { location } => {
                world.history.update(at, |asked| asked.accepted = true);
                if let Some(answer) = follow(world, at, &location).await {
                    world.sim.note("followed", [at as u64, turn, u64::from(answer.code.is_some())]);
                    world.history.update(at, |asked| asked.followed.push(answer.clone()));
                    return Some(answer);
                }
            }
            Said::Nothing => {}
        }
    }
    None
}

enum Said {
    Decided(Answer),
    Pending {
        location: String,
    },
    /// By the front door, before anything was published.
    Refused,
    Nothing,
}

async fn ask(world: &World, at: usize) -> Said {
    let asked = world.history.get(at);
    let wait = world.sim.below(6);
    let request = Request::builder()
        .method(asked.method)
        .uri(&asked.path)
        .header("x-user-id", USERS[asked.user])
        .header("idempotency-key", &asked.key)
        .header("prefer", format!("wait={wait}"))
        .header("traceparent", format!("00-{:032x}-{:016x}-01", at + 1, at + 1))
        .header("content-type", "application/json");
    let body = if asked.body.is_null() { Body::empty() } else { Body::from(asked.body.to_string()) };
    let Some((status, said)) = world.call(request.body(body).expect("a request")).await else { return Said::Nothing };
    match status {
        200 => decided(&world.sim, &said).map_or(Said::Nothing, Said::Decided),
        202 => {
            let id = said["request_id"].as_str().unwrap_or_default();
            Said::Pending { location: format!("/v1/requests/{id}") }
        }
        503 | 429 => Said::Nothing,
        400..500 if said.get("decided").is_some_and(|decided| !decided.is_null()) => {
            decided_problem(&said).map_or(Said::Nothing, Said::Decided)
        }
        // The key is known to be used already: the rival's refusal, before anything was published.
        400..500 => {
            let code = said["code"].as_str().unwrap_or_default();
            if code != "idempotency_key_reused" {
                world.sim.broke(|| format!("{} {} was answered {status} {said}", asked.method, asked.path));
            }
            Said::Refused
        }
        _ => {
            world.sim.broke(|| format!("{} {} was answered {status} {said}", asked.method, asked.path));
            Said::Nothing
        }
    }
}

/// Follows a 202 for a while.
async fn follow(world: &World, at: usize, location: &str) -> Option<Answer> {
    let asked = world.history.get(at);
    for _ in 0..1 + world.sim.below(3) {
        let request = Request::builder()
            .uri(location)
            .header("x-user-id", USERS[asked.user])
            .header("prefer", format!("wait={}", world.sim.below(8)));
        let said = world.call(request.body(Body::empty()).expect("a request")).await;
        // 404 is right as long as the store does not know it: the client could have said where it lies.
        if let Some((200, said)) = said
            && said["status"] != "PENDING"
        {
            return decided(&world.sim, &said);
        }
        sleep(Duration::from_millis(100 + world.sim.below(500))).await;
    }
    None
}

/// A request object that is decided.
fn decided(sim: &Sim, said: &Value) -> Option<Answer> {
    let status = said["status"].as_str()?.to_owned();
    if status == "PENDING" {
        sim.broke(|| format!("200 and undecided: {said}"));
        return None;
    }
    let code = said["problem"]["code"].as_str().map(str::to_owned);
    Some(Answer { status, code, result: said["result"].clone(), decided: said["decided"].clone() })
}

/// A refusal under its own status.
fn decided_problem(said: &Value) -> Option<Answer> {
    let code = said["code"].as_str()?.to_owned();
    let decided = said["decided"].clone();
    Some(Answer { status: "REJECTED".into(), code: Some(code), result: Value::Null, decided })
}

/// Whoever was told of a change sees it from then on, through any door.
async fn sees_own_entry(world: &World, user: usize, entry: &str) {
    let request = Request::builder().uri("/v1/wallet/entries?limit=200").header("x-user-id", USERS[user]);
    let said = world.call(request.body(Body::empty()).expect("a request")).await;
    if let Some((200, said)) = said {
        let entries = said["entries"].as_array().cloned().unwrap_or_default();
        if !entries.iter().any(|known| known["entry_id"] == entry) {
            world.sim.broke(|| format!("{} was told of entry {entry} and does not find it", USERS[user]));
        }
    }
}

/// Sends another body under a key that is in use.
async fn rival(world: &World, at: usize) {
    let first = world.history.get(at);
    if !first.path.starts_with("/v1/wallet/") {
        return;
    }
    let amount = first.body["amount"].as_u64().unwrap_or(0) + 1_000;
    let other = asked(first.user, first.method, first.path, first.key, json!({ "amount": amount }), true);
    let at = world.history.begin(other);
    drop(insist(world, at, 2).await);
}
