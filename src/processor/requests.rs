//! Recognizes commands that this partition has decided before, as long as they count as seen: what is older than
//! `remember` by log time does not, whether or not the store still has it, so deleting it changes no decision.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::domain::{Fingerprint, LanePartition, LogTime, RequestId};
use crate::store::{AggregateLoads, Remember, RequestKey, RequestRow, RequestState, StoreError};

/// A command's relation to the requests seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    /// Something was decided under its id, so long ago that it does not count: the command is decided anew.
    Forgotten,
    /// The same command again.
    Repeat,
    /// Another command under the same id.
    Reused,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    fingerprint: Fingerprint,
    /// `None`: PENDING.
    decided_at: Option<LogTime>,
    /// The last batch that needs it in memory.
    batch: u64,
}

/// Requests of batches that are not committed yet, and what the store has of those being decided.
pub(super) struct Requests {
    here: LanePartition,
    remember: Remember,
    /// What changes it from which offset on, in order; of a replay.
    changes: VecDeque<(u64, i64)>,
    known: HashMap<RequestKey, Known>,
    /// When clients' requests that the store may still have PENDING were decided, with the batch that says so.
    completed: HashMap<RequestId, (LogTime, u64)>,
}

impl Requests {
    pub fn new(here: LanePartition, remember: Remember) -> Self {
        Requests { here, remember, changes: VecDeque::new(), known: HashMap::new(), completed: HashMap::new() }
    }

    /// What operators have changed, as owners applied it: from which offset on it holds, and the age in ms.
    pub fn change(&mut self, changes: impl Iterator<Item = (u64, i64)>) {
        self.changes = changes.collect();
    }

    pub fn remember(&self) -> Remember {
        self.remember
    }

    /// The next record lies at this offset; the one before it had this log time.
    pub fn come_to(&mut self, offset: u64, last_time: LogTime) {
        while let Some((_, ms)) = self.changes.pop_front_if(|(from, _)| *from <= offset) {
            self.remember = self.remember.changed(ms, last_time);
        }
    }

    /// Reads what the store has of these requests, in one read, for the batch with this number.
    pub async fn load(
        &mut self,
        store: &dyn AggregateLoads,
        keys: impl Iterator<Item = RequestKey>,
        batch: u64,
    ) -> Result<(), StoreError> {
        let keys: BTreeSet<RequestKey> = keys.filter(|key| !self.known.contains_key(key)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<RequestKey> = keys.into_iter().collect();
        for RequestRow { key, fingerprint, state, .. } in store.load_requests(self.here, &keys).await? {
            let decided_at = match state {
                RequestState::Decided(decided) => Some(decided.at),
                RequestState::Pending if key.internal => None,
                RequestState::Pending => self.completed.get(&key.id).map(|(at, _)| *at),
            };
            self.known.insert(key, Known { fingerprint, decided_at, batch });
        }
        Ok(())
    }

    /// Whether anything is known to have been decided under this id, however long ago.
    pub fn knows(&self, key: RequestKey) -> bool {
        self.known.contains_key(&key)
    }

    /// Whether a command of this log time was decided before.
    pub fn recognize(&self, key: RequestKey, fingerprint: Fingerprint, now: LogTime) -> Seen {
        match self.known.get(&key) {
            None => Seen::New,
            Some(known) if known.decided_at.is_some_and(|at| at < self.remember.since(now)) => Seen::Forgotten,
            Some(known) if known.fingerprint == fingerprint => Seen::Repeat,
            Some(_) => Seen::Reused,
        }
    }

    /// The batch with this number stores the request. `decided_at`: `None` if it is PENDING.
    pub fn decided(&mut self, key: RequestKey, fingerprint: Fingerprint, decided_at: Option<LogTime>, batch: u64) {
        self.known.insert(key, Known { fingerprint, decided_at, batch });
        if !key.internal {
            self.completed.remove(&key.id);
        }
    }

    /// The batch with this number decides a client's request that was PENDING.
    pub fn completed(&mut self, id: RequestId, at: LogTime, batch: u64) {
        self.completed.insert(id, (at, batch));
        if let Some(known) = self.known.get_mut(&RequestKey { id, internal: false }) {
            known.decided_at = known.decided_at.or(Some(at));
        }
    }

    /// What is known of these requests is needed until the batch with this number is committed.
    pub fn keep(&mut self, keys: impl Iterator<Item = RequestKey>, batch: u64) {
        for key in keys {
            if let Some(known) = self.known.get_mut(&key) {
                known.batch = batch;
            }
        }
    }

    /// Batches up to this one are committed: from now on the store has their requests.
    pub fn committed(&mut self, batch: u64) {
        self.known.retain(|_, known| known.batch > batch);
        self.completed.retain(|_, (_, completed)| *completed > batch);
    }
}
