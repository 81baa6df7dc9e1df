//! Charge, debit, credit. Every change appends an entry; what was asked for a payment is always answered.

use super::{AMOUNT_MAX, BALANCE_MAX, Entry, EntryKind, Wallet};
use crate::domain::command::{ChargeWallet, CreditWallet, DebitWallet, Origin, SettlePayment, Settlement};
use crate::domain::digest::Digest;
use crate::domain::{Arrival, Body, Change, Code, Command, Decision, DerivedId, Refusal, RequestId, Success, UserId};

/// What the rules say of a command of the wallets lane. `None`: the user has no wallet yet.
pub fn decide(wallet: Option<&Wallet>, command: &Command, at: &Arrival) -> Decision {
    match &command.body {
        Body::ChargeWallet(body) => charge(wallet, body, command.request_id, at),
        Body::DebitWallet(body) => debit(wallet, body, command.request_id, at),
        Body::CreditWallet(body) => credit(wallet, body, at),
        other => {
            debug_assert!(false, "{} is not of the wallets lane", other.name());
            Decision::rejected(Refusal::new(Code::InvalidAmount, "not a command of the wallets lane"))
        }
    }
}

/// Takes one change of a decision into memory. Returns digest of the row before XOR digest of the row after, where no
/// row counts as 0.
///
/// Panics on a change that no decision on this wallet can contain: going on would corrupt the partition's state.
pub fn apply(wallet: &mut Option<Wallet>, change: &Change) -> u64 {
    match change {
        Change::Wallet(new) => {
            let old = wallet.replace(new.clone());
            old.map_or(0, |old| old.digest()) ^ new.digest()
        }
        // Entries are only ever added, so memory need not have them.
        Change::WalletEntry(entry) => entry.digest(),
        other => panic!("not a change of a wallet: {other:?}"),
    }
}

fn charge(wallet: Option<&Wallet>, command: &ChargeWallet, request_id: RequestId, at: &Arrival) -> Decision {
    if !(1..=AMOUNT_MAX).contains(&command.amount) {
        return Decision::rejected(invalid_amount());
    }
    let balance = balance_of(wallet).checked_add(command.amount).filter(|balance| *balance <= BALANCE_MAX);
    let Some(balance) = balance else {
        let detail = format!("the balance would be above {BALANCE_MAX}");
        return Decision::rejected(Refusal::new(Code::BalanceLimitExceeded, detail));
    };
    let movement = Movement {
        user_id: &command.user_id,
        kind: EntryKind::Charge,
        amount: command.amount,
        balance,
        reason: &command.reason,
        request_id,
    };
    movement.decision(wallet, at)
}

fn debit(wallet: Option<&Wallet>, command: &DebitWallet, request_id: RequestId, at: &Arrival) -> Decision {
    let Some(origin) = &command.origin else {
        return match balance_after_debit(wallet, command.amount, AMOUNT_MAX) {
            Ok(balance) => movement_of(command, EntryKind::Debit, balance, request_id).decision(wallet, at),
            Err(refusal) => Decision::rejected(refusal),
        };
    };
    // A payment may be of several seats, each of up to AMOUNT_MAX.
    let (mut decision, settlement) = match balance_after_debit(wallet, command.amount, i64::MAX) {
        Ok(balance) => {
            let movement = movement_of(command, EntryKind::Payment, balance, origin.request_id);
            (movement.decision(wallet, at), Settlement::Debited { balance })
        }
        Err(refusal) => {
            let settlement = Settlement::Declined { code: refusal.code };
            (Decision::rejected(refusal), settlement)
        }
    };
    decision.follow_ups.push(answer(origin, &command.user_id, settlement));
    decision
}

/// The balance limit does not hold here: money that was paid is always given back.
fn credit(wallet: Option<&Wallet>, command: &CreditWallet, at: &Arrival) -> Decision {
    let balance = match balance_of(wallet).checked_add(command.amount) {
        _ if command.amount < 1 => Err(invalid_amount()),
        Some(balance) => Ok(balance),
        None => Err(Refusal::new(Code::BalanceLimitExceeded, "the balance would be above what can be counted")),
    };
    let (mut decision, settlement) = match balance {
        Ok(balance) => {
            let movement = Movement {
                user_id: &command.user_id,
                kind: EntryKind::Refund,
                amount: command.amount,
                balance,
                reason: &command.reason,
                request_id: command.origin.request_id,
            };
            (movement.decision(wallet, at), Settlement::Refunded { balance })
        }
        Err(refusal) => {
            let settlement = Settlement::Declined { code: refusal.code };
            (Decision::rejected(refusal), settlement)
        }
    };
    decision.follow_ups.push(answer(&command.origin, &command.user_id, settlement));
    decision
}

fn balance_of(wallet: Option<&Wallet>) -> i64 {
    wallet.map_or(0, |wallet| wallet.balance)
}

fn balance_after_debit(wallet: Option<&Wallet>, amount: i64, amount_max: i64) -> Result<i64, Refusal> {
    if !(1..=amount_max).contains(&amount) {
        return Err(invalid_amount());
    }
    let balance = balance_of(wallet);
    if balance < amount {
        let detail = format!("the balance is {balance}, {amount} is needed");
        return Err(Refusal::new(Code::InsufficientBalance, detail));
    }
    Ok(balance - amount)
}

fn invalid_amount() -> Refusal {
    Refusal::new(Code::InvalidAmount, format!("an amount is 1 to {AMOUNT_MAX}"))
}

fn movement_of(command: &DebitWallet, kind: EntryKind, balance: i64, request_id: RequestId) -> Movement<'_> {
    Movement { user_id: &command.user_id, kind, amount: command.amount, balance, reason: &command.reason, request_id }
}

fn answer(origin: &Origin, user_id: &UserId, settlement: Settlement) -> Body {
    Body::SettlePayment(SettlePayment { origin: origin.clone(), user_id: user_id.clone(), settlement })
}

/// Money that moves, checked already.
struct Movement<'a> {
    user_id: &'a UserId,
    kind: EntryKind,
    amount: i64,
    /// After it.
    balance: i64,
    reason: &'a Option<String>,
    request_id: RequestId,
}

impl Movement<'_> {
    fn decision(self, wallet: Option<&Wallet>, at: &Arrival) -> Decision {
        let number = wallet.map_or(0, |wallet| wallet.entries) + 1;
        let entry = Entry {
            id: DerivedId::of(at, 0).into(),
            user_id: self.user_id.clone(),
            number,
            kind: self.kind,
            amount: self.amount,
            balance_after: self.balance,
            reason: self.reason.clone(),
            request_id: self.request_id,
            at: *at,
        };
        let row = Wallet { user_id: self.user_id.clone(), balance: self.balance, entries: number, changed: *at };
        let changes = vec![Change::Wallet(row), Change::WalletEntry(entry.clone())];
        Decision::succeeded(Success::WalletChanged(entry), changes)
    }
}
