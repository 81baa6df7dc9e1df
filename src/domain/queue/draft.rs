//! A decision in the making: the queue's row and the few tokens it touches, laid over the state it starts from.

use std::collections::BTreeMap;

use super::rules::ADMISSIONS_PER_DECISION_MAX;
use super::{OnTimeout, Queue, QueueState, Token, TokenStatus, admission};
use crate::domain::{Arrival, Change, LogTime, UserId};

/// Costs as much as the tokens it touches, whatever the queue's size.
pub(super) struct Draft<'a> {
    state: &'a QueueState,
    at: Arrival,
    pub row: Queue,
    touched: BTreeMap<u64, Token>,
    /// Sequences, in the order in which they became ACTIVE.
    admitted: Vec<u64>,
    /// Sequences, in the order in which they ended.
    ended: Vec<u64>,
    /// Sequences this decision gave, ascending.
    added: Vec<u64>,
    /// No token below this is WAITING.
    front: u64,
}

/// What a draft comes to.
pub(super) struct Finished {
    pub row: Queue,
    pub changes: Vec<Change>,
    pub admitted: Vec<Token>,
    pub ended: Vec<Token>,
    /// New tokens that still wait.
    pub added: Vec<Token>,
}

impl<'a> Draft<'a> {
    pub fn new(state: &'a QueueState, at: &Arrival) -> Self {
        Draft {
            state,
            at: *at,
            row: state.row.clone(),
            touched: BTreeMap::new(),
            admitted: Vec::new(),
            ended: Vec::new(),
            added: Vec::new(),
            front: 0,
        }
    }

    /// The token as it stands now in this decision.
    pub fn token(&self, sequence: u64) -> Option<&Token> {
        self.touched.get(&sequence).or_else(|| self.state.token(sequence))
    }

    /// A new WAITING token at the tail.
    pub fn add(&mut self, user: &UserId) -> u64 {
        let sequence = self.row.next_sequence;
        let token = Token {
            schedule_id: self.row.schedule_id,
            sequence,
            user_id: user.clone(),
            status: TokenStatus::Waiting,
            joined_at: self.at.time,
            admitted_at: None,
            active_until: None,
            last_seen: self.at.time,
            changed: self.at,
        };
        self.touched.insert(sequence, token);
        self.added.push(sequence);
        self.row.next_sequence += 1;
        self.row.waiting += 1;
        sequence
    }

    /// The holder is here. Log time never runs back, so this only moves forward.
    pub fn see(&mut self, sequence: u64) {
        let at = self.at;
        if self.token(sequence).is_some_and(|token| token.last_seen < at.time) {
            self.change(sequence, |token| token.last_seen = at.time);
        }
    }

    /// Ends a live token.
    pub fn end(&mut self, sequence: u64, status: TokenStatus) {
        let Some(was) = self.token(sequence).map(|token| token.status) else { return };
        debug_assert!(was.is_live() && !status.is_live());
        self.change(sequence, |token| token.status = status);
        let row = &mut self.row;
        match was {
            TokenStatus::Waiting => row.waiting -= 1,
            _ => row.active -= 1,
        }
        match status {
            TokenStatus::Completed => row.completed += 1,
            TokenStatus::Left => row.left += 1,
            _ => row.expired += 1,
        }
        self.ended.push(sequence);
    }

    /// Ends an ACTIVE token whose time is over; with [`OnTimeout::Requeue`] its user waits again at the tail, whatever
    /// `max_waiting` says: they were let in once.
    pub fn time_out(&mut self, sequence: u64) {
        let Some(user) = self.token(sequence).map(|token| token.user_id.clone()) else { return };
        self.end(sequence, TokenStatus::Expired);
        if self.row.limits.on_timeout == OnTimeout::Requeue {
            self.add(&user);
        }
    }

    /// Whether both release controls and the bound of a decision would let one in now.
    pub fn can_admit(&self) -> bool {
        !self.row.paused && self.has_room() && admission::rate_allows(&self.row, self.at.time)
    }

    fn has_room(&self) -> bool {
        self.row.active < u64::from(self.row.limits.max_active) && self.admitted.len() < ADMISSIONS_PER_DECISION_MAX
    }

    /// Lets in whom the release controls let in, first come first.
    pub fn admit(&mut self) {
        while self.can_admit() {
            let Some(sequence) = self.next_waiting() else { return };
            self.row.rate_next_us = admission::after_admission(&self.row, self.at.time);
            self.activate(sequence);
        }
    }

    /// Lets in so many by the operator's word: neither pause nor rate control count, nor is this held against the rate.
    pub fn admit_now(&mut self, count: u32) {
        for _ in 0..count {
            if !self.has_room() {
                return;
            }
            let Some(sequence) = self.next_waiting() else { return };
            self.activate(sequence);
        }
    }

    fn activate(&mut self, sequence: u64) {
        let time = self.at.time;
        let until = LogTime(time.0.saturating_add(self.row.limits.active_ttl_ms));
        self.change(sequence, |token| {
            token.status = TokenStatus::Active;
            token.admitted_at = Some(time);
            token.active_until = Some(until);
        });
        self.row.waiting -= 1;
        self.row.active += 1;
        self.row.admitted += 1;
        self.admitted.push(sequence);
    }

    /// The lowest WAITING sequence: those of the state first, then those this decision added.
    fn next_waiting(&mut self) -> Option<u64> {
        while let Some(sequence) = self.state.waiting_from(self.front) {
            self.front = sequence;
            if self.touched.get(&sequence).is_none_or(|token| token.status == TokenStatus::Waiting) {
                return Some(sequence);
            }
            self.front += 1;
        }
        self.front = self.front.max(self.state.row.next_sequence);
        let (sequence, _) = self.touched.range(self.front..).find(|(_, token)| token.status == TokenStatus::Waiting)?;
        self.front = *sequence;
        Some(*sequence)
    }

    fn change(&mut self, sequence: u64, how: impl FnOnce(&mut Token)) {
        let Some(mut token) = self.token(sequence).cloned() else { return };
        token.changed = self.at;
        how(&mut token);
        self.touched.insert(sequence, token);
    }

    /// The changed rows: the queue's, if it changed, then the tokens' in order of sequence.
    pub fn finish(mut self) -> Finished {
        let list = |sequences: &[u64]| -> Vec<Token> {
            sequences.iter().filter_map(|sequence| self.touched.get(sequence).cloned()).collect()
        };
        let (admitted, ended, mut added) = (list(&self.admitted), list(&self.ended), list(&self.added));
        added.retain(|token| token.status == TokenStatus::Waiting);
        let mut changes = Vec::with_capacity(self.touched.len() + 1);
        if self.row != self.state.row {
            self.row.changed = self.at;
            changes.push(Change::Queue(self.row.clone()));
        }
        changes.extend(self.touched.into_values().map(Change::Token));
        Finished { row: self.row, changes, admitted, ended, added }
    }
}
