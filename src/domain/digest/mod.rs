//! Hashes of rows, for the state hash of a partition: XOR over the digests of all rows it owns.
//!
//! A digest is xxh3_64 over a canonical encoding: a byte for the kind of row, then its fields in order of declaration,
//! integers little endian, texts and lists after their length, options after a byte that says whether there is one,
//! states as their stable texts. Nothing in it depends on the machine, so one number compares two replays of one log.
//! Each row is taken apart field by field: a new field that is not hashed does not compile.
//!
//! Kinds of row: 1–9 seats, 10–19 wallets, 20–29 queues.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{Amount, Arrival, Balance, LogTime};

mod block;
mod queue;
mod wallet;

pub(super) use block::content;

/// A row of state that counts in the state hash.
pub trait Digest {
    fn digest(&self) -> u64;
}

/// The canonical encoding of one row, written field by field.
pub(crate) struct Bytes(Vec<u8>);

impl Bytes {
    /// Starts with the kind of row.
    pub(crate) fn of(kind: u8) -> Bytes {
        // Most rows fit, so that a digest costs one allocation.
        let mut bytes = Vec::with_capacity(256);
        bytes.push(kind);
        Bytes(bytes)
    }

    pub(crate) fn digest(self) -> u64 {
        xxh3_64(&self.0)
    }

    pub(crate) fn flag(mut self, value: bool) -> Self {
        self.0.push(u8::from(value));
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn amount(self, value: Amount) -> Self {
        self.i64(value.get())
    }

    pub(crate) fn balance(self, value: Balance) -> Self {
        self.i64(value.get())
    }

    pub(crate) fn text(self, value: &str) -> Self {
        // The length first, so that "ab" + "c" is not "a" + "bc".
        let mut bytes = self.u32(value.len() as u32);
        bytes.0.extend_from_slice(value.as_bytes());
        bytes
    }

    pub(crate) fn uuid(mut self, value: Uuid) -> Self {
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    pub(crate) fn time(self, value: LogTime) -> Self {
        self.i64(value.0)
    }

    pub(crate) fn arrival(self, value: &Arrival) -> Self {
        let Arrival { position, time } = value;
        let partition = position.partition;
        self.text(partition.lane.as_str()).u32(partition.partition).u64(position.offset).time(*time)
    }

    pub(crate) fn option<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            None => self.flag(false),
            Some(value) => write(self.flag(true), value),
        }
    }

    pub(crate) fn list<T>(self, values: impl ExactSizeIterator<Item = T>, write: impl Fn(Self, T) -> Self) -> Self {
        let bytes = self.u32(values.len() as u32);
        values.fold(bytes, write)
    }
}
