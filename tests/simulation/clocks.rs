//! Clocks that jump: a worker's, the log's, or all of them as after a suspension of the whole machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::cluster::{Cluster, Worker, lock};

const SHORT_MS: i64 = 10_000;
const HOUR_MS: i64 = 3_600_000;

impl Cluster {
    /// By seconds a worker's clock or the log's; by hours a worker's or all.
    pub fn jump_clock(&self) {
        let sim = &self.sim;
        let workers = lock(&self.workers);
        if sim.plan.long_jumps && sim.below(3) == 0 {
            let hours = 1 + sim.below(3) as i64;
            let picked = sim.prng().pick(&workers.iter().collect::<Vec<_>>()).copied();
            if sim.below(2) == 0 {
                sim.note("all clocks jump", [hours as u64, 0, 0]);
                self.all_clocks(&workers).for_each(|clock| add(clock, hours * HOUR_MS));
                lock(&self.api_clocks).iter().for_each(|clock| add(clock, hours * HOUR_MS));
            } else if let Some(worker) = picked {
                let sign = if sim.below(2) == 0 { 1 } else { -1 };
                sim.note("a clock jumps", [hours as u64, u64::from(sign > 0), 0]);
                add(&worker.clock_ms, sign * hours * HOUR_MS);
            }
            return;
        }
        let by = sim.below(2 * SHORT_MS as u64 + 1) as i64 - SHORT_MS;
        let clocks: Vec<_> = self.all_clocks(&workers).collect();
        if let Some(clock) = sim.prng().pick(&clocks) {
            add(clock, by);
        }
    }

    fn all_clocks<'a>(&'a self, workers: &'a [Worker]) -> impl Iterator<Item = &'a Arc<AtomicI64>> {
        workers.iter().map(|worker| &worker.clock_ms).chain([&self.sim.broker_ms])
    }

    /// Sets all workers' clocks to the log's. Returns how far the furthest was ahead, within reason: a worker may have
    /// planned its timers by that clock, but by how long, not until when.
    pub fn set_clocks(&self) -> Duration {
        let log_ms = self.sim.broker_ms.load(Ordering::SeqCst);
        let ahead = |worker: &Worker| worker.clock_ms.swap(log_ms, Ordering::SeqCst) - log_ms;
        let ahead_ms = lock(&self.workers).iter().map(ahead).max().unwrap_or(0);
        Duration::from_millis(ahead_ms.clamp(0, 2 * SHORT_MS).unsigned_abs())
    }
}

fn add(clock: &Arc<AtomicI64>, ms: i64) {
    clock.fetch_add(ms, Ordering::SeqCst);
}
