//! How a client asks: it sends, waits, follows, repeats itself, loses patience; and notes what it was told.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, request};
use serde_json::{Value, json};
use tokio::time::sleep;
use turnstile::api::submission::keys::IdempotencyKey;
use turnstile::domain::RequestId;

use crate::history::{Answer, Asked, Saying, Span, Told};
use crate::sim::Sim;
use crate::users::name;
use crate::world::World;

/// What a client wants done.
pub struct Wish {
    pub method: &'static str,
    pub path: String,
    pub body: Value,
    pub token: Option<String>,
}

impl Wish {
    pub fn new(method: &'static str, path: impl Into<String>, body: Value) -> Wish {
        Wish { method, path: path.into(), body, token: None }
    }

    /// As one request, under a key or not.
    pub fn under(self, user: usize, key: Option<String>) -> Asked {
        let Wish { method, path, body, token } = self;
        let request_id = key.as_ref().map(|key| id_of_key(user, key));
        Asked {
            request_id,
            user,
            method,
            path,
            key,
            token,
            body,
            tries: 0,
            accepted: false,
            rival: false,
            answers: Vec::new(),
            followed: Vec::new(),
            refused: false,
        }
    }
}

fn id_of_key(user: usize, key: &str) -> RequestId {
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", key.parse().expect("a header"));
    let key = IdempotencyKey::from_headers(&headers).ok().flatten().expect("a key");
    key.request_id(&name(user).parse().expect("a user id"))
}

/// Asks until there is an answer, at most so many times. What has no key is sent once and then only followed: sent
/// again it would be another request.
pub async fn insist(world: &World, at: usize, tries: u64) -> Option<Answer> {
    for turn in 0..tries {
        if turn > 0 {
            sleep(Duration::from_millis(50 + world.sim.below(800))).await;
        }
        let asked = world.history.get(at);
        let said = match asked.key {
            None if asked.tries > 0 => match asked.request_id {
                Some(id) => Said::Pending { id, accepted: asked.accepted },
                None => return None,
            },
            _ => ask(world, at).await,
        };
        match said {
            Said::Decided(answer) => {
                world.sim.note("answered", [at as u64, turn, u64::from(answer.code.is_some())]);
                world.history.update(at, |asked| asked.answers.push(answer.clone()));
                return Some(answer);
            }
            Said::Refused => {
                world.history.update(at, |asked| asked.refused = true);
                return None;
            }
            Said::Pending { id, accepted } => {
                world.history.update(at, |asked| asked.accepted |= accepted);
                if let Some(answer) = follow(world, at, id).await {
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
        id: RequestId,
        /// By a 202: it may also be the id that came with an error.
        accepted: bool,
    },
    /// By the front door, before anything was published.
    Refused,
    Nothing,
}

/// A request as `user`, on behalf of what was asked as the `at`-th: the log's records carry that number.
fn request(user: usize, at: usize) -> request::Builder {
    let number = at + 1;
    Request::builder()
        .header("x-user-id", name(user))
        .header("traceparent", format!("00-{number:032x}-{number:016x}-01"))
        .header("content-type", "application/json")
}

async fn ask(world: &World, at: usize) -> Said {
    let asked = world.history.get(at);
    world.history.update(at, |asked| asked.tries += 1);
    let wait = world.sim.below(6);
    let mut request = request(asked.user, at).method(asked.method).uri(&asked.path);
    request = request.header("prefer", format!("wait={wait}"));
    if let Some(key) = &asked.key {
        request = request.header("idempotency-key", key);
    }
    if let Some(token) = &asked.token {
        request = request.header("queue-token", token);
    }
    let body = if asked.body.is_null() { Body::empty() } else { Body::from(asked.body.to_string()) };
    let (answer, span) = timed(world, request.body(body).expect("a request")).await;
    let Some((status, said)) = answer else { return Said::Nothing };
    if asked.key.is_none()
        && let Some(id) = said["request_id"].as_str().and_then(|id| id.parse().ok())
    {
        world.history.update(at, |asked| asked.request_id = Some(RequestId(id)));
    }
    let is_decided = said.get("decided").is_some_and(|decided| !decided.is_null());
    match status {
        200 => decided(&world.sim, &said).map_or(Said::Nothing, Said::Decided),
        202 => match said["request_id"].as_str().and_then(|id| id.parse().ok()) {
            Some(id) => Said::Pending { id: RequestId(id), accepted: true },
            None => unexpected(world, &asked, status, &said),
        },
        400..=503 if is_decided => decided_problem(&said).map_or(Said::Nothing, Said::Decided),
        503 | 429 => Said::Nothing,
        400..500 => refused(world, &asked, span, status, &said),
        _ => unexpected(world, &asked, status, &said),
    }
}

fn unexpected(world: &World, asked: &Asked, status: u16, said: &Value) -> Said {
    world.sim.broke(|| format!("{} {} of {asked:?} was answered {status} {said}", asked.method, asked.path));
    Said::Nothing
}

/// A refusal by the front door, before anything was published.
fn refused(world: &World, asked: &Asked, span: Span, status: u16, said: &Value) -> Said {
    let code = said["code"].as_str().unwrap_or_default();
    let with_token = asked.token.as_ref().is_some_and(|token| world.history.is_own(asked.user, token));
    let about_queue = asked.path.ends_with("/queue");
    match code {
        // The key is known to be used already: the rival's refusal.
        "idempotency_key_reused" => Said::Refused,
        "not_admitted" if asked.path.ends_with("/holds") => {
            if asked.is_told() {
                world.sim.broke(|| format!("who was told is not told again: {asked:?} was answered {said}"));
            }
            world.history.told(Told { user: asked.user, with_token, span, what: Saying::NotAdmitted });
            Said::Refused
        }
        "queue_not_found" if about_queue => {
            let what = Saying::NoPlace(code.to_owned());
            world.history.told(Told { user: asked.user, with_token, span, what });
            // Not opened yet, so try again.
            Said::Nothing
        }
        _ => unexpected(world, asked, status, said),
    }
}

/// Sends a request and notes when.
async fn timed(world: &World, request: Request<Body>) -> (Option<(u16, Value)>, Span) {
    let (began_ms, faulty) = (world.sim.now_ms(), world.sim.faulty());
    let answer = world.call(request).await;
    (answer, Span { began_ms, ended_ms: world.sim.now_ms(), faulty })
}

/// Follows a 202 for a while.
async fn follow(world: &World, at: usize, id: RequestId) -> Option<Answer> {
    let asked = world.history.get(at);
    for _ in 0..1 + world.sim.below(3) {
        let request = request(asked.user, at)
            .uri(format!("/v1/requests/{id}"))
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
pub async fn sees_own_entry(world: &World, user: usize, entry: &str) {
    let request = Request::builder().uri("/v1/wallet/entries?limit=200").header("x-user-id", name(user));
    let said = world.call(request.body(Body::empty()).expect("a request")).await;
    if let Some((200, said)) = said {
        let entries = said["entries"].as_array().cloned().unwrap_or_default();
        if !entries.iter().any(|known| known["entry_id"] == entry) {
            world.sim.broke(|| format!("{} was told of entry {entry} and does not find it", name(user)));
        }
    }
}

/// Sends another body under a key that is in use.
pub async fn rival(world: &World, at: usize) {
    let first = world.history.get(at);
    let body = match first.path.as_str() {
        path if path.starts_with("/v1/wallet/") => {
            json!({ "amount": first.body["amount"].as_u64().unwrap_or(0) + 1_000 })
        }
        path if path.ends_with("/payment") && first.body["amount"].is_null() => json!({ "amount": 100 }),
        path if path.ends_with("/payment") => json!({}),
        _ => return,
    };
    let other = Wish { method: first.method, path: first.path, body, token: None };
    let mut other = other.under(first.user, first.key);
    other.rival = true;
    let at = world.history.begin(other);
    drop(insist(world, at, 2).await);
}

/// Asks for the place in the queue; says whether it is an active one, if there was an answer.
pub async fn poll(world: &World, user: usize, path: &str, token: Option<&str>) -> Option<bool> {
    let mut request = Request::builder().uri(format!("{path}/position")).header("x-user-id", name(user));
    if let Some(token) = token {
        request = request.header("queue-token", token);
    }
    let (answer, span) = timed(world, request.body(Body::empty()).expect("a request")).await;
    let (status, said) = answer?;
    let text = |member: &str| said[member].as_str().unwrap_or_default().to_owned();
    let what = match status {
        200 => Saying::Place {
            status: text("status"),
            position: said["position"].as_u64().unwrap_or(0),
            ahead: said["ahead"].as_u64().unwrap_or(u64::MAX),
        },
        404 => Saying::NoPlace(text("code")),
        429 | 503 => return None,
        _ => {
            world.sim.broke(|| format!("a poll of {} was answered {status} {said}", name(user)));
            return None;
        }
    };
    world.history.told(Told { user, with_token: token.is_some(), span, what });
    Some(said["status"] == "ACTIVE")
}
