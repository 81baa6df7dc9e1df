//! The floor plan that the three aggregates share: rows, commands, state, rules, and what the rules say of a command.

use std::fmt::Debug;
use std::hash::Hash;

use super::body::Body;
use super::command::Asking;
use super::outcome::{Completion, Effects, Reply, Verdict};
use super::position::{Arrival, LogTime};
use super::refusal::Refusal;

/// What one routing key owns. Rules are functions: state, command and arrival in, decision out; no I/O, no clock.
pub trait Aggregate: Debug + Clone + Send + Sync + Sized + 'static {
    type Key: Debug + Clone + Eq + Ord + Hash + Send + Sync + 'static;
    type Command: Debug + Send + Sync;
    /// One changed row of state, whole.
    type Row: Debug + Clone + PartialEq + Eq + Send + Sync + 'static;
    /// The key of a row, to keep only the last write of each within a batch.
    type RowKey: Debug + Clone + Eq + Ord + Hash + Send + Sync + 'static;
    /// What a command names besides its aggregate: rows that memory keeps only while somebody asks for them.
    type Recall: Debug + Clone + Eq + Ord + Hash + Send + Sync + 'static;

    /// Decides one command. `None`: the store has no row of this aggregate.
    fn decide(state: Option<&Self>, command: &Self::Command, asking: &Asking, at: &Arrival) -> Decision<Self>;

    /// Takes one row of a decision into memory. Returns what it does to the state hash: digest of the row before XOR
    /// digest of the row after, where no row counts as 0.
    fn apply(state: &mut Option<Self>, row: &Self::Row) -> u64;

    /// Moves what is derived from time, never a row, to `time`. Called before each decision with its log time.
    fn advance(&mut self, _time: LogTime) {}

    /// From when on a timer record has something to do; in the past: at once.
    fn next_due(&self) -> Option<LogTime>;

    /// Rows it keeps in memory, for the bound of the cache.
    fn rows(&self) -> usize;

    fn row_key(row: &Self::Row) -> Self::RowKey;

    /// Hash of a row, for the state hash of the partition.
    fn digest(row: &Self::Row) -> u64;

    /// What must be recalled from the store before this command is decided, unless [`Aggregate::knows`] it.
    fn recalls(command: &Self::Command, asking: &Asking) -> Vec<Self::Recall>;

    fn knows(&self, recall: &Self::Recall) -> bool;

    /// Takes in a row that the store had for a recall. A row that is known stays as it is: memory may be ahead of the
    /// store.
    fn remember(&mut self, row: Self::Row);

    /// Drops remembered rows last changed before this offset, once everything before it is committed: from then on the
    /// store can give them back.
    fn forget(&mut self, before: u64);

    /// How many rows [`Aggregate::forget`] could drop at best.
    fn remembered(&self) -> usize;
}

/// The rules' answer to one command. Applying `changes` to the aggregate gives its next state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<A: Aggregate> {
    pub verdict: Verdict,
    /// What the command changed for others than the one who asked; part of the outcome of this command.
    pub effects: Effects,
    pub changes: Vec<A::Row>,
    /// Commands for other aggregates; their request ids are derived from this command's position.
    pub follow_ups: Vec<Body>,
    /// A request of an earlier command that this one decides.
    pub completes: Option<Completion>,
}

impl<A: Aggregate> Decision<A> {
    fn of(verdict: Verdict, changes: Vec<A::Row>) -> Self {
        Decision { verdict, effects: Effects::default(), changes, follow_ups: Vec::new(), completes: None }
    }

    pub fn rejected(refusal: Refusal) -> Self {
        Decision::of(Verdict::Decided(Err(refusal)), Vec::new())
    }

    pub fn succeeded(reply: impl Into<Reply>, changes: Vec<A::Row>) -> Self {
        Decision::of(Verdict::Decided(Ok(reply.into())), changes)
    }

    /// The command waits for the settlement of what it asks of another lane.
    pub fn pending(changes: Vec<A::Row>, follow_up: Body) -> Self {
        Decision { follow_ups: vec![follow_up], ..Decision::of(Verdict::Pending, changes) }
    }

    /// A timer's record that found nothing to do: no outcome is stored or published. `changes` may correct when
    /// something is due.
    pub fn nothing(changes: Vec<A::Row>) -> Self {
        Decision::of(Verdict::Nothing, changes)
    }
}
