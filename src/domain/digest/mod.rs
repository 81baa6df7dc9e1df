//! Hashes of rows, for the state hash of a partition: XOR over the digests of all rows it owns.
//!
//! A digest is xxh3_64 over a canonical encoding: a byte for the kind of row, then its fields in order of declaration,
//! integers little endian, texts after their length, options after a byte that says whether there is one, states as
//! their stable texts. Nothing in it depends on the machine, so two replays of one log can be compared by one number.
//! Each row is taken apart field by field: a new field that is not hashed does not compile.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::ids::{Arrival, LogTime};
use super::queue::{Limits, Queue, Token};
use super::section::{Payment, Reservation, Seat, SectionRow};
use super::wallet::{Entry, Wallet};
use super::{Change, Code};

#[cfg(test)]
mod tests;

/// A row of state that counts in the state hash.
pub trait Digest {
    fn digest(&self) -> u64;
}

impl Change {
    /// The digest of the row as it is after the change.
    pub fn digest(&self) -> u64 {
        match self {
            Change::Section(row) => row.digest(),
            Change::Seat(row) => row.digest(),
            Change::Reservation(row) => row.digest(),
            Change::Payment(row) => row.digest(),
            Change::Wallet(row) => row.digest(),
            Change::WalletEntry(row) => row.digest(),
            Change::Queue(row) => row.digest(),
            Change::Token(row) => row.digest(),
        }
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn of(kind: u8) -> Bytes {
        // Most rows fit, so that a digest costs one allocation.
        let mut bytes = Vec::with_capacity(256);
        bytes.push(kind);
        Bytes(bytes)
    }

    fn digest(self) -> u64 {
        xxh3_64(&self.0)
    }

    fn flag(mut self, value: bool) -> Self {
        self.0.push(u8::from(value));
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn text(self, value: &str) -> Self {
        // The length first, so that "ab" + "c" is not "a" + "bc".
        let mut bytes = self.u32(value.len() as u32);
        bytes.0.extend_from_slice(value.as_bytes());
        bytes
    }

    fn uuid(mut self, value: Uuid) -> Self {
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    fn time(self, value: LogTime) -> Self {
        self.i64(value.0)
    }

    fn arrival(self, value: &Arrival) -> Self {
        let Arrival { position, time } = value;
        self.text(position.lane.as_str()).u32(position.partition).u64(position.offset).time(*time)
    }

    fn option<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            None => self.flag(false),
            Some(value) => write(self.flag(true), value),
        }
    }
}

impl Digest for SectionRow {
    fn digest(&self) -> u64 {
        let SectionRow {
            schedule_id,
            name,
            seats,
            price,
            hold_ttl_ms,
            max_seats_per_user,
            sales_open_at,
            starts_at,
            queue,
            available,
            changed,
        } = self;
        Bytes::of(1)
            .uuid(schedule_id.0)
            .text(name.as_str())
            .u32(*seats)
            .i64(*price)
            .i64(*hold_ttl_ms)
            .u32(*max_seats_per_user)
            .option(*sales_open_at, Bytes::time)
            .time(*starts_at)
            .flag(*queue)
            .u32(*available)
            .arrival(changed)
            .digest()
    }
}

impl Digest for Seat {
    fn digest(&self) -> u64 {
        let Seat { schedule_id, section, number, status, reservation, changed } = self;
        Bytes::of(2)
            .uuid(schedule_id.0)
            .text(section.as_str())
            .u32(*number)
            .text(status.as_str())
            .option(*reservation, |bytes, id| bytes.uuid(id.0))
            .arrival(changed)
            .digest()
    }
}

impl Digest for Reservation {
    fn digest(&self) -> u64 {
        let Reservation {
            id,
            schedule_id,
            section,
            user_id,
            seats,
            amount,
            status,
            expires_at,
            payment,
            held,
            changed,
        } = self;
        let bytes = Bytes::of(3).uuid(id.0).uuid(schedule_id.0).text(section.as_str()).text(user_id.as_str());
        let bytes = seats.iter().fold(bytes.u32(seats.len() as u32), |bytes, number| bytes.u32(*number));
        bytes
            .i64(*amount)
            .text(status.as_str())
            .time(*expires_at)
            .option(*payment, |bytes, id| bytes.uuid(id.0))
            .arrival(held)
            .arrival(changed)
            .digest()
    }
}

impl Digest for Payment {
    fn digest(&self) -> u64 {
        let Payment { id, reservation_id, user_id, amount, status, failure, request_id, created_at, changed } = self;
        Bytes::of(4)
            .uuid(id.0)
            .uuid(reservation_id.0)
            .text(user_id.as_str())
            .i64(*amount)
            .text(status.as_str())
            .option(failure.map(Code::as_str), Bytes::text)
            .uuid(request_id.0)
            .time(*created_at)
            .arrival(changed)
            .digest()
    }
}

impl Digest for Wallet {
    fn digest(&self) -> u64 {
        let Wallet { user_id, balance, entries, changed } = self;
        Bytes::of(5).text(user_id.as_str()).i64(*balance).u64(*entries).arrival(changed).digest()
    }
}

impl Digest for Entry {
    fn digest(&self) -> u64 {
        let Entry { id, user_id, number, kind, amount, balance_after, reason, request_id, at } = self;
        Bytes::of(6)
            .uuid(id.0)
            .text(user_id.as_str())
            .u64(*number)
            .text(kind.as_str())
            .i64(*amount)
            .i64(*balance_after)
            .option(reason.as_deref(), Bytes::text)
            .uuid(request_id.0)
            .arrival(at)
            .digest()
    }
}

impl Digest for Queue {
    fn digest(&self) -> u64 {
        let Queue {
            schedule_id,
            limits,
            paused,
            next_sequence,
            waiting,
            active,
            admitted,
            completed,
            expired,
            left,
            rate_next_us,
            changed,
        } = self;
        let Limits { max_active, active_ttl_ms, max_waiting, admit_per_minute, on_timeout, abandon_after_ms } = limits;
        Bytes::of(7)
            .uuid(schedule_id.0)
            .u32(*max_active)
            .i64(*active_ttl_ms)
            .u32(*max_waiting)
            .option(*admit_per_minute, Bytes::u32)
            .text(on_timeout.as_str())
            .i64(*abandon_after_ms)
            .flag(*paused)
            .u64(*next_sequence)
            .u64(*waiting)
            .u64(*active)
            .u64(*admitted)
            .u64(*completed)
            .u64(*expired)
            .u64(*left)
            .i64(*rate_next_us)
            .arrival(changed)
            .digest()
    }
}

impl Digest for Token {
    fn digest(&self) -> u64 {
        let Token { schedule_id, sequence, user_id, status, joined_at, admitted_at, active_until, last_seen, changed } =
            self;
        Bytes::of(8)
            .uuid(schedule_id.0)
            .u64(*sequence)
            .text(user_id.as_str())
            .text(status.as_str())
            .time(*joined_at)
            .option(*admitted_at, Bytes::time)
            .option(*active_until, Bytes::time)
            .time(*last_seen)
            .arrival(changed)
            .digest()
    }
}
