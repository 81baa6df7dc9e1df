//! Whether a user may take seats now: where a date has a queue, an active token is needed.

use std::time::Duration;

use super::places::{Holder, Places};
use super::replica::Place;
use super::token::{Claim, QueueToken};
use crate::api::http::problem::Problem;
use crate::domain::queue::{TokenState, TokenStatus};
use crate::domain::{Code, LogTime, ScheduleId, UserId};

/// An older replica is no proof that a token is active: the store is away, or slow.
const PROOF_AGE_MAX: Duration = Duration::from_secs(1);

impl Places {
    /// Passes for a date without a queue.
    pub async fn admit(&self, user: &UserId, schedule: ScheduleId, token: &QueueToken) -> Result<(), Problem> {
        if !self.has_queue(schedule).await? {
            return Ok(());
        }
        let claim = token.0.as_deref().and_then(|token| self.sources.signer.verify(token));
        let own = |claim: &Claim| claim.schedule_id == schedule && claim.user_id == *user;
        if let Some(claim) = claim.filter(own) {
            self.saw(&Holder::of(claim));
            if self.is_active(user, schedule).await? {
                return Ok(());
            }
        }
        let detail = "this schedule has a queue; it needs the Queue-Token of an active place";
        Err(Problem::refusal(Code::NotAdmitted, detail))
    }

    /// Whether the user's token is ACTIVE, by the replica or, where that denies it, by the store: a user admitted a
    /// moment ago is not refused.
    async fn is_active(&self, user: &UserId, schedule: ScheduleId) -> Result<bool, Problem> {
        let now = self.sources.clock.now();
        if let Ok(slot) = self.sources.replicas.current(schedule).await
            && slot.age() <= PROOF_AGE_MAX
            && slot.look(|replica| replica.place_of(user, now)).flatten().is_some_and(|place| lasts(&place, now))
        {
            return Ok(true);
        }
        self.sources.limiter.take(user)?;
        let tokens = self.sources.store.tokens_of(schedule, user).await?;
        Ok(tokens.iter().any(|token| matches!(token.state, TokenState::Active(turn) if turn.until > now)))
    }
}

fn lasts(place: &Place, now: LogTime) -> bool {
    place.status == TokenStatus::Active && place.active_until.is_some_and(|until| until > now)
}
