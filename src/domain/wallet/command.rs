//! The commands of the wallets lane.

use super::{AnswerKind, Entry, PaymentAnswer};
use crate::domain::block::Origin;
use crate::domain::{Amount, CommandKind, Reason, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    ChargeWallet(Movement),
    /// Spends from a wallet directly.
    DebitWallet(Movement),
    /// Internal: takes the money of a payment, which is then settled. `debit_wallet` with an origin on the log.
    DebitForPayment(ForPayment),
    /// Internal: gives the money of a payment back.
    CreditWallet(ForPayment),
    /// Internal: asks again for the answer to a debit or a refund; executes it if there is no answer yet.
    AskPayment(AskPayment),
}

/// Money that a user or a cashier moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub user_id: UserId,
    /// Unchecked until decided: 1..=[`crate::domain::money::AMOUNT_MAX`].
    pub amount: i64,
    pub reason: Option<Reason>,
}

/// Money that moves for a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForPayment {
    pub user_id: UserId,
    pub amount: Amount,
    pub reason: Option<Reason>,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskPayment {
    pub what: AnswerKind,
    pub payment: ForPayment,
}

/// What a success hands back to the one who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Charge, debit, credit: the entry with the balance after it.
    WalletChanged(Entry),
    /// Of `ask_payment` and of a repeated debit or credit: the answer that was given before.
    Answered(PaymentAnswer),
}

impl Command {
    pub fn kind(&self) -> CommandKind {
        match self {
            Command::ChargeWallet(_) => CommandKind::ChargeWallet,
            Command::DebitWallet(_) | Command::DebitForPayment(_) => CommandKind::DebitWallet,
            Command::CreditWallet(_) => CommandKind::CreditWallet,
            Command::AskPayment(_) => CommandKind::AskPayment,
        }
    }

    pub fn user_id(&self) -> &UserId {
        match self {
            Command::ChargeWallet(c) | Command::DebitWallet(c) => &c.user_id,
            Command::DebitForPayment(c) | Command::CreditWallet(c) => &c.user_id,
            Command::AskPayment(c) => &c.payment.user_id,
        }
    }

    pub fn is_internal(&self) -> bool {
        match self {
            Command::ChargeWallet(_) | Command::DebitWallet(_) => false,
            Command::DebitForPayment(_) | Command::CreditWallet(_) | Command::AskPayment(_) => true,
        }
    }
}
