//! Charge, debit, refund. Every change appends an entry; what was asked for a payment is always answered, and every
//! repeat gets the first answer and moves nothing.

use super::{
    AnswerKind, AskPayment, Command, Entry, EntryKind, ForPayment, Movement, PaymentAnswer, Recall, Reply, Row, RowKey,
    Wallet, WalletState,
};
use crate::domain::block::{self, Origin, SettlePayment, Settlement};
use crate::domain::digest::Digest;
use crate::domain::money::{AMOUNT_MAX, BALANCE_MAX};
use crate::domain::{
    Aggregate, Amount, Arrival, Asking, Balance, Body, Code, Decision, DerivedId, LogTime, Reason, Refusal, RequestId,
    UserId, Verdict,
};

impl Aggregate for WalletState {
    type Key = UserId;
    type Command = Command;
    type Row = Row;
    type RowKey = RowKey;
    type Recall = Recall;

    /// Without a state there is no wallet yet, and nothing was recalled.
    fn decide(state: Option<&Self>, command: &Command, asking: &Asking, at: &Arrival) -> Decision<Self> {
        let wallet = Now { state, at };
        match command {
            Command::ChargeWallet(movement) => wallet.direct(EntryKind::Charge, movement, asking),
            Command::DebitWallet(movement) => wallet.direct(EntryKind::Debit, movement, asking),
            Command::DebitForPayment(payment) => wallet.for_payment(AnswerKind::Debit, payment, asking),
            Command::CreditWallet(payment) => wallet.for_payment(AnswerKind::Refund, payment, asking),
            Command::AskPayment(ask) => wallet.ask(ask, asking),
        }
    }

    fn apply(state: &mut Option<Self>, row: &Row) -> u64 {
        WalletState::take(state, row)
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
        self.take_recalled(row);
    }

    fn forget(&mut self, before: u64) {
        self.drop_recalled(before);
    }

    fn remembered(&self) -> usize {
        self.recalled()
    }
}

/// A wallet at the arrival of a command.
struct Now<'a> {
    state: Option<&'a WalletState>,
    at: &'a Arrival,
}

impl Now<'_> {
    fn balance(&self) -> Balance {
        self.state.map_or(Balance::ZERO, WalletState::balance)
    }

    /// A charge or a debit of its own. Its request row may be long deleted; the entry of its request id never is.
    fn direct(&self, kind: EntryKind, movement: &Movement, asking: &Asking) -> Decision<WalletState> {
        let cause = asking.request_id.0;
        if let Some(entry) = self.state.and_then(|state| state.entry(kind, cause)) {
            return Decision::succeeded(Reply::WalletChanged(entry.clone()), Vec::new());
        }
        let amount = match Amount::movement(movement.amount) {
            Ok(amount) => amount,
            Err(_) => return Decision::rejected(invalid_amount()),
        };
        let balance = match kind {
            EntryKind::Charge => self.after_charge(amount),
            _ => self.after_debit(amount),
        };
        let balance = match balance {
            Ok(balance) => balance,
            Err(refusal) => return Decision::rejected(refusal),
        };
        let change = Change {
            user_id: &movement.user_id,
            kind,
            amount,
            balance,
            reason: &movement.reason,
            request_id: asking.request_id,
            by: &asking.by,
            cause,
        };
        let (entry, changes) = change.rows(self);
        Decision::succeeded(Reply::WalletChanged(entry), changes)
    }

    /// The debit or the refund of a payment.
    fn for_payment(&self, what: AnswerKind, payment: &ForPayment, asking: &Asking) -> Decision<WalletState> {
        self.repeat(what, payment).unwrap_or_else(|| self.first(what, payment, asking).0)
    }

    /// Asked again: executes what was never answered, because the command that should have done it was lost.
    fn ask(&self, ask: &AskPayment, asking: &Asking) -> Decision<WalletState> {
        self.repeat(ask.what, &ask.payment).unwrap_or_else(|| {
            let (decision, answer) = self.first(ask.what, &ask.payment, asking);
            Decision { verdict: Verdict::Decided(Ok(Reply::Answered(answer).into())), ..decision }
        })
    }

    /// The first answer once more, if there is one: nothing moves, whatever the repeat says.
    fn repeat(&self, what: AnswerKind, payment: &ForPayment) -> Option<Decision<WalletState>> {
        let answer = self.state?.answer(payment.origin.payment_id, what)?;
        Some(Decision {
            follow_ups: vec![settle(payment, answer)],
            ..Decision::succeeded(Reply::Answered(answer.clone()), Vec::new())
        })
    }

    /// Moves the money or declines, and writes the answer down for good.
    fn first(&self, what: AnswerKind, payment: &ForPayment, asking: &Asking) -> (Decision<WalletState>, PaymentAnswer) {
        let Origin { payment_id, asking: cause, .. } = &payment.origin;
        let balance = match what {
            _ if payment.amount.is_zero() => Err(invalid_amount()),
            AnswerKind::Debit => self.after_debit(payment.amount),
            AnswerKind::Refund => self.after_refund(payment.amount),
        };
        let answer = PaymentAnswer {
            payment_id: *payment_id,
            kind: what,
            user_id: payment.user_id.clone(),
            amount: payment.amount,
            answer: balance.as_ref().map(|balance| *balance).map_err(|refusal| refusal.code),
            at: *self.at,
        };
        let mut decision = match balance {
            Ok(balance) => {
                // A refund that nobody asked for names its own request.
                let asked = cause.as_ref().unwrap_or(asking);
                let change = Change {
                    user_id: &payment.user_id,
                    kind: if what == AnswerKind::Debit { EntryKind::Payment } else { EntryKind::Refund },
                    amount: payment.amount,
                    balance,
                    reason: &payment.reason,
                    request_id: asked.request_id,
                    by: &asked.by,
                    cause: payment_id.0,
                };
                let (entry, changes) = change.rows(self);
                Decision::succeeded(Reply::WalletChanged(entry), changes)
            }
            Err(refusal) => Decision::rejected(refusal),
        };
        decision.changes.push(Row::Answer(answer.clone()));
        decision.follow_ups.push(settle(payment, &answer));
        (decision, answer)
    }

    fn after_charge(&self, amount: Amount) -> Result<Balance, Refusal> {
        self.balance().plus(amount).filter(|balance| balance.get() <= BALANCE_MAX).ok_or_else(|| {
            Refusal::new(Code::BalanceLimitExceeded, format!("the balance would be above {BALANCE_MAX}"))
        })
    }

    fn after_debit(&self, amount: Amount) -> Result<Balance, Refusal> {
        let balance = self.balance();
        balance.minus(amount).ok_or_else(|| {
            Refusal::new(Code::InsufficientBalance, format!("the balance is {balance}, {amount} is needed"))
        })
    }

    /// The balance limit does not hold here: money that was paid is always given back.
    fn after_refund(&self, amount: Amount) -> Result<Balance, Refusal> {
        self.balance()
            .plus(amount)
            .ok_or_else(|| Refusal::new(Code::BalanceLimitExceeded, "the balance would be above what can be counted"))
    }
}

fn invalid_amount() -> Refusal {
    Refusal::new(Code::InvalidAmount, format!("an amount is 1 to {AMOUNT_MAX}"))
}

/// Tells the block. The amount is the answer's: what really moved, not what a repeat names.
fn settle(payment: &ForPayment, answer: &PaymentAnswer) -> Body {
    let settlement = match (answer.kind, answer.answer) {
        (AnswerKind::Debit, Ok(balance)) => Settlement::Debited { balance },
        (AnswerKind::Debit, Err(code)) => Settlement::DebitDeclined { code },
        (AnswerKind::Refund, Ok(balance)) => Settlement::Refunded { balance },
        (AnswerKind::Refund, Err(code)) => Settlement::RefundDeclined { code },
    };
    Body::Seats(block::Command::SettlePayment(SettlePayment {
        origin: payment.origin.clone(),
        user_id: answer.user_id.clone(),
        amount: answer.amount,
        settlement,
    }))
}

/// Money that moves, checked already.
struct Change<'a> {
    user_id: &'a UserId,
    kind: EntryKind,
    amount: Amount,
    /// After it.
    balance: Balance,
    reason: &'a Option<Reason>,
    request_id: RequestId,
    by: &'a Option<UserId>,
    cause: uuid::Uuid,
}

impl Change<'_> {
    fn rows(self, wallet: &Now<'_>) -> (Entry, Vec<Row>) {
        let number = wallet.state.and_then(|state| state.row.as_ref()).map_or(0, |row| row.entries) + 1;
        let at = *wallet.at;
        let entry = Entry {
            id: DerivedId::of(&at, 0).into(),
            user_id: self.user_id.clone(),
            number,
            kind: self.kind,
            amount: self.amount,
            balance_after: self.balance,
            reason: self.reason.clone(),
            request_id: self.request_id,
            by: self.by.clone(),
            cause: self.cause,
            at,
        };
        let row = Wallet { user_id: self.user_id.clone(), balance: self.balance, entries: number, changed: at };
        (entry.clone(), vec![Row::Wallet(row), Row::Entry(entry)])
    }
}
