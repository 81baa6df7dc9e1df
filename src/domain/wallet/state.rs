//! A wallet in memory: its row, and the answers and entries that commands name while they are needed.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{AnswerKind, Command, Entry, EntryKind, PaymentAnswer, Recall, Row, RowKey, Wallet, rules};
use crate::domain::digest::Digest;
use crate::domain::{Aggregate, Arrival, Asking, Balance, Decision, LogTime, PaymentId, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletState {
    pub user_id: UserId,
    /// `None`: no money was ever in it.
    pub row: Option<Wallet>,
    answers: BTreeMap<(PaymentId, AnswerKind), PaymentAnswer>,
    /// CHARGE and DEBIT ones, by cause: a payment's repeat is found by its answer.
    entries: BTreeMap<(EntryKind, Uuid), Entry>,
}

impl WalletState {
    /// From the store's row, if there is one.
    pub fn load(user_id: UserId, row: Option<Wallet>) -> WalletState {
        WalletState { user_id, row, answers: BTreeMap::new(), entries: BTreeMap::new() }
    }

    pub fn balance(&self) -> Balance {
        self.row.as_ref().map_or(Balance::ZERO, |row| row.balance)
    }

    /// The first answer to the debit or the refund of this payment, as far as it was recalled.
    pub(super) fn answer(&self, payment_id: PaymentId, kind: AnswerKind) -> Option<&PaymentAnswer> {
        self.answers.get(&(payment_id, kind))
    }

    /// The CHARGE or DEBIT with this cause, as far as it was recalled.
    pub(super) fn entry(&self, kind: EntryKind, cause: Uuid) -> Option<&Entry> {
        self.entries.get(&(kind, cause))
    }

    fn keep(&mut self, entry: Entry) {
        if matches!(entry.kind, EntryKind::Charge | EntryKind::Debit) {
            self.entries.insert((entry.kind, entry.cause), entry);
        }
    }
}

impl Aggregate for WalletState {
    type Key = UserId;
    type Command = Command;
    type Row = Row;
    type RowKey = RowKey;
    type Recall = Recall;

    fn decide(state: Option<&Self>, command: &Command, asking: &Asking, at: &Arrival) -> Decision<Self> {
        rules::decide(state, command, asking, at)
    }

    /// Panics on a row that no decision on this wallet can contain: going on would corrupt the partition's state.
    fn apply(state: &mut Option<Self>, row: &Row) -> u64 {
        let user_id = match row {
            Row::Wallet(row) => &row.user_id,
            Row::Entry(row) => &row.user_id,
            Row::Answer(row) => &row.user_id,
        };
        let state = state.get_or_insert_with(|| WalletState::load(user_id.clone(), None));
        assert_eq!(state.user_id, *user_id, "a row of another wallet");
        match row {
            Row::Wallet(new) => {
                let old = state.row.replace(new.clone());
                old.map_or(0, |old| old.digest()) ^ new.digest()
            }
            Row::Entry(entry) => {
                state.keep(entry.clone());
                entry.digest()
            }
            Row::Answer(answer) => {
                let old = state.answers.insert((answer.payment_id, answer.kind), answer.clone());
                assert_eq!(old, None, "a first answer is never replaced");
                answer.digest()
            }
        }
    }

    fn next_due(&self) -> Option<LogTime> {
        None
    }

    fn rows(&self) -> usize {
        1 + self.remembered()
    }

    fn row_key(row: &Row) -> RowKey {
        match row {
            Row::Wallet(row) => RowKey::Wallet(row.user_id.clone()),
            Row::Entry(row) => RowKey::Entry(row.user_id.clone(), row.number),
            Row::Answer(row) => RowKey::Answer(row.payment_id, row.kind, row.user_id.clone()),
        }
    }

    fn digest(row: &Row) -> u64 {
        row.digest()
    }

    fn recalls(command: &Command, asking: &Asking) -> Vec<Recall> {
        vec![match command {
            Command::ChargeWallet(_) => Recall::Entry(EntryKind::Charge, asking.request_id.0),
            Command::DebitWallet(_) => Recall::Entry(EntryKind::Debit, asking.request_id.0),
            Command::DebitForPayment(payment) | Command::CreditWallet(payment) => {
                Recall::Answers(payment.origin.payment_id)
            }
            Command::AskPayment(ask) => Recall::Answers(ask.payment.origin.payment_id),
        }]
    }

    fn knows(&self, recall: &Recall) -> bool {
        match recall {
            // With one of the two in memory the other may still be in the store alone.
            Recall::Answers(payment_id) => AnswerKind::ALL.iter().all(|kind| self.answer(*payment_id, *kind).is_some()),
            Recall::Entry(kind, cause) => self.entry(*kind, *cause).is_some(),
        }
    }

    fn remember(&mut self, row: Row) {
        match row {
            // Others' wallets may lie on other partitions, so what they answered or moved counts for them alone.
            Row::Answer(answer) => {
                if answer.user_id == self.user_id {
                    self.answers.entry((answer.payment_id, answer.kind)).or_insert(answer);
                }
            }
            Row::Entry(entry) => {
                if entry.user_id == self.user_id && self.entry(entry.kind, entry.cause).is_none() {
                    self.keep(entry);
                }
            }
            Row::Wallet(_) => {}
        }
    }

    fn forget(&mut self, before: u64) {
        self.answers.retain(|_, answer| answer.at.position.offset >= before);
        self.entries.retain(|_, entry| entry.at.position.offset >= before);
    }

    fn remembered(&self) -> usize {
        self.answers.len() + self.entries.len()
    }
}
