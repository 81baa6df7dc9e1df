//! A decision in the making: the queue's row and the few tokens it touches, laid over the state it starts from.
//!
//! This file has the steps; `admit` who is next, `due` what is over.

mod admit;
mod due;

use std::collections::{BTreeMap, BTreeSet};

use super::offer::Offer;
use super::{
    Ending, NoteSale, OnTimeout, Queue, QueueState, Row, Sale, TOKEN_BYTES, TOKENS_PER_DECISION_MAX, Token, TokenState,
};
use crate::domain::{Arrival, Effects, UserId};

/// Costs as much as the tokens it touches, whatever the queue's size.
pub(super) struct Draft<'a> {
    state: &'a QueueState,
    at: Arrival,
    pub row: Queue,
    /// What the row's notes come to.
    offer: Offer,
    touched: BTreeMap<u64, Token>,
    /// Sequences, in the order in which they became ACTIVE, ended, or became ABSENT.
    admitted: Vec<u64>,
    ended: Vec<u64>,
    absent: Vec<u64>,
    /// Sequences this decision gave, ascending.
    added: Vec<u64>,
    /// Sequences that are WAITING by this decision: given, or returned.
    arrived: BTreeSet<u64>,
    /// What the effects take in the outcome, at most.
    bytes: usize,
    /// No token of the state below this is WAITING.
    front: u64,
}

/// What a draft comes to.
pub(super) struct Finished {
    pub row: Queue,
    pub changes: Vec<Row>,
    /// Of all tokens that changed their state or are new.
    pub effects: Effects,
}

impl<'a> Draft<'a> {
    pub fn new(state: &'a QueueState, at: &Arrival) -> Self {
        Draft {
            state,
            at: *at,
            row: state.row.clone(),
            offer: Offer::of(&state.row),
            touched: BTreeMap::new(),
            admitted: Vec::new(),
            ended: Vec::new(),
            absent: Vec::new(),
            added: Vec::new(),
            arrived: BTreeSet::new(),
            bytes: 0,
            front: 0,
        }
    }

    /// The token as it stands now in this decision.
    pub fn token(&self, sequence: u64) -> Option<&Token> {
        self.touched.get(&sequence).or_else(|| self.state.token(sequence))
    }

    /// How the sale stands, besides a pause.
    pub fn sale(&self) -> Sale {
        self.offer.sale(self.at.time)
    }

    /// A new WAITING token at the tail; `follows`: for one whose turn ended.
    pub fn add(&mut self, user: &UserId, follows: Option<u64>) -> u64 {
        let sequence = self.row.next_sequence;
        let token = Token {
            schedule_id: self.row.schedule_id,
            sequence,
            user_id: user.clone(),
            state: TokenState::Waiting,
            joined_at: self.at.time,
            last_seen: self.row.presence.read(&self.row.limits, self.at.time),
            sighted: false,
            follows,
            changed: self.at,
        };
        self.bytes += bytes_of(user);
        self.touched.insert(sequence, token);
        self.added.push(sequence);
        self.arrived.insert(sequence);
        self.row.next_sequence += 1;
        self.row.waiting += 1;
        sequence
    }

    /// The holder was seen this long ago, by a report that the presence clock has counted.
    pub fn see(&mut self, sequence: u64, age_ms: i64) {
        let Some(token) = self.token(sequence) else { return };
        let (seen, at) = (self.row.presence.now.plus_ms(-age_ms), self.at.time.plus_ms(-age_ms));
        match token.state {
            TokenState::Waiting => {
                let (last_seen, sighted) = (token.last_seen.max(seen), token.sighted || at > token.joined_at);
                if (last_seen, sighted) != (token.last_seen, token.sighted) {
                    self.change(sequence, |token| (token.last_seen, token.sighted) = (last_seen, sighted));
                }
            }
            TokenState::Absent { .. } if age_ms < self.row.limits.abandon_after_ms => self.bring_back(sequence, age_ms),
            TokenState::Active(turn) if !turn.used && turn.admitted_at <= at => self.use_turn(sequence),
            TokenState::Absent { .. } | TokenState::Active(_) | TokenState::Ended { .. } => {}
        }
    }

    /// The holder is here.
    pub fn see_now(&mut self, sequence: u64) {
        let Some(token) = self.token(sequence) else { return };
        let now = self.row.presence.read(&self.row.limits, self.at.time);
        match token.state {
            TokenState::Waiting if token.last_seen < now => self.change(sequence, |token| {
                (token.last_seen, token.sighted) = (now, true);
            }),
            TokenState::Absent { .. } => {
                self.bring_back(sequence, 0);
                self.change(sequence, |token| token.last_seen = now);
            }
            TokenState::Active(turn) if !turn.used => self.use_turn(sequence),
            TokenState::Waiting | TokenState::Active(_) | TokenState::Ended { .. } => {}
        }
    }

    fn use_turn(&mut self, sequence: u64) {
        self.change(sequence, |token| {
            token.sighted = true;
            if let TokenState::Active(turn) = &mut token.state {
                turn.used = true;
            }
        });
    }

    /// An ABSENT token waits again, at its old place.
    fn bring_back(&mut self, sequence: u64, age_ms: i64) {
        let seen = self.row.presence.now.plus_ms(-age_ms);
        self.change(sequence, |token| {
            token.state = TokenState::Waiting;
            token.last_seen = token.last_seen.max(seen);
            token.sighted = true;
        });
        self.row.absent -= 1;
        self.row.waiting += 1;
        self.arrived.insert(sequence);
    }

    /// A WAITING or ACTIVE token keeps its sequence and is passed over from now on.
    fn set_absent(&mut self, sequence: u64) {
        let Some(was) = self.token(sequence).map(|token| token.state) else { return };
        match was {
            TokenState::Waiting => self.row.waiting -= 1,
            TokenState::Active(_) => self.row.active -= 1,
            TokenState::Absent { .. } | TokenState::Ended { .. } => return,
        }
        self.row.absent += 1;
        let since = self.offer.read(&self.row.on_sale, self.row.paused(), self.at.time);
        self.change(sequence, |token| token.state = TokenState::Absent { since });
        self.arrived.remove(&sequence);
        self.absent.push(sequence);
    }

    /// Ends a live token.
    pub fn end(&mut self, sequence: u64, how: Ending) {
        let Some(was) = self.token(sequence).map(|token| token.state) else { return };
        let row = &mut self.row;
        match was {
            TokenState::Waiting => row.waiting -= 1,
            TokenState::Absent { .. } => row.absent -= 1,
            TokenState::Active(_) => row.active -= 1,
            TokenState::Ended { .. } => return,
        }
        match how {
            Ending::Completed => row.completed += 1,
            Ending::Expired => row.expired += 1,
            Ending::Left => row.left += 1,
        }
        self.change(sequence, |token| token.state = TokenState::Ended { how, turn: was.turn() });
        self.arrived.remove(&sequence);
        self.ended.push(sequence);
    }

    /// Ends the turn of an ACTIVE token. Its user may keep the place if nobody saw them use it, or if the presence clock
    /// stood; with [`OnTimeout::Requeue`] they wait again at the tail, whatever `max_waiting` says: they were admitted
    /// once. Returns the sequence of the user's live token.
    pub fn time_out(&mut self, sequence: u64) -> Option<u64> {
        let token = self.token(sequence)?;
        let (user, turn) = (token.user_id.clone(), token.state.turn()?);
        if !turn.used || self.row.presence.stood_since(turn.admitted_at, &self.row.limits, self.at.time) {
            self.set_absent(sequence);
            return Some(sequence);
        }
        self.end(sequence, Ending::Expired);
        let requeue = self.row.limits.on_timeout == OnTimeout::Requeue && !self.sale().is_over();
        requeue.then(|| self.add(&user, Some(sequence)))
    }

    /// Whether one more may wait. At the bound one ABSENT token makes room, if there is one.
    pub fn make_room(&mut self) -> bool {
        if self.row.waiting + self.row.absent < u64::from(self.row.limits.max_waiting) || self.can_admit() {
            return true;
        }
        let is_absent = |sequence: &u64| {
            self.touched.get(sequence).is_none_or(|token| matches!(token.state, TokenState::Absent { .. }))
        };
        let Some(sequence) = self.state.making_room().find(is_absent) else { return false };
        self.end(sequence, Ending::Expired);
        true
    }

    /// Keeps the note if it is the newest of a block that the queue was opened with: what the row keeps is bounded by
    /// `open_queue` alone.
    pub fn note_sale(&mut self, command: &NoteSale) {
        if let Some(kept) = self.row.sale.get_mut(&command.block)
            && kept.is_none_or(|kept| kept.version < command.note.version)
        {
            *kept = Some(command.note);
        }
        let offer = Offer::of(&self.row);
        if offer != self.offer {
            self.settle_sale_clock();
            self.offer = offer;
        }
    }

    /// A pause that is asked for again goes on since the first time.
    pub fn set_paused(&mut self, paused: bool) {
        if paused != self.row.paused() {
            self.settle_sale_clock();
            self.row.paused_since = paused.then_some(self.at.time);
        }
    }

    /// To be called before anything changes that makes the clock run or stand.
    fn settle_sale_clock(&mut self) {
        self.row.on_sale.now = self.offer.read(&self.row.on_sale, self.row.paused(), self.at.time);
        self.row.on_sale.at = self.at.time;
    }

    fn change(&mut self, sequence: u64, how: impl FnOnce(&mut Token)) {
        let Some(mut token) = self.token(sequence).cloned() else { return };
        token.changed = self.at;
        let was = token.state.status();
        how(&mut token);
        if token.state.status() != was {
            self.bytes += bytes_of(&token.user_id);
        }
        self.touched.insert(sequence, token);
    }

    /// Whether the outcome has room for so many more bytes of effects, and the decision for two more tokens.
    fn has_room(&self, bytes: usize, bytes_max: usize) -> bool {
        self.bytes + bytes <= bytes_max && self.touched.len() + 2 <= TOKENS_PER_DECISION_MAX
    }

    /// The changed rows: the queue's, if it changed, then the tokens' in order of sequence.
    pub fn finish(mut self) -> Finished {
        self.row.due_at = self.due_at();
        let list = |sequences: &mut dyn Iterator<Item = &u64>, keep: fn(TokenState) -> bool| -> Vec<Token> {
            let tokens = sequences.filter_map(|sequence| self.touched.get(sequence));
            tokens.filter(|token| keep(token.state)).cloned().collect()
        };
        let waits = |state| state == TokenState::Waiting;
        let is_new = |sequence: &&u64| **sequence >= self.state.row.next_sequence;
        let effects = Effects {
            admitted: list(&mut self.admitted.iter(), |state| matches!(state, TokenState::Active(_))),
            ended: list(&mut self.ended.iter(), |_| true),
            absent: list(&mut self.absent.iter(), |state| matches!(state, TokenState::Absent { .. })),
            returned: list(&mut self.arrived.iter().filter(|sequence| !is_new(sequence)), waits),
            requeued: list(&mut self.added.iter(), waits),
            ..Effects::default()
        };
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
