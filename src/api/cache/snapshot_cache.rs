//! Single-flight cache: concurrent readers of a key share one store read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::StoreError;

/// How old an answer may be when it is asked for.
pub const AGE_MAX: Duration = Duration::from_millis(200);
/// After a change, wait this many times the duration of the last read before the next, at least 10 ms and at most
/// [`AGE_MAX`]: refreshes use at most a tenth of one connection, however many buy and look.
const REST_PER_READ: u32 = 10;
const REST_MIN: Duration = Duration::from_millis(10);

/// What a read gives.
pub struct Fetched<V> {
    pub value: V,
    /// Of memory.
    pub rows: usize,
    /// At least so long before the next read, for the work that the value causes; at most [`AGE_MAX`].
    pub rest: Duration,
}

impl<V> From<(V, usize)> for Fetched<V> {
    fn from((value, rows): (V, usize)) -> Self {
        Fetched { value, rows, rest: Duration::ZERO }
    }
}

/// Snapshots by key. However many ask, one reads.
pub struct SnapshotCache<K, V> {
    entries: Mutex<Entries<K, V>>,
    /// When everything may have changed, see [`SnapshotCache::changed`].
    all_changed: Mutex<Option<Instant>>,
    entries_max: usize,
    rows_max: usize,
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// Sum of all entries' rows.
    rows: usize,
    turn: u64,
}

struct Entry<V> {
    slot: Arc<Slot<V>>,
    rows: usize,
    /// The turn it was last asked for.
    asked: u64,
}

struct Slot<V> {
    latest: Mutex<Option<Snapshot<V>>>,
    /// When this process last learned of a change: what was read before is not shown any more.
    changed: Mutex<Option<Instant>>,
    /// Held by the task that reads.
    reading: tokio::sync::Mutex<()>,
}

struct Snapshot<V> {
    begun: Instant,
    /// From then to the next read.
    rest: Duration,
    /// A failure is shared as well: a store in trouble is not asked once for each reader.
    value: Result<Arc<V>, StoreError>,
}

impl<V> Slot<V> {
    /// What a caller must find: nothing older than `since`, and the changes known by now. Later changes do not count, or
    /// callers that wait for one read could never share it while changes go on.
    fn needed(&self, since: Option<Instant>) -> Option<Instant> {
        since.max(*lock(&self.changed))
    }

    /// What was read at `since` or later.
    fn since(&self, since: Option<Instant>) -> Option<Result<Arc<V>, StoreError>> {
        let latest = lock(&self.latest);
        let snapshot = latest.as_ref()?;
        // Before the machine's clock began is always long enough ago.
        since.is_none_or(|since| snapshot.begun >= since).then(|| snapshot.value.clone())
    }

    /// When the next read may begin, if the last one was a moment ago.
    fn rested(&self) -> Option<Instant> {
        let latest = lock(&self.latest);
        let snapshot = latest.as_ref()?;
        Some(snapshot.begun + snapshot.rest)
    }
}

impl<K: Hash + Eq + Clone, V> SnapshotCache<K, V> {
    pub fn new(entries_max: usize, rows_max: usize) -> Self {
        let entries = Entries { by_key: HashMap::new(), rows: 0, turn: 0 };
        SnapshotCache { entries: Mutex::new(entries), all_changed: Mutex::new(None), entries_max, rows_max }
    }

    /// A snapshot that was at most `age_max` old when this was called. `read` gives the value and its number of rows.
    ///
    /// It shows every change that [`SnapshotCache::changed`] was called for before this was called.
    ///
    /// The age counts from the call, not from the return: all that come while a slow read is under way share the next
    /// one, instead of each starting their own.
    pub async fn get<F, R>(&self, key: K, age_max: Duration, read: impl FnOnce() -> F) -> Result<Arc<V>, StoreError>
    where
        F: Future<Output = Result<R, StoreError>>,
        R: Into<Fetched<V>>,
    {
        let since = Instant::now().checked_sub(age_max).max(*lock(&self.all_changed));
        let slot = self.slot(&key);
        let since = slot.needed(since);
        if let Some(value) = slot.since(since) {
            return value;
        }
        let _one_reader = slot.reading.lock().await;
        if let Some(value) = slot.since(since) {
            return value;
        }
        if let Some(rested) = slot.rested().filter(|_| age_max > Duration::ZERO) {
            tokio::time::sleep_until(rested).await;
        }
        let begun = Instant::now();
        let (value, rows, rest) = match read().await.map(Into::into) {
            Ok(Fetched { value, rows, rest }) => (Ok(Arc::new(value)), rows, rest),
            Err(error) => (Err(error), 0, Duration::ZERO),
        };
        let rest = begun.elapsed().saturating_mul(REST_PER_READ).max(rest).clamp(REST_MIN, AGE_MAX);
        *lock(&slot.latest) = Some(Snapshot { begun, rest, value: value.clone() });
        self.weigh(&key, &slot, rows);
        value
    }

    /// The entry has changed in the store: calls from now on find the change.
    pub fn changed(&self, key: &K) {
        if let Some(entry) = lock(&self.entries).by_key.get(key) {
            *lock(&entry.slot.changed) = Some(Instant::now());
        }
    }

    /// Everything may have changed, see [`SnapshotCache::changed`].
    pub fn all_changed(&self) {
        *lock(&self.all_changed) = Some(Instant::now());
    }

    /// Forgets everything: the next calls read.
    pub fn clear(&self) {
        let mut entries = lock(&self.entries);
        entries.by_key.clear();
        entries.rows = 0;
    }

    fn slot(&self, key: &K) -> Arc<Slot<V>> {
        let mut entries = lock(&self.entries);
        entries.turn += 1;
        let turn = entries.turn;
        if let Some(entry) = entries.by_key.get_mut(key) {
            entry.asked = turn;
            return entry.slot.clone();
        }
        let (latest, changed) = (Mutex::new(None), Mutex::new(None));
        let slot = Arc::new(Slot { latest, changed, reading: tokio::sync::Mutex::default() });
        entries.by_key.insert(key.clone(), Entry { slot: slot.clone(), rows: 0, asked: turn });
        entries.shrink(self.entries_max, self.rows_max);
        slot
    }

    /// Notes how large the entry has become.
    fn weigh(&self, key: &K, slot: &Arc<Slot<V>>, rows: usize) {
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.by_key.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) else { return };
        let before = std::mem::replace(&mut entry.rows, rows);
        entries.rows = entries.rows - before + rows;
        entries.shrink(self.entries_max, self.rows_max);
    }
}

impl<K: Hash + Eq + Clone, V> Entries<K, V> {
    /// Drops the longest unasked until the bounds are kept; the last one stays, whatever its size.
    fn shrink(&mut self, entries_max: usize, rows_max: usize) {
        while self.by_key.len() > 1 && (self.by_key.len() > entries_max || self.rows > rows_max) {
            let oldest = self.by_key.iter().min_by_key(|(_, entry)| entry.asked).map(|(key, _)| key.clone());
            if let Some(entry) = oldest.and_then(|key| self.by_key.remove(&key)) {
                self.rows -= entry.rows;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    async fn read(reads: &AtomicUsize) -> Result<(usize, usize), StoreError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok((reads.fetch_add(1, Ordering::SeqCst), 1))
    }

    #[tokio::test(start_paused = true)]
    async fn many_readers_cost_one_read() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        let all = join_all((0..1000).map(|_| snapshots.get(1, AGE_MAX, || read(&reads)))).await;
        assert!(all.iter().all(|value| *value.as_ref().unwrap().as_ref() == 0));
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(*snapshots.get(1, AGE_MAX, || read(&reads)).await.unwrap(), 0, "still fresh");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(*snapshots.get(1, AGE_MAX, || read(&reads)).await.unwrap(), 1, "read anew");
    }

    #[tokio::test(start_paused = true)]
    async fn reads_slower_than_the_age_are_shared_all_the_same() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok((reads.fetch_add(1, Ordering::SeqCst), 1))
        };
        let asks = (0..1000).map(|i| {
            let snapshots = &snapshots;
            async move {
                tokio::time::sleep(Duration::from_millis(i)).await;
                snapshots.get(1, AGE_MAX, slow).await
            }
        });
        join_all(asks).await;
        assert_eq!(reads.load(Ordering::SeqCst), 2, "one for the first 200 ms, one for all who came later");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_the_call_is_not_taken_for_now() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        snapshots.get(1, AGE_MAX, || read(&reads)).await.unwrap();
        assert_eq!(*snapshots.get(1, Duration::ZERO, || read(&reads)).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_shown_at_once_but_costs_a_bounded_number_of_reads() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        let began = Instant::now();
        for n in 0..100 {
            snapshots.changed(&1);
            let all = join_all((0..10).map(|_| snapshots.get(1, AGE_MAX, || read(&reads)))).await;
            assert!(all.iter().all(|value| *value.as_ref().unwrap().as_ref() == n), "what was read before is stale");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(10) * REST_PER_READ * 99);
        assert_eq!(reads.load(Ordering::SeqCst), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn readers_share_a_read_while_changes_never_end() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        let changes = async {
            loop {
                snapshots.changed(&1);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let readers = join_all((0..1000).map(|_| snapshots.get(1, AGE_MAX, || read(&reads))));
        let began = Instant::now();
        tokio::select! {
            () = changes => {}
            _ = readers => {}
        }
        assert!(began.elapsed() <= AGE_MAX * 2, "nobody waits for more than the read under way and the next");
        assert!(reads.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_and_then_forgotten() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        let fail = || async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            reads.fetch_add(1, Ordering::SeqCst);
            Err::<(usize, usize), _>(StoreError::Unavailable("away".into()))
        };
        let all = join_all((0..100).map(|_| snapshots.get(1, AGE_MAX, fail))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert!(snapshots.get(1, AGE_MAX, || read(&reads)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_gives_up_leaves_the_read_to_the_next() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(10, 10), AtomicUsize::new(0));
        let given_up = tokio::time::timeout(Duration::from_millis(1), snapshots.get(1, AGE_MAX, || read(&reads))).await;
        assert!(given_up.is_err());
        assert_eq!(*snapshots.get(1, AGE_MAX, || read(&reads)).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn entries_and_rows_are_bounded_and_the_longest_unasked_go() {
        let (snapshots, reads) = (SnapshotCache::<u32, usize>::new(3, 100), AtomicUsize::new(0));
        for key in [1, 2, 3, 1, 4] {
            snapshots.get(key, AGE_MAX, || read(&reads)).await.unwrap();
        }
        let keys = |snapshots: &SnapshotCache<u32, usize>| {
            let mut keys: Vec<u32> = lock(&snapshots.entries).by_key.keys().copied().collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(&snapshots), [1, 3, 4]);
        snapshots.get(5, AGE_MAX, || async { Ok((0, 1000)) }).await.unwrap();
        assert_eq!(keys(&snapshots), [5], "one larger than the bound stays alone");
        snapshots.get(6, AGE_MAX, || read(&reads)).await.unwrap();
        assert_eq!((keys(&snapshots), lock(&snapshots.entries).rows), (vec![6], 1));
    }
}
