//! Timers do not multiply: few records of one aggregate lie within a second, whoever appended them.

use std::collections::BTreeMap;

use turnstile::domain::{Body, block, queue};
use turnstile::log::{Log, Topic};
use turnstile::store::lane_partitions;

use super::{Checked, must, understood};
use crate::cluster::Cluster;

/// One owner appends 10 in a second; there may be stale ones beside it, copies, and other services.
const WITHIN_A_SECOND: usize = 60;

pub fn check(cluster: &Cluster) -> Checked {
    for here in lane_partitions(cluster.log.partitions()) {
        let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (record, stored_ms) in cluster.log.all_timed(Topic::Lane(here.lane), here.partition) {
            let Some(command) = understood(&record) else { continue };
            if matches!(
                command.body,
                Body::Seats(block::Command::ExpireHolds(_)) | Body::Queues(queue::Command::Tick(_))
            ) {
                by_key.entry(command.body.routing_key().to_string()).or_default().push(stored_ms);
            }
        }
        for (key, mut stored) in by_key {
            stored.sort_unstable();
            let burst = stored.windows(WITHIN_A_SECOND).find(|window| window[WITHIN_A_SECOND - 1] - window[0] < 1_000);
            must!(burst.is_none(), "{WITHIN_A_SECOND} timer records of {key} within a second: {burst:?}");
        }
    }
    Ok(())
}
