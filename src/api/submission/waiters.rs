//! Who waits for which outcome. Bounded; a waiter that is dropped leaves no trace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::feed::Outcome;
use crate::domain::{Code, RequestId};
use crate::telemetry::metrics;

/// All waits of this process.
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
    fingerprint: Option<u64>,
    sender: oneshot::Sender<Arc<Outcome>>,
}

/// One wait for the outcome of a request.
pub struct Waiter {
    request_id: RequestId,
    ticket: u64,
    waiters: Waiters,
    receiver: oneshot::Receiver<Arc<Outcome>>,
}

impl Waiters {
    pub fn new(waiters_max: usize) -> Self {
        Waiters { table: Arc::default(), waiters_max }
    }

    /// Waits for the outcome of `request_id` from now on; `None` when there are too many waits.
    pub fn register(&self, request_id: RequestId, fingerprint: Option<u64>) -> Option<Waiter> {
        let (sender, receiver) = oneshot::channel();
        let mut table = self.lock();
        if table.count >= self.waiters_max {
            return None;
        }
        let ticket = table.next_ticket;
        table.next_ticket += 1;
        table.count += 1;
        table.by_request.entry(request_id).or_default().push(Entry { ticket, fingerprint, sender });
        metrics::WAITERS.with_label_values::<&str>(&[]).set(as_gauge(table.count));
        Some(Waiter { request_id, ticket, waiters: self.clone(), receiver })
    }

    /// Hands an outcome to those who wait for it.
    ///
    /// A refusal of a reused key concerns only the command that reused it: the request's own outcome is another.
    pub fn complete(&self, outcome: &Arc<Outcome>) {
        let reused = outcome.code() == Some(Code::IdempotencyKeyReused.as_str());
        let mut table = self.lock();
        let Some(entries) = table.by_request.remove(&outcome.view.request_id) else { return };
        let before = entries.len();
        let concerned =
            |entry: &Entry| !reused || (entry.fingerprint.is_some() && entry.fingerprint == outcome.fingerprint);
        let (served, left): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(concerned);
        table.count -= before - left.len();
        if !left.is_empty() {
            table.by_request.insert(outcome.view.request_id, left);
        }
        metrics::WAITERS.with_label_values::<&str>(&[]).set(as_gauge(table.count));
        drop(table);
        for entry in served {
            // The other side may have given up meanwhile.
            let _ = entry.sender.send(outcome.clone());
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
        metrics::WAITERS.with_label_values::<&str>(&[]).set(as_gauge(table.count));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// The outcome, whenever it comes. Cancel-safe.
    pub async fn outcome(&mut self) -> Arc<Outcome> {
        match (&mut self.receiver).await {
            Ok(outcome) => outcome,
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
