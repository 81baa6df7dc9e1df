//! Faults of workers, API servers, log, store and clocks, at random times.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;

type Fault = fn(&Cluster);

/// Injects faults until the plan ends them.
pub async fn inject(cluster: Arc<Cluster>) {
    let (sim, plan) = (Arc::clone(&cluster.sim), cluster.sim.plan.clone());
    let faults: [(u64, Fault); 8] = [
        (plan.kills, |cluster| cluster.kill_worker()),
        (plan.kills_at_call, |cluster| cluster.kill_worker_at_call(1 + cluster.sim.below(60))),
        (plan.expiries, |cluster| cluster.log.group.expire_one()),
        (plan.storms, |cluster| cluster.log.group.storm()),
        (plan.outages, outage),
        (plan.jumps, |cluster| cluster.jump_clock()),
        (plan.api_crashes, |cluster| cluster.crash_api()),
        (plan.workers - 1, |cluster| cluster.stop_worker()),
    ];
    let total: u64 = faults.iter().map(|(weight, _)| weight).sum();
    loop {
        sleep(Duration::from_millis(1 + sim.below(2 * plan.fault_every_ms))).await;
        if !sim.faulty() {
            return;
        }
        let mut at = sim.below(total);
        for (weight, fault) in &faults {
            if at < *weight {
                fault(&cluster);
                break;
            }
            at -= weight;
        }
        while (cluster.workers() as u64) < plan.workers && sim.below(3) > 0 {
            cluster.start_worker();
        }
    }
}

/// Once, longer than anybody may be unseen.
pub async fn long_outage(cluster: Arc<Cluster>) {
    sleep(Duration::from_millis(10_000 + cluster.sim.below(20_000))).await;
    if cluster.sim.faulty() {
        goes_away(&cluster, Duration::from_millis(35_000 + cluster.sim.below(20_000)));
    }
}

fn outage(cluster: &Cluster) {
    goes_away(cluster, Duration::from_millis(200 + cluster.sim.below(6_000)));
}

fn goes_away(cluster: &Cluster, how_long: Duration) {
    let which = cluster.sim.below(3);
    cluster.sim.note("outage", [which, how_long.as_millis() as u64, 0]);
    if which != 0 {
        cluster.sim.store_goes_away(how_long);
    }
    if which != 1 {
        cluster.sim.log_goes_away(how_long);
    }
}

/// Watches for partitions that are parked without an injected reason, for the whole run.
pub async fn watch(cluster: Arc<Cluster>) {
    loop {
        sleep(Duration::from_millis(500)).await;
        cluster.check_health();
        cluster.check_fences().await;
    }
}
