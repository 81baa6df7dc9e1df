//! A user's money: one balance, its history, and the first answer to each payment. Key `{user_id}`, lane `wallets`.
//!
//! This file has the rows; `command` what may be asked; `state` the wallet in memory; `rules` decides.

use uuid::Uuid;

use super::ids::{EntryId, PaymentId, RequestId};
use super::position::Arrival;
use super::texts::texts;
use super::{Amount, Balance, Code, Reason, UserId};

pub mod command;
mod rules;
mod state;
#[cfg(test)]
mod tests;

pub use command::*;
pub use state::WalletState;

/// The wallet's row; a user who never got money has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub user_id: UserId,
    pub balance: Balance,
    /// How many entries it has; the last entry's number.
    pub entries: u64,
    pub changed: Arrival,
}

texts! {
    /// What kind of change an entry records.
    pub enum EntryKind ("an entry kind") {
        Charge = "CHARGE",
        Payment = "PAYMENT",
        Debit = "DEBIT",
        Refund = "REFUND",
    }

    /// What a payment asks of a wallet.
    pub enum AnswerKind ("an answer kind: debit or refund") {
        Debit = "debit",
        Refund = "refund",
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
    pub amount: Amount,
    pub balance_after: Balance,
    pub reason: Option<Reason>,
    /// The request that caused it: the user's own; for a payment or refund the one that asked to pay or cancel; for a
    /// refund that nobody asked for, that of the `credit_wallet` itself.
    pub request_id: RequestId,
    /// Who acted, if not the user.
    pub by: Option<UserId>,
    /// The payment id for PAYMENT and REFUND, the request id for CHARGE and DEBIT: unique with `kind`, for good.
    pub cause: Uuid,
    pub at: Arrival,
}

/// The first answer to the debit or the refund of a payment, kept for good: a repeat gets it again and moves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentAnswer {
    pub payment_id: PaymentId,
    pub kind: AnswerKind,
    pub user_id: UserId,
    pub amount: Amount,
    /// The balance after it, or why it was declined.
    pub answer: Result<Balance, Code>,
    pub at: Arrival,
}

/// One changed row of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Wallet(Wallet),
    Entry(Entry),
    Answer(PaymentAnswer),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    Wallet(UserId),
    Entry(UserId, u64),
    /// With the user: two partitions may each be asked for one payment id.
    Answer(PaymentId, AnswerKind, UserId),
}

/// What a command of this lane names besides its wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recall {
    /// The answers to the debit and to the refund of a payment.
    Answers(PaymentId),
    /// The entry of this kind with this cause.
    Entry(EntryKind, Uuid),
}
