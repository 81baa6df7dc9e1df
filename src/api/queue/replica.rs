//! A queue as this process knows it: its waiting, active and ended tokens, and how fast it moves.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::pace::{POLL_MS_SETTLED, Pace, poll_after_ms};
use crate::domain::queue::{OnTimeout, Queue, Sale, Token, TokenState, TokenStatus, WaitingOrder};
use crate::domain::{LogTime, UserId};

/// Ended tokens remembered, so that the last polls of their holders cost no read; the lowest sequences go first.
const ENDED_MAX: usize = 100_000;
/// Admissions whose waiting times are remembered.
const WAITS_MAX: usize = 1_000;

/// Bounded by the queue's own limits: about 180 bytes a live token.
#[derive(Debug)]
pub struct Replica {
    pub row: Queue,
    /// The state of each live token.
    live: HashMap<u64, TokenState>,
    /// How many of them are ABSENT.
    absent: u64,
    by_user: HashMap<UserId, u64>,
    waiting: WaitingOrder,
    ended: BTreeMap<u64, TokenStatus>,
    pace: Pace,
    /// Milliseconds from join to admission, oldest first.
    waits_ms: VecDeque<i64>,
    /// Changes at lower offsets are known.
    next_offset: u64,
}

/// A token's place, as its holder sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub status: TokenStatus,
    /// The token's sequence number.
    pub position: u64,
    /// Waiting tokens before this one; 0 unless WAITING or ABSENT.
    pub ahead: u64,
    /// Seconds until this token is admitted, if it waits and the pace is known.
    pub eta_seconds: Option<u64>,
    /// While ACTIVE.
    pub active_until: Option<LogTime>,
    pub sale: Sale,
    /// In the lobby: when it ends.
    pub opens_at: Option<LogTime>,
    /// While admission is paused: since when.
    pub paused_since: Option<LogTime>,
    /// A WAITING holder who is not seen for this long is ABSENT.
    pub abandon_after_ms: i64,
    pub on_timeout: OnTimeout,
}

/// What a sighting of a token's holder is to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matters {
    No,
    /// The holder waits, or will once the turn is over.
    Sometime,
    /// The holder was absent, or has not yet used the turn.
    AtOnce,
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
    /// When the holder should ask again.
    pub fn poll_after_ms(&self) -> u64 {
        let wanted = match self.status {
            TokenStatus::Waiting | TokenStatus::Absent => poll_after_ms(self.ahead),
            _ => POLL_MS_SETTLED,
        };
        // So often that whoever asks when due is never taken for gone.
        wanted.min(self.abandon_after_ms.unsigned_abs() / 6).max(1)
    }
}

/// A percentile of sorted waits in ms, in seconds: nearest rank. `None`: nobody was admitted yet.
pub fn percentile(waits_ms: &[i64], percent: usize) -> Option<f64> {
    let rank = (waits_ms.len() * percent).div_ceil(100).max(1);
    waits_ms.get(rank - 1).map(|ms| *ms as f64 / 1_000.0)
}

impl Replica {
    /// An empty replica of a queue whose row was read before any of the tokens that follow by [`Replica::apply`].
    pub fn new(row: Queue) -> Self {
        Replica {
            next_offset: row.changed.position.offset,
            row,
            live: HashMap::new(),
            absent: 0,
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
        self.pace.observe(now, row.admitted, row.waiting, row.paused());
        self.row = row;
    }

    fn put(&mut self, token: Token) {
        let Token { sequence, user_id, state, joined_at, .. } = token;
        if let Some(turn) = state.turn()
            && self.live.get(&sequence).is_none_or(|known| known.turn().is_none())
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
        let is_absent = |state: &TokenState| matches!(state, TokenState::Absent { .. });
        self.absent += u64::from(is_absent(&state));
        if state.is_live() {
            self.by_user.insert(user_id, sequence);
            let before = self.live.insert(sequence, state);
            self.absent -= u64::from(before.as_ref().is_some_and(is_absent));
        } else {
            let before = self.live.remove(&sequence);
            self.absent -= u64::from(before.as_ref().is_some_and(is_absent));
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
        Some(self.place(sequence, *self.live.get(&sequence)?, now))
    }

    fn place(&self, position: u64, state: TokenState, now: LogTime) -> Place {
        let ahead = match state {
            TokenState::Waiting | TokenState::Absent { .. } => self.waiting.before(position),
            TokenState::Active(_) | TokenState::Ended { .. } => 0,
        };
        Place {
            ahead,
            eta_seconds: if state == TokenState::Waiting { self.eta_seconds(ahead, now) } else { None },
            active_until: state.turn().map(|turn| turn.until),
            ..self.ended(position, state.status(), now)
        }
    }

    /// The place of a token that ended like this.
    pub fn ended(&self, position: u64, status: TokenStatus, now: LogTime) -> Place {
        Place {
            status,
            position,
            ahead: 0,
            eta_seconds: None,
            active_until: None,
            sale: self.row.sale_at(now),
            opens_at: self.row.opens_at(now),
            paused_since: self.row.paused_since,
            abandon_after_ms: self.row.limits.abandon_after_ms,
            on_timeout: self.row.limits.on_timeout,
        }
    }

    /// The sequence of the user's live token.
    pub fn sequence_of(&self, user: &UserId) -> Option<u64> {
        self.by_user.get(user).copied()
    }

    /// The place of the holder of the token with this sequence: their live token, which may be another one after a
    /// requeue, or how this one ended.
    pub fn find(&self, user: &UserId, sequence: u64, now: LogTime) -> Found {
        match self.place_of(user, now) {
            Some(place) => Found::Here(place),
            None => match self.ended.get(&sequence) {
                Some(status) => Found::Here(self.ended(sequence, *status, now)),
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

    /// Seconds until a token with this many ahead is admitted, while anybody is.
    pub fn eta_seconds(&self, ahead: u64, now: LogTime) -> Option<u64> {
        if self.row.sale_at(now) == Sale::Open { self.pace.eta_seconds(ahead, now) } else { None }
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

    pub fn absent(&self) -> u64 {
        self.absent
    }

    pub fn active(&self) -> u64 {
        self.live.len() as u64 - self.waiting.len() - self.absent
    }

    /// Tokens it keeps in memory.
    pub fn size(&self) -> usize {
        self.live.len() + self.ended.len()
    }

    /// What a sighting of this token's holder is to the rules.
    pub fn matters(&self, sequence: u64) -> Matters {
        match self.live.get(&sequence) {
            Some(TokenState::Waiting) => Matters::Sometime,
            Some(TokenState::Absent { .. }) => Matters::AtOnce,
            Some(TokenState::Active(turn)) if !turn.used => Matters::AtOnce,
            // Its turn may be over already, and the token that follows it waits.
            Some(TokenState::Active(_)) => Matters::Sometime,
            None if sequence >= self.row.next_sequence => Matters::Sometime,
            Some(TokenState::Ended { .. }) | None => Matters::No,
        }
    }
}
