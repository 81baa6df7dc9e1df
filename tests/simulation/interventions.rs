//! Records on which a partition stands still, and an operator who lets it go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use turnstile::domain::{Lane, LanePartition, LogTime, Position};
use turnstile::log::{Log, Topic};
use turnstile::store::{Act, Intervention, Interventions, Offsets, Ownership, lane_partitions};
use turnstile::wire;

use crate::cluster::{Cluster, lock, uuid};
use crate::foreign_producers::{GARBAGE, some_charge, some_user};
use crate::sale;
use crate::sim::START_MS;

/// Why a record stops its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    Unreadable,
    /// Its log time is a day ahead.
    Ahead,
    /// It has its producer's time only.
    Unstamped,
}

/// Puts so many bad records on the lanes.
pub async fn spoil(cluster: Arc<Cluster>, records: u64) {
    for _ in 0..records {
        sleep(Duration::from_millis(cluster.sim.below(6_000))).await;
        let bad = [Bad::Unreadable, Bad::Ahead, Bad::Ahead, Bad::Unstamped][cluster.sim.below(4) as usize];
        let command = cluster.command(some_charge(&cluster, some_user(&cluster)));
        let (place, value) = match cluster.sim.below(3) {
            0 => {
                let all = lane_partitions(cluster.log.partitions()).filter(|of| of.lane != Lane::Inbox);
                let all: Vec<LanePartition> = all.collect();
                let here = all[cluster.sim.below(all.len() as u64) as usize];
                ((Topic::Lane(here.lane), here.partition), format!("{GARBAGE}bad").into_bytes())
            }
            _ => (cluster.place(&command.body), wire::command::encode(&command)),
        };
        let offset = cluster.log.put_bad(place, value.into(), bad);
        let Topic::Lane(lane) = place.0 else { unreachable!("commands are on lanes") };
        let position = LanePartition { lane, partition: place.1 }.at(offset);
        cluster.sim.note("bad record", [lane as u64, place.1.into(), offset]);
        lock(&cluster.bad).insert(position, bad);
    }
}

/// Acts on each bad record once its partition has come to it, and now and then on one that is none.
pub async fn operate(cluster: Arc<Cluster>) {
    loop {
        sleep(Duration::from_millis(300 + cluster.sim.below(1_500))).await;
        let bad: Vec<(Position, Bad)> = lock(&cluster.bad).iter().map(|(at, bad)| (*at, *bad)).collect();
        for (at, bad) in bad {
            let Ok(Some(progress)) = cluster.store.progress(at.partition).await else { continue };
            let Ok(given) = cluster.store.interventions(at.partition, at.offset).await else { continue };
            // What an operator sees is the first undecided offset, which may be no record.
            let (from, place) = (progress.next_offset, (Topic::Lane(at.lane()), at.partition.partition));
            let reaches = |offsets: Offsets| offsets.first == from && offsets.contains(at.offset);
            let known = given.iter().any(|row| row.act.offsets().is_some_and(reaches));
            if from > at.offset || known || !cluster.log.is_empty_between(place, from, at.offset) {
                continue;
            }
            if cluster.sim.below(2) == 0 {
                give(&cluster, at.partition, decoy(&cluster, at)).await;
            }
            // To no avail: what stops the partition is there still.
            if cluster.sim.below(4) == 0 {
                give(&cluster, at.partition, Act::Acquire).await;
            }
            let act = act(&cluster, from, at, bad);
            give(&cluster, at.partition, act).await;
        }
    }
}

fn act(cluster: &Cluster, first: u64, at: Position, bad: Bad) -> Act {
    let sim = &cluster.sim;
    let one = Offsets { first, last: at.offset };
    if bad == Bad::Unreadable || sim.below(2) == 0 {
        return Act::Skip(one);
    }
    let now = sim.clock(&sim.broker_ms).now();
    // One that is too low must not count.
    let time = if sim.below(3) == 0 { LogTime(START_MS - 1) } else { now };
    let end = cluster.log.end(Topic::Lane(at.lane()), at.partition.partition);
    let last = at.offset + sim.below(end - at.offset);
    Act::Time { offsets: Offsets { last, ..one }, time }
}

/// An act that does not begin where the partition stands.
fn decoy(cluster: &Cluster, at: Position) -> Act {
    if at.offset > 0 && cluster.sim.below(2) == 0 {
        return Act::Skip(Offsets { first: at.offset - 1, last: at.offset });
    }
    // Behind a clock that was set back for hours every record is one that waits.
    let next = at.offset + if cluster.sim.plan.long_jumps { 1_000 } else { 1 };
    Act::Skip(Offsets { first: next, last: next })
}

/// If that fails, it is given again later.
pub async fn give(cluster: &Cluster, partition: LanePartition, act: Act) {
    let by = sale::user("operator");
    let at = cluster.sim.clock(&cluster.sim.broker_ms).now();
    let (id, reason) = (uuid(&cluster.sim), "as the run wants it".to_owned());
    let row = Intervention { id, partition, act, reason, by, at, applied_at: None };
    let _ = cluster.store.intervene(&row).await;
}
