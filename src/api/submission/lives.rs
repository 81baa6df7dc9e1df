//! When what happened to the latest requests, as this process saw it. The log and the store know the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{LogTime, Position, RequestId};
use crate::log::Record;
use crate::runtime::clock::Clock;
use crate::wire::headers;

/// Requests that are remembered; of each ring the oldest go first.
const LIVES_MAX: usize = 20_000;
/// A request belongs to one of so many rings, so that requests that are answered side by side seldom wait for each other.
const RINGS: usize = 16;

/// What this process saw of a request; none of it is certain to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// By this process's clock, as all but `published`.
    pub received: Option<LogTime>,
    /// Where the log acknowledged it.
    pub position: Option<Position>,
    /// The owner had its outcome committed, by the owner's clock.
    pub committed: Option<LogTime>,
    /// By the log.
    pub published: Option<LogTime>,
    /// With its outcome.
    pub answered: Option<LogTime>,
}

/// The latest requests that were received here. Outcomes that nobody here waits for are not noted: the log has them.
pub struct Lives {
    clock: Clock,
    rings: [Mutex<Ring>; RINGS],
    /// Of each ring.
    lives_max: usize,
}

#[derive(Default)]
struct Ring {
    by_request: HashMap<RequestId, Moments>,
    order: VecDeque<RequestId>,
}

impl Lives {
    pub fn new(clock: Clock) -> Self {
        Lives { clock, rings: Default::default(), lives_max: LIVES_MAX / RINGS }
    }

    pub fn now(&self) -> LogTime {
        self.clock.now()
    }

    /// The log has it.
    pub fn appended(&self, request: RequestId, received: LogTime, position: Position) {
        self.note(request, |moments| {
            moments.received.get_or_insert(received);
            moments.position.get_or_insert(position);
        });
    }

    /// Its outcome was read from the log.
    pub fn published(&self, request: RequestId, record: &Record) {
        let (committed, published) = (headers::committed_of(&record.headers), LogTime(record.timestamp.millis()));
        self.note(request, |moments| {
            moments.committed = committed;
            moments.published = Some(published);
        });
    }

    /// Its outcome is on the way to the client.
    pub fn answered(&self, request: RequestId) {
        let now = self.clock.now();
        self.note(request, |moments| moments.answered = moments.answered.or(Some(now)));
    }

    pub fn of(&self, request: RequestId) -> Moments {
        self.lock(request).by_request.get(&request).copied().unwrap_or_default()
    }

    fn note(&self, request: RequestId, what: impl FnOnce(&mut Moments)) {
        let mut ring = self.lock(request);
        if !ring.by_request.contains_key(&request) {
            if ring.order.len() >= self.lives_max
                && let Some(oldest) = ring.order.pop_front()
            {
                ring.by_request.remove(&oldest);
            }
            ring.order.push_back(request);
        }
        what(ring.by_request.entry(request).or_default());
    }

    fn lock(&self, request: RequestId) -> MutexGuard<'_, Ring> {
        // The last bits of an id of any version are random, or derived by hashing.
        let ring = request.0.as_bytes()[15] as usize % RINGS;
        self.rings[ring].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Lane;

    #[test]
    fn the_latest_are_remembered_with_what_came_first() {
        let lives = Lives { lives_max: 2, ..Lives::new(Clock::System) };
        // Of one ring.
        let id = |number: u128| RequestId(Uuid::from_u128(number * RINGS as u128));
        let position = Position::new(Lane::Seats, 0, 1);
        lives.appended(id(1), LogTime(5), position);
        lives.appended(id(1), LogTime(6), Position::new(Lane::Seats, 0, 2));
        assert_eq!(
            lives.of(id(1)),
            Moments { received: Some(LogTime(5)), position: Some(position), ..Moments::default() }
        );
        lives.answered(id(2));
        lives.answered(id(3));
        assert_eq!(lives.of(id(1)), Moments::default());
        assert!(lives.of(id(2)).answered.is_some() && lives.of(id(3)).answered.is_some());
    }
}
