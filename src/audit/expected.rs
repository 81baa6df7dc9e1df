//! What the store must hold, as the replay of the log says: a digest a row, so that a million commands fit in memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::domain::{Arrival, Change, Lane, LogTime, Position, RequestId};
use crate::log::{LanePartition, PartitionCounts};
use crate::store::{CommitBatch, DeadLetter, RequestRow, RequestStatus, lane_partitions};

/// What kind of row something is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Section,
    Seat,
    Reservation,
    Payment,
    Wallet,
    WalletEntry,
    Queue,
    Token,
    Request,
    DeadLetter,
}

impl Kind {
    /// The table's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Section => "section",
            Kind::Seat => "seat",
            Kind::Reservation => "reservation",
            Kind::Payment => "payment",
            Kind::Wallet => "wallet",
            Kind::WalletEntry => "wallet_entry",
            Kind::Queue => "queue",
            Kind::Token => "queue_token",
            Kind::Request => "request",
            Kind::DeadLetter => "dead_letter",
        }
    }

    fn of(change: &Change) -> Kind {
        match change {
            Change::Section(_) => Kind::Section,
            Change::Seat(_) => Kind::Seat,
            Change::Reservation(_) => Kind::Reservation,
            Change::Payment(_) => Kind::Payment,
            Change::Wallet(_) => Kind::Wallet,
            Change::WalletEntry(_) => Kind::WalletEntry,
            Change::Queue(_) => Kind::Queue,
            Change::Token(_) => Kind::Token,
        }
    }
}

/// One row as the log has it, in 32 bytes: there are two of them for a command.
struct Row {
    /// Of a request the XOR of two: of what never changes, and of its status and outcome.
    digest: u64,
    /// With lane, partition and time: the command that last changed the row.
    offset: u64,
    time: LogTime,
    partition: u32,
    lane: Lane,
    kind: Kind,
    pending: bool,
}

impl Row {
    fn new(kind: Kind, digest: u64, at: Arrival) -> Row {
        let Position { lane, partition, offset } = at.position;
        Row { digest, offset, time: at.time, partition, lane, kind, pending: false }
    }

    fn position(&self) -> Position {
        Position { lane: self.lane, partition: self.partition, offset: self.offset }
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

type Rows = HashMap<u128, Row, BuildHasherDefault<Hashed>>;

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
        for change in &batch.changes {
            let digest = change.digest();
            let row = Row::new(Kind::of(change), digest, arrival(change));
            let before = rows.insert(key_of(change), row).map_or(0, |row| row.digest);
            hash ^= before ^ digest;
        }
        *self.hashes.entry(batch.partition).or_default() ^= hash;
        for request in &batch.requests {
            let at = Arrival { position: request.position, time: request.at };
            let mut row = Row::new(Kind::Request, whole_digest(request), at);
            row.pending = request.status == RequestStatus::Pending;
            rows.insert(request_key(request.request_id, batch.partition), row);
        }
        for completion in &batch.completions {
            let row = rows.get_mut(&request_key(completion.request_id, batch.partition));
            if let Some(row) = row.filter(|row| row.pending) {
                row.pending = false;
                row.digest ^= outcome_digest(RequestStatus::Pending, None);
                row.digest ^= outcome_digest(completion.status, Some(&completion.outcome));
            }
        }
        for letter in &batch.dead_letters {
            let at = Arrival { position: letter.position, time: letter.at };
            rows.insert(letter_key(letter.position), Row::new(Kind::DeadLetter, letter_digest(letter), at));
        }
    }

    /// XOR over the digests of a partition's rows of state.
    pub fn state_hash(&self, partition: LanePartition) -> u64 {
        self.hashes.get(&partition).copied().unwrap_or(0)
    }

    pub fn state(&mut self, change: &Change) -> Match {
        self.compare(arrival(change).position, key_of(change), change.digest())
    }

    pub fn request(&mut self, row: &RequestRow) -> Match {
        let Position { lane, partition, .. } = row.position;
        let key = request_key(row.request_id, LanePartition { lane, partition });
        self.compare(row.position, key, whole_digest(row))
    }

    pub fn dead_letter(&mut self, letter: &DeadLetter) -> Match {
        self.compare(letter.position, letter_key(letter.position), letter_digest(letter))
    }

    fn compare(&mut self, at: Position, key: u128, digest: u64) -> Match {
        let here = LanePartition { lane: at.lane, partition: at.partition };
        let row = self.rows.get_mut(&here).and_then(|rows| rows.remove(&key));
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

/// The command that last changed the row.
pub fn arrival(change: &Change) -> Arrival {
    match change {
        Change::Section(row) => row.changed,
        Change::Seat(row) => row.changed,
        Change::Reservation(row) => row.changed,
        Change::Payment(row) => row.changed,
        Change::Wallet(row) => row.changed,
        Change::WalletEntry(row) => row.at,
        Change::Queue(row) => row.changed,
        Change::Token(row) => row.changed,
    }
}

/// Puts a row's key into bytes; the first one keeps the tables apart.
struct Key(Vec<u8>);

impl Key {
    fn of(kind: Kind) -> Key {
        Key(vec![kind as u8])
    }

    fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(mut self, number: u64) -> Key {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn place(self, lane: Lane, partition: u32) -> Key {
        self.number(u64::from(lane as u8)).number(partition.into())
    }

    fn hash(self) -> u128 {
        xxh3_128(&self.0)
    }
}

fn key_of(change: &Change) -> u128 {
    let key = Key::of(Kind::of(change));
    match change {
        Change::Section(row) => key.bytes(row.schedule_id.0.as_bytes()).bytes(row.name.as_str().as_bytes()),
        Change::Seat(row) => {
            key.bytes(row.schedule_id.0.as_bytes()).bytes(row.section.as_str().as_bytes()).number(row.number.into())
        }
        Change::Reservation(row) => key.bytes(row.id.0.as_bytes()),
        Change::Payment(row) => key.bytes(row.id.0.as_bytes()),
        Change::Wallet(row) => key.bytes(row.user_id.as_str().as_bytes()),
        Change::WalletEntry(row) => key.bytes(row.user_id.as_str().as_bytes()).number(row.number),
        Change::Queue(row) => key.bytes(row.schedule_id.0.as_bytes()),
        Change::Token(row) => key.bytes(row.schedule_id.0.as_bytes()).number(row.sequence),
    }
    .hash()
}

fn request_key(id: RequestId, of: LanePartition) -> u128 {
    Key::of(Kind::Request).bytes(id.0.as_bytes()).place(of.lane, of.partition).hash()
}

fn letter_key(at: Position) -> u128 {
    Key::of(Kind::DeadLetter).place(at.lane, at.partition).number(at.offset).hash()
}

fn whole_digest(row: &RequestRow) -> u64 {
    request_digest(row) ^ outcome_digest(row.status, row.outcome.as_deref())
}

fn request_digest(row: &RequestRow) -> u64 {
    let user = row.user_id.as_ref().map_or("", |user| user.as_str());
    let key = Key(Vec::with_capacity(128)).bytes(row.command.as_bytes()).bytes(user.as_bytes());
    let key = key.number(row.position.offset).number(row.fingerprint).number(row.at.0 as u64);
    xxh3_64(&key.0)
}

fn outcome_digest(status: RequestStatus, outcome: Option<&str>) -> u64 {
    let key = Key(Vec::with_capacity(512)).bytes(status.as_str().as_bytes());
    xxh3_64(&key.bytes(outcome.unwrap_or_default().as_bytes()).0)
}

fn letter_digest(letter: &DeadLetter) -> u64 {
    let key = Key(Vec::new()).bytes(letter.reason.as_bytes()).bytes(letter.key.as_deref().unwrap_or_default());
    xxh3_64(&key.bytes(letter.value.as_deref().unwrap_or_default()).number(letter.at.0 as u64).0)
}
