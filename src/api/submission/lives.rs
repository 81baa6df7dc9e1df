//! When what happened to the latest requests, as this process saw it. The log and the store know the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{LogTime, Position, RequestId};
use crate::log::Record;
use crate::runtime::clock::Clock;
use crate::wire::headers;

/// Requests that are remembered; the oldest go first.
const LIVES_MAX: usize = 20_000;

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

/// The latest requests that were received here, or whose outcomes were seen.
pub struct Lives {
    clock: Clock,
    ring: Mutex<Ring>,
    lives_max: usize,
}

#[derive(Default)]
struct Ring {
    by_request: HashMap<RequestId, Moments>,
    order: VecDeque<RequestId>,
}

impl Lives {
    pub fn new(clock: Clock) -> Self {
        Lives { clock, ring: Mutex::default(), lives_max: LIVES_MAX }
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
    pub fn published(&self, record: &Record) {
        let Some(request) = headers::request_id_of(&record.headers) else { return };
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
        self.lock().by_request.get(&request).copied().unwrap_or_default()
    }

    fn note(&self, request: RequestId, what: impl FnOnce(&mut Moments)) {
        let mut ring = self.lock();
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

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
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
        let id = |number| RequestId(Uuid::from_u128(number));
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
