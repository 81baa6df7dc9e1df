//! What is well and what is not, by name: written by whoever knows, read by `/readyz`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How much a failing check matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The process cannot serve: `/readyz` answers 503.
    Critical,
    /// Part of it stands still (a parked partition): listed, the rest goes on.
    Degraded,
}

/// A failing check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub severity: Severity,
    pub reason: String,
}

/// The process's checks. Names come from the program (roles, partitions), so there is a bounded number of them.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<String, Option<Failure>>>>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// The named thing is well.
    pub fn ok(&self, name: &str) {
        self.put(name, None);
    }

    /// The named thing is not well, and why.
    pub fn failing(&self, name: &str, severity: Severity, reason: impl Into<String>) {
        self.put(name, Some(Failure { severity, reason: reason.into() }));
    }

    /// The named thing is not this process's business any more.
    pub fn forget(&self, name: &str) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// All checks in order of name; `None` is well.
    pub fn snapshot(&self) -> Vec<(String, Option<Failure>)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.iter().map(|(name, failure)| (name.clone(), failure.clone())).collect()
    }

    /// Shutdown has begun: not ready any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn put(&self, name: &str, failure: Option<Failure>) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), failure);
    }
}
