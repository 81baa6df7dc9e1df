//! A queue in memory: its row, its live tokens, and what finds them fast.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::order::WaitingOrder;
use super::{PresenceMs, Queue, Row, SaleMs, Token, TokenState};
use crate::domain::digest::Digest;
use crate::domain::{LogTime, UserId};

/// A queue with its live tokens. Bounded by the limits: at most `max_waiting` joined, plus `max_active` that are ACTIVE
/// or were and wait again.
///
/// Measured with 110,000 waiting and 6,000 active tokens: 45 MB, loads in 43 ms, `ahead` takes 34 ns (release build).
#[derive(Debug, Clone)]
pub struct QueueState {
    pub row: Queue,
    /// Live tokens by sequence.
    tokens: BTreeMap<u64, Token>,
    /// Live tokens by the ended ones they follow.
    follows: BTreeMap<u64, u64>,
    /// The live token of each user. Only ever looked up, never walked: its order is random.
    by_user: HashMap<UserId, u64>,
    waiting: WaitingOrder,
    due: Due,
}

/// Live tokens in the order in which something becomes of them, so that no decision goes through all of them.
#[derive(Debug, Clone, Default)]
struct Due {
    /// ACTIVE tokens by the end of their turn.
    turn_ends: BTreeSet<(LogTime, u64)>,
    /// ACTIVE tokens whose turn is not used, by its beginning.
    unclaimed: BTreeSet<(PresenceMs, u64)>,
    /// WAITING tokens by when their holder was last seen.
    sightings: BTreeSet<(PresenceMs, u64)>,
    /// ABSENT tokens by since when.
    absences: BTreeSet<(SaleMs, u64)>,
    /// Those among them whose holder was never seen since it joined.
    unsighted: BTreeSet<(SaleMs, u64)>,
}

impl Due {
    fn insert(&mut self, token: &Token) {
        let sequence = token.sequence;
        match token.state {
            TokenState::Waiting => drop(self.sightings.insert((token.last_seen, sequence))),
            TokenState::Absent { since } => {
                self.absences.insert((since, sequence));
                if !token.sighted {
                    self.unsighted.insert((since, sequence));
                }
            }
            TokenState::Active(turn) => {
                self.turn_ends.insert((turn.until, sequence));
                if !turn.used {
                    self.unclaimed.insert((turn.from, sequence));
                }
            }
            TokenState::Ended { .. } => {}
        }
    }

    fn remove(&mut self, token: &Token) {
        let sequence = token.sequence;
        match token.state {
            TokenState::Waiting => drop(self.sightings.remove(&(token.last_seen, sequence))),
            TokenState::Absent { since } => {
                self.absences.remove(&(since, sequence));
                self.unsighted.remove(&(since, sequence));
            }
            TokenState::Active(turn) => {
                self.turn_ends.remove(&(turn.until, sequence));
                self.unclaimed.remove(&(turn.from, sequence));
            }
            TokenState::Ended { .. } => {}
        }
    }

    /// Of live tokens. A tree that is collected is built in bulk, in half the time.
    fn load(live: &[Token]) -> Due {
        let absent = |token: &Token| match token.state {
            TokenState::Absent { since } => Some((since, token.sequence)),
            _ => None,
        };
        let waiting = live.iter().filter(|token| token.state == TokenState::Waiting);
        let active = || live.iter().filter_map(|token| Some((token.state.turn()?, token.sequence)));
        Due {
            turn_ends: active().map(|(turn, sequence)| (turn.until, sequence)).collect(),
            unclaimed: active().filter(|(turn, _)| !turn.used).map(|(turn, sequence)| (turn.from, sequence)).collect(),
            sightings: waiting.map(|token| (token.last_seen, token.sequence)).collect(),
            absences: live.iter().filter_map(absent).collect(),
            unsighted: live.iter().filter(|token| !token.sighted).filter_map(absent).collect(),
        }
    }
}

impl QueueState {
    /// From the store's rows; tokens that are not live are left out.
    pub fn load(row: Queue, live: Vec<Token>) -> QueueState {
        let mut state = QueueState::empty(row);
        let mut live: Vec<Token> = live.into_iter().filter(|token| token.state.is_live()).collect();
        // In order already when the store keeps its word; then this costs one pass, and the trees are built in bulk.
        live.sort_by_key(|token| token.sequence);
        state.by_user.reserve(live.len());
        for token in &live {
            state.by_user.insert(token.user_id.clone(), token.sequence);
            if token.state == TokenState::Waiting {
                state.waiting.insert(token.sequence);
            }
        }
        state.due = Due::load(&live);
        state.follows = live.iter().filter_map(|token| Some((token.follows?, token.sequence))).collect();
        state.tokens = live.into_iter().map(|token| (token.sequence, token)).collect();
        state
    }

    fn empty(row: Queue) -> QueueState {
        QueueState {
            row,
            tokens: BTreeMap::new(),
            follows: BTreeMap::new(),
            by_user: HashMap::new(),
            waiting: WaitingOrder::default(),
            due: Due::default(),
        }
    }

    /// How many waiting tokens are before this waiting one; `None` if it does not wait. O(log n).
    pub fn ahead(&self, sequence: u64) -> Option<u64> {
        self.waiting.contains(sequence).then(|| self.waiting.before(sequence))
    }

    /// How many waiting tokens have a lower sequence. O(log n).
    pub(super) fn waiting_before(&self, sequence: u64) -> u64 {
        self.waiting.before(sequence)
    }

    /// The user's live token.
    pub fn token_of(&self, user: &UserId) -> Option<&Token> {
        self.tokens.get(self.by_user.get(user)?)
    }

    /// The live token with this sequence.
    pub fn token(&self, sequence: u64) -> Option<&Token> {
        self.tokens.get(&sequence)
    }

    /// Rows it keeps in memory.
    pub(super) fn row_count(&self) -> usize {
        1 + self.tokens.len()
    }

    /// Live tokens in order of sequence.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    /// Sequences of the live tokens that are meant by this range: those in it, ascending, then those that follow one in it.
    pub(super) fn seen_between(&self, first: u64, last: u64) -> impl Iterator<Item = u64> {
        let followers = self.follows.range(first..=last).map(|(_, sequence)| *sequence);
        self.tokens.range(first..=last).map(|(sequence, _)| *sequence).chain(followers)
    }

    /// The first waiting token at or after this sequence.
    pub(super) fn waiting_from(&self, sequence: u64) -> Option<u64> {
        self.waiting.at_or_after(sequence)
    }

    /// ACTIVE tokens with the end of their turn, earliest first.
    pub(super) fn turn_ends(&self) -> impl Iterator<Item = (LogTime, u64)> {
        self.due.turn_ends.iter().copied()
    }

    /// ACTIVE tokens whose holder was not seen since, with the beginning of their turn, earliest first.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = (PresenceMs, u64)> {
        self.due.unclaimed.iter().copied()
    }

    /// WAITING tokens with the time at which their holder was last seen, longest ago first.
    pub(super) fn sightings(&self) -> impl Iterator<Item = (PresenceMs, u64)> {
        self.due.sightings.iter().copied()
    }

    /// ABSENT tokens with since when, the longest absent first.
    pub(super) fn absences(&self) -> impl Iterator<Item = (SaleMs, u64)> {
        self.due.absences.iter().copied()
    }

    /// ABSENT tokens in the order in which they make room: those never seen since they joined, then the longest absent.
    pub(super) fn making_room(&self) -> impl Iterator<Item = u64> {
        self.due.unsighted.iter().chain(&self.due.absences).map(|(_, sequence)| *sequence)
    }

    /// Puts a token in, or out if it is no longer live; hands back the row it replaces.
    fn put(&mut self, token: Token) -> Option<Token> {
        let sequence = token.sequence;
        let old = self.tokens.remove(&sequence);
        if let Some(old) = &old {
            self.due.remove(old);
        }
        if let Some(before) = token.follows {
            if token.state.is_live() {
                self.follows.insert(before, sequence)
            } else {
                self.follows.remove(&before)
            };
        }
        self.due.insert(&token);
        if token.state == TokenState::Waiting {
            self.waiting.insert(sequence);
        } else {
            self.waiting.remove(sequence);
        }
        if token.state.is_live() {
            self.by_user.insert(token.user_id.clone(), sequence);
            self.tokens.insert(sequence, token);
        } else if self.by_user.get(&token.user_id) == Some(&sequence) {
            self.by_user.remove(&token.user_id);
        }
        old
    }

    /// Panics on a row that no decision on this queue can contain: going on would corrupt the partition's state.
    pub(super) fn take(state: &mut Option<Self>, row: &Row) -> u64 {
        match (state, row) {
            (slot @ None, Row::Queue(new)) => {
                *slot = Some(QueueState::empty(new.clone()));
                new.digest()
            }
            (Some(state), Row::Queue(new)) if new.schedule_id == state.row.schedule_id => {
                std::mem::replace(&mut state.row, new.clone()).digest() ^ new.digest()
            }
            (Some(state), Row::Token(new)) if new.schedule_id == state.row.schedule_id => {
                state.put(new.clone()).map_or(0, |old| old.digest()) ^ new.digest()
            }
            (_, other) => panic!("not a row of this queue: {other:?}"),
        }
    }
}

/// Equal rows: the indexes follow from them.
impl PartialEq for QueueState {
    fn eq(&self, other: &Self) -> bool {
        self.row == other.row && self.tokens == other.tokens
    }
}

impl Eq for QueueState {}
