//! The rules of a wallet, row by row.

use uuid::Uuid;

use super::{AMOUNT_MAX, BALANCE_MAX, Entry, EntryKind, Wallet, apply, decide};
use crate::domain::command::{ChargeWallet, CreditWallet, DebitWallet, Origin, SettlePayment, Settlement};
use crate::domain::{
    Arrival, Body, Change, Code, Command, Decision, Lane, LogTime, PaymentId, Position, RequestId, ReservationId,
    ScheduleId, Success, UserId, Verdict,
};

/// A wallet on a log of its own.
#[derive(Default)]
struct Purse {
    wallet: Option<Wallet>,
    entries: Vec<Entry>,
    state_hash: u64,
    offset: u64,
}

impl Purse {
    fn with(balance: i64) -> Purse {
        let wallet = Wallet { user_id: ann(), balance, entries: 0, changed: at(0) };
        let mut purse = Purse::default();
        purse.state_hash ^= apply(&mut purse.wallet, &Change::Wallet(wallet));
        purse
    }

    fn run(&mut self, body: Body) -> Decision {
        self.offset += 1;
        let command = Command { request_id: RequestId(Uuid::from_u128(u128::from(self.offset))), body };
        let decision = decide(self.wallet.as_ref(), &command, &at(self.offset));
        if let Verdict::Rejected(_) = decision.verdict {
            assert_eq!(decision.changes, [], "a refusal changes nothing");
        }
        for change in &decision.changes {
            self.state_hash ^= apply(&mut self.wallet, change);
            if let Change::WalletEntry(entry) = change {
                self.entries.push(entry.clone());
            }
        }
        decision
    }

    fn balance(&self) -> i64 {
        self.wallet.as_ref().unwrap().balance
    }
}

fn ann() -> UserId {
    "ann".parse().unwrap()
}

fn at(offset: u64) -> Arrival {
    Arrival { position: Position { lane: Lane::Wallets, partition: 1, offset }, time: LogTime(offset as i64) }
}

fn origin() -> Origin {
    Origin {
        schedule_id: ScheduleId(Uuid::from_u128(1)),
        section: "A".parse().unwrap(),
        reservation_id: ReservationId(Uuid::from_u128(2)),
        payment_id: PaymentId(Uuid::from_u128(3)),
        request_id: RequestId(Uuid::from_u128(4)),
    }
}

fn charge(amount: i64) -> Body {
    Body::ChargeWallet(ChargeWallet { user_id: ann(), amount, reason: Some("cash".into()) })
}

fn spend(amount: i64) -> Body {
    Body::DebitWallet(DebitWallet { user_id: ann(), amount, reason: None, origin: None })
}

fn pay(amount: i64) -> Body {
    Body::DebitWallet(DebitWallet { user_id: ann(), amount, reason: None, origin: Some(origin()) })
}

fn refund(amount: i64) -> Body {
    Body::CreditWallet(CreditWallet { user_id: ann(), amount, reason: None, origin: origin() })
}

fn answer(settlement: Settlement) -> Vec<Body> {
    vec![Body::SettlePayment(SettlePayment { origin: origin(), user_id: ann(), settlement })]
}

#[track_caller]
fn refused(decision: &Decision) -> Code {
    match &decision.verdict {
        Verdict::Rejected(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn f21_the_first_charge_makes_the_wallet_and_every_change_appends_an_entry_with_the_balance_after_it() {
    let mut purse = Purse::default();
    for body in [charge(1000), spend(100), pay(300), refund(300)] {
        let decision = purse.run(body);
        let entry = purse.entries.last().unwrap().clone();
        assert_eq!(decision.verdict, Verdict::Succeeded(Success::WalletChanged(entry)));
    }
    let lines: Vec<_> = purse.entries.iter().map(|e| (e.number, e.kind, e.amount, e.balance_after)).collect();
    let expected = [
        (1, EntryKind::Charge, 1000, 1000),
        (2, EntryKind::Debit, 100, 900),
        (3, EntryKind::Payment, 300, 600),
        (4, EntryKind::Refund, 300, 900),
    ];
    assert_eq!(lines, expected);
    let requests: Vec<_> = purse.entries.iter().map(|e| e.request_id.0.as_u128()).collect();
    // A payment's and a refund's entry name the user's request, not the internal one.
    assert_eq!(requests, [1, 2, 4, 4]);
    assert_eq!(purse.entries[0].reason.as_deref(), Some("cash"));
    assert_eq!(purse.wallet, Some(Wallet { user_id: ann(), balance: 900, entries: 4, changed: at(4) }));
}

#[test]
fn f21_w9_each_command_answers_by_its_rule() {
    // (balance before, command, refusal or balance after)
    let cases = [
        (0, charge(1), Ok(1)),
        (0, charge(AMOUNT_MAX), Ok(AMOUNT_MAX)),
        (0, charge(0), Err(Code::InvalidAmount)),
        (0, charge(-1), Err(Code::InvalidAmount)),
        (0, charge(AMOUNT_MAX + 1), Err(Code::InvalidAmount)),
        (0, charge(i64::MAX), Err(Code::InvalidAmount)),
        (BALANCE_MAX - 5, charge(5), Ok(BALANCE_MAX)),
        (BALANCE_MAX - 5, charge(6), Err(Code::BalanceLimitExceeded)),
        // Above the limit by a refund: no charge, but spending.
        (BALANCE_MAX + 5, charge(1), Err(Code::BalanceLimitExceeded)),
        (BALANCE_MAX + 5, spend(1), Ok(BALANCE_MAX + 4)),
        (i64::MAX, charge(1), Err(Code::BalanceLimitExceeded)),
        (5, spend(5), Ok(0)),
        (5, spend(6), Err(Code::InsufficientBalance)),
        (5, spend(0), Err(Code::InvalidAmount)),
        (5, spend(-1), Err(Code::InvalidAmount)),
        (BALANCE_MAX, spend(AMOUNT_MAX + 1), Err(Code::InvalidAmount)),
        // A payment may be of several seats.
        (BALANCE_MAX, pay(AMOUNT_MAX + 1), Ok(BALANCE_MAX - AMOUNT_MAX - 1)),
        (5, pay(6), Err(Code::InsufficientBalance)),
        (5, pay(0), Err(Code::InvalidAmount)),
        (BALANCE_MAX, refund(AMOUNT_MAX + 1), Ok(BALANCE_MAX + AMOUNT_MAX + 1)),
        (5, refund(0), Err(Code::InvalidAmount)),
        (5, refund(-5), Err(Code::InvalidAmount)),
        (i64::MAX, refund(1), Err(Code::BalanceLimitExceeded)),
    ];
    for (before, body, expected) in cases {
        let mut purse = Purse::with(before);
        let decision = purse.run(body.clone());
        match expected {
            Ok(after) => assert_eq!(purse.balance(), after, "{before} {body:?}"),
            Err(code) => {
                assert_eq!(refused(&decision), code, "{before} {body:?}");
                assert_eq!(purse.balance(), before);
            }
        }
    }
}

#[test]
fn a_user_without_a_wallet_has_no_money() {
    for body in [spend(1), pay(1)] {
        let mut purse = Purse::default();
        assert_eq!(refused(&purse.run(body)), Code::InsufficientBalance);
        assert_eq!(purse.wallet, None);
    }
}

#[test]
fn money_moved_or_refused_for_a_payment_is_answered_and_spending_is_not() {
    let cases = [
        (pay(4), answer(Settlement::Debited { balance: 6 })),
        (pay(11), answer(Settlement::Declined { code: Code::InsufficientBalance })),
        (pay(0), answer(Settlement::Declined { code: Code::InvalidAmount })),
        (refund(4), answer(Settlement::Refunded { balance: 14 })),
        (refund(0), answer(Settlement::Declined { code: Code::InvalidAmount })),
        (refund(i64::MAX), answer(Settlement::Declined { code: Code::BalanceLimitExceeded })),
        (charge(1), vec![]),
        (spend(1), vec![]),
        (spend(11), vec![]),
    ];
    for (body, follow_ups) in cases {
        let decision = Purse::with(10).run(body.clone());
        assert_eq!(decision.follow_ups, follow_ups, "{body:?}");
        assert_eq!(decision.completes, None);
    }
}

#[test]
fn the_state_hash_by_changes_is_the_one_of_the_rows() {
    let mut purse = Purse::default();
    for body in [charge(1000), spend(100), pay(300), pay(3000), refund(300)] {
        purse.run(body);
    }
    let entries = purse.entries.iter().cloned().map(Change::WalletEntry);
    let rows = entries.chain([Change::Wallet(purse.wallet.clone().unwrap())]);
    assert_eq!(purse.state_hash, rows.fold(0, |hash, row| hash ^ row.digest()));
}
