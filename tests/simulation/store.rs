//! What may happen to a call of the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;
use turnstile::store::Store;
use turnstile::testing::{Call, Fault, FaultyStore};

use crate::sim::Sim;

/// How late a commit may take effect whose sender has given up on it.
const LATE_MS_MAX: u64 = 4_000;

/// A store that fails as the plan says.
pub fn faulty_store(sim: &Arc<Sim>, store: Arc<dyn Store>) -> FaultyStore {
    let store = FaultyStore::new(store);
    let sim = Arc::clone(sim);
    store.set_hook(Some(Arc::new(move |call| {
        let sim = Arc::clone(&sim);
        async move {
            let killed = sim.called();
            if killed && sim.below(2) == 0 {
                // Whoever called may be the one who is killed: then before it is done.
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
    if sim.strikes(plan.store_slow) { Fault::Slow(sim.delay() * 4) } else { Fault::None }
}
