//! Long after the sale: requests no longer count as seen and are forgotten, some commands come again, and the store is
//! restored from a copy that was made during the sale.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use turnstile::domain::{Body, LanePartition, block};
use turnstile::log::{Log, NewRecord, Topic};
use turnstile::store::lane_partitions;

use crate::cluster::{Cluster, REMEMBER};
use crate::oracle::understood;
use crate::run::quiet;
use crate::sim::DAY_MS;

/// The copy is made at some time before.
const SALE_MS: u64 = 60_000;
/// Commands that come again.
const REPEATS: u64 = 8;

/// Copies the store some time during the sale.
pub async fn copy(cluster: Arc<Cluster>) {
    sleep(Duration::from_millis(cluster.sim.below(SALE_MS))).await;
    cluster.copy_store();
}

pub async fn comes(cluster: &Arc<Cluster>) -> Result<(), String> {
    cluster.sim.broker_ms.fetch_add(REMEMBER.ms + DAY_MS, Ordering::SeqCst);
    cluster.set_clocks();
    let _ = cluster.later.set(cluster.sim.clock(&cluster.sim.broker_ms).now());
    cluster.sim.note("later", [0; 3]);
    repeat(cluster).await;
    quiet(cluster).await?;
    cluster.stop_forgetting();
    cluster.stop_all().await;
    cluster.restore_store();
    cluster.start_forgetting();
    for _ in 0..cluster.sim.plan.workers {
        cluster.start_worker();
    }
    quiet(cluster).await?;
    repeat(cluster).await;
    quiet(cluster).await?;
    cluster.stop_forgetting();
    Ok(())
}

/// Appends some clients' commands of the sale once more. Not those that wait for a wallet: the models know a payment by
/// its request.
async fn repeat(cluster: &Cluster) {
    let partitions: Vec<LanePartition> = lane_partitions(cluster.log.partitions()).collect();
    for _ in 0..cluster.sim.below(REPEATS) {
        let at = cluster.sim.below(partitions.len() as u64) as usize;
        let place = (Topic::Lane(partitions[at].lane), partitions[at].partition);
        let records = cluster.log.all(place.0, place.1);
        let Some(record) = records.get(cluster.sim.below(records.len() as u64) as usize) else { continue };
        let repeatable = understood(record).is_some_and(|command| {
            let waits = matches!(
                command.body,
                Body::Seats(block::Command::PayReservation(_) | block::Command::CancelReservation(_))
            );
            !command.body.is_internal() && !waits
        });
        let (Some(key), Some(value)) = (&record.key, record.value.as_ref().filter(|_| repeatable)) else { continue };
        let again = NewRecord { key: key.clone(), value: value.clone(), headers: record.headers.clone() };
        let _ = cluster.log.append(place.0, place.1, again).await;
    }
}
