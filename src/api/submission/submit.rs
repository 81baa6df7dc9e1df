//! The one way of a command from the front door to the log, and of its outcome back.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::keys::{Claim, IdempotencyKey, fresh_request_id};
use super::traceparent::{is_traceparent, new_traceparent};
use super::view::{RequestView, decided_response};
use super::waiters::Waiter;
use crate::api::AppState;
use crate::api::http::auth::Caller;
use crate::api::http::prefer::Wait;
use crate::api::http::problem::{INTERNAL, OUTCOME_UNKNOWN, OVERLOADED, Problem};
use crate::api::queue::rendering::for_caller;
use crate::domain::{Body, Code, Command, Position, RequestId, UserId};
use crate::log::{AppendError, LanePartition, NewRecord, Topic};
use crate::store::RequestRow;
use crate::wire::headers::TRACEPARENT;
use crate::wire::{command, routing};

/// While the feed of outcomes is interrupted, the store is asked this often instead.
const POLL_WITHOUT_FEED: Duration = Duration::from_millis(500);

/// What the headers say about how a command is to be handled.
#[derive(Debug, Clone)]
pub struct Ask {
    pub key: Option<IdempotencyKey>,
    pub wait: Option<Wait>,
    /// W3C trace context: the request's own, or a new one.
    pub traceparent: String,
}

impl FromRequestParts<Arc<AppState>> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Problem> {
        let key = IdempotencyKey::from_headers(&parts.headers)?;
        let wait = Wait::from_headers(&parts.headers, state.settings.wait_seconds_max);
        let given = parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let traceparent = given.filter(|text| is_traceparent(text)).map_or_else(new_traceparent, str::to_owned);
        Ok(Ask { key, wait, traceparent })
    }
}

/// How far a submitted command has come.
pub enum Answer {
    Decided(RequestView),
    /// On the log, or known to the store as undecided.
    Pending {
        request_id: RequestId,
        position: Position,
    },
}

/// Publishes a user's command and answers as its headers ask: 202, the outcome, or the refusal.
pub async fn submit(state: &AppState, caller: &Caller, ask: &Ask, body: Body) -> Result<Response, Problem> {
    state.users.take(&caller.user)?;
    let answer = match publish(state, &caller.user, ask, body).await? {
        Answer::Decided(view) => Answer::Decided(for_caller(&state.tokens, caller, view)),
        pending => pending,
    };
    Ok(respond(answer, ask.wait))
}

/// Publishes a command, once per key, and waits for its outcome as long as asked.
///
/// The waiter is there before the store is asked, and the store is asked before the append: whichever way the outcome
/// becomes known, it is not missed.
pub async fn publish(state: &AppState, user: &UserId, ask: &Ask, body: Body) -> Result<Answer, Problem> {
    let request_id = ask.key.as_ref().map_or_else(fresh_request_id, |key| key.request_id(user));
    let fingerprint = command::fingerprint(&body);
    // Too many waits already: then 202 at once, which is always a right answer.
    let waiter = ask.wait.and_then(|wait| Some((state.waiters.register(request_id, Some(fingerprint))?, wait)));
    let stored = match ask.key {
        Some(_) => state.store.request(request_id).await?,
        None => None,
    };
    let position = match stored {
        Some(row) => {
            let position = row.position;
            let view = repeated(request_id, fingerprint, row)?;
            if view.is_decided() {
                return Ok(Answer::Decided(view));
            }
            position
        }
        None => append_once(state, ask, Command { request_id, body }, fingerprint).await?,
    };
    if let Some((waiter, wait)) = waiter {
        let decided = await_decision(state, request_id, waiter, wait.duration()).await?;
        if let Some(view) = decided.map(|decided| decided.checked(state, fingerprint)) {
            return Ok(Answer::Decided(view.await?));
        }
    }
    Ok(Answer::Pending { request_id, position })
}

/// Whether this very command is known to have been published under this key before.
pub async fn is_repeat(state: &AppState, user: &UserId, ask: &Ask, body: &Body) -> Result<bool, Problem> {
    let Some(key) = &ask.key else { return Ok(false) };
    let (request_id, fingerprint) = (key.request_id(user), command::fingerprint(body));
    if state.keys.has_appended(request_id, fingerprint) {
        return Ok(true);
    }
    // A read of one's own: it counts as a command would.
    state.users.take(user)?;
    Ok(state.store.request(request_id).await?.is_some_and(|row| row.fingerprint == fingerprint))
}

/// The stored request of a repeat, or 422 when it was another command.
fn repeated(request_id: RequestId, fingerprint: u64, row: RequestRow) -> Result<RequestView, Problem> {
    if row.fingerprint != fingerprint {
        return Err(key_reused(request_id));
    }
    RequestView::of_row(row)
}

fn key_reused(request_id: RequestId) -> Problem {
    let detail = "this Idempotency-Key was used for another command";
    Problem::refusal(Code::IdempotencyKeyReused, detail).of_request(request_id)
}

/// A decision that arrived while waiting.
struct Decided {
    view: RequestView,
    /// Of the command that was decided, as far as known.
    fingerprint: Option<u64>,
}

impl Decided {
    /// The outcome belongs to the request id; that it belongs to this very command is sure only if the fingerprints
    /// agree. A settlement's outcome has the settlement's fingerprint, so then the stored request decides.
    async fn checked(self, state: &AppState, fingerprint: u64) -> Result<RequestView, Problem> {
        let request_id = self.view.request_id;
        if self.fingerprint == Some(fingerprint) {
            return Ok(self.view);
        }
        match state.store.request(request_id).await? {
            Some(row) if row.fingerprint != fingerprint => Err(key_reused(request_id)),
            _ => Ok(self.view),
        }
    }
}

async fn append_once(state: &AppState, ask: &Ask, command: Command, fingerprint: u64) -> Result<Position, Problem> {
    let request_id = command.request_id;
    let keyed = ask.key.is_some();
    if keyed {
        match state.keys.claim(request_id, fingerprint) {
            Claim::Append => {}
            Claim::Appended(position) => return Ok(position),
            Claim::Reused => return Err(key_reused(request_id)),
        }
    }
    let appended = append(state, &command, &ask.traceparent).await;
    match &appended {
        Ok(position) if keyed => state.keys.appended(request_id, *position),
        // An unacknowledged record may be on the log: the key stays taken.
        Err(problem) if keyed && problem.code != OUTCOME_UNKNOWN.code => state.keys.release(request_id),
        _ => {}
    }
    appended
}

async fn append(state: &AppState, command: &Command, traceparent: &str) -> Result<Position, Problem> {
    let key = command.body.routing_key();
    let lane = key.lane();
    let key = key.to_string();
    let topic = Topic::Lane(lane);
    let place = LanePartition { lane, partition: routing::partition_for(&key, state.log.partitions().of(topic)) };
    state.backlog.check(place).await?;
    let record = NewRecord {
        key: Bytes::from(key),
        value: Bytes::from(command::encode(command)),
        headers: vec![(TRACEPARENT.to_owned(), traceparent.as_bytes().to_vec())],
    };
    let append = state.log.append(topic, place.partition, record);
    let failure = match timeout(state.settings.append_timeout, append).await {
        Ok(Ok(appended)) => {
            let position = place.at(appended.offset);
            state.backlog.appended(position);
            return Ok(position);
        }
        Ok(Err(failure)) => failure,
        Err(_) => AppendError::Unacknowledged("no answer in time".to_owned()),
    };
    Err(append_problem(failure, command.request_id))
}

fn append_problem(failure: AppendError, request_id: RequestId) -> Problem {
    match failure {
        AppendError::Backlog => Problem::new(OVERLOADED, "the log takes no more at the moment; nothing was recorded"),
        AppendError::Refused(reason) => {
            tracing::error!(%reason, %request_id, "the log refused a command");
            Problem::new(INTERNAL, "the command could not be recorded")
        }
        AppendError::Unacknowledged(reason) => {
            tracing::warn!(%reason, %request_id, "the log did not acknowledge a command");
            let detail = "the log did not acknowledge the command, so whether it takes effect is unknown; \
                          repeating it with the same Idempotency-Key is safe";
            Problem::new(OUTCOME_UNKNOWN, detail).of_request(request_id)
        }
    }
}

/// Waits until the request is decided, the time is over or the process shuts down; then looks into the store once more.
async fn await_decision(
    state: &AppState,
    request_id: RequestId,
    mut waiter: Waiter,
    within: Duration,
) -> Result<Option<Decided>, Problem> {
    let deadline = Instant::now() + within;
    loop {
        tokio::select! {
            biased;
            outcome = waiter.outcome() => {
                let view = RequestView::of_outcome(outcome.view.clone());
                return Ok(Some(Decided { view, fingerprint: outcome.fingerprint }));
            }
            () = tokio::time::sleep_until(deadline) => break,
            () = state.shutdown.cancelled() => break,
            () = tokio::time::sleep(POLL_WITHOUT_FEED), if !state.feed.is_running() => {
                // The feed may be away because the log is; the store may answer all the same.
                if let Ok(Some(decided)) = look_up(state, request_id).await {
                    return Ok(Some(decided));
                }
            }
        }
    }
    // A failure to look is no reason to deny what was accepted: 202 stays true.
    Ok(look_up(state, request_id).await.unwrap_or(None))
}

async fn look_up(state: &AppState, request_id: RequestId) -> Result<Option<Decided>, Problem> {
    let Some(row) = state.store.request(request_id).await? else { return Ok(None) };
    let fingerprint = Some(row.fingerprint);
    let view = RequestView::of_row(row)?;
    Ok(view.is_decided().then_some(Decided { view, fingerprint }))
}

/// The request as decided within `within`, if it is: for long polls, which wait for whatever has this id.
pub async fn decided_within(
    state: &AppState,
    request_id: RequestId,
    waiter: Waiter,
    within: Duration,
) -> Result<Option<RequestView>, Problem> {
    Ok(await_decision(state, request_id, waiter, within).await?.map(|decided| decided.view))
}

fn respond(answer: Answer, wait: Option<Wait>) -> Response {
    let mut response = match answer {
        Answer::Decided(view) => decided_response(view),
        Answer::Pending { request_id, position } => accepted(request_id, position),
    };
    if let Some(wait) = wait {
        apply(&mut response, wait);
    }
    response
}

/// Says that the preference to wait was followed.
pub fn apply(response: &mut Response, wait: Wait) {
    const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
    if let Ok(value) = HeaderValue::from_str(&format!("wait={}", wait.seconds)) {
        response.headers_mut().insert(APPLIED, value);
    }
}

fn accepted(request_id: RequestId, position: Position) -> Response {
    let body = axum::Json(json!({ "request_id": request_id.to_string(), "status": "PENDING" }));
    let mut response = (StatusCode::ACCEPTED, [(RETRY_AFTER, "1")], body).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/requests/{request_id}?position={position}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
