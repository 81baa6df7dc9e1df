//! Refuses commands for a partition whose undecided records are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::http::problem::{Kind, Problem};
use crate::domain::{LanePartition, Position};
use crate::store::{Reads, StoreError};

/// The store must say within this time what is decided.
const PROGRESS_WITHIN: Duration = Duration::from_secs(1);

/// How far the decisions are behind the log, as far as this process has seen. Clones share it.
#[derive(Clone)]
pub struct LagLimit {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Reads>,
    view: Mutex<View>,
    /// Held by the task that reads the store, so that all others share the answer.
    refresh: tokio::sync::Mutex<()>,
    lag_max: u64,
    age_max: Duration,
}

#[derive(Default)]
struct View {
    /// One past the highest offset appended here: other producers' records before it are counted too.
    appended: HashMap<LanePartition, u64>,
    decided: HashMap<LanePartition, u64>,
    read_at: Option<Instant>,
    /// The last try, failed ones included: a store in trouble is not asked once for each command.
    tried_at: Option<Instant>,
}

impl LagLimit {
    pub fn new(store: Arc<dyn Reads>, lag_max: u64, age_max: Duration) -> Self {
        let (view, refresh) = Default::default();
        LagLimit { shared: Arc::new(Shared { store, view, refresh, lag_max, age_max }) }
    }

    /// 503 if too much of the partition waits to be decided.
    ///
    /// An old view errs to the safe side: the decided offset only grows. So a command waits for the store only when the
    /// old view would refuse it, and while the store is away the lag stays bounded.
    pub async fn check(&self, partition: LanePartition) -> Result<(), Problem> {
        let shared = &self.shared;
        if shared.behind(partition) <= shared.lag_max {
            // One read at a time, so there is hardly more than one task for it.
            if !shared.is_fresh() && shared.refresh.try_lock().is_ok() {
                let shared = shared.clone();
                tokio::spawn(async move { shared.refresh().await });
            }
            return Ok(());
        }
        shared.refresh().await;
        if shared.behind(partition) > shared.lag_max {
            return Err(Problem::new(Kind::Overloaded, "too many commands wait to be decided; nothing was recorded"));
        }
        Ok(())
    }

    /// An append was acknowledged.
    pub fn appended(&self, position: Position) {
        let mut view = self.shared.lock();
        let end = view.appended.entry(position.partition).or_default();
        *end = (*end).max(position.offset + 1);
    }

    /// One past the highest offset this process has appended to the partition, 0 if none.
    pub fn known_end(&self, partition: LanePartition) -> u64 {
        self.shared.lock().appended.get(&partition).copied().unwrap_or(0)
    }

    /// The first undecided offset of the partition, at most 250 ms old unless the store is away.
    pub async fn next_offset(&self, partition: LanePartition) -> Result<u64, StoreError> {
        self.shared.refresh().await;
        let view = self.shared.lock();
        match view.read_at {
            Some(_) => Ok(view.decided.get(&partition).copied().unwrap_or(0)),
            None => Err(StoreError::Unavailable("it has not said yet what is decided".to_owned())),
        }
    }
}

impl Shared {
    fn behind(&self, partition: LanePartition) -> u64 {
        let view = self.lock();
        let end = view.appended.get(&partition).copied().unwrap_or(0);
        end.saturating_sub(view.decided.get(&partition).copied().unwrap_or(0))
    }

    fn is_fresh(&self) -> bool {
        self.lock().tried_at.is_some_and(|at| at.elapsed() <= self.age_max)
    }

    /// Reads what is decided, unless another task just has.
    async fn refresh(&self) {
        if self.is_fresh() {
            return;
        }
        let _one_reader = self.refresh.lock().await;
        if self.is_fresh() {
            return;
        }
        let answer = tokio::time::timeout(PROGRESS_WITHIN, self.store.next_offsets()).await;
        let mut view = self.lock();
        view.tried_at = Some(Instant::now());
        match answer {
            Ok(Ok(progress)) => {
                view.decided = progress.into_iter().collect();
                view.read_at = view.tried_at;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the lag is judged by an old view"),
            Err(_) => tracing::debug!("the lag is judged by an old view: the store is silent"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
