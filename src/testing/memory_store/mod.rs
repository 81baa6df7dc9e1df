//! The store in memory. Same meaning as the SQL ones, nothing outlives the process. Clones share one state, so a
//! "restarted" owner sees what the one before it committed.

mod owner;
mod reads;
mod state;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::state::State;
use crate::store::StoreError;

/// See the module. Cloning shares the state.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// As it is now, on its own from then on.
    pub fn copy(&self) -> MemoryStore {
        MemoryStore { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// Becomes what the copy is, like a database that is restored.
    pub fn restore(&self, copy: &MemoryStore) {
        let state = copy.state().clone();
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, work: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        Ok(work(&self.state()))
    }

    fn write<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        Ok(work(&mut self.state()))
    }
}
