//! Commits of many partitions at once: each fenced by itself, all of the rest or nothing.

use std::sync::Arc;

use turnstile::domain::{Lane, LanePartition, RequestId, wallet};
use turnstile::store::{
    CommitBatch, CommitGroup, Committed, Page, Progress, Published, RequestCompletion, RequestState, Store, StoreError,
};

use super::rows::*;

fn part(partition: u32) -> LanePartition {
    LanePartition { lane: Lane::Wallets, partition }
}

async fn own(store: &dyn Store, partitions: std::ops::Range<u32>) -> Vec<Progress> {
    let mut progress = Vec::new();
    for partition in partitions {
        progress.push(acquired(store, part(partition)).await);
    }
    progress
}

/// Rows of most kinds, all of them the partition's own.
fn with_rows(partition: u32, progress: &Progress) -> CommitBatch {
    let mut batch = batch(part(partition), progress);
    let name = format!("user-{partition}");
    let number = progress.next_offset + 1;
    batch.changes = wallets(vec![
        wallet::Row::Wallet(wallet(&name, number as i64, number)),
        wallet::Row::Entry(wallet::Entry { at: arrival(part(partition), number), ..entry(&name, number) }),
    ]);
    batch.requests = vec![request(request_number(partition, number), part(partition), progress.next_offset)];
    batch.outbox = vec![outbox_row(progress.next_outbox_seq)];
    batch.after.next_outbox_seq += 1;
    batch.dead_letters = vec![dead_letter(part(partition), progress.next_offset)];
    batch
}

fn request_number(partition: u32, number: u64) -> u128 {
    u128::from(partition) * 1_000 + u128::from(number)
}

fn wallets(rows: Vec<wallet::Row>) -> turnstile::domain::Changes {
    turnstile::domain::Changes::Wallets(rows)
}

async fn is_written(store: &dyn Store, batch: &CommitBatch) -> bool {
    let of = batch.partition;
    let request = store.request(batch.requests[0].key.id).await.unwrap().is_some();
    let row = store.outbox(of, batch.outbox[0].seq, 1).await.unwrap() == batch.outbox;
    let letter = store.dead_letter(of.at(batch.before.next_offset)).await.unwrap().is_some();
    let name = user(&format!("user-{}", of.partition));
    let entries = store.wallet_entries(&name, Page { after: None, limit: 100 }).await.unwrap();
    let entry = entries.iter().any(|entry| entry.number == batch.before.next_offset + 1);
    assert!([row, letter, entry].iter().all(|written| *written == request), "{of} is written in part");
    request
}

pub async fn f60_each_batch_of_a_group_is_fenced_by_itself(store: Arc<dyn Store>) {
    let progress = own(&*store, 0..5).await;
    // Overtaken, and out of step.
    let newer = store.acquire(part(1), "worker-2").await.unwrap();
    let ahead = Progress { next_offset: 7, ..progress[3] };
    let batches: Vec<CommitBatch> =
        [(4, &progress[4]), (1, &progress[1]), (0, &progress[0]), (3, &ahead), (2, &progress[2])]
            .map(|(partition, progress)| with_rows(partition, progress))
            .into();
    let group = CommitGroup { batches, published: Vec::new() };
    let committed = store.commit_group(&group).await.unwrap();
    let (done, fenced) = (Committed::Done, Committed::Fenced);
    assert_eq!(committed, [done, fenced, done, fenced, done]);
    for (batch, committed) in group.batches.iter().zip(committed) {
        assert_eq!(is_written(&*store, batch).await, committed == Committed::Done, "{}", batch.partition);
    }
    let mut now = store.progress_of(&[part(1), part(3), part(4), part(9)]).await.unwrap();
    now.sort_by_key(|(of, _)| *of);
    assert_eq!(now, [(part(1), newer), (part(3), progress[3]), (part(4), group.batches[0].after)]);
    // Sent again as after a lost answer, it changes nothing.
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Fenced; 5]));
    assert_eq!(store.commit_group(&CommitGroup::default()).await, Ok(vec![]));
}

pub async fn a_batch_that_is_refused_takes_its_group_along(store: Arc<dyn Store>) {
    let progress = own(&*store, 0..3).await;
    let mut batches: Vec<CommitBatch> =
        (0..3).map(|partition| with_rows(partition, &progress[partition as usize])).collect();
    let nobodys = RequestCompletion { request_id: RequestId(id(77)), decided: decided(true, "{}") };
    batches[1].completions = vec![nobodys];
    let published = vec![Published { partition: part(0), epoch: progress[0].epoch, seqs: 0..0 }];
    let mut group = CommitGroup { batches, published };
    assert!(matches!(store.commit_group(&group).await, Err(StoreError::Failed(_))));
    for (batch, progress) in group.batches.iter().zip(&progress) {
        assert!(!is_written(&*store, batch).await);
        assert_eq!(store.progress(batch.partition).await, Ok(Some(*progress)));
    }
    group.batches[1].completions.clear();
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Done; 3]));
}

pub async fn a_completion_needs_the_request_of_an_earlier_commit(store: Arc<dyn Store>) {
    let progress = own(&*store, 0..2).await;
    let completion = |number| RequestCompletion { request_id: RequestId(id(number)), decided: decided(true, "{}") };
    // The parts of one commit do not see each other.
    let mut same = with_rows(0, &progress[0]);
    same.requests[0].state = RequestState::Pending;
    same.completions = vec![completion(1)];
    // Nor does one partition see another's.
    let other = CommitBatch { completions: vec![completion(1)], ..batch(part(1), &progress[1]) };
    for batches in [vec![with_rows(1, &progress[1]), same.clone()], vec![with_rows(0, &progress[0]), other]] {
        let group = CommitGroup { batches, published: Vec::new() };
        assert!(matches!(store.commit_group(&group).await, Err(StoreError::Failed(_))));
        assert_eq!(store.progress(part(0)).await, Ok(Some(progress[0])));
        assert_eq!(store.progress(part(1)).await, Ok(Some(progress[1])));
    }
    same.completions.clear();
    assert_eq!(store.commit(&same).await, Ok(Committed::Done));
    // What a fenced batch would complete is not missed.
    let mut fenced = batch(part(0), &progress[0]);
    fenced.completions = vec![completion(77)];
    let group = CommitGroup { batches: vec![fenced, batch(part(1), &progress[1])], published: Vec::new() };
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Fenced, Committed::Done]));
    let mut next = batch(part(0), &same.after);
    next.completions = vec![completion(1)];
    assert_eq!(store.commit(&next).await, Ok(Committed::Done));
    let stored = store.request(RequestId(id(1))).await.unwrap().unwrap();
    assert_eq!(stored.state, RequestState::Decided(decided(true, "{}")));
}

pub async fn what_is_published_goes_by_the_epoch_alone(store: Arc<dyn Store>) {
    let rows: Vec<_> = (0..10).map(outbox_row).collect();
    let mut progress = Vec::new();
    for partition in 0..2 {
        let after = commit(&*store, part(partition), |batch| {
            (batch.outbox, batch.after.next_outbox_seq) = (rows[..5].to_vec(), 5);
        });
        progress.push(after.await);
    }
    let published = |partition: u32, epoch, seqs| Published { partition: part(partition), epoch, seqs };
    // One with a batch, whose own rows stay though they are named; one without.
    let mut more = batch(part(0), &progress[0]);
    (more.outbox, more.after.next_outbox_seq) = (rows[5..].to_vec(), 10);
    let marks = vec![published(1, progress[1].epoch, 0..2), published(0, progress[0].epoch, 0..5)];
    let group = CommitGroup { batches: vec![more.clone()], published: marks };
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Done; 2]));
    assert_eq!(store.outbox(part(0), 0, 100).await, Ok(rows[5..].to_vec()));
    assert_eq!(store.outbox(part(1), 0, 100).await, Ok(rows[2..5].to_vec()));
    let pending = async |partition: u32| {
        let views = store.progress_views().await.unwrap();
        views.iter().find(|view| view.partition == part(partition)).unwrap().outbox_pending
    };
    assert_eq!((pending(0).await, pending(1).await), (5, 3));
    // It never runs back, and rows before it are nobody's to publish, deleted or not.
    let alone = |of| CommitGroup { batches: Vec::new(), published: vec![of] };
    for seqs in [4..4, 0..1] {
        let group = alone(published(1, progress[1].epoch, seqs));
        assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Done]));
    }
    assert_eq!(store.outbox(part(1), 0, 100).await, Ok(rows[4..5].to_vec()));
    // Another owner's word does not count, nor that of one whose batch is fenced.
    let newer = store.acquire(part(1), "worker-2").await.unwrap();
    let group = alone(published(1, progress[1].epoch, 0..5));
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Fenced]));
    let fenced = CommitGroup {
        batches: vec![batch(part(0), &progress[0])],
        published: vec![published(0, progress[0].epoch, 0..10)],
    };
    assert_eq!(store.commit_group(&fenced).await, Ok(vec![Committed::Fenced]));
    assert_eq!((pending(0).await, pending(1).await), (5, 1));
    let group = alone(published(1, newer.epoch, 0..5));
    assert_eq!(store.commit_group(&group).await, Ok(vec![Committed::Done]));
    assert_eq!((pending(0).await, pending(1).await), (5, 0));
    assert_eq!(store.outbox(part(1), 0, 100).await, Ok(vec![]));
}

/// Two workers that both believe to own the same partitions, each with its own order of them.
pub async fn groups_of_the_same_partitions_never_wait_for_each_other(store: Arc<dyn Store>) {
    const PARTITIONS: u32 = 8;
    let mut progress = own(&*store, 0..PARTITIONS).await;
    for round in 0..20u32 {
        let batches: Vec<CommitBatch> =
            (0..PARTITIONS).map(|partition| with_rows(partition, &progress[partition as usize])).collect();
        let mut other = batches.clone();
        other.rotate_left((round % PARTITIONS) as usize);
        other.reverse();
        let one = CommitGroup { batches, published: Vec::new() };
        let other = CommitGroup { batches: other, published: Vec::new() };
        let (one_committed, other_committed) = tokio::join!(store.commit_group(&one), store.commit_group(&other));
        let (one_committed, other_committed) = (one_committed.unwrap(), other_committed.unwrap());
        for (batch, committed) in one.batches.iter().zip(&one_committed) {
            let place = other.batches.iter().position(|other| other.partition == batch.partition).unwrap();
            assert_ne!(*committed, other_committed[place], "exactly one commits {}", batch.partition);
            assert!(is_written(&*store, batch).await);
            progress[batch.partition.partition as usize] = batch.after;
        }
    }
}
