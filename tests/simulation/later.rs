//! Long after the sale: requests no longer count as seen and are forgotten, some commands come again, and the store is
//! restored from a copy that was made during the sale, or operators change how long requests count.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use turnstile::domain::{Body, LanePartition, block};
use turnstile::log::{Log, NewRecord, Topic};
use turnstile::store::{Act, Interventions, lane_partitions};

use crate::cluster::{Cluster, REMEMBER};
use crate::interventions::give;
use crate::oracle::understood;
use crate::run::quiet;
use crate::sim::DAY_MS;

/// The copy is made at some time before.
const SALE_MS: u64 = 60_000;
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// Commands that come again.
const REPEATS: u64 = 8;

/// Copies the store some time during the sale.
pub async fn copy(cluster: Arc<Cluster>) {
    sleep(Duration::from_millis(cluster.sim.below(SALE_MS))).await;
    cluster.copy_store();
}

/// Changes how long requests count as seen, some time during the sale.
pub async fn changes(cluster: Arc<Cluster>) {
    sleep(Duration::from_millis(cluster.sim.below(SALE_MS))).await;
    // The sale may be over by then.
    if cluster.later.get().is_none() {
        change(&cluster).await;
    }
}

/// On some partitions, so that what was decided during the sale counts or not a week later.
async fn change(cluster: &Cluster) {
    for partition in lane_partitions(cluster.log.partitions()) {
        if cluster.sim.below(3) > 0 {
            let ms = REMEMBER.ms / 2 + cluster.sim.below(2 * REMEMBER.ms as u64) as i64;
            give(cluster, partition, Act::Remember { ms, began: None }).await;
        }
    }
}

pub async fn comes(cluster: &Arc<Cluster>) -> Result<(), String> {
    cluster.sim.broker_ms.fetch_add(REMEMBER.ms + DAY_MS, Ordering::SeqCst);
    cluster.set_clocks();
    let _ = cluster.later.set(cluster.sim.clock(&cluster.sim.broker_ms).now());
    cluster.sim.note("later", [0; 3]);
    repeat(cluster).await;
    quiet(cluster).await?;
    if cluster.sim.plan.other_ages {
        change(cluster).await;
    }
    cluster.stop_forgetting();
    cluster.stop_all().await;
    cluster.restore_store();
    cluster.start_forgetting();
    for _ in 0..cluster.sim.plan.workers {
        cluster.start_worker();
    }
    quiet(cluster).await?;
    taken_over(cluster).await?;
    repeat(cluster).await;
    quiet(cluster).await?;
    cluster.stop_forgetting();
    Ok(())
}

/// Until all partitions are: their new owners have applied what waits for them.
async fn taken_over(cluster: &Cluster) -> Result<(), String> {
    for partition in lane_partitions(cluster.log.partitions()) {
        let waits = async || {
            let acts = cluster.store.interventions(partition, 0).await.unwrap_or_default();
            acts.iter().any(|row| row.applied_at.is_none())
        };
        let by = Instant::now() + TAKEN_WITHIN;
        while waits().await {
            if Instant::now() > by {
                return Err(format!("nobody has taken {partition} over"));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
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
