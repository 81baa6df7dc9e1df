//! A queue as this process knows it: its waiting, active and ended tokens, and how fast it moves.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::pace::{POLL_MS_SETTLED, Pace, poll_after_ms};
use crate::domain::queue::{Queue, Token, TokenState, TokenStatus, WaitingOrder};
use crate::domain::{LogTime, UserId};

/// Ended tokens remembered, so that the last polls of their holders cost no read; the lowest sequences go first.
const ENDED_MAX: usize = 100_000;
/// Admissions whose waiting times are remembered.
const WAITS_MAX: usize = 1_000;

/// Bounded by the queue's own limits: about 180 bytes a live token.
#[derive(Debug)]
pub struct Replica {
    pub row: Queue,
    live: HashMap<u64, Live>,
    by_user: HashMap<UserId, u64>,
    waiting: WaitingOrder,
    ended: BTreeMap<u64, TokenStatus>,
    pace: Pace,
    /// Milliseconds from join to admission, oldest first.
    waits_ms: VecDeque<i64>,
    /// Changes at lower offsets are known.
    next_offset: u64,
}

#[derive(Debug)]
struct Live {
    state: TokenState,
    last_seen: LogTime,
}

impl Live {
    fn waits(&self) -> bool {
        self.state == TokenState::Waiting
    }
}

/// A token's place, as its holder sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub status: TokenStatus,
    /// The token's sequence number.
    pub position: u64,
    /// Waiting tokens before this one; 0 unless WAITING.
    pub ahead: u64,
    /// Seconds until this token is admitted, if it waits and the pace is known.
    pub eta_seconds: Option<u64>,
    /// While ACTIVE.
    pub active_until: Option<LogTime>,
}

/// What the replica knows of a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Here(Place),
    /// Given after the replica was read.
    NotYet,
    /// Ended, and forgotten here.
    Forgotten,
}

impl Place {
    pub fn of_ended(position: u64, status: TokenStatus) -> Place {
        Place { status, position, ahead: 0, eta_seconds: None, active_until: None }
    }

    /// When the holder should ask again.
    pub fn poll_after_ms(&self) -> u64 {
        if self.status == TokenStatus::Waiting { poll_after_ms(self.ahead) } else { POLL_MS_SETTLED }
    }
}

impl Replica {
    /// An empty replica of a queue whose row was read before any of the tokens that follow by [`Replica::apply`].
    pub fn new(row: Queue) -> Self {
        Replica {
            next_offset: row.changed.position.offset,
            row,
            live: HashMap::new(),
            by_user: HashMap::new(),
            waiting: WaitingOrder::default(),
            ended: BTreeMap::new(),
            pace: Pace::default(),
            waits_ms: VecDeque::new(),
        }
    }

    /// The offset from which changes are unknown, once all pages are applied.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// Takes over changed tokens, in the order of their changes. Repeats do no harm.
    pub fn apply(&mut self, tokens: Vec<Token>) {
        for token in tokens {
            self.next_offset = self.next_offset.max(token.changed.position.offset + 1);
            self.put(token);
        }
        while self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
    }

    /// Takes over tokens as they were found, without moving on: a token may have ended while the pages were read, and
    /// only the changes since the row tell of it.
    pub fn apply_loaded(&mut self, tokens: Vec<Token>) {
        tokens.into_iter().for_each(|token| self.put(token));
    }

    /// Takes over the queue's row, read before the tokens that were applied.
    pub fn set_row(&mut self, row: Queue, now: LogTime) {
        self.pace.observe(now, row.admitted, row.waiting, row.paused);
        self.row = row;
    }

    fn put(&mut self, token: Token) {
        let Token { sequence, user_id, state, joined_at, last_seen, .. } = token;
        if let Some(turn) = state.turn()
            && self.live.get(&sequence).is_none_or(Live::waits)
            && !self.ended.contains_key(&sequence)
        {
            if self.waits_ms.len() >= WAITS_MAX {
                self.waits_ms.pop_front();
            }
            self.waits_ms.push_back(turn.admitted_at.0 - joined_at.0);
        }
        if state == TokenState::Waiting {
            self.waiting.insert(sequence);
        } else {
            self.waiting.remove(sequence);
        }
        if state.is_live() {
            self.by_user.insert(user_id, sequence);
            self.live.insert(sequence, Live { state, last_seen });
        } else {
            self.live.remove(&sequence);
            // The user may have a newer token.
            if self.by_user.get(&user_id) == Some(&sequence) {
                self.by_user.remove(&user_id);
            }
            self.ended.insert(sequence, state.status());
        }
    }

    /// The user's live token.
    pub fn place_of(&self, user: &UserId, now: LogTime) -> Option<Place> {
        let sequence = *self.by_user.get(user)?;
        let live = self.live.get(&sequence)?;
        let ahead = if live.waits() { self.waiting.before(sequence) } else { 0 };
        Some(Place {
            status: live.state.status(),
            position: sequence,
            ahead,
            eta_seconds: if live.waits() { self.eta_seconds(ahead, now) } else { None },
            active_until: live.state.turn().map(|turn| turn.until),
        })
    }

    /// The place of the holder of the token with this sequence: their live token, which may be another one after a
    /// requeue, or how this one ended.
    pub fn find(&self, user: &UserId, sequence: u64, now: LogTime) -> Found {
        match self.place_of(user, now) {
            Some(place) => Found::Here(place),
            None => match self.ended.get(&sequence) {
                Some(status) => Found::Here(Place::of_ended(sequence, *status)),
                None if sequence >= self.row.next_sequence => Found::NotYet,
                None => Found::Forgotten,
            },
        }
    }

    pub fn remember_ended(&mut self, sequence: u64, status: TokenStatus) {
        if !self.live.contains_key(&sequence) {
            self.ended.insert(sequence, status);
            if self.ended.len() > ENDED_MAX {
                self.ended.pop_first();
            }
        }
    }

    /// Seconds until a token with this many ahead is admitted.
    pub fn eta_seconds(&self, ahead: u64, now: LogTime) -> Option<u64> {
        if self.row.paused { None } else { self.pace.eta_seconds(ahead, now) }
    }

    /// Measured admissions per minute.
    pub fn per_minute(&self, now: LogTime) -> Option<f64> {
        self.pace.per_second(now).map(|rate| rate * 60.0)
    }

    /// Waiting times of the latest admissions in milliseconds, ascending.
    pub fn waits_ms(&self) -> Vec<i64> {
        let mut waits: Vec<i64> = self.waits_ms.iter().copied().collect();
        waits.sort_unstable();
        waits
    }

    /// Waiting tokens.
    pub fn waiting(&self) -> u64 {
        self.waiting.len()
    }

    pub fn active(&self) -> u64 {
        self.live.len() as u64 - self.waiting.len()
    }

    /// Whether to report that this waiting token's holder was seen: not if the last report is younger than a third of the
    /// time after which the holder counts as gone.
    pub fn is_worth_reporting(&self, sequence: u64, now: LogTime) -> bool {
        let known_for_ms = self.row.limits.abandon_after_ms / 3;
        self.live.get(&sequence).is_some_and(|live| live.waits() && now.0 - live.last_seen.0 >= known_for_ms)
    }

    /// The log has a report that this token's holder was seen now.
    pub fn reported(&mut self, sequence: u64, now: LogTime) {
        if let Some(live) = self.live.get_mut(&sequence) {
            live.last_seen = live.last_seen.max(now);
        }
    }
}
