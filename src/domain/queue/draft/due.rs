//! What is over, and when the next thing will be.

use super::Draft;
use crate::domain::LogTime;
use crate::domain::queue::{
    ENDINGS_BYTES_MAX, Ending, PresenceMs, Sale, SaleMs, TOKEN_BYTES_MAX, Token, TokenState, admission,
};

impl Draft<'_> {
    /// Ends the turns that are over, drops who was absent for too long, and passes over who was not seen for too long:
    /// longest first, as many as one decision may.
    pub fn end_due(&mut self) {
        let (state, now) = (self.state, self.at.time);
        for (_, sequence) in state.turn_ends().take_while(|(until, _)| *until <= now) {
            // It is named as ended, and its user as waiting again.
            if !self.has_room(2 * TOKEN_BYTES_MAX, ENDINGS_BYTES_MAX) {
                return;
            }
            self.time_out(sequence);
        }
        let drop_since = self.drop_since();
        for (_, sequence) in state.absences().take_while(|(since, _)| *since <= drop_since) {
            if !self.has_room(TOKEN_BYTES_MAX, ENDINGS_BYTES_MAX) {
                return;
            }
            self.end(sequence, Ending::Expired);
        }
        self.pass_over();
    }

    /// WAITING and unused ACTIVE tokens whose holders were not seen for too long become ABSENT, as many as one decision
    /// may.
    pub fn pass_over(&mut self) {
        let state = self.state;
        let (gone_since, unclaimed_since) = (self.gone_since(), self.unclaimed_since());
        let gone = state.sightings().take_while(|(seen, _)| *seen <= gone_since).map(|(_, sequence)| sequence);
        let unclaimed = state.unclaimed().take_while(|(from, _)| Some(*from) <= unclaimed_since);
        for sequence in gone.chain(unclaimed.map(|(_, sequence)| sequence)) {
            if !self.has_room(TOKEN_BYTES_MAX, ENDINGS_BYTES_MAX) {
                return;
            }
            if self.token(sequence).is_some_and(|token| self.is_overlooked(token)) {
                self.set_absent(sequence);
            }
        }
    }

    /// Still so in this decision.
    fn is_overlooked(&self, token: &Token) -> bool {
        match token.state {
            TokenState::Waiting => token.last_seen <= self.gone_since(),
            TokenState::Active(turn) => !turn.used && Some(turn.from) <= self.unclaimed_since(),
            TokenState::Absent { .. } | TokenState::Ended { .. } => false,
        }
    }

    /// Who was last seen then is gone.
    fn gone_since(&self) -> PresenceMs {
        self.row.presence.now.plus_ms(-self.row.limits.abandon_after_ms)
    }

    /// Who was admitted then and not seen since is gone; `None`: turns end first.
    fn unclaimed_since(&self) -> Option<PresenceMs> {
        let limits = &self.row.limits;
        let counts = limits.claim_after_ms < limits.active_ttl_ms;
        counts.then(|| self.row.presence.now.plus_ms(-limits.claim_after_ms))
    }

    /// Who is absent since then is dropped.
    fn drop_since(&self) -> SaleMs {
        let now = self.offer.read(&self.row.on_sale, self.row.paused(), self.at.time);
        now.plus_ms(-self.row.limits.absent_max_ms)
    }

    /// The earliest of ends of turns, absent tokens to drop, and admissions; what a decision left undone is due at once.
    pub(super) fn due_at(&self) -> Option<LogTime> {
        // What was due before stays due since then, so that a late tick does not rewrite the row at each command.
        let since = self.state.row.due_at.map_or(self.at.time, |due| due.min(self.at.time));
        let first = [self.turn_due(), self.drop_due(), self.admission_due(since)].into_iter().flatten().min();
        if self.overlooks() { Some(first.map_or(since, |first| first.min(since))) } else { first }
    }

    fn turn_due(&self) -> Option<LogTime> {
        let touched = self.touched.values().filter_map(|token| match token.state {
            TokenState::Active(turn) => Some(turn.until),
            _ => None,
        });
        touched.chain(self.untouched(self.state.turn_ends())).min()
    }

    fn drop_due(&self) -> Option<LogTime> {
        let touched = self.touched.values().filter_map(|token| match token.state {
            TokenState::Absent { since } => Some(since),
            _ => None,
        });
        let first = touched.chain(self.untouched(self.state.absences())).min()?;
        let target = first.plus_ms(self.row.limits.absent_max_ms);
        self.offer.reaches(&self.row.on_sale, self.row.paused(), target)
    }

    fn admission_due(&self, since: LogTime) -> Option<LogTime> {
        let row = &self.row;
        if row.paused() || row.waiting == 0 || row.active >= u64::from(row.limits.max_active) {
            return None;
        }
        let (rate, now) = (admission::next_admission(row)?, self.at.time);
        if rate <= now && self.sale() == Sale::Open {
            return Some(rate.max(since));
        }
        self.offer.open_from(rate.max(now))
    }

    /// Whether somebody was not seen for too long and is not yet passed over.
    fn overlooks(&self) -> bool {
        let gone = self.untouched(self.state.sightings()).is_some_and(|seen| seen <= self.gone_since());
        let unclaimed = self.untouched(self.state.unclaimed()).is_some_and(|from| Some(from) <= self.unclaimed_since());
        gone || unclaimed || self.touched.values().any(|token| self.is_overlooked(token))
    }

    /// The first whose token this decision has not touched.
    fn untouched<T>(&self, mut of_state: impl Iterator<Item = (T, u64)>) -> Option<T> {
        of_state.find(|(_, sequence)| !self.touched.contains_key(sequence)).map(|(first, _)| first)
    }
}
