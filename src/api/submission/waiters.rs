//! Waits for outcomes. Bounded; a waiter that is dropped leaves no trace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::{Code, Fingerprint, RequestId};
use crate::telemetry::metrics;
use crate::wire::outcome::DecidedRequest;

/// A decided request, and of which command: an `Idempotency-Key` may have been used for another.
#[derive(Debug, Clone)]
pub struct Decision {
    pub fingerprint: Fingerprint,
    pub request: Arc<DecidedRequest>,
}

/// All waits of this process. Clones share them.
#[derive(Clone)]
pub struct Waiters {
    table: Arc<Mutex<Table>>,
    waiters_max: usize,
}

#[derive(Default)]
struct Table {
    by_request: HashMap<RequestId, Vec<Entry>>,
    count: usize,
    next_ticket: u64,
}

struct Entry {
    ticket: u64,
    /// Of the command waited for; `None` waits for the request whatever it says.
    fingerprint: Option<Fingerprint>,
    sender: oneshot::Sender<Decision>,
}

/// One wait for the outcome of a request.
pub struct Waiter {
    request_id: RequestId,
    ticket: u64,
    waiters: Waiters,
    receiver: oneshot::Receiver<Decision>,
}

impl Waiters {
    pub fn new(waiters_max: usize) -> Self {
        Waiters { table: Arc::default(), waiters_max }
    }

    /// Waits for the outcome of `request_id` from now on; `None` when there are too many waits.
    pub fn register(&self, request_id: RequestId, fingerprint: Option<Fingerprint>) -> Option<Waiter> {
        let (sender, receiver) = oneshot::channel();
        let mut table = self.lock();
        if table.count >= self.waiters_max {
            return None;
        }
        let ticket = table.next_ticket;
        table.next_ticket += 1;
        table.count += 1;
        table.by_request.entry(request_id).or_default().push(Entry { ticket, fingerprint, sender });
        metrics::WAITERS.set(as_gauge(table.count));
        Some(Waiter { request_id, ticket, waiters: self.clone(), receiver })
    }

    /// Whether anybody waits for this request.
    pub fn has(&self, request_id: RequestId) -> bool {
        self.lock().by_request.contains_key(&request_id)
    }

    /// Hands a decision to its waiters.
    ///
    /// A refusal of a reused key concerns only the command that reused it: the request's own outcome is another.
    pub fn complete(&self, decision: &Decision) {
        let request_id = decision.request.request_id;
        let reused = matches!(&decision.request.outcome, Err(refusal) if refusal.code == Code::IdempotencyKeyReused);
        let mut table = self.lock();
        let Some(entries) = table.by_request.remove(&request_id) else { return };
        let before = entries.len();
        let concerned = |entry: &Entry| !reused || entry.fingerprint == Some(decision.fingerprint);
        let (served, left): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(concerned);
        table.count -= before - left.len();
        if !left.is_empty() {
            table.by_request.insert(request_id, left);
        }
        metrics::WAITERS.set(as_gauge(table.count));
        drop(table);
        for entry in served {
            // The other side may have given up meanwhile.
            let _ = entry.sender.send(decision.clone());
        }
    }

    /// How many waits there are.
    pub fn count(&self) -> usize {
        self.lock().count
    }

    fn remove(&self, request_id: RequestId, ticket: u64) {
        let mut table = self.lock();
        let Some(entries) = table.by_request.get_mut(&request_id) else { return };
        let before = entries.len();
        entries.retain(|entry| entry.ticket != ticket);
        let removed = before - entries.len();
        if entries.is_empty() {
            table.by_request.remove(&request_id);
        }
        table.count -= removed;
        metrics::WAITERS.set(as_gauge(table.count));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// The decision, whenever it comes. Cancel-safe.
    pub async fn decision(&mut self) -> Decision {
        match (&mut self.receiver).await {
            Ok(decision) => decision,
            // The entry is only ever dropped by being served or by this waiter's own drop.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.remove(self.request_id, self.ticket);
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
