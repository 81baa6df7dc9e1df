//! What one lane asks of another is decided there exactly once, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use turnstile::domain::block::{Origin, SettlePayment};
use turnstile::domain::{Asking, Body, PaymentId, RequestId, block, wallet};
use turnstile::store::RequestKey;

use super::{Checked, counted, must};
use crate::model::{Case, FollowUp};

/// `expected`: what the models say the decisions lead to.
pub fn check(cases: &[Case], expected: Vec<FollowUp>) -> Checked {
    let mut counts: BTreeMap<FollowUp, i64> = BTreeMap::new();
    for follow_up in expected {
        *counts.entry(follow_up).or_default() += 1;
    }
    for found in once(cases).filter_map(|case| FollowUp::of(&case.command.body)) {
        *counts.entry(found).or_default() -= 1;
    }
    for (follow_up, count) in counts {
        must!(count <= 0, "{follow_up:?} was never decided");
        must!(count >= 0, "{follow_up:?} was decided and nobody asked for it, or {} times too often", -count);
    }
    check_origins(cases)?;
    check_payment_ids(cases)
}

/// The program's own commands, each once: one that was published again so late that it no longer counted as seen is
/// decided again.
fn once(cases: &[Case]) -> impl Iterator<Item = &Case> {
    let mut seen = BTreeSet::new();
    let internal = cases.iter().filter(|case| case.command.body.is_internal());
    internal.filter(move |case| seen.insert((case.command.request_id, case.at.position.partition)))
}

fn origin(body: &Body) -> Option<&Origin> {
    match body {
        Body::Wallets(wallet::Command::DebitForPayment(c) | wallet::Command::CreditWallet(c)) => Some(&c.origin),
        Body::Wallets(wallet::Command::AskPayment(c)) => Some(&c.payment.origin),
        Body::Seats(block::Command::SettlePayment(SettlePayment { origin, .. })) => Some(origin),
        _ => None,
    }
}

/// Whatever moves for a client's request carries that request: its id, its fingerprint, and who acted.
fn check_origins(cases: &[Case]) -> Checked {
    let rows = cases.iter().filter_map(|case| case.request.as_ref());
    let clients: BTreeMap<(RequestId, String), _> = rows
        .filter(|row| matches!(row.key, RequestKey { internal: false, .. }))
        .map(|row| ((row.key.id, row.command.to_string()), row))
        .collect();
    for case in cases {
        let Some(Asking { request_id, fingerprint, by }) = origin(&case.command.body).and_then(|o| o.asking.as_ref())
        else {
            continue;
        };
        let kinds = ["pay_reservation", "cancel_reservation"];
        let row = kinds.iter().find_map(|kind| clients.get(&(*request_id, (*kind).to_owned())));
        let row = row.ok_or_else(|| case.context("no request asked for it"))?;
        must!(row.fingerprint == *fingerprint, "{}", case.context("it carries another fingerprint"));
        must!(row.by == *by, "{}", case.context("it carries another actor"));
    }
    Ok(())
}

/// Each payment belongs to one reservation and is asked for by one request.
fn check_payment_ids(cases: &[Case]) -> Checked {
    let debits = once(cases).filter_map(|case| match &case.command.body {
        Body::Wallets(wallet::Command::DebitForPayment(c)) => Some(c.origin.payment_id),
        _ => None,
    });
    let twice: BTreeSet<PaymentId> = counted(debits).into_iter().filter(|(_, n)| *n > 1).map(|(id, _)| id).collect();
    must!(twice.is_empty(), "payments {twice:?} were debited by two commands");
    let mut reservations: BTreeMap<PaymentId, BTreeSet<_>> = BTreeMap::new();
    for origin in cases.iter().filter_map(|case| origin(&case.command.body)) {
        reservations.entry(origin.payment_id).or_default().insert(origin.reservation_id);
    }
    let mixed = reservations.iter().find(|(_, of)| of.len() > 1);
    must!(mixed.is_none(), "one payment of two reservations: {mixed:?}");
    Ok(())
}
