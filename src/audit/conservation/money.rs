//! The sum of balances = charges + refunds - payments - debits, what moved for a payment is what the payment says, and
//! money goes back for cancelled reservations and no others.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::block::{self, PaymentState, PaymentStatus, ReservationState};
use crate::domain::wallet::{AnswerKind, EntryKind, PaymentAnswer, Row};
use crate::domain::{PaymentId, UserId};

#[derive(Default)]
struct Wallet {
    balance: i128,
    entries: u64,
    summed: i128,
    counted: u64,
}

/// Entries of one kind and cause: how many, and of how much.
type Moved = (u32, i128);

/// What the seats lane says of a payment.
#[derive(Clone, Copy)]
struct Said {
    status: PaymentStatus,
    /// The wallet has been asked to take the money back.
    refunding: bool,
    amount: i128,
}

/// What a reservation says of the payment that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// It waits for it.
    Paying,
    /// It was paid by it.
    Confirmed,
    /// It was cancelled, and is being paid back.
    Cancelled,
    Refunded,
}

#[derive(Default)]
struct Payment {
    said: Option<Said>,
    named: Option<(Named, i128)>,
    paid: Moved,
    refunded: Moved,
    /// What the wallet answered to the debit and to the refund; a decline is 0 times 0.
    debit: Option<Moved>,
    refund: Option<Moved>,
}

#[derive(Default)]
pub(super) struct Money {
    wallets: BTreeMap<UserId, Wallet>,
    payments: BTreeMap<Uuid, Payment>,
}

impl Money {
    pub fn payment(&mut self, row: &block::Row) {
        if let block::Row::Reservation(row) = row {
            let named = match row.state {
                ReservationState::Held | ReservationState::Expired => None,
                ReservationState::Paying(id) => Some((id, Named::Paying)),
                ReservationState::Confirmed { payment, .. } => payment.map(|id| (id, Named::Confirmed)),
                ReservationState::Cancelled { refund } => refund.map(|id| (id, Named::Cancelled)),
                ReservationState::Refunded { payment } => payment.map(|id| (id, Named::Refunded)),
            };
            if let Some((id, named)) = named {
                self.of(id).named = Some((named, row.amount.get().into()));
            }
        }
        if let block::Row::Payment(row) = row {
            let refunding = matches!(row.state, PaymentState::Refunding { .. });
            let said = Said { status: row.state.status(), refunding, amount: row.amount.get().into() };
            self.of(row.id).said = Some(said);
        }
    }

    fn of(&mut self, id: PaymentId) -> &mut Payment {
        self.payments.entry(id.0).or_default()
    }

    pub fn row(&mut self, row: &Row) {
        match row {
            Row::Wallet(row) => {
                let wallet = self.wallets.entry(row.user_id.clone()).or_default();
                (wallet.balance, wallet.entries) = (row.balance.get().into(), row.entries);
            }
            Row::Entry(entry) => {
                let amount = i128::from(entry.amount.get());
                let wallet = self.wallets.entry(entry.user_id.clone()).or_default();
                wallet.counted += 1;
                wallet.summed += match entry.kind {
                    EntryKind::Charge | EntryKind::Refund => amount,
                    EntryKind::Payment | EntryKind::Debit => -amount,
                };
                let moved = match entry.kind {
                    EntryKind::Charge | EntryKind::Debit => return,
                    EntryKind::Payment => &mut self.of(PaymentId(entry.cause)).paid,
                    EntryKind::Refund => &mut self.of(PaymentId(entry.cause)).refunded,
                };
                *moved = (moved.0 + 1, moved.1 + amount);
            }
            Row::Answer(PaymentAnswer { payment_id, kind, amount, answer, .. }) => {
                let moved = if answer.is_ok() { (1, amount.get().into()) } else { (0, 0) };
                match kind {
                    AnswerKind::Debit => self.of(*payment_id).debit = Some(moved),
                    AnswerKind::Refund => self.of(*payment_id).refund = Some(moved),
                }
            }
        }
    }

    pub fn complaints(self) -> Vec<String> {
        let wrong = self.wallets.iter().filter(|(_, w)| w.balance != w.summed || w.entries != w.counted);
        let wallets = wrong.map(|(user, wallet)| {
            format!(
                "{user} has {} in {} entries, the entries give {} in {}",
                wallet.balance, wallet.entries, wallet.summed, wallet.counted
            )
        });
        wallets.chain(self.payments.iter().flat_map(|(id, payment)| payment.complaints(*id))).collect()
    }
}

impl Said {
    /// What the reservation must say: money goes back only for one that was cancelled.
    fn named(self) -> Option<Named> {
        match (self.status, self.refunding) {
            (PaymentStatus::Pending, _) => Some(Named::Paying),
            (PaymentStatus::Completed, false) => Some(Named::Confirmed),
            (PaymentStatus::Completed, true) => Some(Named::Cancelled),
            (PaymentStatus::Refunded, _) => Some(Named::Refunded),
            (PaymentStatus::Failed, _) => None,
        }
    }
}

impl Payment {
    fn complaints(&self, id: Uuid) -> Vec<String> {
        let mut complaints = Vec::new();
        for (name, moved, answer) in [("debit", self.paid, self.debit), ("refund", self.refunded, self.refund)] {
            if moved != answer.unwrap_or_default() {
                complaints
                    .push(format!("payment {id}: the wallet answered {answer:?} to the {name} and moved {moved:?}"));
            }
        }
        let said = self.said.map(|said| (said.named(), said.amount));
        if said.and_then(|(named, amount)| Some((named?, amount))) != self.named {
            let status = self.said.map(|said| said.status);
            complaints.push(format!("payment {id} is {status:?}, and its reservation says {:?}", self.named));
        }
        if !self.adds_up() {
            let (paid, refunded) = (self.paid, self.refunded);
            complaints.push(match &self.said {
                Some(Said { status, amount, .. }) => {
                    format!("payment {id} of {amount} is {status}, the wallet gave {paid:?} and got back {refunded:?}")
                }
                None => format!(
                    "a wallet gave {paid:?} for payment {id}, got back {refunded:?}, and there is no such payment"
                ),
            });
        }
        complaints
    }

    /// What was debited of a payment that is neither under way nor done is paid back.
    fn adds_up(&self) -> bool {
        let (paid, refunded) = (self.paid, self.refunded);
        let Some(Said { status, refunding, amount }) = self.said else { return paid == refunded };
        let is_paid = paid == (1, amount);
        match status {
            PaymentStatus::Pending => paid == refunded || (is_paid && refunded == (0, 0)),
            PaymentStatus::Failed => paid == refunded,
            PaymentStatus::Completed => is_paid && (refunded == (0, 0) || (refunding && refunded == paid)),
            PaymentStatus::Refunded => is_paid && refunded == paid,
        }
    }
}
