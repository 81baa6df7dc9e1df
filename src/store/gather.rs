//! Reads of rows by key, of many askers together.
//!
//! While reads of a kind are under way, what others ask for gathers; the next one reads it all. So a read costs the less
//! the more ask, and one alone waits for nobody. It starts after it was asked for: nobody gets rows of before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::oneshot;

use super::StoreError;

/// One read takes no further asker above so many keys.
const KEYS_MAX: usize = 20_000;

type Result<T> = std::result::Result<T, StoreError>;

type Load<K, V> = Box<dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<V>>> + Send + Sync>;

/// The reads of one kind.
pub struct Gather<K, V>(Arc<Kind<K, V>>);

struct Kind<K, V> {
    load: Load<K, V>,
    key_of: fn(&V) -> K,
    at_once: usize,
    waiting: Mutex<Waiting<K, V>>,
}

struct Waiting<K, V> {
    asked: Vec<Asked<K, V>>,
    /// Tasks that read.
    readers: usize,
}

/// An asker's keys and where it waits for their rows.
struct Asked<K, V> {
    keys: Vec<K>,
    answer: oneshot::Sender<Result<Vec<V>>>,
}

impl<K, V> Gather<K, V>
where
    K: Clone + Ord + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// `load` gives the rows of keys, `key_of` a row's key; at most `at_once` of them are under way.
    pub fn new(
        load: impl Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<V>>> + Send + Sync + 'static,
        key_of: fn(&V) -> K,
        at_once: usize,
    ) -> Self {
        let waiting = Mutex::new(Waiting { asked: Vec::new(), readers: 0 });
        Gather(Arc::new(Kind { load: Box::new(load), key_of, at_once, waiting }))
    }

    /// The rows of these keys, in the order of the keys, those of one as `load` gave them.
    pub async fn read(&self, keys: &[K]) -> Result<Vec<V>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        if self.0.ask(Asked { keys: keys.to_vec(), answer }) {
            tokio::spawn(Reader { kind: Arc::clone(&self.0), ended: false }.run());
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("a read of several ended without an answer".into())))
    }
}

impl<K: Clone + Ord, V: Clone> Kind<K, V> {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether it takes one more reader.
    fn ask(&self, asked: Asked<K, V>) -> bool {
        let mut waiting = self.waiting();
        waiting.asked.push(asked);
        let more = waiting.readers < self.at_once;
        waiting.readers += usize::from(more);
        more
    }

    /// Those who wait, as many as one read takes; if nobody does, there is a reader less.
    fn take(&self) -> Vec<Asked<K, V>> {
        let mut waiting = self.waiting();
        waiting.asked.retain(|asked| !asked.answer.is_closed());
        if waiting.asked.is_empty() {
            waiting.readers -= 1;
        }
        let mut keys = 0;
        let end = waiting.asked.iter().position(|asked| {
            keys += asked.keys.len();
            keys > KEYS_MAX
        });
        let end = end.map_or(waiting.asked.len(), |end| end.max(1));
        waiting.asked.drain(..end).collect()
    }

    async fn read_for(&self, asked: Vec<Asked<K, V>>) {
        let all: BTreeSet<K> = asked.iter().flat_map(|asked| asked.keys.iter().cloned()).collect();
        match (self.load)(all.into_iter().collect()).await {
            Ok(rows) => {
                let mut by_key: BTreeMap<K, Vec<V>> = BTreeMap::new();
                rows.into_iter().for_each(|row| by_key.entry((self.key_of)(&row)).or_default().push(row));
                for Asked { keys, answer } in asked {
                    let rows = keys.iter().filter_map(|key| by_key.get(key)).flatten().cloned().collect();
                    let _ = answer.send(Ok(rows));
                }
            }
            // What fails for one is not the others' failure.
            Err(StoreError::Failed(_) | StoreError::TimedOut(_)) if asked.len() > 1 => {
                let alone = asked.into_iter().map(async |Asked { keys, answer }| {
                    let _ = answer.send((self.load)(keys).await);
                });
                join_all(alone).await;
            }
            Err(error) => asked.into_iter().for_each(|asked| drop(asked.answer.send(Err(error.clone())))),
        }
    }
}

/// A task that reads until nobody waits.
struct Reader<K: Clone + Ord, V: Clone> {
    kind: Arc<Kind<K, V>>,
    ended: bool,
}

impl<K: Clone + Ord, V: Clone> Reader<K, V> {
    async fn run(mut self) {
        loop {
            let asked = self.kind.take();
            if asked.is_empty() {
                self.ended = true;
                return;
            }
            self.kind.read_for(asked).await;
        }
    }
}

impl<K: Clone + Ord, V: Clone> Drop for Reader<K, V> {
    /// After a panic: those who wait for this reader are told, and the next asker gets another one.
    fn drop(&mut self) {
        if !self.ended {
            let mut waiting = self.kind.waiting();
            waiting.readers -= 1;
            waiting.asked.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// Rows `(key, key * 10)`; each load waits for a permit, and says how many keys it has.
    struct Source {
        permits: Semaphore,
        loads: Mutex<Vec<usize>>,
        fails_on: AtomicUsize,
    }

    type Tens = Arc<Gather<u32, (u32, u32)>>;

    fn gathering(at_once: usize) -> (Arc<Source>, Tens) {
        let fails_on = AtomicUsize::new(usize::MAX);
        let source = Arc::new(Source { permits: Semaphore::new(0), loads: Mutex::default(), fails_on });
        let load = {
            let source = Arc::clone(&source);
            move |keys: Vec<u32>| {
                let source = Arc::clone(&source);
                async move {
                    source.permits.acquire().await.expect("never closed").forget();
                    source.loads.lock().expect("no panic").push(keys.len());
                    let fails_on = source.fails_on.load(Ordering::SeqCst);
                    assert!(fails_on != 0 || !keys.contains(&0), "told to panic");
                    if keys.iter().any(|key| *key as usize == fails_on) {
                        return Err(StoreError::Failed("corrupt".into()));
                    }
                    Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, key * 10)).collect())
                }
                .boxed()
            }
        };
        (source, Arc::new(Gather::new(load, |row: &(u32, u32)| row.0, at_once)))
    }

    async fn asks(gather: &Tens, keys: &[u32]) -> tokio::task::JoinHandle<Result<Vec<(u32, u32)>>> {
        let (gather, keys) = (Arc::clone(gather), keys.to_vec());
        let task = tokio::spawn(async move { gather.read(&keys).await });
        tokio::task::yield_now().await;
        task
    }

    #[tokio::test]
    async fn what_is_asked_during_a_read_goes_into_the_next() {
        let (source, gather) = gathering(1);
        let first = asks(&gather, &[2]).await;
        let others = [asks(&gather, &[4, 3]).await, asks(&gather, &[2, 4]).await];
        source.permits.add_permits(2);
        assert_eq!(first.await.unwrap(), Ok(vec![(2, 20)]));
        let [one, two] = others;
        assert_eq!(one.await.unwrap(), Ok(vec![(4, 40)]));
        assert_eq!(two.await.unwrap(), Ok(vec![(2, 20), (4, 40)]));
        assert_eq!(*source.loads.lock().unwrap(), [1, 3]);
        // And again, after its reader has ended.
        source.permits.add_permits(1);
        assert_eq!(gather.read(&[6]).await, Ok(vec![(6, 60)]));
    }

    #[tokio::test]
    async fn what_fails_for_one_fails_for_it_alone() {
        let (source, gather) = gathering(1);
        source.fails_on.store(5, Ordering::SeqCst);
        let first = asks(&gather, &[2]).await;
        let bad = asks(&gather, &[5]).await;
        let good = asks(&gather, &[8]).await;
        source.permits.add_permits(4);
        assert_eq!(first.await.unwrap(), Ok(vec![(2, 20)]));
        assert_eq!(bad.await.unwrap(), Err(StoreError::Failed("corrupt".into())));
        assert_eq!(good.await.unwrap(), Ok(vec![(8, 80)]));
    }

    #[tokio::test]
    async fn who_goes_away_holds_up_nobody() {
        let (source, gather) = gathering(1);
        let first = asks(&gather, &[2]).await;
        let second = asks(&gather, &[4]).await;
        first.abort();
        source.permits.add_permits(2);
        assert_eq!(second.await.unwrap(), Ok(vec![(4, 40)]));
    }

    #[tokio::test]
    async fn after_a_panic_those_who_wait_are_told_and_others_read() {
        let (source, gather) = gathering(1);
        source.fails_on.store(0, Ordering::SeqCst);
        let first = asks(&gather, &[0]).await;
        let second = asks(&gather, &[4]).await;
        source.permits.add_permits(2);
        assert!(first.await.unwrap().is_err());
        assert!(second.await.unwrap().is_err());
        assert_eq!(gather.read(&[4]).await, Ok(vec![(4, 40)]));
    }

    #[tokio::test]
    async fn two_reads_may_be_under_way() {
        let (source, gather) = gathering(2);
        let tasks = [asks(&gather, &[2]).await, asks(&gather, &[4]).await, asks(&gather, &[6]).await];
        source.permits.add_permits(3);
        for (task, key) in tasks.into_iter().zip([2, 4, 6]) {
            assert_eq!(task.await.unwrap(), Ok(vec![(key, key * 10)]));
        }
        assert_eq!(*source.loads.lock().unwrap(), [1, 1, 1]);
    }
}
