//! The store in memory. Same meaning as the SQL ones, nothing outlives the process. Clones share one state, so a
//! "restarted" owner sees what the one before it committed.

mod owner;
mod reads;
mod state;

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
