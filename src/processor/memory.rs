//! The aggregates of one partition in memory: a bounded cache that the single writer may trust until it is fenced.
//!
//! Changes are applied in place as commands are decided, before they are committed: nobody but the owner sees them,
//! and an owner whose commit fails drops the whole memory. A staged copy would cost a clone of each touched aggregate
//! a batch (11 MB for a queue of 110,000).

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::domain::queue::{self, QueueState};
use crate::domain::section::{self, Section};
use crate::domain::wallet::{self, Wallet};
use crate::domain::{
    Arrival, Change, Command, Decision, LogTime, RequestId, ReservationId, RoutingKey, ScheduleId, SectionName, UserId,
};
use crate::log::LanePartition;
use crate::store::{AggregateLoads, RequestRow, StoreError};

/// One aggregate; `None` inside: it does not exist yet, which only this owner can change.
enum Aggregate {
    Section(Option<Section>),
    Wallet(Option<Wallet>),
    Queue(Option<QueueState>),
}

impl Aggregate {
    /// Rows of state, for the cache's bound. Live reservations are not counted: each has a seat that is.
    fn rows(&self) -> usize {
        match self {
            Aggregate::Section(section) => 1 + section.as_ref().map_or(0, |s| s.seats.len()),
            Aggregate::Wallet(_) => 1,
            Aggregate::Queue(queue) => {
                1 + queue.as_ref().map_or(0, |q| usize::try_from(q.row.waiting + q.row.active).unwrap_or(usize::MAX))
            }
        }
    }
}

struct Cached {
    aggregate: Aggregate,
    /// The last batch that used it.
    batch: u64,
}

/// What this partition knows of a request: enough to recognise a repeat.
#[derive(Debug, Clone, Copy)]
struct Known {
    fingerprint: u64,
    batch: u64,
}

/// A command's relation to the requests seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    /// The same command again.
    Repeat,
    /// Another command under the same id.
    Reused,
}

pub(super) struct Memory {
    partition: LanePartition,
    aggregates: HashMap<RoutingKey, Cached>,
    /// Requests of batches that are not committed yet, and of the batch being decided.
    requests: HashMap<RequestId, Known>,
    /// Sections that remember ended reservations, to be forgotten once everything is committed.
    remembering: BTreeSet<RoutingKey>,
    rows: usize,
    rows_max: usize,
    /// The batch being decided.
    batch: u64,
}

impl Memory {
    pub fn new(partition: LanePartition, rows_max: usize) -> Self {
        Memory {
            partition,
            aggregates: HashMap::new(),
            requests: HashMap::new(),
            remembering: BTreeSet::new(),
            rows: 0,
            rows_max,
            batch: 0,
        }
    }

    /// Begins the next batch; returns its number.
    pub fn begin(&mut self) -> u64 {
        self.batch += 1;
        self.batch
    }

    /// Loads what these commands need: all reads of a batch, at most one statement of a kind.
    pub async fn prefetch(&mut self, store: &dyn AggregateLoads, commands: &[&Command]) -> Result<(), StoreError> {
        self.load_aggregates(store, commands).await?;
        self.load_ended_reservations(store, commands).await?;
        self.load_requests(store, commands).await
    }

    async fn load_aggregates(&mut self, store: &dyn AggregateLoads, commands: &[&Command]) -> Result<(), StoreError> {
        let keys: BTreeSet<RoutingKey> = commands.iter().map(|command| command.body.routing_key()).collect();
        let mut sections: Vec<(ScheduleId, SectionName)> = Vec::new();
        let mut wallets: Vec<UserId> = Vec::new();
        let mut queues: Vec<ScheduleId> = Vec::new();
        for key in keys {
            if let Some(cached) = self.aggregates.get_mut(&key) {
                cached.batch = self.batch;
                continue;
            }
            match key {
                RoutingKey::Section(schedule, section) => sections.push((schedule, section)),
                RoutingKey::Wallet(user) => wallets.push(user),
                RoutingKey::Queue(schedule) => queues.push(schedule),
            }
        }
        if !sections.is_empty() {
            let mut found: HashMap<_, _> = store.load_sections(&sections).await?.into_iter().map(by_key).collect();
            for (schedule, name) in sections {
                let key = RoutingKey::Section(schedule, name);
                let section = found.remove(&key);
                self.insert(key, Aggregate::Section(section));
            }
        }
        if !wallets.is_empty() {
            let loaded = store.load_wallets(&wallets).await?;
            let mut found: HashMap<UserId, Wallet> = loaded.into_iter().map(|w| (w.user_id.clone(), w)).collect();
            for user in wallets {
                let wallet = found.remove(&user);
                self.insert(RoutingKey::Wallet(user), Aggregate::Wallet(wallet));
            }
        }
        for schedule in queues {
            let loaded = store.load_queue(schedule).await?;
            let state = loaded.map(|(row, live)| QueueState::load(row, live));
            self.insert(RoutingKey::Queue(schedule), Aggregate::Queue(state));
        }
        Ok(())
    }

    /// Reservations that a command names and that are over: a section keeps only its live ones.
    async fn load_ended_reservations(
        &mut self,
        store: &dyn AggregateLoads,
        commands: &[&Command],
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<ReservationId> = Vec::new();
        for command in commands {
            let Some(id) = Section::names(&command.body) else { continue };
            if let Some(section) = self.section_mut(&command.body.routing_key())
                && !section.knows(id)
            {
                wanted.push(id);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_unstable();
        wanted.dedup();
        for reservation in store.load_reservations(&wanted).await? {
            let key = RoutingKey::Section(reservation.schedule_id, reservation.section.clone());
            if let Some(section) = self.section_mut(&key) {
                section.remember(reservation);
                self.remembering.insert(key);
            }
        }
        Ok(())
    }

    async fn load_requests(&mut self, store: &dyn AggregateLoads, commands: &[&Command]) -> Result<(), StoreError> {
        let ids: HashSet<RequestId> =
            commands.iter().map(|c| c.request_id).filter(|id| !self.requests.contains_key(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<RequestId> = ids.into_iter().collect();
        ids.sort_unstable();
        for RequestRow { request_id, fingerprint, .. } in store.load_requests(self.partition, &ids).await? {
            self.requests.insert(request_id, Known { fingerprint, batch: self.batch });
        }
        Ok(())
    }

    /// Whether the command was seen before; remembers it if not.
    pub fn recognise(&mut self, id: RequestId, fingerprint: u64) -> Seen {
        match self.requests.get(&id) {
            Some(known) if known.fingerprint == fingerprint => Seen::Repeat,
            Some(_) => Seen::Reused,
            None => {
                self.requests.insert(id, Known { fingerprint, batch: self.batch });
                Seen::New
            }
        }
    }

    /// Decides a prefetched command and applies its changes. The second value is the change of the state hash.
    pub fn decide(&mut self, key: &RoutingKey, command: &Command, at: &Arrival) -> (Decision, u64) {
        let cached = self.aggregates.get_mut(key).expect("prefetched before it is decided");
        let before = cached.aggregate.rows();
        let mut hash = 0;
        let mut apply_all = |decision: &Decision, apply: &mut dyn FnMut(&Change) -> u64| {
            hash = decision.changes.iter().fold(0, |hash, change| hash ^ apply(change));
        };
        let decision = match &mut cached.aggregate {
            Aggregate::Section(state) => {
                let decision = section::decide(state.as_ref(), command, at);
                apply_all(&decision, &mut |change| section::apply(state, change));
                if state.as_ref().is_some_and(|section| section.ended_count() > 0) {
                    self.remembering.insert(key.clone());
                }
                decision
            }
            Aggregate::Wallet(state) => {
                let decision = wallet::decide(state.as_ref(), command, at);
                apply_all(&decision, &mut |change| wallet::apply(state, change));
                decision
            }
            Aggregate::Queue(state) => {
                let decision = queue::decide(state.as_ref(), command, at);
                apply_all(&decision, &mut |change| queue::apply(state, change));
                decision
            }
        };
        self.rows = self.rows + cached.aggregate.rows() - before;
        (decision, hash)
    }

    /// When the aggregate next has something due.
    pub fn next_due(&self, key: &RoutingKey) -> Option<LogTime> {
        match &self.aggregates.get(key)?.aggregate {
            Aggregate::Section(section) => section.as_ref()?.next_expiry(),
            Aggregate::Queue(queue) => queue.as_ref()?.next_due(),
            Aggregate::Wallet(_) => None,
        }
    }

    /// Batches up to this one, so all records before `next_offset`, are committed: what only they needed may go. To
    /// be called between batches, never between a prefetch and its decisions.
    pub fn committed(&mut self, batch: u64, next_offset: u64) {
        self.requests.retain(|_, known| known.batch > batch);
        for key in std::mem::take(&mut self.remembering) {
            if let Some(section) = self.section_mut(&key) {
                section.forget_ended(next_offset);
                if section.ended_count() > 0 {
                    self.remembering.insert(key);
                }
            }
        }
        if self.rows > self.rows_max {
            self.evict(batch);
        }
    }

    /// Drops the least recently used aggregates, never one that an uncommitted batch has used, down to three quarters
    /// of the bound.
    fn evict(&mut self, committed: u64) {
        let mut idle: Vec<(u64, RoutingKey)> = self
            .aggregates
            .iter()
            .filter(|(_, cached)| cached.batch <= committed)
            .map(|(key, cached)| (cached.batch, key.clone()))
            .collect();
        idle.sort_unstable();
        for (_, key) in idle {
            if self.rows <= self.rows_max / 4 * 3 {
                break;
            }
            if let Some(cached) = self.aggregates.remove(&key) {
                self.rows -= cached.aggregate.rows();
            }
        }
    }

    fn insert(&mut self, key: RoutingKey, aggregate: Aggregate) {
        self.rows += aggregate.rows();
        self.aggregates.insert(key, Cached { aggregate, batch: self.batch });
    }

    fn section_mut(&mut self, key: &RoutingKey) -> Option<&mut Section> {
        match &mut self.aggregates.get_mut(key)?.aggregate {
            Aggregate::Section(section) => section.as_mut(),
            _ => None,
        }
    }
}

fn by_key(section: Section) -> (RoutingKey, Section) {
    (RoutingKey::Section(section.row.schedule_id, section.row.name.clone()), section)
}
