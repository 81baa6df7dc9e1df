//! Requests after they were sent: where one stands, and waiting for its decision.

use std::time::Duration;

use tokio::time::Instant;

use super::stored::{Request, Stored};
use super::submit::Submission;
use super::waiters::{Decision, Waiter};
use crate::api::http::problem::{Kind, Problem};
use crate::domain::{Position, RequestId};
use crate::log::Topic;

/// While the feed of outcomes is interrupted, the store is asked this often instead.
const POLL_WITHOUT_FEED: Duration = Duration::from_millis(500);

/// Where a request stands that the store may not know yet.
pub enum Place {
    Known(Request),
    /// On the log, with this many records of its partition before it.
    Ahead(u64),
    Unknown,
}

impl Submission {
    /// What the store says of a client's request.
    pub async fn stored(&self, request_id: RequestId) -> Result<Option<Stored>, Problem> {
        self.sources.lookups.request(request_id).await?.map(Stored::of).transpose()
    }

    /// Where a request stands. `position`: where the log is said to have it.
    pub async fn place(&self, request_id: RequestId, position: Option<Position>) -> Result<Place, Problem> {
        match (self.stored(request_id).await?, position) {
            (Some(stored), _) => Ok(Place::Known(stored.request)),
            (None, Some(position)) => self.undecided(request_id, position).await,
            (None, None) => Ok(Place::Unknown),
        }
    }

    async fn undecided(&self, request_id: RequestId, position: Position) -> Result<Place, Problem> {
        let place = position.partition;
        let topic = Topic::Lane(place.lane);
        if place.partition >= self.sources.log.partitions().of(topic) {
            return Err(Problem::new(Kind::InvalidRequest, "?position= names a partition that does not exist"));
        }
        let next = self.sources.lag.next_offset(place).await?;
        if position.offset < next {
            // Decided between the two reads, or never a request.
            return Ok(self.stored(request_id).await?.map_or(Place::Unknown, |stored| Place::Known(stored.request)));
        }
        let reached = position.offset < self.sources.lag.known_end(place) || self.sources.ends.reach(position).await?;
        Ok(if reached { Place::Ahead(position.offset - next) } else { Place::Unknown })
    }

    /// Waits for a request from now on, whichever command it is; `None` when there are too many waits.
    pub fn watch(&self, request_id: RequestId) -> Option<Waiter> {
        self.sources.waiters.register(request_id, None)
    }

    /// Waits until the request is decided, the time is over or the process shuts down; then reads the store once more.
    pub async fn decision(&self, request_id: RequestId, mut waiter: Waiter, within: Duration) -> Option<Decision> {
        let deadline = Instant::now() + within;
        loop {
            tokio::select! {
                biased;
                decision = waiter.decision() => return Some(decision),
                () = tokio::time::sleep_until(deadline) => break,
                () = self.sources.shutdown.cancelled() => break,
                () = tokio::time::sleep(POLL_WITHOUT_FEED), if !*self.sources.feed_running.borrow() => {
                    // The feed may be away because the log is; the store may answer all the same.
                    if let Some(decision) = self.stored_decision(request_id).await {
                        return Some(decision);
                    }
                }
            }
        }
        self.stored_decision(request_id).await
    }

    /// A store that does not answer is no reason to deny what was accepted: 202 stays true.
    async fn stored_decision(&self, request_id: RequestId) -> Option<Decision> {
        self.stored(request_id).await.ok().flatten()?.decision()
    }
}
