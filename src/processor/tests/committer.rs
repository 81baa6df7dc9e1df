//! Which batches go together, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::domain::wallet::{self, Wallet};
use crate::domain::{Arrival, Balance, Changes, Lane, LanePartition, LogTime};
use crate::processor::commit::Stopped;
use crate::processor::committer::Committer;
use crate::processor::standing::Standings;
use crate::runtime::health::Health;
use crate::store::{CommitBatch, CommitGroup, Committed, Ownership, Progress, StoreError};

type Answer = Result<Vec<Committed>, StoreError>;
type Waiting = oneshot::Receiver<Result<CommitBatch, Stopped>>;

/// A store that notes what it is sent and answers when it may.
struct Recorder {
    groups: Mutex<Vec<CommitGroup>>,
    may_answer: Semaphore,
    answer: fn(&CommitGroup) -> Answer,
}

#[async_trait]
impl Ownership for Recorder {
    async fn acquire(&self, _: LanePartition, _: &str) -> Result<Progress, StoreError> {
        Err(StoreError::Failed("nobody acquires here".into()))
    }

    async fn progress_of(&self, _: &[LanePartition]) -> Result<Vec<(LanePartition, Progress)>, StoreError> {
        Ok(Vec::new())
    }

    async fn note_end(&self, _: LanePartition, _: u64, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn commit_group(&self, group: &CommitGroup) -> Answer {
        self.groups.lock().unwrap().push(group.clone());
        self.may_answer.acquire().await.expect("never closed").forget();
        (self.answer)(group)
    }
}

fn done(group: &CommitGroup) -> Answer {
    Ok(vec![Committed::Done; group.batches.len() + group.published.len()])
}

struct Test {
    store: Arc<Recorder>,
    committer: Committer,
    _task: AbortOnDropHandle<()>,
}

impl Test {
    fn new(answer: fn(&CommitGroup) -> Answer) -> Test {
        let recorder = Recorder { groups: Mutex::default(), may_answer: Semaphore::new(0), answer };
        let store = Arc::new(recorder);
        let standings = Arc::new(Standings::new(Health::default()));
        let (committer, _task) = Committer::start(store.clone(), standings);
        Test { store, committer, _task }
    }

    /// Hands in the batch that starts at this offset, and lets the committer see it.
    async fn hand_in(&self, partition: u32, offset: u64, rows: u64) -> Waiting {
        let waiting = self.committer.commit(batch(partition, offset, rows)).await;
        settle().await;
        waiting
    }

    async fn answer(&self, groups: usize) {
        self.store.may_answer.add_permits(groups);
        settle().await;
    }

    /// Partitions and offsets of each group so far.
    fn groups(&self) -> Vec<Vec<(u32, u64)>> {
        let of = |batch: &CommitBatch| (batch.partition.partition, batch.before.next_offset);
        self.store.groups.lock().unwrap().iter().map(|group| group.batches.iter().map(of).collect()).collect()
    }

    /// What was published with each group so far: partition and end.
    fn published(&self) -> Vec<Vec<(u32, std::ops::Range<u64>)>> {
        let groups = self.store.groups.lock().unwrap();
        let of =
            |group: &CommitGroup| group.published.iter().map(|of| (of.partition.partition, of.seqs.clone())).collect();
        groups.iter().map(of).collect()
    }
}

/// Lets every task that can go on do so; no time passes.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn part(partition: u32) -> LanePartition {
    LanePartition { lane: Lane::Wallets, partition }
}

fn batch(partition: u32, offset: u64, rows: u64) -> CommitBatch {
    let before = Progress { epoch: 1, next_offset: offset, ..Progress::NONE };
    let row = |number: u64| {
        let changed = Arrival { position: part(partition).at(offset), time: LogTime(0) };
        let user_id = format!("user-{number}").parse().expect("a name");
        wallet::Row::Wallet(Wallet { user_id, balance: Balance::ZERO, entries: 0, changed })
    };
    CommitBatch {
        partition: part(partition),
        before,
        after: Progress { next_offset: offset + 1, ..before },
        changes: Changes::Wallets((0..rows).map(row).collect()),
        requests: Vec::new(),
        completions: Vec::new(),
        outbox: Vec::new(),
        dead_letters: Vec::new(),
        interventions: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn f60_batches_gather_while_a_statement_is_under_way() {
    let test = Test::new(done);
    let mut waiting = vec![test.hand_in(0, 0, 1).await];
    assert_eq!(test.groups(), [vec![(0, 0)]], "at rest one goes at once");
    for (partition, offset) in [(1, 0), (0, 1), (2, 0), (0, 2)] {
        waiting.push(test.hand_in(partition, offset, 1).await);
    }
    assert_eq!(test.groups().len(), 1);
    test.answer(1).await;
    assert_eq!(test.groups()[1], [(1, 0), (0, 1), (2, 0)], "one of each partition, in order");
    test.answer(2).await;
    assert_eq!(test.groups()[2..], [vec![(0, 2)]]);
    for waiting in waiting {
        assert!(waiting.await.expect("answered").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_goes_beside_the_others_and_before_those_that_follow_it() {
    let test = Test::new(done);
    let large = test.hand_in(0, 0, 5_001).await;
    let small = test.hand_in(1, 0, 1).await;
    assert_eq!(test.groups(), [vec![(0, 0)], vec![(1, 0)]], "both are under way");
    // Its own partition's next batch waits for it, whatever is free.
    let behind = test.hand_in(0, 1, 1).await;
    let other_large = test.hand_in(2, 0, 6_000).await;
    assert_eq!(test.groups().len(), 2);
    test.answer(4).await;
    assert_eq!(test.groups().len(), 4);
    for waiting in [large, small, behind, other_large] {
        assert!(waiting.await.expect("answered").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_stays_within_its_rows() {
    let test = Test::new(done);
    let first = test.hand_in(9, 0, 1).await;
    let mut waiting = vec![first];
    for partition in 0..5 {
        waiting.push(test.hand_in(partition, 0, 4_999).await);
    }
    test.answer(3).await;
    assert_eq!(test.groups().iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 1]);
    for waiting in waiting {
        assert!(waiting.await.expect("answered").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_group_goes_batch_by_batch_and_what_follows_a_refused_one_is_void() {
    let test = Test::new(|group| match group.batches.iter().any(|batch| batch.partition.partition == 1) {
        true => Err(StoreError::Failed("no".into())),
        false => done(group),
    });
    let first = test.hand_in(0, 0, 1).await;
    let (refused, beside) = (test.hand_in(1, 0, 1).await, test.hand_in(2, 0, 1).await);
    let behind = test.hand_in(1, 1, 1).await;
    test.answer(4).await;
    assert_eq!(test.groups(), [vec![(0, 0)], vec![(1, 0), (2, 0)], vec![(1, 0)], vec![(2, 0)]]);
    assert!(first.await.expect("answered").is_ok());
    assert!(beside.await.expect("answered").is_ok());
    let stopped = Stopped::NotTaken { timed_out: false, reason: "commit: no".into() };
    assert_eq!(refused.await.expect("answered"), Err(stopped));
    assert!(behind.await.is_err(), "never sent");
    test.answer(10).await;
    assert_eq!(test.groups().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_goes_with_the_next_batch_or_alone_after_a_second() {
    let test = Test::new(done);
    test.answer(100).await;
    test.committer.published(part(0), 1, 7);
    let waiting = test.hand_in(1, 0, 1).await;
    assert!(waiting.await.expect("answered").is_ok());
    let with_it = test.hand_in(0, 0, 1).await;
    assert!(with_it.await.expect("answered").is_ok());
    assert_eq!(test.published(), [vec![], vec![(0, 0..7)]], "with its own partition's batch");
    test.committer.published(part(0), 1, 9);
    test.committer.published(part(0), 1, 8);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(test.groups().len(), 2);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((test.groups()[2].len(), test.published()[2].clone()), (0, vec![(0, 7..9)]));
    // A new owner walks over its predecessor's once; the old one's word no longer counts.
    test.committer.published(part(0), 2, 10);
    test.committer.published(part(0), 1, 11);
    assert_eq!(test.committer.waiting(part(0), 2).map(|of| of.seqs), Some(0..10));
    assert_eq!(test.committer.waiting(part(0), 1), None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(test.committer.waiting(part(0), 2), None);
    assert_eq!(test.groups().len(), 4);
}
