//! The store of a run, and the faults of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::time::sleep;
use turnstile::store::sqlite::SqliteStore;
use turnstile::store::{Store, StoreError};
use turnstile::testing::{Call, Fault, FaultyStore, Layer, Layered, MemoryStore};

use crate::run::Storage;
use crate::sim::Sim;

/// How late a commit may take effect after its sender has given up.
const LATE_MS_MAX: u64 = 4_000;

/// How old an answer may be when it arrives.
const STALE_MS_MAX: u64 = 3_000;

/// A store without faults, and the one in memory that can be copied and restored.
pub async fn open(storage: Storage) -> (Arc<dyn Store>, Option<MemoryStore>) {
    match storage {
        Storage::Memory => {
            let store = MemoryStore::new();
            (Arc::new(store.clone()), Some(store))
        }
        Storage::Sqlite => {
            let _busy = Busy::now();
            let directory = tempfile::tempdir().expect("a directory for temporary files");
            let store = SqliteStore::open(&directory.path().join("store.db")).await;
            (Arc::new(Layered(Untimed { store: store.expect("a file of its own"), _directory: directory })), None)
        }
    }
}

/// A store with threads of its own. Virtual time must stand still while they work: an idle tokio runtime would advance to
/// the next timer, past every deadline, but not while a blocking task runs.
struct Untimed {
    store: SqliteStore,
    _directory: TempDir,
}

struct Busy {
    /// The blocking task ends when this is dropped.
    _until: std::sync::mpsc::Sender<()>,
}

impl Busy {
    fn now() -> Busy {
        let (until, wait) = std::sync::mpsc::channel();
        drop(tokio::task::spawn_blocking(move || wait.recv()));
        Busy { _until: until }
    }
}

#[async_trait]
impl Layer for Untimed {
    fn below(&self) -> &dyn Store {
        &self.store
    }

    async fn pass<'a, T: Send>(
        &'a self,
        _call: Call,
        answer: BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _busy = Busy::now();
        answer.await
    }
}

/// A store that fails as the plan says.
pub fn faulty(sim: &Arc<Sim>, store: Arc<dyn Store>) -> FaultyStore {
    let store = FaultyStore::new(store);
    set_batches(sim, &store);
    let sim = Arc::clone(sim);
    store.set_hook(Some(Arc::new(move |call| {
        let sim = Arc::clone(&sim);
        async move {
            let killed = sim.called();
            if killed && sim.below(2) == 0 {
                // The caller may be the worker that is killed: then before the call takes effect.
                sleep(Duration::from_millis(1)).await;
            }
            if !sim.faulty() {
                return Fault::None;
            }
            sleep(sim.delay()).await;
            fault(&sim, call)
        }
        .boxed()
    })));
    store
}

/// A database that cannot do much within a statement's time: the owner has to ask for less.
fn set_batches(sim: &Arc<Sim>, store: &FaultyStore) {
    let sim = Arc::clone(sim);
    store.set_batch_hook(Some(Arc::new(move |batch| {
        let records = batch.after.next_offset - batch.before.next_offset;
        let rows_max = sim.plan.rows_max;
        let large = rows_max > 0 && batch.size().0 > rows_max && records > 1;
        if large && sim.faulty() { Fault::TimedOut } else { Fault::None }
    })));
}

fn fault(sim: &Sim, call: Call) -> Fault {
    let plan = &sim.plan;
    if sim.store_away() || sim.strikes(plan.store_away) {
        return Fault::Unavailable;
    }
    if let Call::Commit(of) | Call::Acquire(of) = call {
        sim.note(
            if matches!(call, Call::Commit(_)) { "commit" } else { "acquire" },
            [of.lane as u64, of.partition.into(), 0],
        );
    }
    if matches!(call, Call::Commit(_)) {
        if sim.strikes(plan.commit_unanswered) {
            return if sim.below(2) == 0 { Fault::Unanswered } else { Fault::Lost };
        }
        if sim.strikes(plan.commit_late) {
            return Fault::Late(Duration::from_millis(sim.below(LATE_MS_MAX)));
        }
    }
    if call == Call::Read && sim.strikes(plan.stale_reads) {
        return Fault::Slow(Duration::from_millis(sim.below(STALE_MS_MAX)));
    }
    if sim.strikes(plan.store_slow) { Fault::Slow(sim.delay() * 4) } else { Fault::None }
}
