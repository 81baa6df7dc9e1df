//! A wallet in memory: its row, and the answers and entries that commands name while they are needed.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{AnswerKind, Entry, EntryKind, PaymentAnswer, Row, Wallet};
use crate::domain::digest::Digest;
use crate::domain::{Balance, PaymentId, UserId};

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

    /// Panics on a row that no decision on this wallet can contain: going on would corrupt the partition's state.
    pub(super) fn take(state: &mut Option<Self>, row: &Row) -> u64 {
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

    pub(super) fn take_recalled(&mut self, row: Row) {
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

    pub(super) fn drop_recalled(&mut self, before: u64) {
        self.answers.retain(|_, answer| answer.at.position.offset >= before);
        self.entries.retain(|_, entry| entry.at.position.offset >= before);
    }

    pub(super) fn recalled(&self) -> usize {
        self.answers.len() + self.entries.len()
    }
}
