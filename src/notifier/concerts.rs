//! Which concert a date belongs to, for endpoints that hear of one concert only. A date never changes its concert.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::domain::ScheduleId;
use crate::store::{NotifierStore, StoreError};

/// Dates remembered; then it begins anew.
const KNOWN_MAX: usize = 10_000;

/// See the module.
pub struct Concerts {
    store: Arc<dyn NotifierStore>,
    known: Mutex<HashMap<ScheduleId, Uuid>>,
}

impl Concerts {
    pub fn new(store: Arc<dyn NotifierStore>) -> Self {
        Concerts { store, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ScheduleId, Uuid>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: the catalog has no such date.
    pub async fn of(&self, schedule: ScheduleId) -> Result<Option<Uuid>, StoreError> {
        if let Some(concert) = self.known().get(&schedule) {
            return Ok(Some(*concert));
        }
        let Some(view) = self.store.schedule(schedule).await? else { return Ok(None) };
        let concert = view.schedule.concert_id.0;
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(schedule, concert);
        Ok(Some(concert))
    }
}
