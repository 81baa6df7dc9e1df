//! The aggregates of one partition in memory: a bounded cache that the single writer may trust until it is fenced.
//!
//! Changes are applied in place as commands are decided, before they are committed: nobody but the owner sees them,
//! and an owner whose commit fails drops the whole cache. A staged copy would cost a clone of each touched aggregate
//! a batch (11 MB for a queue of 110,000).

use std::collections::{BTreeSet, HashMap};

use super::decode::Ordered;
use super::lanes::LaneAggregate;
use crate::domain::{Arrival, Asking, Decision, LogTime};
use crate::store::{AggregateLoads, StoreError};

/// An aggregate that nobody needed for so long, by log time, leaves memory: a date that is sold out would stay until the
/// bound is met, and each partition has its own. Under new dates every five minutes a worker grew by 17 MiB a minute without
/// it, and by half a MiB with it.
const IDLE_MS: i64 = 10 * 60_000;
/// How often it is looked for them.
const IDLE_LOOK_MS: i64 = IDLE_MS / 10;

struct Cached<A> {
    /// `None`: it does not exist yet, which only this owner can change.
    state: Option<A>,
    /// What it counts for against the bound.
    rows: usize,
    /// The last batch that needs it in memory.
    batch: u64,
    /// Its place in the order of use.
    used: u64,
    /// When it was last used.
    at: LogTime,
}

pub(super) struct Cache<A: LaneAggregate> {
    aggregates: HashMap<A::Key, Cached<A>>,
    /// Those that remember rows, to be forgotten once everything is committed.
    remembering: BTreeSet<A::Key>,
    rows: usize,
    rows_max: usize,
    uses: u64,
    /// Of the last decision.
    now: LogTime,
    /// When idle ones were last looked for.
    looked: LogTime,
}

impl<A: LaneAggregate> Cache<A> {
    pub fn new(rows_max: usize) -> Self {
        Cache {
            aggregates: HashMap::new(),
            remembering: BTreeSet::new(),
            rows: 0,
            rows_max,
            uses: 0,
            now: LogTime(0),
            looked: LogTime(0),
        }
    }

    /// Loads those of these aggregates that are not in memory, in one read, for the batch with this number.
    pub async fn load<'a>(
        &mut self,
        store: &dyn AggregateLoads,
        keys: impl Iterator<Item = &'a A::Key>,
        batch: u64,
    ) -> Result<(), StoreError> {
        let keys: BTreeSet<&A::Key> = keys.collect();
        let missing = self.keep(keys.into_iter(), batch);
        if missing.is_empty() {
            return Ok(());
        }
        let mut found: HashMap<A::Key, A> = A::load(store, &missing).await?.into_iter().collect();
        for key in missing {
            let state = found.remove(&key);
            let rows = rows_of(&state);
            self.rows += rows;
            self.aggregates.insert(key, Cached { state, rows, batch, used: self.uses, at: self.now });
        }
        Ok(())
    }

    /// These aggregates are needed until the batch with this number is committed. Returns those not in memory.
    pub fn keep<'a>(&mut self, keys: impl Iterator<Item = &'a A::Key>, batch: u64) -> Vec<A::Key> {
        let mut missing = Vec::new();
        for key in keys {
            match self.aggregates.get_mut(key) {
                Some(cached) => cached.batch = batch,
                None => missing.push(key.clone()),
            }
        }
        missing
    }

    /// Reads what these commands name and their aggregates do not know, in one read a kind: that for which `needed`.
    pub async fn recall<'a>(
        &mut self,
        store: &dyn AggregateLoads,
        commands: impl Iterator<Item = &'a Ordered<A>>,
        needed: impl Fn(&A, &A::Recall) -> bool,
    ) -> Result<(), StoreError> {
        let mut wanted: BTreeSet<A::Recall> = BTreeSet::new();
        for Ordered { key, command, asking, .. } in commands {
            if let Some(state) = self.aggregates.get(key).and_then(|cached| cached.state.as_ref()) {
                let recalls = A::recalls(command, asking).into_iter();
                wanted.extend(recalls.filter(|recall| needed(state, recall) && !state.knows(recall)));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<A::Recall> = wanted.into_iter().collect();
        for (key, row) in A::recall(store, &wanted).await? {
            // One that belongs to another aggregate is that one's business.
            let Some(cached) = self.aggregates.get_mut(&key) else { continue };
            if let Some(state) = &mut cached.state {
                state.remember(row);
                self.remembering.insert(key.clone());
            }
            self.rows = recount(self.rows, cached);
        }
        Ok(())
    }

    /// Decides a command whose aggregate is loaded, and applies its changes. The second value is the change of the
    /// state hash.
    pub fn decide(&mut self, key: &A::Key, command: &A::Command, asking: &Asking, at: &Arrival) -> (Decision<A>, u64) {
        let cached = self.aggregates.get_mut(key).expect("loaded before it is decided");
        self.uses += 1;
        cached.used = self.uses;
        (self.now, cached.at) = (at.time, at.time);
        if let Some(state) = &mut cached.state {
            state.advance(at.time);
        }
        let decision = A::decide(cached.state.as_ref(), command, asking, at);
        let hash = decision.changes.iter().fold(0, |hash, row| hash ^ A::apply(&mut cached.state, row));
        if cached.state.as_ref().is_some_and(|state| state.remembered() > 0) {
            self.remembering.insert(key.clone());
        }
        self.rows = recount(self.rows, cached);
        (decision, hash)
    }

    /// When the aggregate next has something due.
    pub fn next_due(&self, key: &A::Key) -> Option<LogTime> {
        self.aggregates.get(key)?.state.as_ref()?.next_due()
    }

    /// Batches up to this one, so all records before `next_offset`, are committed: what only they needed may go. To
    /// be called between batches, never between a load and its decisions.
    pub fn committed(&mut self, batch: u64, next_offset: u64) {
        for key in std::mem::take(&mut self.remembering) {
            let Some(cached) = self.aggregates.get_mut(&key) else { continue };
            let Some(state) = &mut cached.state else { continue };
            state.forget(next_offset);
            if state.remembered() > 0 {
                self.remembering.insert(key);
            }
            self.rows = recount(self.rows, cached);
        }
        if self.now >= self.looked.plus_ms(IDLE_LOOK_MS) {
            self.looked = self.now;
            self.drop_idle(batch);
        }
        if self.rows > self.rows_max {
            self.evict(batch);
        }
    }

    fn drop_idle(&mut self, committed: u64) {
        let (now, mut rows) = (self.now, 0);
        self.aggregates.retain(|_, cached| {
            let stays = cached.batch > committed || now < cached.at.plus_ms(IDLE_MS);
            rows += if stays { cached.rows } else { 0 };
            stays
        });
        self.rows = rows;
    }

    /// Drops the least recently used aggregates down to three quarters of the bound: never one that an uncommitted
    /// batch has used, nor the one used last, which would have to be loaded again at once if it is larger than the
    /// bound.
    fn evict(&mut self, committed: u64) {
        let idle = self.aggregates.iter().filter(|(_, cached)| cached.batch <= committed && cached.used < self.uses);
        let mut idle: Vec<(u64, A::Key)> = idle.map(|(key, cached)| (cached.used, key.clone())).collect();
        idle.sort_unstable();
        for (_, key) in idle {
            if self.rows <= self.rows_max / 4 * 3 {
                break;
            }
            if let Some(cached) = self.aggregates.remove(&key) {
                self.rows -= cached.rows;
            }
        }
    }
}

/// One that does not exist takes memory too.
fn rows_of<A: LaneAggregate>(state: &Option<A>) -> usize {
    state.as_ref().map_or(1, A::rows)
}

/// The sum of all rows, after this aggregate has changed.
fn recount<A: LaneAggregate>(sum: usize, cached: &mut Cached<A>) -> usize {
    let before = std::mem::replace(&mut cached.rows, rows_of(&cached.state));
    sum - before + cached.rows
}
