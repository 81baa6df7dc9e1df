//! The rules of a wallet, row by row.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    AnswerKind, AskPayment, Command, Entry, EntryKind, ForPayment, Movement, PaymentAnswer, Recall, Row, RowKey,
    Wallet, WalletState,
};
use crate::domain::block::{self, Origin, SettlePayment, Settlement};
use crate::domain::money::{AMOUNT_MAX, BALANCE_MAX};
use crate::domain::wallet::Reply;
use crate::domain::{
    Aggregate, Amount, Arrival, Asking, Balance, BlockKey, Body, Code, Decision, Fingerprint, Lane, LogTime, PaymentId,
    Position, RequestId, ReservationId, ScheduleId, UserId, Verdict,
};

mod repeats;

/// A wallet on a log of its own, with the store behind it.
#[derive(Default)]
struct Purse {
    state: Option<WalletState>,
    rows: BTreeMap<RowKey, Row>,
    state_hash: u64,
    offset: u64,
}

impl Purse {
    fn with(amount: i64) -> Purse {
        let mut purse = Purse::default();
        let wallet = Wallet { user_id: ann(), balance: balance(amount), entries: 0, changed: at(0) };
        purse.take_in(&Row::Wallet(wallet));
        purse
    }

    /// Under a request id of its own.
    fn run(&mut self, command: Command) -> Decision<WalletState> {
        let request = u128::from(self.offset) + 1;
        self.run_as(request, &command)
    }

    /// Recalls what the command names, decides the next record and takes the decision in.
    fn run_as(&mut self, request: u128, command: &Command) -> Decision<WalletState> {
        self.offset += 1;
        let asking = asking(request, None);
        self.recall(command, &asking);
        let decision = WalletState::decide(self.state.as_ref(), command, &asking, &at(self.offset));
        decision.changes.iter().for_each(|row| self.take_in(row));
        assert_eq!(decision.completes, None);
        assert!(decision.effects.is_empty());
        decision
    }

    fn recall(&mut self, command: &Command, asking: &Asking) {
        let state = self.state.get_or_insert_with(|| WalletState::load(ann(), None));
        for recall in &WalletState::recalls(command, asking) {
            if state.knows(recall) {
                continue;
            }
            let found = self.rows.values().filter(|row| match (row, recall) {
                (Row::Answer(answer), Recall::Answers(payment_id)) => answer.payment_id == *payment_id,
                (Row::Entry(entry), Recall::Entry(kind, cause)) => (entry.kind, entry.cause) == (*kind, *cause),
                _ => false,
            });
            found.for_each(|row| state.remember(row.clone()));
        }
    }

    fn take_in(&mut self, row: &Row) {
        self.state_hash ^= WalletState::apply(&mut self.state, row);
        self.rows.insert(WalletState::row_key(row), row.clone());
    }

    /// As if everything so far were committed and the memory given to others.
    fn forget(&mut self) {
        if let Some(state) = &mut self.state {
            state.forget(self.offset + 1);
            assert_eq!(state.remembered(), 0);
        }
    }

    fn balance(&self) -> i64 {
        self.state.as_ref().map_or(0, |state| state.balance().get())
    }

    fn row(&self) -> Option<&Wallet> {
        self.state.as_ref().and_then(|state| state.row.as_ref())
    }

    fn entries(&self) -> Vec<&Entry> {
        let entries = self.rows.values().filter_map(|row| if let Row::Entry(entry) = row { Some(entry) } else { None });
        entries.collect()
    }

    fn answers(&self) -> Vec<&PaymentAnswer> {
        let rows = self.rows.values();
        rows.filter_map(|row| if let Row::Answer(answer) = row { Some(answer) } else { None }).collect()
    }
}

fn ann() -> UserId {
    "ann".parse().unwrap()
}

fn at(offset: u64) -> Arrival {
    Arrival { position: Position::new(Lane::Wallets, 1, offset), time: LogTime(offset as i64) }
}

fn asking(request: u128, by: Option<&str>) -> Asking {
    let by = by.map(|by| by.parse().unwrap());
    Asking { request_id: RequestId(Uuid::from_u128(request)), fingerprint: Fingerprint(5), by }
}

fn amount(amount: i64) -> Amount {
    Amount::new(amount).unwrap()
}

fn balance(balance: i64) -> Balance {
    Balance::new(balance).unwrap()
}

/// Of payment 3, asked for by request 400.
fn origin() -> Origin {
    Origin {
        key: BlockKey::main(ScheduleId(Uuid::from_u128(1))),
        reservation_id: ReservationId(Uuid::from_u128(2)),
        payment_id: PaymentId(Uuid::from_u128(3)),
        asking: Some(asking(400, Some("clerk"))),
    }
}

fn movement(amount: i64) -> Movement {
    Movement { user_id: ann(), amount, reason: Some("cash".parse().unwrap()) }
}

fn charge(amount: i64) -> Command {
    Command::ChargeWallet(movement(amount))
}

fn spend(amount: i64) -> Command {
    Command::DebitWallet(movement(amount))
}

fn payment(value: i64) -> ForPayment {
    ForPayment { user_id: ann(), amount: amount(value), reason: None, origin: origin() }
}

fn pay(amount: i64) -> Command {
    Command::DebitForPayment(payment(amount))
}

fn refund(amount: i64) -> Command {
    Command::CreditWallet(payment(amount))
}

fn ask(what: AnswerKind, amount: i64) -> Command {
    Command::AskPayment(AskPayment { what, payment: payment(amount) })
}

fn settled(value: i64, settlement: Settlement) -> Vec<Body> {
    let settle = SettlePayment { origin: origin(), user_id: ann(), amount: amount(value), settlement };
    vec![Body::Seats(block::Command::SettlePayment(settle))]
}

fn debited(after: i64) -> Settlement {
    Settlement::Debited { balance: balance(after) }
}

#[track_caller]
fn refused(decision: &Decision<WalletState>) -> Code {
    match &decision.verdict {
        Verdict::Decided(Err(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn f21_the_first_charge_makes_the_wallet_and_every_change_appends_an_entry_with_the_balance_after_it() {
    let mut purse = Purse::default();
    for command in [charge(1000), spend(100), pay(300), refund(300)] {
        let decision = purse.run(command);
        let entry = purse.entries().last().map(|entry| (*entry).clone()).unwrap();
        assert_eq!(decision.verdict, Verdict::Decided(Ok(Reply::WalletChanged(entry).into())));
    }
    let lines: Vec<_> =
        purse.entries().iter().map(|e| (e.number, e.kind, e.amount.get(), e.balance_after.get())).collect();
    let expected = [
        (1, EntryKind::Charge, 1000, 1000),
        (2, EntryKind::Debit, 100, 900),
        (3, EntryKind::Payment, 300, 600),
        (4, EntryKind::Refund, 300, 900),
    ];
    assert_eq!(lines, expected);
    let requests: Vec<_> = purse.entries().iter().map(|e| (e.request_id.0.as_u128(), e.cause.as_u128())).collect();
    assert_eq!(requests, [(1, 1), (2, 2), (400, 3), (400, 3)], "a payment's entry names the user's request");
    assert_eq!(purse.entries()[0].reason.as_ref().map(|reason| reason.as_str()), Some("cash"));
    let row = Wallet { user_id: ann(), balance: balance(900), entries: 4, changed: at(4) };
    assert_eq!(purse.row(), Some(&row));
}

#[test]
fn an_entry_says_who_acted_for_the_user() {
    let mut purse = Purse::default();
    purse.recall(&charge(5), &asking(1, Some("cashier")));
    let decision = WalletState::decide(purse.state.as_ref(), &charge(5), &asking(1, Some("cashier")), &at(1));
    decision.changes.iter().for_each(|row| purse.take_in(row));
    purse.offset = 1;
    purse.run(spend(1));
    purse.run(pay(1));
    let Command::CreditWallet(mut unasked) = refund(1) else { panic!() };
    unasked.origin.asking = None;
    purse.run(Command::CreditWallet(unasked));
    let entries = purse.entries();
    let by: Vec<_> = entries.iter().map(|e| (e.by.as_ref().map(UserId::as_str), e.request_id.0.as_u128())).collect();
    // The clerk asked to pay; of a refund nobody asked for, the request is the refund's own.
    assert_eq!(by, [(Some("cashier"), 1), (None, 2), (Some("clerk"), 400), (None, 4)]);
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
        (i64::MAX, refund(1), Err(Code::BalanceLimitExceeded)),
    ];
    for (before, command, expected) in cases {
        let mut purse = Purse::with(before);
        let decision = purse.run(command.clone());
        match expected {
            Ok(after) => assert_eq!(purse.balance(), after, "{before} {command:?}"),
            Err(code) => {
                assert_eq!(refused(&decision), code, "{before} {command:?}");
                assert_eq!((purse.balance(), purse.entries()), (before, vec![]), "nothing moved");
            }
        }
    }
}

#[test]
fn what_is_missing_is_said() {
    for command in [spend(6), pay(6)] {
        let Verdict::Decided(Err(refusal)) = Purse::with(5).run(command).verdict else { panic!() };
        assert_eq!(refusal.detail, "the balance is 5, 6 is needed");
    }
}

#[test]
fn a_user_without_a_wallet_has_no_money_and_gets_no_wallet_by_a_refusal() {
    let mut purse = Purse::default();
    assert_eq!(refused(&purse.run(spend(1))), Code::InsufficientBalance);
    assert_eq!(purse.rows.len(), 0);
    let decision = purse.run(pay(1));
    assert_eq!(refused(&decision), Code::InsufficientBalance);
    assert_eq!(
        decision.follow_ups,
        settled(1, Settlement::DebitDeclined { code: Code::InsufficientBalance }),
        "the payment gets its answer"
    );
    assert_eq!((purse.row(), purse.rows.len(), purse.answers().len()), (None, 1, 1), "and the answer is kept");
}

#[test]
fn money_moved_or_refused_for_a_payment_is_answered_and_spending_is_not() {
    let huge = 100 * AMOUNT_MAX;
    let cases = [
        (10, pay(4), settled(4, debited(6))),
        (10, pay(11), settled(11, Settlement::DebitDeclined { code: Code::InsufficientBalance })),
        (10, pay(0), settled(0, Settlement::DebitDeclined { code: Code::InvalidAmount })),
        (10, refund(4), settled(4, Settlement::Refunded { balance: balance(14) })),
        (10, refund(0), settled(0, Settlement::RefundDeclined { code: Code::InvalidAmount })),
        (i64::MAX, refund(huge), settled(huge, Settlement::RefundDeclined { code: Code::BalanceLimitExceeded })),
        (10, charge(1), vec![]),
        (10, spend(1), vec![]),
        (10, spend(11), vec![]),
    ];
    for (before, command, follow_ups) in cases {
        let decision = Purse::with(before).run(command.clone());
        assert_eq!(decision.follow_ups, follow_ups, "{command:?}");
    }
}

#[test]
fn the_state_hash_by_changes_is_the_one_of_the_rows() {
    let mut purse = Purse::default();
    for command in [charge(1000), spend(100), pay(300), pay(300), refund(300), ask(AnswerKind::Refund, 300)] {
        purse.run(command);
        purse.forget();
    }
    assert_eq!(purse.rows.len(), 7, "the wallet, four entries, two answers");
    assert_eq!(purse.state_hash, purse.rows.values().fold(0, |hash, row| hash ^ WalletState::digest(row)));
}

#[test]
#[should_panic(expected = "a row of another wallet")]
fn another_wallets_row_is_never_taken_in() {
    let mut purse = Purse::with(1);
    let wallet = Wallet { user_id: "bob".parse().unwrap(), balance: balance(5), entries: 1, changed: at(1) };
    purse.take_in(&Row::Wallet(wallet));
}
