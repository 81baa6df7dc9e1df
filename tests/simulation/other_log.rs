//! After a run: a log whose last decided record is another one, or gone, must not be taken for the store's.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use turnstile::domain::LanePartition;
use turnstile::log::{Log, Topic};
use turnstile::store::{Ownership, lane_partitions};

use crate::cluster::Cluster;

/// By then a worker has acquired its partitions.
const PARKED_WITHIN: Duration = Duration::from_secs(60);

/// Changes the last decided record of one partition and starts a worker, which must park that partition.
pub async fn is_refused(cluster: &Arc<Cluster>) -> Result<(), String> {
    let mut decided = Vec::new();
    for partition in lane_partitions(cluster.log.partitions()) {
        let progress = cluster.store.progress(partition).await.map_err(|error| error.to_string())?;
        decided.extend(progress.and_then(|progress| progress.anchor).map(|anchor| (partition, anchor.offset)));
    }
    let picked = cluster.sim.prng().pick(&decided).copied();
    let Some((partition, offset)) = picked else { return Ok(()) };
    cluster.log.forge((Topic::Lane(partition.lane), partition.partition), offset);
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&cluster.log.group).coordinate());
    cluster.start_worker();
    let parked = parked(cluster, partition).await;
    cluster.stop_all().await;
    parked
}

async fn parked(cluster: &Cluster, partition: LanePartition) -> Result<(), String> {
    let by = Instant::now() + PARKED_WITHIN;
    let name = format!("partition {partition}: ");
    loop {
        match cluster.parked().into_iter().find(|reason| reason.starts_with(&name)) {
            Some(reason) if reason.contains("another log") => return Ok(()),
            Some(reason) => return Err(format!("with another log: {reason}")),
            None if Instant::now() > by => return Err(format!("{partition} of another log was taken")),
            None => sleep(Duration::from_millis(100)).await,
        }
    }
}
