//! Rows of state of any lane: what a commit writes and the audit reads.

use super::aggregate::Aggregate;
use super::block::{self, Block};
use super::queue::{self, QueueState};
use super::wallet::{self, WalletState};

/// The changed rows of one batch, each key once; the variant is the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    Seats(Vec<block::Row>),
    Wallets(Vec<wallet::Row>),
    Queues(Vec<queue::Row>),
    /// It has no state.
    Inbox,
}

impl Changes {
    pub fn len(&self) -> usize {
        match self {
            Changes::Seats(rows) => rows.len(),
            Changes::Wallets(rows) => rows.len(),
            Changes::Queues(rows) => rows.len(),
            Changes::Inbox => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn into_rows(self) -> Vec<Row> {
        match self {
            Changes::Seats(rows) => rows.into_iter().map(Row::Seats).collect(),
            Changes::Wallets(rows) => rows.into_iter().map(Row::Wallets).collect(),
            Changes::Queues(rows) => rows.into_iter().map(Row::Queues).collect(),
            Changes::Inbox => Vec::new(),
        }
    }
}

/// One row of state of any lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Seats(block::Row),
    Wallets(wallet::Row),
    Queues(queue::Row),
}

/// The key of one row of any lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    Seats(block::RowKey),
    Wallets(wallet::RowKey),
    Queues(queue::RowKey),
}

impl Row {
    pub fn key(&self) -> RowKey {
        match self {
            Row::Seats(row) => RowKey::Seats(Block::row_key(row)),
            Row::Wallets(row) => RowKey::Wallets(WalletState::row_key(row)),
            Row::Queues(row) => RowKey::Queues(QueueState::row_key(row)),
        }
    }

    pub fn digest(&self) -> u64 {
        match self {
            Row::Seats(row) => Block::digest(row),
            Row::Wallets(row) => WalletState::digest(row),
            Row::Queues(row) => QueueState::digest(row),
        }
    }
}
