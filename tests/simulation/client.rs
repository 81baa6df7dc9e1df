//! An HTTP client: sends, waits, polls, retries, times out; and records every answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, request};
use serde_json::{Value, json};
use tokio::time::sleep;
use turnstile::api::submission::keys::IdempotencyKey;
use turnstile::domain::RequestId;

use crate::cluster::Cluster;
use crate::history::{Answer, Observation, Observed, Operation, Span};
use crate::sim::Sim;
use crate::workload::name;

/// A request to be sent.
pub struct Intent {
    pub method: &'static str,
    pub path: String,
    pub body: Value,
    pub token: Option<String>,
}

impl Intent {
    pub fn new(method: &'static str, path: impl Into<String>, body: Value) -> Intent {
        Intent { method, path: path.into(), body, token: None }
    }

    /// As one operation of this user, with or without an idempotency key.
    pub fn of(self, user: usize, key: Option<String>) -> Operation {
        let Intent { method, path, body, token } = self;
        let request_id = key.as_ref().map(|key| id_of_key(user, key));
        Operation {
            request_id,
            user,
            method,
            path,
            key,
            token,
            body,
            attempts: 0,
            accepted: false,
            conflicting: false,
            answers: Vec::new(),
            polled: Vec::new(),
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

/// Retries until there is an answer, at most this many times. Without a key it is sent once and then only polled: sent
/// again it would be another request.
pub async fn retry(cluster: &Cluster, number: usize, attempts: u64) -> Option<Answer> {
    for turn in 0..attempts {
        if turn > 0 {
            sleep(Duration::from_millis(50 + cluster.sim.below(800))).await;
        }
        let operation = cluster.history.get(number);
        let response = match operation.key {
            None if operation.attempts > 0 => match operation.request_id {
                Some(id) => Response::Pending { id, accepted: operation.accepted },
                None => return None,
            },
            _ => send(cluster, number).await,
        };
        match response {
            Response::Decided(answer) => {
                cluster.sim.note("answered", [number as u64, turn, u64::from(answer.code.is_some())]);
                cluster.history.update(number, |operation| operation.answers.push(answer.clone()));
                return Some(answer);
            }
            Response::Refused => {
                cluster.history.update(number, |operation| operation.refused = true);
                return None;
            }
            Response::Pending { id, accepted } => {
                cluster.history.update(number, |operation| operation.accepted |= accepted);
                if let Some(answer) = poll_request(cluster, number, id).await {
                    cluster.sim.note("polled", [number as u64, turn, u64::from(answer.code.is_some())]);
                    cluster.history.update(number, |operation| operation.polled.push(answer.clone()));
                    return Some(answer);
                }
            }
            Response::Nothing => {}
        }
    }
    None
}

enum Response {
    Decided(Answer),
    Pending {
        id: RequestId,
        /// By a 202; an error may carry the id too.
        accepted: bool,
    },
    /// By the API server, before anything was published.
    Refused,
    Nothing,
}

/// A request of `user` for an operation: its number is the trace id, which the records carry.
fn request(user: usize, number: usize) -> request::Builder {
    let number = number + 1;
    Request::builder()
        .header("x-user-id", name(user))
        .header("traceparent", format!("00-{number:032x}-{number:016x}-01"))
        .header("content-type", "application/json")
}

async fn send(cluster: &Cluster, number: usize) -> Response {
    let operation = cluster.history.get(number);
    cluster.history.update(number, |operation| operation.attempts += 1);
    let wait = cluster.sim.below(6);
    let mut request = request(operation.user, number).method(operation.method).uri(&operation.path);
    request = request.header("prefer", format!("wait={wait}"));
    if let Some(key) = &operation.key {
        request = request.header("idempotency-key", key);
    }
    if let Some(token) = &operation.token {
        request = request.header("queue-token", token);
    }
    let body = if operation.body.is_null() { Body::empty() } else { Body::from(operation.body.to_string()) };
    let (response, span) = timed(cluster, request.body(body).expect("a request")).await;
    let Some((status, body)) = response else { return Response::Nothing };
    if operation.key.is_none()
        && let Some(id) = body["request_id"].as_str().and_then(|id| id.parse().ok())
    {
        cluster.history.update(number, |operation| operation.request_id = Some(RequestId(id)));
    }
    let is_decided = body.get("decided").is_some_and(|decided| !decided.is_null());
    match status {
        200 => decided(&cluster.sim, &body).map_or(Response::Nothing, Response::Decided),
        202 => match body["request_id"].as_str().and_then(|id| id.parse().ok()) {
            Some(id) => Response::Pending { id: RequestId(id), accepted: true },
            None => unexpected(cluster, &operation, status, &body),
        },
        400..=503 if is_decided => decided_problem(&body).map_or(Response::Nothing, Response::Decided),
        503 | 429 => Response::Nothing,
        400..500 => refused(cluster, &operation, span, status, &body),
        _ => unexpected(cluster, &operation, status, &body),
    }
}

fn unexpected(cluster: &Cluster, operation: &Operation, status: u16, body: &Value) -> Response {
    cluster.sim.broke(|| format!("{} {} of {operation:?}: {status} {body}", operation.method, operation.path));
    Response::Nothing
}

/// A refusal by the API server, before anything was published.
fn refused(cluster: &Cluster, operation: &Operation, span: Span, status: u16, body: &Value) -> Response {
    let user = operation.user;
    let with_token = operation.token.as_ref().is_some_and(|token| cluster.history.is_own_token(user, token));
    let about_queue = operation.path.ends_with("/queue");
    match body["code"].as_str().unwrap_or_default() {
        // The refusal of a conflicting body, under a key that is known to be used.
        "idempotency_key_reused" => Response::Refused,
        "not_admitted" if operation.path.ends_with("/holds") => {
            if operation.is_answered() {
                cluster.sim.broke(|| format!("an answered request is refused: {operation:?}: {body}"));
            }
            cluster.history.observe(Observation { user, with_token, span, what: Observed::NotAdmitted });
            Response::Refused
        }
        // Its block is not open yet.
        "section_not_found" if operation.path.ends_with("/holds") && !operation.is_answered() => Response::Nothing,
        code @ "queue_not_found" if about_queue => {
            let what = Observed::NoPlace(code.to_owned());
            cluster.history.observe(Observation { user, with_token, span, what });
            // Not opened yet.
            Response::Nothing
        }
        _ => unexpected(cluster, operation, status, body),
    }
}

/// Sends a request and takes the time.
async fn timed(cluster: &Cluster, request: Request<Body>) -> (Option<(u16, Value)>, Span) {
    let (began_ms, faulty) = (cluster.sim.now_ms(), cluster.sim.faulty());
    let response = cluster.call(request).await;
    (response, Span { began_ms, ended_ms: cluster.sim.now_ms(), faulty })
}

/// Polls an accepted request a few times.
async fn poll_request(cluster: &Cluster, number: usize, id: RequestId) -> Option<Answer> {
    let operation = cluster.history.get(number);
    for _ in 0..1 + cluster.sim.below(3) {
        let request = request(operation.user, number)
            .uri(format!("/v1/requests/{id}"))
            .header("prefer", format!("wait={}", cluster.sim.below(8)));
        let response = cluster.call(request.body(Body::empty()).expect("a request")).await;
        // 404 is right while the store does not know it: the client did not send its position.
        if let Some((200, body)) = response
            && body["status"] != "PENDING"
        {
            return decided(&cluster.sim, &body);
        }
        sleep(Duration::from_millis(100 + cluster.sim.below(500))).await;
    }
    None
}

/// Reads a request object.
fn decided(sim: &Sim, body: &Value) -> Option<Answer> {
    let status = body["status"].as_str()?.to_owned();
    if status == "PENDING" {
        sim.broke(|| format!("200 and undecided: {body}"));
        return None;
    }
    let code = body["problem"]["code"].as_str().map(str::to_owned);
    Some(Answer { status, code, result: body["result"].clone(), decided: body["decided"].clone() })
}

/// Reads a refusal with its own HTTP status.
fn decided_problem(body: &Value) -> Option<Answer> {
    let code = body["code"].as_str()?.to_owned();
    let decided = body["decided"].clone();
    Some(Answer { status: "REJECTED".into(), code: Some(code), result: Value::Null, decided })
}

/// After an answer the user finds the wallet entry through every API server.
pub async fn finds_entry(cluster: &Cluster, user: usize, entry: &str) {
    let request = Request::builder().uri("/v1/wallet/entries?limit=200").header("x-user-id", name(user));
    let response = cluster.call(request.body(Body::empty()).expect("a request")).await;
    if let Some((200, body)) = response {
        let entries = body["entries"].as_array().cloned().unwrap_or_default();
        if !entries.iter().any(|known| known["entry_id"] == entry) {
            cluster.sim.broke(|| format!("{} was told of entry {entry} and does not find it", name(user)));
        }
    }
}

/// Sends another body under the key of an operation.
pub async fn send_conflicting(cluster: &Cluster, number: usize) {
    let first = cluster.history.get(number);
    let body = match first.path.as_str() {
        path if path.starts_with("/v1/wallet/") => {
            json!({ "amount": first.body["amount"].as_u64().unwrap_or(0) + 1_000 })
        }
        path if path.ends_with("/payment") && first.body["amount"].is_null() => json!({ "amount": 100 }),
        path if path.ends_with("/payment") => json!({}),
        _ => return,
    };
    let other = Intent { method: first.method, path: first.path, body, token: None };
    let mut other = other.of(first.user, first.key);
    other.conflicting = true;
    let number = cluster.history.begin(other);
    drop(retry(cluster, number, 2).await);
}

/// Polls the place in the queue; returns whether it is active, if there was an answer.
pub async fn poll_place(cluster: &Cluster, user: usize, path: &str, token: Option<&str>) -> Option<bool> {
    let mut request = Request::builder().uri(format!("{path}/position")).header("x-user-id", name(user));
    if let Some(token) = token {
        request = request.header("queue-token", token);
    }
    let (response, span) = timed(cluster, request.body(Body::empty()).expect("a request")).await;
    let (status, body) = response?;
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    let what = match status {
        200 => Observed::Place {
            status: text("status"),
            position: body["position"].as_u64().unwrap_or(0),
            ahead: body["ahead"].as_u64().unwrap_or(u64::MAX),
        },
        404 => Observed::NoPlace(text("code")),
        503 if body["code"] == "unavailable" => Observed::Unavailable,
        429 | 503 => return None,
        _ => {
            cluster.sim.broke(|| format!("a poll of {} was answered {status} {body}", name(user)));
            return None;
        }
    };
    cluster.history.observe(Observation { user, with_token: token.is_some(), span, what });
    Some(body["status"] == "ACTIVE")
}
