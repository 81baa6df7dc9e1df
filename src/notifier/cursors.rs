//! How far one endpoint is, in memory; written to the store every now and then. A crash in between repeats events, under
//! the same ids.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::LogTime;
use crate::store::{Cursor, Failure, ProgressState};

struct Held {
    state: ProgressState,
    /// Whether the store lacks a change.
    dirty: bool,
    /// Time of the outcome that each partition is at; none where nothing waits.
    waiting_since: BTreeMap<u32, i64>,
}

/// See the module. Each partition has one writer.
pub struct Cursors(Mutex<Held>);

impl Cursors {
    pub fn new(state: ProgressState) -> Self {
        Cursors(Mutex::new(Held { state, dirty: false, waiting_since: BTreeMap::new() }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, partition: u32, change: impl FnOnce(&mut Cursor) -> T) -> T {
        let mut held = self.held();
        held.dirty = true;
        change(held.state.cursors.entry(partition).or_default())
    }

    pub fn state(&self) -> ProgressState {
        self.held().state.clone()
    }

    pub fn next_offset(&self, partition: u32) -> u64 {
        self.held().state.cursors.get(&partition).map_or(0, |cursor| cursor.next_offset)
    }

    pub fn failure(&self, partition: u32) -> Option<Failure> {
        self.held().state.cursors.get(&partition)?.failure.clone()
    }

    /// Everything before this offset is done.
    pub fn advance(&self, partition: u32, next_offset: u64) {
        self.change(partition, |cursor| cursor.next_offset = next_offset);
    }

    /// Events were delivered.
    pub fn delivered(&self, partition: u32, events: u64) {
        self.change(partition, |cursor| {
            cursor.delivered += events;
            cursor.failure = None;
        });
        self.held().state.failing_since_ms = None;
    }

    /// An event was given up.
    pub fn given_up(&self, partition: u32) {
        self.change(partition, |cursor| cursor.failure = None);
    }

    /// An attempt has failed. Gives since when nothing was delivered.
    pub fn failed(&self, partition: u32, failure: Failure, now: LogTime) -> LogTime {
        self.change(partition, |cursor| cursor.failure = Some(failure));
        LogTime(*self.held().state.failing_since_ms.get_or_insert(now.0))
    }

    /// The outcome of this time waits to be delivered; `None`: nothing does.
    pub fn waiting(&self, partition: u32, since_ms: Option<i64>) {
        let mut held = self.held();
        match since_ms {
            Some(ms) => held.waiting_since.insert(partition, ms),
            None => held.waiting_since.remove(&partition),
        };
    }

    /// How long the oldest outcome has waited, in ms.
    pub fn lag_ms(&self, now: LogTime) -> i64 {
        self.held().waiting_since.values().min().map_or(0, |since| now.0.saturating_sub(*since).max(0))
    }

    /// The state, if the store lacks it. It counts as written from now on.
    pub fn unwritten(&self) -> Option<ProgressState> {
        let mut held = self.held();
        std::mem::take(&mut held.dirty).then(|| held.state.clone())
    }

    /// It was not written after all.
    pub fn not_written(&self) {
        self.held().dirty = true;
    }
}
