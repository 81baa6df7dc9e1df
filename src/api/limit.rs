//! Back-pressure before harm: the pace of one user, and how much of a partition waits to be decided.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::problem::{OVERLOADED, Problem, RATE_LIMITED};
use crate::domain::{Position, UserId};
use crate::log::LanePartition;
use crate::store::StoreError;
use crate::store::reads::Reads;

/// A token bucket for each user. Two generations bound the memory without a sweep: when the young one is full it
/// becomes the old one, and who is in neither starts with a full bucket.
pub struct Users {
    generations: Mutex<Generations>,
    tracked_max: usize,
    burst: f64,
    per_second: f64,
}

#[derive(Default)]
struct Generations {
    young: HashMap<UserId, Bucket>,
    old: HashMap<UserId, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Users {
    pub fn new(burst: u32, per_second: u32, tracked_max: usize) -> Self {
        let (burst, per_second) = (f64::from(burst.max(1)), f64::from(per_second.max(1)));
        Users { generations: Mutex::default(), tracked_max: tracked_max.max(2), burst, per_second }
    }

    /// Takes one command's worth from the user's bucket, or says 429 with the seconds to wait.
    pub fn take(&self, user: &UserId) -> Result<(), Problem> {
        let now = Instant::now();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *generations;
        if !young.contains_key(user) {
            if young.len() >= self.tracked_max / 2 {
                *old = std::mem::take(young);
            }
            let bucket = old.remove(user).unwrap_or(Bucket { tokens: self.burst, at: now });
            young.insert(user.clone(), bucket);
        }
        let Some(bucket) = young.get_mut(user) else { return Ok(()) };
        let refill = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        *bucket = Bucket { tokens: (bucket.tokens + refill).min(self.burst), at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let seconds = ((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0);
        Err(Problem::new(RATE_LIMITED, "too many commands of this user").retry_after(seconds as u64))
    }
}

/// The store must say within this time what is decided.
const PROGRESS_WITHIN: Duration = Duration::from_secs(1);

/// How far the decisions are behind the log, as far as this process has seen. Clones share it.
#[derive(Clone)]
pub struct Backlog {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Reads>,
    view: Mutex<View>,
    /// Held by the one who reads the store, so that all others share the answer.
    refresh: tokio::sync::Mutex<()>,
    backlog_max: u64,
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

impl Backlog {
    pub fn new(store: Arc<dyn Reads>, backlog_max: u64, age_max: Duration) -> Self {
        let (view, refresh) = Default::default();
        Backlog { shared: Arc::new(Shared { store, view, refresh, backlog_max, age_max }) }
    }

    /// 503 if too much of the partition waits to be decided.
    ///
    /// An old view errs to the safe side: what is decided only grows. So a command waits for the store only when the
    /// old view would turn it away, and while the store is away the backlog stays bounded.
    pub async fn check(&self, partition: LanePartition) -> Result<(), Problem> {
        let shared = &self.shared;
        if shared.behind(partition) <= shared.backlog_max {
            // One read at a time, so there is hardly more than one task for it.
            if !shared.is_fresh() && shared.refresh.try_lock().is_ok() {
                let shared = shared.clone();
                tokio::spawn(async move { shared.refresh().await });
            }
            return Ok(());
        }
        shared.refresh().await;
        if shared.behind(partition) > shared.backlog_max {
            return Err(Problem::new(OVERLOADED, "too many commands wait to be decided; nothing was recorded"));
        }
        Ok(())
    }

    /// An append was acknowledged.
    pub fn appended(&self, position: Position) {
        let partition = LanePartition { lane: position.lane, partition: position.partition };
        let mut view = self.shared.lock();
        let end = view.appended.entry(partition).or_default();
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

    /// Reads what is decided, unless somebody just has.
    async fn refresh(&self) {
        if self.is_fresh() {
            return;
        }
        let _one_reader = self.refresh.lock().await;
        if self.is_fresh() {
            return;
        }
        let answer = tokio::time::timeout(PROGRESS_WITHIN, self.store.progress_views()).await;
        let mut view = self.lock();
        view.tried_at = Some(Instant::now());
        match answer {
            Ok(Ok(progress)) => {
                view.decided = progress.into_iter().map(|row| (row.partition, row.next_offset)).collect();
                view.read_at = view.tried_at;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the backlog is judged by an old view"),
            Err(_) => tracing::debug!("the backlog is judged by an old view: the store is silent"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_may_burst_and_then_keeps_the_pace() {
        let users = Users::new(3, 2, 100);
        for _ in 0..3 {
            assert!(users.take(&user("a")).is_ok());
        }
        let problem = users.take(&user("a")).unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.retry_after), (429, Some(1)));
        assert!(users.take(&user("b")).is_ok(), "others are not concerned");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(users.take(&user("a")).is_ok());
        assert!(users.take(&user("a")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_users_remembered_are_bounded_and_recent_ones_stay() {
        let users = Users::new(1, 1, 10);
        assert!(users.take(&user("a")).is_ok());
        for i in 0..8 {
            assert!(users.take(&user(&format!("u{i}"))).is_ok());
            assert!(users.take(&user("a")).is_err(), "after {i}");
        }
        for i in 0..1000 {
            assert!(users.take(&user(&format!("v{i}"))).is_ok());
        }
        let generations = users.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 10);
    }
}
