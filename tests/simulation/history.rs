//! What clients saw: each request with every answer it got, and each place in the queue they were told.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use turnstile::domain::RequestId;

/// A decision as a client was told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// SUCCEEDED or REJECTED.
    pub status: String,
    pub code: Option<String>,
    pub result: Value,
    pub decided: Value,
}

/// One request of a client.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Follows from the key; without one the answer says it.
    pub request_id: Option<RequestId>,
    pub user: usize,
    pub method: &'static str,
    pub path: String,
    pub key: Option<String>,
    /// The `Queue-Token` that goes with it.
    pub token: Option<String>,
    pub body: Value,
    /// Times it was sent.
    pub tries: u64,
    /// Some front door said 202: from then on the command must be decided.
    pub accepted: bool,
    /// Sent under a key that another body has used.
    pub rival: bool,
    /// To this very command.
    pub answers: Vec<Answer>,
    /// Of the request, whichever body it had.
    pub followed: Vec<Answer>,
    /// Refused by the front door itself: never published by that.
    pub refused: bool,
}

impl Asked {
    /// Whether a client knows how it was decided.
    pub fn is_told(&self) -> bool {
        !self.answers.is_empty() || !self.followed.is_empty()
    }
}

/// A span of the run's time, ms since its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub began_ms: u64,
    pub ended_ms: u64,
    /// There were faults when it began.
    pub faulty: bool,
}

/// What somebody was told who asked for their place in the queue, or was not let in.
#[derive(Debug, Clone)]
pub struct Told {
    pub user: usize,
    /// With a token of their own.
    pub with_token: bool,
    pub span: Span,
    pub what: Saying,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    Place {
        status: String,
        position: u64,
        ahead: u64,
    },
    /// 404 with this code.
    NoPlace(String),
    /// A hold was refused for want of an active token.
    NotAdmitted,
}

#[derive(Default)]
pub struct History {
    asked: Mutex<Vec<Asked>>,
    told: Mutex<Vec<Told>>,
    sent: Mutex<BTreeSet<RequestId>>,
    /// Tokens anybody was given.
    tokens: Mutex<Vec<(usize, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    pub fn begin(&self, asked: Asked) -> usize {
        let mut all = lock(&self.asked);
        all.push(asked);
        all.len() - 1
    }

    pub fn update(&self, at: usize, how: impl FnOnce(&mut Asked)) {
        how(&mut lock(&self.asked)[at]);
    }

    pub fn get(&self, at: usize) -> Asked {
        lock(&self.asked)[at].clone()
    }

    pub fn all(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    pub fn told(&self, told: Told) {
        lock(&self.told).push(told);
    }

    pub fn all_told(&self) -> Vec<Told> {
        lock(&self.told).clone()
    }

    /// The log has acknowledged a command that somebody appended directly.
    pub fn sent(&self, id: RequestId) {
        lock(&self.sent).insert(id);
    }

    pub fn all_sent(&self) -> BTreeSet<RequestId> {
        lock(&self.sent).clone()
    }

    pub fn token_given(&self, user: usize, token: &str) {
        lock(&self.tokens).push((user, token.to_owned()));
    }

    pub fn tokens(&self) -> Vec<String> {
        lock(&self.tokens).iter().map(|(_, token)| token.clone()).collect()
    }

    pub fn is_own(&self, user: usize, token: &str) -> bool {
        lock(&self.tokens).iter().any(|(of, given)| *of == user && given == token)
    }
}
