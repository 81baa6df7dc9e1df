//! A worker takes everything from the log.

use std::time::Duration;

use anyhow::{bail, ensure};
use tokio_util::sync::CancellationToken;
use turnstile::domain::{Lane, LanePartition};
use turnstile::log::Topic;
use turnstile::processor::{self, Deps, Settings};
use turnstile::runtime::clock::Clock;
use turnstile::runtime::health::Health;

use crate::pair::Pair;
use crate::{Args, measured};

const DRAINED_WITHIN: Duration = Duration::from_secs(280);
const LOOKS_EVERY: Duration = Duration::from_millis(20);

pub async fn run(pair: &Pair, args: &Args) -> anyhow::Result<()> {
    let counts = pair.log.partitions().clone();
    let partitions: Vec<LanePartition> = (0..counts.of(Topic::Lane(Lane::Wallets)))
        .map(|partition| LanePartition { lane: Lane::Wallets, partition })
        .collect();
    let shutdown = CancellationToken::new();
    let store: std::sync::Arc<dyn turnstile::store::OwnerStore> = pair.store.clone();
    let deps = Deps { log: pair.log.clone(), store, clock: Clock::System, health: Health::default() };
    let worker = tokio::spawn(processor::run(deps, Settings::default(), shutdown.clone()));
    // The group forms first: that is no draining.
    until(pair, &partitions, |decided| decided > 0).await?;
    let first = decided(pair, &partitions).await?;
    let rest = args.commands - first as usize;
    let all = args.commands as u64;
    measured(
        &format!("{}: drain", pair.kind),
        rest,
        &pair.processes(),
        until(pair, &partitions, |decided| decided >= all),
    )
    .await?;
    shutdown.cancel();
    worker.await??;
    let letters = pair.store.dead_letters(turnstile::store::Page { after: None, limit: 1 }).await?;
    ensure!(letters.is_empty(), "a command became a dead letter: {}", letters[0].letter.reason);
    Ok(())
}

async fn decided(pair: &Pair, partitions: &[LanePartition]) -> anyhow::Result<u64> {
    let progress = pair.store.progress_of(partitions).await?;
    Ok(progress.iter().map(|(_, progress)| progress.next_offset).sum())
}

async fn until(pair: &Pair, partitions: &[LanePartition], enough: impl Fn(u64) -> bool) -> anyhow::Result<()> {
    let began = std::time::Instant::now();
    while !enough(decided(pair, partitions).await?) {
        if began.elapsed() > DRAINED_WITHIN {
            bail!("not drained within {DRAINED_WITHIN:?}");
        }
        tokio::time::sleep(LOOKS_EVERY).await;
    }
    Ok(())
}
