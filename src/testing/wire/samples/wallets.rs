//! The wallets lane.

use super::*;
use crate::domain::EntryId;
use crate::domain::wallet::{
    AnswerKind, AskPayment, Command, Entry, EntryKind, ForPayment, Movement, PaymentAnswer, Reply,
};

fn movement(amount: i64, reason: Option<&str>) -> Movement {
    Movement { user_id: alice(), amount, reason: reason.map(|reason| reason.parse().unwrap()) }
}

fn for_payment(reason: Option<&str>, asking: Option<Asking>) -> ForPayment {
    let reason = reason.map(|reason| reason.parse().unwrap());
    ForPayment { user_id: alice(), amount: amount(2000), reason, origin: origin(asking) }
}

pub(super) fn commands() -> Vec<Sample> {
    let sample = |name, command| Sample { name, by: None, body: Body::Wallets(command) };
    let ask = |what, payment| Command::AskPayment(AskPayment { what, payment });
    let voucher = movement(5000, Some("Gutschein \"Weihnachten\" für 50 €"));
    let (asked, by_staff) = (Some(asking(None)), Some(asking(Some(clerk()))));
    vec![
        sample("charge_wallet", Command::ChargeWallet(voucher)).by(clerk()),
        sample("debit_wallet", Command::DebitWallet(movement(500, Some("poster")))),
        sample("debit_wallet_for_payment", Command::DebitForPayment(for_payment(None, by_staff))),
        sample("credit_wallet", Command::CreditWallet(for_payment(Some("cancelled"), None))),
        sample("ask_payment_debit", ask(AnswerKind::Debit, for_payment(None, asked))),
        sample("ask_payment_refund", ask(AnswerKind::Refund, for_payment(Some("cancelled"), None))),
    ]
}

pub(super) fn outcomes() -> Vec<Outcome> {
    let changed = |kind, moved, balance_after| {
        Reply::WalletChanged(Entry {
            id: EntryId(uuid(0xe5)),
            user_id: alice(),
            number: 7,
            kind,
            amount: amount(moved),
            balance_after: balance(balance_after),
            reason: None,
            request_id: RequestId(uuid(0x10)),
            by: None,
            cause: uuid(0x10),
            at: arrival(Lane::Wallets, 1234),
        })
    };
    let answered = |kind, answer| {
        let (payment_id, user_id, amount) = (payment_id(), alice(), amount(2000));
        Reply::Answered(PaymentAnswer { payment_id, kind, user_id, amount, answer, at: arrival(Lane::Wallets, 1000) })
    };
    let declined = answered(AnswerKind::Debit, Err(Code::InsufficientBalance));
    use CommandKind::*;
    vec![
        Outcome::ok("charged", ChargeWallet, changed(EntryKind::Charge, 5000, 6000)).by(clerk()),
        Outcome::ok("debited", DebitWallet, changed(EntryKind::Debit, 500, 5500)),
        Outcome::ok("credited", CreditWallet, changed(EntryKind::Refund, 2000, 7500)),
        Outcome::ok("credited_before", CreditWallet, answered(AnswerKind::Refund, Ok(balance(7500)))),
        Outcome::ok("debited_for_payment", DebitWallet, changed(EntryKind::Payment, 2000, 3500)),
        Outcome::ok("debit_declined_before", DebitWallet, declined.clone()),
        Outcome::ok("asked", AskPayment, answered(AnswerKind::Debit, Ok(balance(3000)))),
        Outcome::ok("asked_and_declined", AskPayment, declined),
        Outcome::ok("asked_and_credited", AskPayment, changed(EntryKind::Refund, 2000, 7500)),
    ]
}
