//! A user's money: one balance and its history. Key `{user_id}`, lane `wallets`.
//!
//! This file has the rows, `rules` decides.

use super::ids::{Arrival, EntryId, RequestId, UserId};

mod rules;
#[cfg(test)]
mod tests;

pub use rules::{apply, decide};

/// Largest amount of one charge, debit or price.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// No charge lifts a balance above this. Refunds may: money that was paid is always given back.
pub const BALANCE_MAX: i64 = 10_000_000_000_000;
/// Longest `reason` of an entry, in characters.
pub const REASON_MAX: usize = 200;

/// The wallet's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub user_id: UserId,
    /// Smallest currency unit, never negative.
    pub balance: i64,
    /// How many entries it has; the last entry's number.
    pub entries: u64,
    pub changed: Arrival,
}

/// What kind of change an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Charge,
    Payment,
    Debit,
    Refund,
}

impl EntryKind {
    pub const ALL: [EntryKind; 4] = [EntryKind::Charge, EntryKind::Payment, EntryKind::Debit, EntryKind::Refund];

    pub fn as_str(self) -> &'static str {
        match self {
            EntryKind::Charge => "CHARGE",
            EntryKind::Payment => "PAYMENT",
            EntryKind::Debit => "DEBIT",
            EntryKind::Refund => "REFUND",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        EntryKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One line of a wallet's history; never changed once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub user_id: UserId,
    /// 1, 2, 3, … within the wallet.
    pub number: u64,
    pub kind: EntryKind,
    /// What moved, always positive; `kind` says the direction.
    pub amount: i64,
    pub balance_after: i64,
    pub reason: Option<String>,
    /// The request that caused it: the user's own, for a payment the one that asked to pay.
    pub request_id: RequestId,
    pub at: Arrival,
}
