//! What the audit says of rows of any lane: their table, their key as bytes, the command that last changed them.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::domain::{Arrival, BlockKey, LanePartition, Row, block, queue, wallet};
use crate::store::StateTable;

pub(super) fn table_of(row: &Row) -> StateTable {
    match row {
        Row::Seats(block::Row::Block(_)) => StateTable::Block,
        Row::Seats(block::Row::Section(_)) => StateTable::Section,
        Row::Seats(block::Row::Seat(_)) => StateTable::Seat,
        Row::Seats(block::Row::Reservation(_)) => StateTable::Reservation,
        Row::Seats(block::Row::Payment(_)) => StateTable::Payment,
        Row::Wallets(wallet::Row::Wallet(_)) => StateTable::Wallet,
        Row::Wallets(wallet::Row::Entry(_)) => StateTable::WalletEntry,
        Row::Wallets(wallet::Row::Answer(_)) => StateTable::PaymentAnswer,
        Row::Queues(queue::Row::Queue(_)) => StateTable::Queue,
        Row::Queues(queue::Row::Token(_)) => StateTable::Token,
    }
}

/// The command that last changed the row.
pub(super) fn arrival(row: &Row) -> Arrival {
    match row {
        Row::Seats(block::Row::Block(row)) => row.changed,
        Row::Seats(block::Row::Section(row)) => row.changed,
        Row::Seats(block::Row::Seat(row)) => row.changed,
        Row::Seats(block::Row::Reservation(row)) => row.changed,
        Row::Seats(block::Row::Payment(row)) => row.changed,
        Row::Wallets(wallet::Row::Wallet(row)) => row.changed,
        Row::Wallets(wallet::Row::Entry(row)) => row.at,
        Row::Wallets(wallet::Row::Answer(row)) => row.at,
        Row::Queues(queue::Row::Queue(row)) => row.changed,
        Row::Queues(queue::Row::Token(row)) => row.changed,
    }
}

/// The row's key and table as one number.
pub(super) fn key_of(row: &Row) -> u128 {
    let key = Key::of(table_of(row).as_str());
    match row {
        Row::Seats(block::Row::Block(row)) => key.block(&row.key),
        Row::Seats(block::Row::Section(row)) => key.block(&row.key).bytes(row.name.as_str().as_bytes()),
        Row::Seats(block::Row::Seat(row)) => {
            key.block(&row.key).bytes(row.id.section.as_str().as_bytes()).number(row.id.number.into())
        }
        Row::Seats(block::Row::Reservation(row)) => key.bytes(row.id.0.as_bytes()),
        Row::Seats(block::Row::Payment(row)) => key.bytes(row.id.0.as_bytes()),
        Row::Wallets(wallet::Row::Wallet(row)) => key.bytes(row.user_id.as_str().as_bytes()),
        Row::Wallets(wallet::Row::Entry(row)) => key.bytes(row.user_id.as_str().as_bytes()).number(row.number),
        Row::Wallets(wallet::Row::Answer(row)) => {
            let key = key.bytes(row.payment_id.0.as_bytes()).bytes(row.kind.as_str().as_bytes());
            key.bytes(row.user_id.as_str().as_bytes())
        }
        Row::Queues(queue::Row::Queue(row)) => key.bytes(row.schedule_id.0.as_bytes()),
        Row::Queues(queue::Row::Token(row)) => key.bytes(row.schedule_id.0.as_bytes()).number(row.sequence),
    }
    .hash()
}

/// Puts a key, or what is compared, into bytes.
pub(super) struct Key(Vec<u8>);

impl Key {
    /// `what` keeps keys of different things apart.
    pub fn of(what: &str) -> Key {
        Key(Vec::with_capacity(128)).bytes(what.as_bytes())
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn number(mut self, number: u64) -> Key {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub fn place(self, of: LanePartition) -> Key {
        self.number(u64::from(of.lane as u8)).number(of.partition.into())
    }

    fn block(self, key: &BlockKey) -> Key {
        self.bytes(key.schedule_id.0.as_bytes()).bytes(key.block.as_str().as_bytes())
    }

    pub fn hash(self) -> u128 {
        xxh3_128(&self.0)
    }

    pub fn digest(self) -> u64 {
        xxh3_64(&self.0)
    }
}
