//! Balances, and the first answer to each debit and refund of a payment.

use std::collections::BTreeMap;

use turnstile::domain::block::Settlement;
use turnstile::domain::wallet::{Command, ForPayment};
use turnstile::domain::{Body, Code, RequestId};

use super::{Case, FollowUp};
use crate::oracle::must;

#[derive(Default)]
pub struct WalletModel {
    pub balances: BTreeMap<String, i64>,
    /// Movements of each wallet.
    pub entries: BTreeMap<String, u64>,
    /// By payment, and whether it is a refund: the amount, and the balance after it unless it was declined.
    pub answers: BTreeMap<(String, bool), (i64, Option<i64>)>,
    /// The balance after each charge and debit, by its request, and whether it is a charge.
    causes: BTreeMap<(RequestId, String, bool), i64>,
    pub charged: i64,
    pub debited: i64,
    pub paid: i64,
    pub refunded: i64,
}

impl WalletModel {
    /// Follows one command of the wallets lane.
    pub fn follow(&mut self, case: &Case) -> Result<Option<FollowUp>, String> {
        let Body::Wallets(command) = &case.command.body else { return Err("not a command of this lane".to_owned()) };
        match command {
            Command::ChargeWallet(c) => {
                self.charged += if self.direct(case, c.user_id.as_str(), c.amount)? { c.amount } else { 0 };
                Ok(None)
            }
            Command::DebitWallet(c) => {
                self.debited += if self.direct(case, c.user_id.as_str(), -c.amount)? { c.amount } else { 0 };
                Ok(None)
            }
            Command::DebitForPayment(c) => self.for_payment(case, c, false).map(Some),
            Command::CreditWallet(c) => self.for_payment(case, c, true).map(Some),
            Command::AskPayment(c) => self.for_payment(case, &c.payment, c.what.as_str() == "refund").map(Some),
        }
    }

    fn balance(&self, user: &str) -> i64 {
        self.balances.get(user).copied().unwrap_or(0)
    }

    fn moves(&mut self, user: &str, by: i64) -> Result<i64, String> {
        let balance = self.balance(user) + by;
        must!(balance >= 0, "the balance of {user} is below 0");
        self.balances.insert(user.to_owned(), balance);
        *self.entries.entry(user.to_owned()).or_default() += 1;
        Ok(balance)
    }

    /// Whether money moved.
    fn direct(&mut self, case: &Case, user: &str, by: i64) -> Result<bool, String> {
        let cause = (case.command.request_id, user.to_owned(), by > 0);
        if let Some(before) = self.causes.get(&cause) {
            let said = &case.result()["balance"];
            must!(case.succeeded() && *said == *before, "it was {before} after the first time: {}", case.answer);
            return Ok(false);
        }
        if !case.succeeded() {
            let poor = case.code() == "insufficient_balance" && self.balance(user) + by < 0;
            must!(poor, "refused for no reason: {}", case.answer);
            return Ok(false);
        }
        let balance = self.moves(user, by)?;
        must!(case.result()["balance"] == balance, "the balance is {balance}, the answer is {}", case.answer);
        self.causes.insert(cause, balance);
        Ok(true)
    }

    fn for_payment(&mut self, case: &Case, payment: &ForPayment, is_refund: bool) -> Result<FollowUp, String> {
        let (user, key) = (payment.user_id.as_str(), (payment.origin.payment_id.to_string(), is_refund));
        let asked_again = matches!(&case.command.body, Body::Wallets(Command::AskPayment(_)));
        let known = self.answers.get(&key).copied();
        let (amount, balance) = match known {
            Some(answer) => answer,
            None => {
                let amount = payment.amount.get();
                let by = if is_refund { amount } else { -amount };
                let balance = if self.balance(user) + by < 0 { None } else { Some(self.moves(user, by)?) };
                let sum = if is_refund { &mut self.refunded } else { &mut self.paid };
                *sum += if balance.is_some() { amount } else { 0 };
                (amount, balance)
            }
        };
        self.answers.insert(key, (amount, balance));
        // An answer given before is a success, whatever it says.
        let succeeded = balance.is_some() || known.is_some() || asked_again;
        must!(case.succeeded() == succeeded, "the balance is {}, the answer is {}", self.balance(user), case.answer);
        if let Some(balance) = balance {
            let said = &case.result()["balance"];
            must!(*said == balance, "the balance after it is {balance}, the answer says {said}");
        }
        let money = |balance: i64| turnstile::domain::Balance::new(balance).expect("not negative");
        let settlement = match (is_refund, balance) {
            (false, Some(balance)) => Settlement::Debited { balance: money(balance) },
            (false, None) => Settlement::DebitDeclined { code: Code::InsufficientBalance },
            (true, Some(balance)) => Settlement::Refunded { balance: money(balance) },
            (true, None) => return Err("a refund was declined".to_owned()),
        };
        Ok(FollowUp::settle(&payment.origin, &payment.user_id, amount, settlement))
    }
}
