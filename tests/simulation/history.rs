//! What clients saw: each request with every answer it got.

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
    pub request_id: RequestId,
    pub user: usize,
    pub method: &'static str,
    pub path: String,
    pub key: String,
    pub body: Value,
    /// Some front door said 202: from then on the command must be decided.
    pub accepted: bool,
    /// Sent under a key that another body has used.
    pub rival: bool,
    /// To this very command.
    pub answers: Vec<Answer>,
    /// Of the request, whichever body it had.
    pub followed: Vec<Answer>,
    /// Refused by the front door itself: never published.
    pub refused: bool,
}

#[derive(Default)]
pub struct History {
    asked: Mutex<Vec<Asked>>,
    sent: Mutex<BTreeSet<RequestId>>,
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

    /// The log has acknowledged a command that somebody appended directly.
    pub fn sent(&self, id: RequestId) {
        lock(&self.sent).insert(id);
    }

    pub fn all_sent(&self) -> BTreeSet<RequestId> {
        lock(&self.sent).clone()
    }
}
