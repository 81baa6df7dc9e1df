//! Named health checks: set by the parts they describe, read by `/readyz`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Severity of a failing check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The process cannot serve: `/readyz` answers 503.
    Critical,
    /// Part of it is stopped (a parked partition): listed; the rest continues.
    Degraded,
    /// It goes on, with trouble: the check passes and says why it is not at its best.
    Notice,
}

/// What a check says if all is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub severity: Severity,
    pub reason: String,
}

/// The process's checks. Names come from the program (roles, partitions), so their number is bounded.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<String, Option<Failure>>>>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// Marks the check as passing.
    pub fn ok(&self, name: &str) {
        self.put(name, None);
    }

    /// Marks the check as failing, with the reason.
    pub fn failing(&self, name: &str, severity: Severity, reason: impl Into<String>) {
        self.put(name, Some(Failure { severity, reason: reason.into() }));
    }

    /// Removes a check that no longer concerns this process.
    pub fn forget(&self, name: &str) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// All checks in order of name; `None`: passing.
    pub fn snapshot(&self) -> Vec<(String, Option<Failure>)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.iter().map(|(name, failure)| (name.clone(), failure.clone())).collect()
    }

    /// Shutdown has begun: no longer ready.
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
