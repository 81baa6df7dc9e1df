//! Whether what one decision asks of another partition lies there or waits in the outbox, and whether nothing was decided
//! in the program's name that no decision asked for.
//!
//! A record is known by the hash of its value: ids are derived, so a follow-up's value is the same on every attempt, and
//! another one's is not. What is matched costs 8 bytes, what is not yet about 60.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::reading::read;
use crate::domain::{CommandKind, LanePartition, Position};
use crate::log::{Log, PartitionCounts, ReadError, Record, Topic};
use crate::store::{CommitBatch, OutboxRow};
use crate::wire;
use crate::wire::headers::HOPS;
use crate::wire::routing::partition_for;

/// A value and where it lies or must lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u64);

impl Key {
    fn of(place: LanePartition, value: &[u8]) -> Key {
        Key(xxh3_64_with_seed(value, u64::from(place.lane as u8) << 32 | u64::from(place.partition)))
    }
}

/// What is known of a value so far.
struct Open {
    /// Decisions that lead to it, and how many of their records have been published.
    asked: u32,
    published: u32,
    /// Records that have it.
    found: u32,
    /// The program's own command.
    internal: bool,
    place: LanePartition,
    /// The decision that asked, or else the record.
    position: Position,
}

#[derive(Default)]
pub(super) struct FollowUps {
    open: HashMap<Key, Open>,
    /// Asked for and found. A repeat of the record is none of something else.
    done: HashSet<Key>,
}

/// A record before it is decided.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    key: Option<Key>,
    forwarded: bool,
}

/// What does not fit.
pub(super) enum Stray {
    /// Asked for and neither on its lane nor in the outbox.
    Lost(Position),
    /// Decided, and no decision asked for it.
    Uncaused(Position),
}

impl FollowUps {
    pub fn candidate(place: LanePartition, record: &Record) -> Candidate {
        let key = record.value.as_ref().map(|value| Key::of(place, value));
        Candidate { key, forwarded: record.headers.iter().any(|(name, _)| name == HOPS) }
    }

    /// Takes in what one record came to.
    pub fn take(&mut self, at: Position, record: Candidate, batch: &CommitBatch) {
        let Some(key) = record.key.filter(|key| !self.done.contains(key)) else { return };
        let internal = batch.requests.iter().any(|row| row.key.internal && is_asked_for(row.command));
        // Of the program's own only the one that was decided counts.
        let counts = |open: &Open| !open.internal;
        if internal || record.forwarded || self.open.get(&key).is_some_and(counts) {
            let place = at.partition;
            let open = self.open.entry(key).or_insert(Open::new(at, place, internal));
            open.found += 1;
            self.settle(key);
        }
    }

    /// Takes in what a decision asks for; `kept`: its record is still in the outbox, or a dead letter because the log
    /// refuses it.
    pub fn ask(&mut self, cause: Position, row: &OutboxRow, kept: bool, counts: &PartitionCounts) {
        let Topic::Lane(lane) = row.topic else { return };
        let place = LanePartition { lane, partition: partition_for(&row.key, counts.of(row.topic)) };
        let key = Key::of(place, &row.payload);
        if self.done.contains(&key) {
            return;
        }
        let internal = is_internal(row);
        let open = self.open.entry(key).or_insert(Open::new(cause, place, internal));
        (open.asked, open.published) = (open.asked + 1, open.published + u32::from(!kept));
        if open.found == 0 {
            open.position = cause;
        }
        self.settle(key);
    }

    fn settle(&mut self, key: Key) {
        if self.open.get(&key).is_some_and(|open| open.asked > 0 && open.found >= open.asked) {
            self.open.remove(&key);
            self.done.insert(key);
        }
    }

    /// Looks behind the decided records of a lane, which end before `next`.
    pub async fn look_behind(&mut self, log: &dyn Log, of: LanePartition, mut next: u64) -> Result<(), ReadError> {
        let topic = Topic::Lane(of.lane);
        let end = log.end_offset(topic, of.partition).await?;
        if next >= end || !self.open.values().any(|open| open.place == of && open.is_lost()) {
            return Ok(());
        }
        let mut reader = log.read(topic, of.partition, next).await?;
        while next < end {
            let records = read(&mut *reader).await?;
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            for value in records.iter().filter_map(|record| record.value.as_ref()) {
                if let Some(open) = self.open.get_mut(&Key::of(of, value)) {
                    open.found += 1;
                }
            }
        }
        Ok(())
    }

    pub fn strays(self) -> impl Iterator<Item = Stray> {
        self.open.into_values().filter_map(|open| {
            if open.is_lost() {
                return Some(Stray::Lost(open.position));
            }
            (open.internal && open.asked == 0).then_some(Stray::Uncaused(open.position))
        })
    }
}

impl Open {
    fn new(position: Position, place: LanePartition, internal: bool) -> Open {
        Open { asked: 0, published: 0, found: 0, internal, place, position }
    }

    fn is_lost(&self) -> bool {
        self.found < self.published
    }
}

/// A command of the program's own, also one that is forwarded.
fn is_internal(row: &OutboxRow) -> bool {
    match row.kind.parse() {
        // A client's has the same name.
        Ok(CommandKind::DebitWallet) => {
            wire::command::decode(&row.payload).is_ok_and(|command| command.body.is_internal())
        }
        Ok(kind) => kind.refusals().is_empty() && is_asked_for(kind),
        Err(_) => false,
    }
}

/// What timers and front doors append by themselves asks for nothing in another's name.
fn is_asked_for(kind: CommandKind) -> bool {
    !matches!(kind, CommandKind::ExpireHolds | CommandKind::Tick | CommandKind::Seen)
}
