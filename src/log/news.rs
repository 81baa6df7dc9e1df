//! Events that a member of the group has not taken yet. Sets instead of a queue: a member that never asks costs no more
//! than one that does, and a change undone by the next one is never reported.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::{GroupEvent, LanePartition};

#[derive(Default)]
pub(super) struct News {
    /// The first event after a join is an assignment, possibly empty.
    joined: bool,
    assigned: BTreeSet<LanePartition>,
    /// With the deadline of the release.
    revoked: BTreeMap<LanePartition, Instant>,
    lost: BTreeSet<LanePartition>,
    closed: Option<String>,
}

impl News {
    pub(super) fn joined(&mut self) {
        self.joined = true;
    }

    pub(super) fn assigned(&mut self, partition: LanePartition) {
        self.assigned.insert(partition);
    }

    /// False: the member had not taken the assignment yet, so the partition is free at once.
    pub(super) fn revoked(&mut self, partition: LanePartition, deadline: Instant) -> bool {
        let known = !self.assigned.remove(&partition);
        if known {
            self.revoked.insert(partition, deadline);
        }
        known
    }

    pub(super) fn lost(&mut self, partition: LanePartition) {
        self.revoked.remove(&partition);
        if !self.assigned.remove(&partition) {
            self.lost.insert(partition);
        }
    }

    pub(super) fn closed(&mut self, reason: String) {
        self.closed.get_or_insert(reason);
    }

    /// The next event. Losses come first: they end what an assignment would begin.
    pub(super) fn tell(&mut self, now: Instant) -> Option<GroupEvent> {
        if !self.lost.is_empty() {
            return Some(GroupEvent::Lost(std::mem::take(&mut self.lost).into_iter().collect()));
        }
        if let Some(reason) = &self.closed {
            return Some(GroupEvent::Closed(reason.clone()));
        }
        if let Some(until) = self.revoked.values().min().copied() {
            let partitions = std::mem::take(&mut self.revoked).into_keys().collect();
            return Some(GroupEvent::Revoked { partitions, deadline: until.saturating_duration_since(now) });
        }
        if std::mem::take(&mut self.joined) || !self.assigned.is_empty() {
            return Some(GroupEvent::Assigned(std::mem::take(&mut self.assigned).into_iter().collect()));
        }
        None
    }
}
