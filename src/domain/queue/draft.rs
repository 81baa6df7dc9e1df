//! A decision in the making: the queue's row and the few tokens it touches, laid over the state it starts from.

use std::collections::BTreeMap;

use super::{
    EFFECTS_BYTES_MAX, ENDINGS_BYTES_MAX, Ending, OnTimeout, Queue, QueueState, Row, TOKEN_BYTES, TOKEN_BYTES_MAX,
    Token, TokenState, Turn, admission,
};
use crate::domain::{Arrival, Effects, LogTime, UserId};

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
    /// What these three take in the outcome, at most.
    bytes: usize,
    /// No token below this is WAITING.
    front: u64,
}

/// What a draft comes to.
pub(super) struct Finished {
    pub row: Queue,
    pub changes: Vec<Row>,
    /// Of all tokens that became ACTIVE, ended, or are new and wait.
    pub effects: Effects,
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
            bytes: 0,
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
            state: TokenState::Waiting,
            joined_at: self.at.time,
            last_seen: self.at.time,
            changed: self.at,
        };
        self.bytes += bytes_of(user);
        self.touched.insert(sequence, token);
        self.added.push(sequence);
        self.row.next_sequence += 1;
        self.row.waiting += 1;
        sequence
    }

    /// The holder is here. Log time never runs back, so this only moves forward.
    pub fn see(&mut self, sequence: u64) {
        let time = self.at.time;
        if self.token(sequence).is_some_and(|token| token.last_seen < time) {
            self.change(sequence, |token| token.last_seen = time);
        }
    }

    /// Ends a live token.
    pub fn end(&mut self, sequence: u64, how: Ending) {
        let Some(was) = self.token(sequence).map(|token| token.state) else { return };
        let row = &mut self.row;
        match was {
            TokenState::Waiting => row.waiting -= 1,
            TokenState::Active(_) => row.active -= 1,
            TokenState::Ended { .. } => return,
        }
        match how {
            Ending::Completed => row.completed += 1,
            Ending::Expired => row.expired += 1,
            Ending::Left => row.left += 1,
        }
        self.change(sequence, |token| token.state = TokenState::Ended { how, turn: was.turn() });
        self.ended.push(sequence);
    }

    /// Ends the turn of an ACTIVE token; with [`OnTimeout::Requeue`] its user waits again at the tail, whatever
    /// `max_waiting` says: they were admitted once. Returns the new token's sequence.
    pub fn time_out(&mut self, sequence: u64) -> Option<u64> {
        let user = self.token(sequence)?.user_id.clone();
        self.end(sequence, Ending::Expired);
        (self.row.limits.on_timeout == OnTimeout::Requeue).then(|| self.add(&user))
    }

    /// Ends the turns that are over and drops the tokens whose holders were not seen for too long, both longest first,
    /// as many as one decision may.
    pub fn end_due(&mut self) {
        let (state, now) = (self.state, self.at.time);
        for (_, sequence) in state.turn_ends().take_while(|(until, _)| *until <= now) {
            // It is named as ended, and its user as waiting again.
            if self.bytes + 2 * TOKEN_BYTES_MAX > ENDINGS_BYTES_MAX {
                return;
            }
            self.time_out(sequence);
        }
        let abandon_after_ms = self.row.limits.abandon_after_ms;
        for (_, sequence) in state.sightings().take_while(|(seen, _)| seen.plus_ms(abandon_after_ms) <= now) {
            if self.bytes + TOKEN_BYTES_MAX > ENDINGS_BYTES_MAX {
                return;
            }
            self.end(sequence, Ending::Expired);
        }
    }

    /// Whether both release controls and the bound of a decision allow an admission now.
    pub fn can_admit(&self) -> bool {
        !self.row.paused && self.has_place() && admission::rate_allows(&self.row, self.at.time)
    }

    fn has_place(&self) -> bool {
        let free = self.row.active < u64::from(self.row.limits.max_active);
        free && self.bytes + TOKEN_BYTES_MAX <= EFFECTS_BYTES_MAX
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
        self.change(sequence, |token| token.state = TokenState::Active(Turn { admitted_at, until }));
        self.row.waiting -= 1;
        self.row.active += 1;
        self.row.admitted += 1;
        self.admitted.push(sequence);
    }

    /// The lowest WAITING sequence: those of the state first, then those this decision added.
    fn next_waiting(&mut self) -> Option<u64> {
        while let Some(sequence) = self.state.waiting_from(self.front) {
            self.front = sequence;
            if self.touched.get(&sequence).is_none_or(|token| token.state == TokenState::Waiting) {
                return Some(sequence);
            }
            self.front += 1;
        }
        self.front = self.front.max(self.state.row.next_sequence);
        let (sequence, _) = self.touched.range(self.front..).find(|(_, token)| token.state == TokenState::Waiting)?;
        self.front = *sequence;
        Some(*sequence)
    }

    fn change(&mut self, sequence: u64, how: impl FnOnce(&mut Token)) {
        let Some(mut token) = self.token(sequence).cloned() else { return };
        token.changed = self.at;
        let was = token.state;
        how(&mut token);
        if token.state != was {
            self.bytes += bytes_of(&token.user_id);
        }
        self.touched.insert(sequence, token);
    }

    /// The earliest of ends of turns, tokens to drop, and admissions.
    fn due_at(&self) -> Option<LogTime> {
        let row = &self.row;
        let untouched = |(_, sequence): &(LogTime, u64)| !self.touched.contains_key(sequence);
        let turn_ends = self.touched.values().filter_map(|token| match token.state {
            TokenState::Active(turn) => Some(turn.until),
            _ => None,
        });
        let turn_ends = turn_ends.chain(self.state.turn_ends().find(untouched).map(|(until, _)| until));
        let waiting = self.touched.values().filter(|token| token.state == TokenState::Waiting);
        let sightings = waiting.map(|token| token.last_seen);
        let sightings = sightings.chain(self.state.sightings().find(untouched).map(|(seen, _)| seen));
        let drops = sightings.map(|seen| seen.plus_ms(row.limits.abandon_after_ms));
        let may_admit = !row.paused && row.waiting > 0 && row.active < u64::from(row.limits.max_active);
        // What was due before stays due since then, so that a late tick does not rewrite the row at each command.
        let since = self.state.row.due_at.map_or(self.at.time, |due| due.min(self.at.time));
        let admission = may_admit.then(|| admission::next_admission(row)).flatten().map(|time| time.max(since));
        turn_ends.chain(drops).chain(admission).min()
    }

    /// The changed rows: the queue's, if it changed, then the tokens' in order of sequence.
    pub fn finish(mut self) -> Finished {
        self.row.due_at = self.due_at();
        let list = |sequences: &[u64]| -> Vec<Token> {
            sequences.iter().filter_map(|sequence| self.touched.get(sequence).cloned()).collect()
        };
        let mut requeued = list(&self.added);
        requeued.retain(|token| token.state == TokenState::Waiting);
        let effects =
            Effects { admitted: list(&self.admitted), ended: list(&self.ended), requeued, ..Effects::default() };
        let mut changes = Vec::with_capacity(self.touched.len() + 1);
        if self.row != self.state.row {
            self.row.changed = self.at;
            changes.push(Row::Queue(self.row.clone()));
        }
        changes.extend(self.touched.into_values().map(Row::Token));
        Finished { row: self.row, changes, effects }
    }
}

/// What a token of this user takes in an outcome, at most.
fn bytes_of(user: &UserId) -> usize {
    let user = user.as_str();
    TOKEN_BYTES + user.len() + user.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}
