//! What never changes about a schedule, remembered so that a hold costs no read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ScheduleId;
use crate::store::StoreError;
use crate::store::reads::Reads;

/// Schedules remembered; beyond it the memory starts over.
const SCHEDULES_MAX: usize = 10_000;

/// Which schedules have a queue. Set when a schedule is created and never changed, so it is never stale.
pub struct QueuedSchedules {
    store: Arc<dyn Reads>,
    with_queue: Mutex<HashMap<ScheduleId, bool>>,
}

impl QueuedSchedules {
    pub fn new(store: Arc<dyn Reads>) -> Self {
        QueuedSchedules { store, with_queue: Mutex::default() }
    }

    /// False also for a schedule that the catalog does not know (yet), which is not remembered.
    pub async fn has_queue(&self, id: ScheduleId) -> Result<bool, StoreError> {
        let known = self.with_queue.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        if let Some(queue) = known {
            return Ok(queue);
        }
        let Some(view) = self.store.schedule(id).await? else { return Ok(false) };
        let mut with_queue = self.with_queue.lock().unwrap_or_else(PoisonError::into_inner);
        if with_queue.len() >= SCHEDULES_MAX {
            with_queue.clear();
        }
        with_queue.insert(id, view.schedule.queue);
        Ok(view.schedule.queue)
    }
}
