//! The workers' consumer group, with spontaneous rebalances, sessions that end, and members that learn of it late.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use turnstile::log::{GroupEvent, LanePartition, Membership, PartitionCounts, PartitionReader, ReadError, Topic};
use turnstile::store::lane_partitions;

use crate::log::SimLog;
use crate::sim::Sim;

/// A member's partitions are reassigned after this long without a heartbeat.
const SESSION_MS: u64 = 6_000;
const DRAIN_MS: u64 = 3_000;
/// How long a member may continue without knowing that its session ended.
const UNAWARE_MS_MAX: u64 = 12_000;

enum Event {
    Assigned(LanePartition),
    Revoked(LanePartition, Instant),
    Lost(Vec<LanePartition>),
}

#[derive(Default)]
struct Member {
    /// False from the end of its session until it learns of it.
    present: bool,
    pending: VecDeque<(Instant, Event)>,
    owned: BTreeSet<LanePartition>,
    /// Being revoked: to be released by then.
    leaving: BTreeMap<LanePartition, Instant>,
    /// Its process has ended: its session ends then.
    gone: Option<Instant>,
}

#[derive(Default)]
struct State {
    members: BTreeMap<u64, Member>,
    next_id: u64,
    free: BTreeSet<LanePartition>,
}

pub struct SimGroup {
    sim: Arc<Sim>,
    state: Mutex<State>,
    changed: Notify,
}

impl SimGroup {
    pub fn new(sim: Arc<Sim>, counts: &PartitionCounts) -> Arc<SimGroup> {
        let state = State { free: lane_partitions(counts).collect(), ..State::default() };
        Arc::new(SimGroup { sim, state: Mutex::new(state), changed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends sessions and overdue revocations, for the whole run.
    pub async fn coordinate(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            let due = self.overdue();
            match due {
                Some(due) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Ends what is overdue; returns the next deadline.
    fn overdue(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let gone: Vec<u64> =
            state.members.iter().filter(|(_, m)| m.gone.is_some_and(|at| at <= now)).map(|(id, _)| *id).collect();
        let mut changed = !gone.is_empty();
        for id in gone {
            if let Some(member) = state.members.remove(&id) {
                state.free.extend(member.owned.into_iter().chain(member.leaving.into_keys()));
            }
        }
        let mut freed = Vec::new();
        for member in state.members.values_mut() {
            let late = member.leaving.iter().filter(|(_, until)| **until <= now);
            let late: Vec<LanePartition> = late.map(|(partition, _)| *partition).collect();
            for partition in late {
                member.leaving.remove(&partition);
                self.notify(member, Event::Lost(vec![partition]), 0);
                freed.push(partition);
            }
        }
        changed |= !freed.is_empty();
        state.free.extend(freed);
        if changed {
            self.assign_free(&mut state);
            drop(state);
            self.changed.notify_waiters();
            state = self.lock();
        }
        let leaving = state.members.values().flat_map(|member| member.leaving.values().copied());
        let gone = state.members.values().filter_map(|member| member.gone);
        leaving.chain(gone).min()
    }

    fn notify(&self, member: &mut Member, event: Event, late_ms_max: u64) {
        let late = if self.sim.faulty() { self.sim.below(late_ms_max + 1) } else { 0 };
        let at = Instant::now() + self.sim.delay() + Duration::from_millis(late);
        // In order: no member learns of a loss before the assignment that it ends.
        let at = member.pending.back().map_or(at, |(last, _)| at.max(*last));
        member.pending.push_back((at, event));
    }

    /// Assigns free partitions to the members that have fewest.
    fn assign_free(&self, state: &mut State) {
        while let Some(partition) = state.free.first().copied() {
            let fewest = state
                .members
                .iter_mut()
                .filter(|(_, m)| m.present && m.gone.is_none())
                .min_by_key(|(id, m)| (m.owned.len(), **id));
            let Some((id, member)) = fewest else { return };
            self.sim.note("assigned", [*id, partition.lane as u64, partition.partition.into()]);
            member.owned.insert(partition);
            self.notify(member, Event::Assigned(partition), 200);
            state.free.remove(&partition);
        }
    }

    /// Asks a member to release a partition.
    fn revoke(&self, state: &mut State, id: u64, partition: LanePartition) {
        let Some(member) = state.members.get_mut(&id) else { return };
        if !member.owned.remove(&partition) {
            return;
        }
        self.sim.note("revoked", [id, partition.lane as u64, partition.partition.into()]);
        let until = Instant::now() + Duration::from_millis(DRAIN_MS);
        member.leaving.insert(partition, until);
        self.notify(member, Event::Revoked(partition, until), 500);
    }

    /// Revokes what members own above their share.
    fn rebalance(&self, state: &mut State) {
        let present: Vec<u64> =
            state.members.iter().filter(|(_, m)| m.present && m.gone.is_none()).map(|(id, _)| *id).collect();
        let total: usize = state.free.len() + state.members.values().map(|m| m.owned.len()).sum::<usize>();
        let quota = total.div_ceil(present.len().max(1));
        for id in present {
            let over: Vec<LanePartition> = state.members[&id].owned.iter().skip(quota).copied().collect();
            over.into_iter().for_each(|partition| self.revoke(state, id, partition));
        }
        self.assign_free(state);
    }

    pub fn join(self: &Arc<Self>, log: Arc<SimLog>) -> SimMember {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        self.sim.note("joined", [id, 0, 0]);
        state.members.insert(id, Member { present: true, ..Member::default() });
        self.rebalance(&mut state);
        drop(state);
        self.changed.notify_waiters();
        SimMember { group: Arc::clone(self), id, log }
    }

    /// A spontaneous rebalance: about half of all partitions change owners.
    pub fn storm(&self) {
        let mut state = self.lock();
        let owned: Vec<(u64, LanePartition)> =
            state.members.iter().flat_map(|(id, m)| m.owned.iter().map(|p| (*id, *p))).collect();
        for (id, partition) in owned {
            if self.sim.below(2) == 0 {
                self.revoke(&mut state, id, partition);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ends some member's session. The member continues until it learns of it.
    pub fn expire_one(&self) {
        let mut state = self.lock();
        let present: Vec<u64> = state.members.iter().filter(|(_, m)| m.present).map(|(id, _)| *id).collect();
        let Some(id) = self.sim.prng().pick(&present).copied() else { return };
        let Some(member) = state.members.get_mut(&id) else { return };
        self.sim.note("session expired", [id, 0, 0]);
        member.present = false;
        let mut had = std::mem::take(&mut member.owned);
        had.extend(std::mem::take(&mut member.leaving).into_keys());
        self.notify(member, Event::Lost(had.iter().copied().collect()), UNAWARE_MS_MAX);
        state.free.extend(had);
        self.assign_free(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    fn remove(&self, id: u64) {
        let mut state = self.lock();
        if let Some(member) = state.members.remove(&id) {
            state.free.extend(member.owned.into_iter().chain(member.leaving.into_keys()));
            self.assign_free(&mut state);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

pub struct SimMember {
    group: Arc<SimGroup>,
    id: u64,
    log: Arc<SimLog>,
}

impl SimMember {
    /// The next event that is due, or the time of the first one that is not.
    fn next(&self) -> Result<Option<GroupEvent>, Instant> {
        let now = Instant::now();
        let mut state = self.group.lock();
        let Some(member) = state.members.get_mut(&self.id) else {
            return Ok(Some(GroupEvent::Closed("not a member any more".to_owned())));
        };
        match member.pending.front() {
            None => return Ok(None),
            Some((at, _)) if *at > now => return Err(*at),
            Some(_) => {}
        }
        let Some((_, event)) = member.pending.pop_front() else { return Ok(None) };
        Ok(Some(match event {
            Event::Assigned(partition) => GroupEvent::Assigned(vec![partition]),
            Event::Revoked(partition, until) => {
                let deadline = until.saturating_duration_since(now);
                GroupEvent::Revoked { partitions: vec![partition], deadline }
            }
            Event::Lost(partitions) => {
                if !member.present {
                    member.present = true;
                    self.group.rebalance(&mut state);
                    drop(state);
                    self.group.changed.notify_waiters();
                }
                GroupEvent::Lost(partitions)
            }
        }))
    }
}

#[async_trait]
impl Membership for SimMember {
    async fn event(&self) -> GroupEvent {
        loop {
            let changed = self.group.changed.notified();
            match self.next() {
                Ok(Some(event)) => return event,
                Ok(None) => changed.await,
                Err(at) => tokio::select! {
                    biased;
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
            }
        }
    }

    async fn open(&self, partition: LanePartition, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.group.sim.called();
        tokio::time::sleep(self.group.sim.delay()).await;
        let mine = self.group.lock().members.get(&self.id).is_some_and(|member| member.owned.contains(&partition));
        if !mine {
            return Err(ReadError::Unavailable(format!("{partition} is not assigned to this member")));
        }
        self.log.open(Topic::Lane(partition.lane), partition.partition, start)
    }

    fn release(&self, partition: LanePartition) {
        let mut state = self.group.lock();
        let released = state.members.get_mut(&self.id).and_then(|member| member.leaving.remove(&partition));
        if released.is_some() {
            state.free.insert(partition);
            self.group.assign_free(&mut state);
        }
        drop(state);
        self.group.changed.notify_waiters();
    }

    fn report(&self, _partition: LanePartition, _next_offset: u64) {}

    async fn leave(&self) {
        self.group.remove(self.id);
    }
}

impl Drop for SimMember {
    /// Without leaving first: the process has ended, and its session ends later.
    fn drop(&mut self) {
        if let Some(member) = self.group.lock().members.get_mut(&self.id) {
            member.gone = Some(Instant::now() + Duration::from_millis(SESSION_MS));
        }
        self.group.changed.notify_waiters();
    }
}
