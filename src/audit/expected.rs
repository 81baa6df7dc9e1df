//! What the store must hold, as the replay of the log says: a digest a row, so that a million commands fit in memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use super::rows::{Key, arrival, key_of, table_of};
use crate::domain::{Arrival, LanePartition, LogTime, Position, RequestId, Row};
use crate::log::PartitionCounts;
use crate::store::{
    CommitBatch, DeadLetter, RequestCompletion, RequestKey, RequestRow, RequestState, StateTable, lane_partitions,
};

/// What kind of row something is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    State(StateTable),
    Request,
    DeadLetter,
}

impl Kind {
    /// The table's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::State(table) => table.as_str(),
            Kind::Request => "request",
            Kind::DeadLetter => "dead_letter",
        }
    }
}

/// One row as the log has it, in 32 bytes: there are two of them for a command.
struct Compared {
    /// Of a request the XOR of two: of what never changes, and of its status and outcome.
    digest: u64,
    /// With partition and time: the command that last changed the row.
    offset: u64,
    time: LogTime,
    partition: LanePartition,
    kind: Kind,
    pending: bool,
}

impl Compared {
    fn new(kind: Kind, digest: u64, at: Arrival) -> Compared {
        let Position { partition, offset } = at.position;
        Compared { digest, offset, time: at.time, partition, kind, pending: false }
    }

    fn position(&self) -> Position {
        self.partition.at(self.offset)
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Rows = HashMap<u128, Compared, BuildHasherDefault<Hashed>>;

/// All rows the replays so far gave, by the hash of their key. Matched rows are taken out; what is left is missing.
#[derive(Default)]
pub struct Expected {
    /// By the partition that wrote them: one map of all would have to be copied as a whole when it grows.
    rows: HashMap<LanePartition, Rows>,
    /// XOR of the digests of each partition's rows of state.
    hashes: HashMap<LanePartition, u64>,
}

/// How a row of the store compares.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    Equal,
    Differs,
    /// The log does not give such a row.
    Unknown,
}

impl Expected {
    pub fn new(counts: &PartitionCounts) -> Self {
        Expected { rows: HashMap::default(), hashes: lane_partitions(counts).map(|partition| (partition, 0)).collect() }
    }

    /// Takes in what one batch of a replay would have committed.
    pub fn take(&mut self, batch: CommitBatch) {
        let rows = self.rows.entry(batch.partition).or_default();
        let mut hash = 0;
        for row in batch.changes.into_rows() {
            let digest = row.digest();
            let compared = Compared::new(Kind::State(table_of(&row)), digest, arrival(&row));
            let before = rows.insert(key_of(&row), compared).map_or(0, |before| before.digest);
            hash ^= before ^ digest;
        }
        *self.hashes.entry(batch.partition).or_default() ^= hash;
        for request in &batch.requests {
            // What counts for its retention.
            let at = Arrival { position: request.position, time: request.state.decided_at().unwrap_or(request.at) };
            let mut row = Compared::new(Kind::Request, whole_digest(request), at);
            row.pending = request.state == RequestState::Pending;
            rows.insert(request_key(request.key, batch.partition), row);
        }
        for RequestCompletion { request_id, decided } in batch.completions {
            let row = rows.get_mut(&request_key(asked(request_id), batch.partition));
            if let Some(row) = row.filter(|row| row.pending) {
                row.pending = false;
                row.time = decided.at;
                row.digest ^= outcome_digest(&RequestState::Pending);
                row.digest ^= outcome_digest(&RequestState::Decided(decided));
            }
        }
        for letter in &batch.dead_letters {
            let at = Arrival { position: letter.position, time: letter.at };
            rows.insert(letter_key(letter.position), Compared::new(Kind::DeadLetter, letter_digest(letter), at));
        }
    }

    /// XOR over the digests of a partition's rows of state.
    pub fn state_hash(&self, partition: LanePartition) -> u64 {
        self.hashes.get(&partition).copied().unwrap_or(0)
    }

    pub fn state(&mut self, row: &Row) -> Match {
        self.compare(arrival(row).position, key_of(row), row.digest())
    }

    pub fn request(&mut self, row: &RequestRow) -> Match {
        let key = request_key(row.key, row.position.partition);
        self.compare(row.position, key, whole_digest(row))
    }

    pub fn dead_letter(&mut self, letter: &DeadLetter) -> Match {
        self.compare(letter.position, letter_key(letter.position), letter_digest(letter))
    }

    fn compare(&mut self, at: Position, key: u128, digest: u64) -> Match {
        let row = self.rows.get_mut(&at.partition).and_then(|rows| rows.remove(&key));
        // The store may be wrong about that as well.
        match row.or_else(|| self.rows.values_mut().find_map(|rows| rows.remove(&key))) {
            None => Match::Unknown,
            Some(row) if row.digest == digest => Match::Equal,
            Some(_) => Match::Differs,
        }
    }

    /// Rows that no row of the store matched.
    pub fn missing(&self) -> impl Iterator<Item = (Kind, Position, LogTime)> + '_ {
        self.rows.values().flat_map(HashMap::values).map(|row| (row.kind, row.position(), row.time))
    }
}

/// Only requests of clients wait for a completion.
fn asked(id: RequestId) -> RequestKey {
    RequestKey { id, internal: false }
}

fn request_key(key: RequestKey, of: LanePartition) -> u128 {
    Key::of("request").bytes(key.id.0.as_bytes()).number(key.internal.into()).place(of).hash()
}

fn letter_key(at: Position) -> u128 {
    Key::of("dead_letter").place(at.partition).number(at.offset).hash()
}

fn whole_digest(row: &RequestRow) -> u64 {
    request_digest(row) ^ outcome_digest(&row.state)
}

fn request_digest(row: &RequestRow) -> u64 {
    let [user, by] = [&row.user_id, &row.by].map(|user| user.as_ref().map_or("", |user| user.as_str()));
    let key = Key::of(row.command.as_str()).bytes(user.as_bytes()).bytes(by.as_bytes());
    let key = key.number(row.position.offset).number(row.fingerprint.0).number(row.at.0 as u64);
    key.digest()
}

fn outcome_digest(state: &RequestState) -> u64 {
    let outcome = state.outcome().unwrap_or_default();
    Key::of(state.status().as_str()).bytes(outcome.as_bytes()).digest()
}

fn letter_digest(letter: &DeadLetter) -> u64 {
    let key = Key::of(&letter.reason).bytes(letter.key.as_deref().unwrap_or_default());
    key.bytes(letter.value.as_deref().unwrap_or_default()).number(letter.at.0 as u64).digest()
}
