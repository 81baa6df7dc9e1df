//! The store's limit: batches decided beforehand, committed as the committer does, one statement a group.

use std::sync::Arc;

use anyhow::ensure;
use turnstile::domain::{Lane, LanePartition};
use turnstile::log::Topic;
use turnstile::processor::{Replay, Settings};
use turnstile::store::{CommitBatch, CommitGroup, Committed, Published, Remember, Store};

use crate::pair::Pair;
use crate::{Args, measured};

/// What the committer takes into one statement.
const GROUP_ROWS_MAX: usize = 20_000;
/// Its connections.
const CONNECTIONS: usize = 2;

/// A partition's batches, in order.
struct Batches {
    of: Vec<CommitBatch>,
}

pub async fn run(pair: &Pair, args: &Args) -> anyhow::Result<()> {
    let (batches, commands) = decided(pair, args).await?;
    let (store, _) = pair.another_store().await?;
    let mut connections: Vec<Vec<Batches>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (number, mut partition) in batches.into_iter().filter(|partition| !partition.of.is_empty()).enumerate() {
        let epoch = store.acquire(partition.of[0].partition, "commit-only").await?.epoch;
        for batch in &mut partition.of {
            (batch.before.epoch, batch.after.epoch) = (epoch, epoch);
        }
        connections[number % CONNECTIONS].push(partition);
    }
    let work = async {
        let mut tasks = tokio::task::JoinSet::new();
        for partitions in connections {
            tasks.spawn(commit_all(store.clone(), partitions));
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    };
    measured(&format!("{}: commit-only", pair.kind), commands, &pair.processes(), work).await
}

/// Reads records of all partitions and decides them, batch by batch; keeps those for commit-only.
async fn decided(pair: &Pair, args: &Args) -> anyhow::Result<(Vec<Batches>, usize)> {
    let topic = Topic::Lane(Lane::Wallets);
    let counts = pair.log.partitions().clone();
    let settings = Settings::default();
    let each = args.commits.div_ceil(counts.of(topic) as usize);
    let mut inputs = Vec::new();
    for partition in 0..counts.of(topic) {
        let end = pair.log.end_offset(topic, partition).await? as usize;
        let mut reader = pair.log.read(topic, partition, 0).await?;
        let (mut batches, mut taken) = (Vec::new(), 0);
        while taken < each.min(end) {
            let records = reader.next(settings.batch_records_max, settings.batch_bytes_max).await?;
            taken += records.len();
            batches.push(records);
        }
        let here = LanePartition { lane: Lane::Wallets, partition };
        inputs.push((Replay::new(here, &counts, Remember::DEFAULT, Vec::new()), batches));
    }
    let commands = inputs.iter().flat_map(|(_, batches)| batches).map(Vec::len).sum();
    let work = async {
        let mut decided = Vec::new();
        for (mut replay, batches) in inputs {
            let mut of = Vec::new();
            for records in batches {
                of.push(replay.decide(records).await?);
            }
            decided.push(Batches { of });
        }
        Ok(decided)
    };
    let decided = measured(&format!("{}: decide-only", pair.kind), commands, &pair.processes(), work).await?;
    Ok((decided, commands))
}

/// A batch of each partition in turn, as many in one statement as the committer would take.
async fn commit_all(store: Arc<dyn Store>, partitions: Vec<Batches>) -> anyhow::Result<()> {
    let mut queues: Vec<_> =
        partitions.into_iter().map(|partition| (partition.of.into_iter().peekable(), None)).collect();
    loop {
        let (mut group, mut rows) = (CommitGroup::default(), 0);
        for (queue, published) in &mut queues {
            let Some(batch) = queue.next_if(|batch| rows == 0 || rows + batch.size().0 <= GROUP_ROWS_MAX) else {
                continue;
            };
            rows += batch.size().0;
            // What the batch before has written is published and deleted meanwhile.
            let seqs = batch.before.next_outbox_seq..batch.after.next_outbox_seq;
            let next = Published { partition: batch.partition, epoch: batch.after.epoch, seqs };
            group.published.extend(published.replace(next));
            group.batches.push(batch);
        }
        if group.batches.is_empty() {
            return Ok(());
        }
        let committed = store.commit_group(&group).await?;
        ensure!(committed.iter().all(|one| *one == Committed::Done), "a batch was fenced: {committed:?}");
        // Whose turn it is moves on, so that all come in turn.
        let next = group.batches.len() % queues.len();
        queues.rotate_left(next);
    }
}
