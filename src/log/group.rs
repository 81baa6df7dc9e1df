//! The workers' group of a log inside one process (memory, embedded): assigns lane partitions to members.
//!
//! Rebalances are cooperative and move as few partitions as possible: a partition is revoked from its owner first, and
//! assigned to the next one after its release or the deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::news::News;
use super::{GroupEvent, LanePartition, Membership, PartitionCounts, PartitionReader, ReadError, Topic};
use crate::domain::Lane;

/// Time an owner has to release a revoked partition before it is assigned to another member.
pub(crate) const DRAIN: Duration = Duration::from_secs(3);

/// Opens readers for a member's partitions.
pub(crate) trait Source: Send + Sync + 'static {
    fn open(self: &Arc<Self>, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError>;
}

pub(crate) struct Group {
    state: Mutex<State>,
    /// Marked changed whenever a member may have an event.
    changed: watch::Sender<()>,
    drain: Duration,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// In order of joining.
    members: BTreeMap<u64, Member>,
    /// Partitions without an owner.
    free: BTreeSet<LanePartition>,
}

#[derive(Default)]
struct Member {
    name: String,
    /// False from the end of its session to its next call, which rejoins.
    present: bool,
    owned: BTreeSet<LanePartition>,
    /// Revoked but not released yet, with the deadline.
    leaving: BTreeMap<LanePartition, Instant>,
    news: News,
}

impl Member {
    fn join(&mut self) {
        self.present = true;
        self.news.joined();
    }
}

impl Group {
    pub(crate) fn new(counts: &PartitionCounts, drain: Duration) -> Arc<Self> {
        let free = Lane::ALL
            .into_iter()
            .flat_map(|lane| (0..counts.of(Topic::Lane(lane))).map(move |partition| LanePartition { lane, partition }))
            .collect();
        let state = State { free, ..State::default() };
        Arc::new(Group { state: Mutex::new(state), changed: watch::Sender::new(()), drain })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the group, rebalances, and wakes waiting members.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        state.rebalance(Instant::now() + self.drain);
        drop(state);
        self.changed.send_replace(());
        result
    }

    pub(crate) fn join<S: Source>(self: &Arc<Self>, name: &str, source: Arc<S>) -> GroupMember<S> {
        let id = self.change(|state| {
            let id = state.next_id;
            state.next_id += 1;
            let member = state.members.entry(id).or_default();
            member.name = name.to_owned();
            member.join();
            id
        });
        GroupMember { group: Arc::clone(self), id, source }
    }

    /// Ends the sessions of all members with this name, as if their heartbeats had stopped: others get their partitions
    /// at once, and they learn of it at their next call.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn expire(&self, name: &str) {
        self.change(|state| {
            for member in state.members.values_mut().filter(|member| member.name == name && member.present) {
                member.present = false;
                let owned = std::mem::take(&mut member.owned);
                let leaving = std::mem::take(&mut member.leaving).into_keys();
                for partition in owned.into_iter().chain(leaving) {
                    member.news.lost(partition);
                    state.free.insert(partition);
                }
            }
        });
    }

    async fn event(&self, id: u64) -> GroupEvent {
        loop {
            let mut changed = self.changed.subscribe();
            let deadline = {
                let now = Instant::now();
                let mut state = self.lock();
                if state.take_overdue(now) {
                    state.rebalance(now + self.drain);
                    self.changed.send_replace(());
                    changed.mark_unchanged();
                }
                match state.tell(id, now, self.drain) {
                    Some(event) => {
                        // A loss may have made this member rejoin, which concerns the others.
                        drop(state);
                        self.changed.send_replace(());
                        return event;
                    }
                    None => state.members.values().flat_map(|member| member.leaving.values()).min().copied(),
                }
            };
            match deadline {
                // The sender lives as long as self, so `changed` cannot fail here.
                Some(deadline) => tokio::select! {
                    _ = changed.changed() => {}
                    () = sleep_until(deadline) => {}
                },
                None => drop(changed.changed().await),
            }
        }
    }
}

impl State {
    /// Frees partitions whose release is overdue.
    fn take_overdue(&mut self, now: Instant) -> bool {
        let mut freed = BTreeSet::new();
        for member in self.members.values_mut() {
            let overdue: Vec<_> = member.leaving.iter().filter(|(_, until)| **until <= now).map(|(p, _)| *p).collect();
            for partition in overdue {
                member.leaving.remove(&partition);
                member.news.lost(partition);
                freed.insert(partition);
            }
        }
        let any = !freed.is_empty();
        self.free.extend(freed);
        any
    }

    /// Members keep their partitions up to their share; free ones go to the member with the fewest.
    fn rebalance(&mut self, deadline: Instant) {
        let mut present: Vec<(usize, u64)> = Vec::new();
        let mut total = self.free.len();
        for (id, member) in &self.members {
            total += member.owned.len() + member.leaving.len();
            if member.present {
                present.push((member.owned.len(), *id));
            }
        }
        if present.is_empty() {
            return;
        }
        // The larger shares go to the members with most partitions, so that nothing moves without need.
        present.sort_by_key(|(owned, id)| (std::cmp::Reverse(*owned), *id));
        let (share, rest) = (total / present.len(), total % present.len());
        for (rank, (_, id)) in present.iter().enumerate() {
            let quota = share + usize::from(rank < rest);
            let Some(member) = self.members.get_mut(id) else { continue };
            while member.owned.len() > quota {
                let Some(partition) = member.owned.pop_last() else { break };
                if member.news.revoked(partition, deadline) {
                    member.leaving.insert(partition, deadline);
                } else {
                    self.free.insert(partition);
                }
            }
        }
        while let Some(partition) = self.free.pop_first() {
            // Fewest in all, then fewest of this lane, so that each lane is spread as well.
            let poorest = self.members.values_mut().filter(|member| member.present).min_by_key(|member| {
                (member.owned.len(), member.owned.iter().filter(|p| p.lane == partition.lane).count())
            });
            let Some(member) = poorest else { break };
            member.owned.insert(partition);
            member.news.assigned(partition);
        }
    }

    /// The next event of this member.
    fn tell(&mut self, id: u64, now: Instant, drain: Duration) -> Option<GroupEvent> {
        let Some(member) = self.members.get_mut(&id) else {
            return Some(GroupEvent::Closed("the member has left the group".to_owned()));
        };
        let event = member.news.tell(now);
        if event.is_some() || member.present {
            return event;
        }
        member.join();
        self.rebalance(now + drain);
        self.members.get_mut(&id).and_then(|member| member.news.tell(now))
    }

    /// Removes a member; its partitions are free at once.
    fn remove(&mut self, id: u64) {
        if let Some(member) = self.members.remove(&id) {
            self.free.extend(member.owned);
            self.free.extend(member.leaving.into_keys());
        }
    }
}

/// A member; dropping it leaves the group.
pub(crate) struct GroupMember<S: Source> {
    group: Arc<Group>,
    id: u64,
    source: Arc<S>,
}

impl<S: Source> Drop for GroupMember<S> {
    fn drop(&mut self) {
        self.group.change(|state| state.remove(self.id));
    }
}

#[async_trait]
impl<S: Source> Membership for GroupMember<S> {
    async fn event(&self) -> GroupEvent {
        self.group.event(self.id).await
    }

    async fn open(&self, partition: LanePartition, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        let mine = self.group.lock().members.get(&self.id).is_some_and(|member| member.owned.contains(&partition));
        if !mine {
            return Err(ReadError::Unavailable(format!("{partition} is not assigned to this member")));
        }
        self.source.open(Topic::Lane(partition.lane), partition.partition, start)
    }

    fn release(&self, partition: LanePartition) {
        self.group.change(|state| {
            let released = state.members.get_mut(&self.id).and_then(|member| member.leaving.remove(&partition));
            if released.is_some() {
                state.free.insert(partition);
            }
        });
    }

    /// No dashboard reads the lag of a log inside the process: its end offsets are metrics.
    fn report(&self, _partition: LanePartition, _next_offset: u64) {}

    async fn leave(&self) {
        self.group.change(|state| state.remove(self.id));
    }
}
