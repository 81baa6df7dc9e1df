//! Recognizes commands that this partition has decided before.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{Fingerprint, LanePartition};
use crate::store::{AggregateLoads, RequestKey, RequestRow, StoreError};

/// A command's relation to the requests seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    /// The same command again.
    Repeat,
    /// Another command under the same id.
    Reused,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    fingerprint: Fingerprint,
    /// The last batch that needs it in memory.
    batch: u64,
}

/// Requests of batches that are not committed yet, and what the store has of those being decided.
pub(super) struct Requests {
    here: LanePartition,
    known: HashMap<RequestKey, Known>,
}

impl Requests {
    pub fn new(here: LanePartition) -> Self {
        Requests { here, known: HashMap::new() }
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
        for RequestRow { key, fingerprint, .. } in store.load_requests(self.here, &keys).await? {
            self.known.insert(key, Known { fingerprint, batch });
        }
        Ok(())
    }

    pub fn recognize(&self, key: RequestKey, fingerprint: Fingerprint) -> Seen {
        match self.known.get(&key) {
            None => Seen::New,
            Some(known) if known.fingerprint == fingerprint => Seen::Repeat,
            Some(_) => Seen::Reused,
        }
    }

    /// The batch with this number stores the request.
    pub fn decided(&mut self, key: RequestKey, fingerprint: Fingerprint, batch: u64) {
        self.known.insert(key, Known { fingerprint, batch });
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
    }
}
