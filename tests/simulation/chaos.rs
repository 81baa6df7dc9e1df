//! Blows to the workers, the front doors, the log, the store and the clocks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::world::World;

type Blow = fn(&World);

/// Strikes now and then while there are faults.
pub async fn reign(world: Arc<World>) {
    let (sim, plan) = (Arc::clone(&world.sim), world.sim.plan.clone());
    let blows: [(u64, Blow); 8] = [
        (plan.kills, |world| world.kill_worker()),
        (plan.kills_at_call, |world| world.kill_worker_at_call(1 + world.sim.below(60))),
        (plan.expiries, |world| world.log.group.expire_one()),
        (plan.storms, |world| world.log.group.storm()),
        (plan.outages, outage),
        (plan.jumps, |world| world.jump_clock()),
        (plan.door_crashes, |world| world.crash_door()),
        (plan.workers - 1, |world| world.stop_worker()),
    ];
    let total: u64 = blows.iter().map(|(weight, _)| weight).sum();
    loop {
        sleep(Duration::from_millis(1 + sim.below(2 * plan.blow_every_ms))).await;
        if !sim.faulty() {
            return;
        }
        let mut at = sim.below(total);
        for (weight, blow) in &blows {
            if at < *weight {
                blow(&world);
                break;
            }
            at -= weight;
        }
        while (world.workers() as u64) < plan.workers && sim.below(3) > 0 {
            world.start_worker();
        }
    }
}

fn outage(world: &World) {
    let how_long = Duration::from_millis(200 + world.sim.below(6_000));
    let which = world.sim.below(3);
    world.sim.note("outage", [which, how_long.as_millis() as u64, 0]);
    if which != 0 {
        world.sim.store_goes_away(how_long);
    }
    if which != 1 {
        world.sim.log_goes_away(how_long);
    }
}

/// Looks for partitions that are parked for no good reason, as long as the run lasts.
pub async fn watch(world: Arc<World>) {
    loop {
        sleep(Duration::from_millis(500)).await;
        world.look_at_health();
    }
}
