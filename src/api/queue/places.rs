//! A holder's place in the queue: from the replica, or from the store for a token that ended long ago.

use std::sync::Arc;

use super::replica::{Found, Place, Replica};
use super::replicas::{Replicas, Slot};
use super::token::{Claim, QueueToken, Signer};
use crate::api::cache::schedule_facts::ScheduleFacts;
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::rate_limit::RateLimiter;
use crate::domain::{Code, ScheduleId, UserId};
use crate::runtime::clock::Clock;
use crate::store::Reads;

/// What finding a place uses.
pub struct Sources {
    pub facts: Arc<ScheduleFacts>,
    pub replicas: Replicas,
    pub signer: Arc<Signer>,
    pub store: Arc<dyn Reads>,
    pub limiter: Arc<RateLimiter>,
    pub clock: Clock,
}

/// All places of all queues.
pub struct Places {
    pub(super) sources: Sources,
}

/// Whose place is asked for.
#[derive(Debug, Clone)]
pub struct Holder {
    pub schedule_id: ScheduleId,
    pub user_id: UserId,
    /// Of the token that was shown, if one was.
    sequence: Option<u64>,
}

impl Holder {
    pub(super) fn of(claim: Claim) -> Holder {
        let Claim { schedule_id, user_id, sequence } = claim;
        Holder { schedule_id, user_id, sequence: Some(sequence) }
    }
}

impl Places {
    pub fn new(sources: Sources) -> Self {
        Places { sources }
    }

    /// The replica of a date's queue; 404 if the date has none.
    pub async fn open(&self, schedule: ScheduleId) -> Result<Arc<Slot>, Problem> {
        if !self.has_queue(schedule).await? {
            return Err(Problem::refusal(Code::QueueNotFound, "this schedule has no waiting queue"));
        }
        self.sources.replicas.current(schedule).await
    }

    pub(super) async fn has_queue(&self, schedule: ScheduleId) -> Result<bool, Problem> {
        Ok(self.sources.facts.of(schedule).await?.is_some_and(|facts| facts.queue))
    }

    /// A token proves who holds it; with a caller it must be the caller's. Somebody else's place answers 404.
    pub fn holder(&self, schedule: ScheduleId, caller: Option<&UserId>, token: &QueueToken) -> Result<Holder, Problem> {
        let claim = match &token.0 {
            Some(token) => Some(self.sources.signer.verify(token).ok_or_else(not_found)?),
            None => None,
        };
        match (claim, caller) {
            (Some(claim), caller)
                if claim.schedule_id == schedule && caller.is_none_or(|user| *user == claim.user_id) =>
            {
                Ok(Holder::of(claim))
            }
            (None, Some(user)) => Ok(Holder { schedule_id: schedule, user_id: user.clone(), sequence: None }),
            _ => Err(not_found()),
        }
    }

    /// A queue that this process shows already.
    pub fn known(&self, schedule: ScheduleId) -> Option<Arc<Slot>> {
        self.sources.replicas.known(schedule)
    }

    /// The holder was seen, whatever becomes of the request: nothing is read for it.
    pub fn saw(&self, holder: &Holder) {
        let replicas = &self.sources.replicas;
        let slot = replicas.known(holder.schedule_id);
        let live = slot.as_ref().and_then(|slot| slot.look(|replica| replica.sequence_of(&holder.user_id)).flatten());
        // The later one: the replica may not know yet the token that was shown.
        match (slot, live.max(holder.sequence)) {
            (Some(slot), Some(sequence)) => slot.saw(sequence),
            (None, Some(sequence)) => replicas.presence(holder.schedule_id).note(sequence, false),
            (_, None) => {}
        }
    }

    /// Fails while the log has not taken this process's reports for so long that polls are better made elsewhere.
    pub fn reports_are_taken(&self, holder: &Holder) -> Result<(), Problem> {
        match self.sources.replicas.known(holder.schedule_id) {
            Some(slot) if slot.is_stuck() => {
                Err(Problem::new(Kind::Unavailable, "who waits cannot be reported now; the place is kept"))
            }
            _ => Ok(()),
        }
    }

    /// The holder's place now. Costs a read only for a token that ended long ago, and for a user without one.
    pub async fn place(&self, holder: &Holder, slot: &Slot) -> Result<Place, Problem> {
        let mut found = self.find(holder, slot);
        if found == Some(Found::NotYet) {
            slot.next_refresh().await;
            found = self.find(holder, slot);
        }
        match found {
            Some(Found::Here(place)) => {
                slot.saw(place.position);
                Ok(place)
            }
            _ => self.stored(holder, slot).await,
        }
    }

    /// The place as the replica has it; `None` for a user without a token there.
    pub fn find(&self, holder: &Holder, slot: &Slot) -> Option<Found> {
        let now = self.sources.clock.now();
        slot.look(|replica| match holder.sequence {
            Some(sequence) => Some(replica.find(&holder.user_id, sequence, now)),
            None => replica.place_of(&holder.user_id, now).map(Found::Here),
        })?
    }

    async fn stored(&self, holder: &Holder, slot: &Slot) -> Result<Place, Problem> {
        self.sources.limiter.take(&holder.user_id)?;
        let tokens = self.sources.store.tokens_of(holder.schedule_id, &holder.user_id).await?;
        let wanted = tokens.iter().find(|token| holder.sequence.is_none_or(|sequence| token.sequence == sequence));
        let Some(token) = wanted else { return Err(not_found()) };
        if token.state.is_live() {
            // Just given: the replica is about to know it, unless it cannot be refreshed.
            slot.next_refresh().await;
            return match self.find(holder, slot) {
                Some(Found::Here(place)) => Ok(place),
                _ => Err(Problem::new(Kind::Unavailable, "the queue cannot be read now")),
            };
        }
        let status = token.state.status();
        slot.change(|replica| replica.remember_ended(token.sequence, status));
        let ended = |replica: &Replica| replica.ended(token.sequence, status, self.sources.clock.now());
        slot.look(ended).ok_or_else(not_found)
    }
}

fn not_found() -> Problem {
    Problem::refusal(Code::TokenNotFound, "you have no such place in this waiting queue")
}
