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
    /// The member's, as far as is known: the group does not answer.
    in_doubt: BTreeSet<LanePartition>,
    closed: Option<String>,
}

impl News {
    pub(super) fn joined(&mut self) {
        self.joined = true;
    }

    pub(super) fn assigned(&mut self, partition: LanePartition) {
        // One in doubt was kept.
        if !self.in_doubt.remove(&partition) {
            self.assigned.insert(partition);
        }
    }

    /// The group does not answer: until it does, the member keeps what nobody takes from it.
    pub(super) fn doubted(&mut self, partition: LanePartition) {
        self.in_doubt.insert(partition);
    }

    /// The group has answered: what it did not assign again is lost. Returns it.
    pub(super) fn settled(&mut self) -> BTreeSet<LanePartition> {
        let lost = std::mem::take(&mut self.in_doubt);
        lost.iter().for_each(|partition| self.lost(*partition));
        lost
    }

    /// Another owner has it. True: it was in doubt, and is lost.
    pub(super) fn fenced(&mut self, partition: LanePartition) -> bool {
        let doubted = self.in_doubt.remove(&partition);
        if doubted {
            self.lost(partition);
        }
        doubted
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    fn all() -> [LanePartition; 3] {
        [0, 1, 2].map(|partition| LanePartition { lane: Lane::Seats, partition })
    }

    /// Of a member that has taken all partitions, and whose group is silent since.
    fn in_doubt() -> News {
        let mut news = News::default();
        all().into_iter().for_each(|partition| news.assigned(partition));
        assert!(matches!(news.tell(Instant::now()), Some(GroupEvent::Assigned(taken)) if taken == all()));
        all().into_iter().for_each(|partition| news.doubted(partition));
        assert!(news.tell(Instant::now()).is_none(), "they are kept");
        news
    }

    fn lost(news: &mut News) -> Vec<LanePartition> {
        match news.tell(Instant::now()) {
            Some(GroupEvent::Lost(partitions)) => partitions,
            None => Vec::new(),
            Some(event) => panic!("{event:?}"),
        }
    }

    #[tokio::test]
    async fn what_the_group_assigns_again_goes_on_and_the_rest_is_lost() {
        let (mut news, [first, second, third]) = (in_doubt(), all());
        news.assigned(second);
        assert_eq!(news.settled(), BTreeSet::from([first, third]));
        assert_eq!(lost(&mut news), [first, third]);
        assert!(news.tell(Instant::now()).is_none(), "the second was never let go");
    }

    #[tokio::test]
    async fn what_another_owner_has_is_lost_at_once_if_it_is_in_doubt() {
        let (mut news, [first, second, third]) = (in_doubt(), all());
        assert!(news.fenced(first));
        assert_eq!(lost(&mut news), [first]);
        [second, third].into_iter().for_each(|partition| news.assigned(partition));
        assert!(!news.fenced(second), "the group says whose it is");
        assert_eq!(lost(&mut news), []);
    }
}
