//! Who is next.

use super::Draft;
use crate::domain::queue::{EFFECTS_BYTES_MAX, Sale, TOKEN_BYTES_MAX, TokenState, Turn, admission};

impl Draft<'_> {
    /// Whether sale, both release controls and the bound of a decision allow an admission now.
    pub fn can_admit(&self) -> bool {
        !self.row.paused() && self.has_place() && admission::rate_allows(&self.row, self.at.time)
    }

    /// Something can be bought, and there is a place for one who buys.
    fn has_place(&self) -> bool {
        let free = self.row.active < u64::from(self.row.limits.max_active);
        free && self.sale() == Sale::Open && self.has_room(TOKEN_BYTES_MAX, EFFECTS_BYTES_MAX)
    }

    /// Admits as many as the release controls allow, first come first.
    pub fn admit(&mut self) {
        while self.can_admit() {
            let Some(sequence) = self.next_waiting() else { return };
            self.row.rate_next_us = admission::after_admission(&self.row, self.at.time);
            self.activate(sequence);
        }
    }

    /// Admits this many by the operator's word: neither pause nor rate control counts, nor is this held against the
    /// rate.
    pub fn admit_now(&mut self, count: u32) {
        for _ in 0..count {
            if !self.has_place() {
                return;
            }
            let Some(sequence) = self.next_waiting() else { return };
            self.activate(sequence);
        }
    }

    fn activate(&mut self, sequence: u64) {
        let admitted_at = self.at.time;
        let until = admitted_at.plus_ms(self.row.limits.active_ttl_ms);
        let from = self.row.presence.read(&self.row.limits, admitted_at);
        let turn = Turn { admitted_at, until, from, used: false };
        self.change(sequence, |token| token.state = TokenState::Active(turn));
        self.arrived.remove(&sequence);
        self.row.waiting -= 1;
        self.row.active += 1;
        self.row.admitted += 1;
        self.admitted.push(sequence);
    }

    /// The lowest WAITING sequence: of the state, or among those that wait by this decision.
    fn next_waiting(&mut self) -> Option<u64> {
        let arrived = self.arrived.first().copied();
        let mut found = None;
        while let Some(sequence) = self.state.waiting_from(self.front) {
            self.front = sequence;
            if self.touched.get(&sequence).is_none_or(|token| token.state == TokenState::Waiting) {
                found = Some(sequence);
                break;
            }
            self.front += 1;
        }
        [found, arrived].into_iter().flatten().min()
    }

    /// How many WAITING tokens are before this one in this decision; 0 unless it waits.
    pub fn ahead(&self, sequence: u64) -> u64 {
        if self.token(sequence).is_none_or(|token| token.state != TokenState::Waiting) {
            return 0;
        }
        let waited = |sequence: u64| self.state.token(sequence).is_some_and(|token| token.state == TokenState::Waiting);
        let gone = self
            .touched
            .range(..sequence)
            .filter(|(sequence, token)| token.state != TokenState::Waiting && waited(**sequence));
        let come = self.arrived.range(..sequence);
        self.state.waiting_before(sequence) + come.count() as u64 - gone.count() as u64
    }
}
