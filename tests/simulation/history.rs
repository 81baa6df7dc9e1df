//! What clients saw: each request with all its answers, and each statement about a place in the queue.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use turnstile::domain::RequestId;

/// A decision as a client received it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// SUCCEEDED or REJECTED.
    pub status: String,
    pub code: Option<String>,
    pub result: Value,
    pub decided: Value,
}

/// One request of a client, with its retries.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Follows from the key; without a key it comes with the answer.
    pub request_id: Option<RequestId>,
    pub user: usize,
    pub method: &'static str,
    pub path: String,
    pub key: Option<String>,
    /// Its `Queue-Token`.
    pub token: Option<String>,
    pub body: Value,
    pub attempts: u64,
    /// Answered 202: from then on the command must be decided.
    pub accepted: bool,
    /// Sent under a key that another body has used.
    pub conflicting: bool,
    /// To this very command.
    pub answers: Vec<Answer>,
    /// Of the request, whichever body it had.
    pub polled: Vec<Answer>,
    /// Refused by the API server: nothing was published.
    pub refused: bool,
}

impl Operation {
    /// Whether the client knows its outcome.
    pub fn is_answered(&self) -> bool {
        !self.answers.is_empty() || !self.polled.is_empty()
    }
}

/// A span of the run's time, ms since its start.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub began_ms: u64,
    pub ended_ms: u64,
    /// Faults were on when it began.
    pub faulty: bool,
}

/// What an API server told a user about the queue.
#[derive(Debug, Clone)]
pub struct Observation {
    pub user: usize,
    /// The request carried a token of this user.
    pub with_token: bool,
    pub span: Span,
    pub what: Observed,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    Place {
        status: String,
        position: u64,
        ahead: u64,
    },
    /// 404 with this code.
    NoPlace(String),
    /// A poll was answered 503: by an API server that counts it.
    Unavailable,
    /// A hold was refused because the user has no active token.
    NotAdmitted,
}

#[derive(Default)]
pub struct History {
    operations: Mutex<Vec<Operation>>,
    observations: Mutex<Vec<Observation>>,
    appended: Mutex<BTreeSet<RequestId>>,
    /// All tokens that were issued, with their users.
    tokens: Mutex<Vec<(usize, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Returns its number.
    pub fn begin(&self, operation: Operation) -> usize {
        let mut all = lock(&self.operations);
        all.push(operation);
        all.len() - 1
    }

    pub fn update(&self, number: usize, change: impl FnOnce(&mut Operation)) {
        change(&mut lock(&self.operations)[number]);
    }

    pub fn get(&self, number: usize) -> Operation {
        lock(&self.operations)[number].clone()
    }

    pub fn operations(&self) -> Vec<Operation> {
        lock(&self.operations).clone()
    }

    pub fn observe(&self, observation: Observation) {
        lock(&self.observations).push(observation);
    }

    pub fn observations(&self) -> Vec<Observation> {
        lock(&self.observations).clone()
    }

    /// The log has acknowledged a command of another service.
    pub fn appended(&self, id: RequestId) {
        lock(&self.appended).insert(id);
    }

    pub fn all_appended(&self) -> BTreeSet<RequestId> {
        lock(&self.appended).clone()
    }

    pub fn token_issued(&self, user: usize, token: &str) {
        lock(&self.tokens).push((user, token.to_owned()));
    }

    pub fn tokens(&self) -> Vec<String> {
        lock(&self.tokens).iter().map(|(_, token)| token.clone()).collect()
    }

    pub fn is_own_token(&self, user: usize, token: &str) -> bool {
        lock(&self.tokens).iter().any(|(of, issued)| *of == user && issued == token)
    }
}
